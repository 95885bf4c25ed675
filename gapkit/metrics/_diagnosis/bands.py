"""What GAP could be if the labels lack some that are true."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gapkit.errors import UsageError
from gapkit.metrics._diagnosis.losses import group_sums_of
from gapkit.metrics._measures.gap import gap_of_ranking
from gapkit.metrics._ranking.join import rank
from gapkit.metrics._ranking.pool import pool
from gapkit.metrics._ranking.ties import ties_code

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from gapkit.predictions import Labels, Predictions


@dataclass(frozen=True, kw_only=True)
class GapBands:
    """GAP if some of the false positives were true."""

    gap: float
    """GAP as the labels are"""
    worst: float
    """If the least confident misses were true"""
    mean: float
    """Over all choices of misses"""
    best: float
    """If the most confident misses were true"""
    num_added: int
    """Misses that turn into hits, and positives that are added"""


def gap_bands(
    predictions: Predictions | ArrayLike,
    labels: Labels | ArrayLike,
    *,
    missing_rate: float,
    top_k: int | None = 20,
    ties: str = "expected",
    rated: Labels | ArrayLike | None = None,
) -> GapBands:
    """Return what GAP would be if a share of the false positives were true, and unlabelled.

    YouTube-8M's labels have a recall of 14.5 %: many of a model's misses are hits that nobody
    labelled. With m = round(missing_rate * misses) of the kept misses true, positives grow by m.

    Parameters
    ----------
    predictions, labels, top_k, rated
        As in `gap`.
    missing_rate : float
        Share of the misses that are true, in [0, 1].
    ties : {'expected', 'optimistic', 'pessimistic'}
        As in `gap`; the mean is over all tied orders in any case.

    Returns
    -------
    GapBands
        `mean` is exact, over all subsets of m misses; all 0.0 without predictions.

    Raises
    ------
    UsageError
        missing_rate is outside [0, 1]; or as `gap` does.
    DataError
        As `gap` does.

    References
    ----------
    Abu-El-Haija et al., YouTube-8M: A Large-Scale Video Classification Benchmark, 2016, section
    3.2: precision 78.8 %, recall 14.5 % of the machine-made labels.

    Examples
    --------
    >>> bands = gap_bands([[0.9, 0.1], [0.6, 0.8]], [[1, 0], [1, 0]], missing_rate=0.5)
    >>> round(bands.worst, 3), round(bands.mean, 3), round(bands.best, 3)
    (0.806, 0.903, 1.0)
    """
    from gapkit._kernels.diagnosis import mean_sum_with_added_hits

    if isinstance(missing_rate, bool) or not 0 <= missing_rate <= 1:
        raise UsageError(f"missing_rate is {missing_rate}. It is a share of misses, from 0 to 1.")
    code = ties_code(ties)
    ranking = rank(predictions, labels, top_k, rated)
    ranked = pool(ranking)
    misses_G = ranked.sizes - ranked.hits_of_group
    num_misses = int(misses_G.sum())
    num_added = round(missing_rate * num_misses)
    num_positives = max(ranking.num_positives + num_added, 1)
    before_G = np.cumsum(misses_G) - misses_G
    best_G = np.clip(num_added - before_G, 0, misses_G)
    worst_G = np.clip(num_added - (num_misses - before_G - misses_G), 0, misses_G)
    best, worst = (
        float(group_sums_of(ranked, ranked.hits_of_group + added_G, code).sum()) / num_positives
        for added_G in (best_G, worst_G)
    )
    mean = mean_sum_with_added_hits(ranked.sizes, ranked.hits_of_group, num_added)
    return GapBands(
        gap=gap_of_ranking(ranking, code),
        worst=worst,
        mean=mean / num_positives,
        best=best,
        num_added=num_added,
    )
