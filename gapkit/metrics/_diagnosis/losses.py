"""Where GAP comes from, and where it is lost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gapkit import _checks
from gapkit.metrics._measures.gap import gap_of_ranking
from gapkit.metrics._ranking.join import Ranking, rank
from gapkit.metrics._ranking.pool import Pool, pool
from gapkit.metrics._ranking.ties import ties_code

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from gapkit.predictions import Labels, Predictions


@dataclass(frozen=True, kw_only=True)
class GapContributions:
    """Each label's and each video's part of GAP; either sums to the whole, to 1e-12."""

    gap: float
    by_label: NDArray[np.float64]
    """(C,) precision at the label's hits, over all positives"""
    by_video: NDArray[np.float64]
    """(V,) the same of each labelled video, in the order of `labels`"""
    positives_by_label: NDArray[np.int64]
    """(C,) labelled videos in which the label is true"""

    @property
    def lost_by_label(self) -> NDArray[np.float64]:
        """(C,) what each label's positives would add to GAP, were they ranked first, and don't."""
        share_C = self.positives_by_label / max(int(self.positives_by_label.sum()), 1)
        return share_C - self.by_label


def gap_contributions(
    predictions: Predictions | ArrayLike,
    labels: Labels | ArrayLike,
    *,
    top_k: int | None = 20,
    ties: str = "expected",
    rated: Labels | ArrayLike | None = None,
) -> GapContributions:
    """Return each label's and each video's part of GAP.

    GAP is a sum over hits: each adds its precision over the number of positives. The hits of a
    tied group share the group's sum equally.

    Parameters
    ----------
    predictions, labels, top_k, ties, rated
        As in `gap`.

    Returns
    -------
    GapContributions
        Zeros without positives.

    Raises
    ------
    DataError, UsageError
        As `gap` does.

    Examples
    --------
    >>> parts = gap_contributions([[0.9, 0.1], [0.6, 0.8]], [[1, 0], [1, 0]])
    >>> parts.by_label.round(3), parts.by_video.round(3)
    (array([0.833, 0.   ]), array([0.5  , 0.333]))
    """
    code = ties_code(ties)
    ranking = rank(predictions, labels, top_k, rated)
    ranked = pool(ranking)
    per_hit_G = group_sums_of(ranked, ranked.hits_of_group, code) / np.maximum(
        ranked.hits_of_group, 1
    )
    hit_N = ranked.hits
    place_H = ranked.order[hit_N]
    part_H = ranked.spread(per_hit_G)[hit_N] / max(ranking.num_positives, 1)
    row_N = np.repeat(ranking.videos, ranking.lengths)
    label_N = ranking.flatten(ranking.labels)
    return GapContributions(
        gap=gap_of_ranking(ranking, code),
        by_label=_add(label_N[place_H], part_H, len(ranking.positives_by_label)),
        by_video=_add(row_N[place_H], part_H, ranking.num_videos),
        positives_by_label=ranking.positives_by_label,
    )


def _add(
    place_H: NDArray[np.integer[Any]], part_H: NDArray[np.float64], size: int
) -> NDArray[np.float64]:
    """The sum of the parts of each place."""
    return np.bincount(place_H, part_H, size).astype(np.float64)


def group_sums_of(ranked: Pool, hits_G: NDArray[np.int64], ties: int) -> NDArray[np.float64]:
    """The sum of the precision at the hits of each tied group: (G,)."""
    from gapkit._kernels.diagnosis import group_sums

    sum_G = np.empty(len(hits_G))
    group_sums(ranked.sizes, hits_G, ties, sum_G)
    return sum_G


@dataclass(frozen=True, kw_only=True)
class GapLosses:
    """What is missing to a GAP of 1: `gap` and the three losses sum to 1."""

    gap: float
    unpredicted: float
    """Share of the true labels that are not among the kept predictions"""
    within_videos: float
    """What GAP would gain, were the hits of each video moved to its own highest confidences"""
    between_videos: float
    """What it would gain beyond, were all hits of all videos ranked before all misses"""


def gap_losses(
    predictions: Predictions | ArrayLike,
    labels: Labels | ArrayLike,
    *,
    top_k: int | None = 20,
    ties: str = "expected",
    rated: Labels | ArrayLike | None = None,
) -> GapLosses:
    """Return what is missing to a GAP of 1, in three parts that sum to it.

    With M positives and H hits, `unpredicted` is (M - H) / M. GAP' is the GAP of the same
    confidences after the hits of each video have taken the highest of that video's own:
    `within_videos` is GAP' - GAP, `between_videos` H / M - GAP'. The first asks for more recall,
    the second for a better order of a video's labels, the third for confidences that compare
    between videos.

    Parameters
    ----------
    predictions, labels, top_k, ties, rated
        As in `gap`.

    Returns
    -------
    GapLosses
        All 0.0 without positives.

    Raises
    ------
    DataError, UsageError
        As `gap` does.

    Examples
    --------
    >>> gap_losses([[0.9, 0.1], [0.6, 0.8]], [[1, 0], [1, 0]], top_k=1)
    GapLosses(gap=0.5, unpredicted=0.5, within_videos=0.0, between_videos=0.0)
    """
    code = ties_code(ties)
    ranking = rank(predictions, labels, top_k, rated)
    if ranking.num_positives == 0:
        return GapLosses(gap=0.0, unpredicted=0.0, within_videos=0.0, between_videos=0.0)
    value = gap_of_ranking(ranking, code)
    ceiling = _ceiling(ranking)
    num_hits_N = np.count_nonzero(ranking.hits, axis=1)
    first_NK = _checks.counted_entries(num_hits_N, ranking.hits.shape[1])
    ordered = gap_of_ranking(ranking, code, first_NK)
    return GapLosses(
        gap=value,
        unpredicted=1.0 - ceiling,
        within_videos=ordered - value,
        between_videos=ceiling - ordered,
    )


def gap_ceiling(
    predictions: Predictions | ArrayLike,
    labels: Labels | ArrayLike,
    *,
    top_k: int | None = 20,
    rated: Labels | ArrayLike | None = None,
) -> float:
    """Return the best GAP that the hits allow: their share of the positives.

    What no reordering of the kept predictions exceeds; 0.0 without positives.

    Parameters
    ----------
    predictions, labels, top_k, rated
        As in `gap`.

    Raises
    ------
    DataError, UsageError
        As `gap` does.

    Examples
    --------
    >>> gap_ceiling([[0.9, 0.1], [0.6, 0.8]], [[1, 0], [1, 0]], top_k=1)
    0.5
    """
    return _ceiling(rank(predictions, labels, top_k, rated))


def _ceiling(ranking: Ranking) -> float:
    return int(np.count_nonzero(ranking.hits)) / max(ranking.num_positives, 1)


def gap_by_k(
    predictions: Predictions | ArrayLike,
    labels: Labels | ArrayLike,
    *,
    top_k: int = 20,
    ties: str = "expected",
    rated: Labels | ArrayLike | None = None,
) -> NDArray[np.float64]:
    """Return GAP with the first 1, 2, ... top_k labels of each video kept, in one pass.

    Parameters
    ----------
    predictions, labels, ties, rated
        As in `gap`.
    top_k : int
        The largest cut, at least 1.

    Returns
    -------
    (top_k,) float64
        Element k - 1 is the GAP at top_k=k; zeros without positives.

    Raises
    ------
    DataError, UsageError
        As `gap` does.

    Examples
    --------
    >>> gap_by_k([[0.9, 0.1], [0.6, 0.8]], [[1, 0], [1, 0]], top_k=2).round(3)
    array([0.5  , 0.833])
    """
    from gapkit._kernels.diagnosis import sums_by_k

    top_k = _checks.check_top_k(top_k)
    code = ties_code(ties)
    ranking = rank(predictions, labels, top_k, rated)
    ranked = pool(ranking)
    column_NK = np.broadcast_to(np.arange(ranking.hits.shape[1]), ranking.hits.shape)
    column_N = ranking.flatten(column_NK)[ranked.order]
    sum_K = np.zeros(top_k)
    sums_by_k(column_N, ranked.hits, ranked.sizes, code, sum_K)
    return sum_K / max(ranking.num_positives, 1)
