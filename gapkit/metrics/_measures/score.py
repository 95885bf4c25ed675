"""All metrics of one set of predictions at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gapkit.metrics._measures.by_label import mean_by_label
from gapkit.metrics._measures.gap import gap_of_ranking
from gapkit.metrics._measures.video_mean import VIDEO_METRICS, divide_sums
from gapkit.metrics._ranking.exact_sum import exact_sum
from gapkit.metrics._ranking.join import Ranking, rank
from gapkit.metrics._ranking.ranges import precision_sums_by_label
from gapkit.metrics._ranking.ties import ties_code

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
    top_k: int | None = 20,
    ties: str = "expected",
    rated: Labels | ArrayLike | None = None,
) -> Score:
    """Return all metrics of the top_k predictions of each video.

    Parameters
    ----------
    predictions : Predictions, or (N, num_classes) array of float
    labels : Labels, or (N, num_classes) array of bool or 0/1
    top_k : int, optional
        Most confident labels to keep of each video, at least 1; None keeps all.
    ties : {'expected', 'optimistic', 'pessimistic'}
        What equal confidences are worth in `gap` and `map`. In `hit_at_1` and `perr` equal
        confidences of one video stand by rising label.
    rated : Labels, or (N, num_classes) array of bool or 0/1, optional
        Pairs that somebody judged, as in `gap`.

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
    return score_ranking(rank(predictions, labels, top_k, rated), ties_code(ties))


def score_ranking(ranking: Ranking, ties: int) -> Score:
    """The metrics of predictions that are joined with the truth already."""
    return Score(
        gap=gap_of_ranking(ranking, ties),
        hit_at_1=_ratio("hit_at_k", ranking, k=1),
        perr=_ratio("perr", ranking, top_k=None),
        map=mean_by_label(precision_sums_by_label(ranking, ties), ranking.positives_by_label),
        num_videos=ranking.num_videos,
        num_positives=ranking.num_positives,
        missing=ranking.missing,
        ignored=ranking.ignored,
    )


def _ratio(name: str, ranking: Ranking, **settings: Any) -> float:
    numerator_V, denominator_V = VIDEO_METRICS[name].values(ranking, **settings)
    return divide_sums(exact_sum(numerator_V), exact_sum(denominator_V))
