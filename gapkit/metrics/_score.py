"""All metrics of one set of predictions at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gapkit.metrics._gap import gap_of_ranking
from gapkit.metrics._ranges import precision_sums_by_label
from gapkit.metrics._ranking import Ranking, rank
from gapkit.metrics._ties import ties_code

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from gapkit.predictions import Labels, Predictions


@dataclass(frozen=True, kw_only=True)
class Score:
    """The metrics of one set of predictions, each in [0, 1], and what they were taken over."""

    gap: float
    """Global Average Precision of the kept predictions"""
    hit_at_1: float
    """Share of the labelled videos whose most confident label is true"""
    perr: float
    """Precision at equal recall rate: mean, over the videos with labels, of the share of the
    first num_true predictions that are true"""
    map: float
    """Mean, over the labels with a positive, of the average precision over kept predictions"""
    num_videos: int
    """Labelled videos"""
    num_positives: int
    """True labels of the labelled videos, predicted or not"""
    missing: int
    """Labelled videos without a prediction: they count as wrong throughout"""
    ignored: int
    """Predicted ids without labels: they are left out"""


def score(
    predictions: Predictions | ArrayLike,
    labels: Labels | ArrayLike,
    *,
    top_k: int = 20,
    ties: str = "expected",
) -> Score:
    """Return all metrics of the top_k predictions of each video.

    Parameters
    ----------
    predictions : Predictions, or (N, num_classes) array of float
    labels : Labels, or (N, num_classes) array of bool or 0/1
    top_k : int
        Most confident labels to keep of each video, at least 1.
    ties : {'expected', 'optimistic', 'pessimistic'}
        What equal confidences are worth in `gap` and `map`. In `hit_at_1` and `perr` equal
        confidences of one video stand by rising label.

    Returns
    -------
    Score
        All 0.0 for empty input.

    Raises
    ------
    DataError, UsageError
        As `gap` does.

    References
    ----------
    Abu-El-Haija et al., YouTube-8M: A Large-Scale Video Classification Benchmark, 2016: Hit@1
    over all videos, PERR over the videos with at least one true label.

    Examples
    --------
    >>> score([[0.9, 0.1], [0.6, 0.8]], [[1, 0], [1, 0]]).hit_at_1
    0.5
    """
    code = ties_code(ties)
    ranking = rank(predictions, labels, top_k)
    return Score(
        gap=gap_of_ranking(ranking, code),
        hit_at_1=_hit_at_1(ranking),
        perr=_perr(ranking),
        map=_map(ranking, code),
        num_videos=ranking.num_videos,
        num_positives=ranking.num_positives,
        missing=ranking.missing,
        ignored=ranking.ignored,
    )


def _hit_at_1(ranking: Ranking) -> float:
    return int(ranking.hits[:, :1].sum()) / max(ranking.num_videos, 1)


def _perr(ranking: Ranking) -> float:
    column_K = np.arange(ranking.hits.shape[1])
    retrieved_N = (ranking.hits & (column_K < ranking.num_true[:, None])).sum(axis=1)
    share_N = retrieved_N / np.maximum(ranking.num_true, 1)
    return float(share_N.sum()) / max(int(np.count_nonzero(ranking.true_by_video)), 1)


def _map(ranking: Ranking, ties: int) -> float:
    num_positives_C = ranking.positives_by_label
    is_present_C = num_positives_C > 0
    if not is_present_C.any():
        return 0.0
    sum_C = precision_sums_by_label(ranking, ties)
    return float((sum_C[is_present_C] / num_positives_C[is_present_C]).mean())
