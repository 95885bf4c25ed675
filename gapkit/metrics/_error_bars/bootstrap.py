"""Error bars: how far a metric would move on another holdout of the same size."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gapkit.metrics._error_bars import intervals
from gapkit.metrics._error_bars.draws import draw_videos, evaluate_draws, leave_out_groups
from gapkit.metrics._error_bars.reweighting import reweigh

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    from gapkit.predictions import Labels, Predictions


@dataclass(frozen=True, kw_only=True)
class Bootstrap:
    """A metric and what its resamples say of it."""

    value: float
    """Of the videos as they are"""
    standard_error: float
    """Standard deviation of the resamples; NaN for a single one"""
    percentile: tuple[float, float]
    """Interval that leaves out the same share of the resamples at either end"""
    bca: tuple[float, float]
    """The same, corrected for bias, and accelerated: prefer it"""
    confidence_level: float
    """Of both intervals"""
    num_videos: int
    """Labelled videos, the ones that are drawn"""
    resamples: NDArray[np.float64] = field(repr=False, compare=False)
    """(num_resamples,) the metric of each resample"""


def bootstrap_gap(
    predictions: Predictions | ArrayLike,
    labels: Labels | ArrayLike,
    *,
    top_k: int | None = 20,
    ties: str = "expected",
    rated: Labels | ArrayLike | None = None,
    num_resamples: int = 1000,
    confidence_level: float = 0.95,
    seed: int | np.random.Generator = 0,
) -> Bootstrap:
    """Return GAP with its standard error and confidence intervals.

    A resample draws as many labelled videos as there are, with replacement; its value is the exact
    GAP of the drawn rows, so that copies of a video are tied. Videos are drawn and not predictions,
    as the predictions of one video depend on each other.

    Parameters
    ----------
    predictions, labels, top_k, ties, rated
        As in `gap`.
    num_resamples : int
        At least 1. A thousand or more make the ends of an interval.
    confidence_level : float
        Share of such intervals that hold the true value, in (0, 1).
    seed : int or numpy Generator
        Resample b takes the draw number b, `rng.integers(V, size=V)` over the V videos in the order
        of `labels`, of one `rng = numpy.random.default_rng(seed)`. A Generator moves on.

    Returns
    -------
    Bootstrap
        With one video, without positives or where all resamples are alike for another reason both
        intervals are the one value of the resamples, and the standard error is 0. All 0.0 for
        empty input.

    Raises
    ------
    DataError
        As `gap` does.
    UsageError
        As `gap` does; or num_resamples, confidence_level or seed is out of range.

    References
    ----------
    Efron and Tibshirani, An Introduction to the Bootstrap, 1993: chapter 13, percentiles. Efron,
    Better Bootstrap Confidence Intervals, 1987: BCa. Here a resample equal to the value counts half
    below it, and the jackknife of the acceleration leaves out one of 200 groups of videos at a time
    (as many groups as videos below 200), every 200th video to a group.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(1)
    >>> truth = rng.random((200, 5)) < 0.3
    >>> confidences = (truth + 2 * rng.random((200, 5))) / 3
    >>> result = bootstrap_gap(confidences, truth, top_k=3)
    >>> round(result.value, 3), round(result.standard_error, 3)
    (0.798, 0.019)
    """
    return bootstrap(
        "gap",
        predictions,
        labels,
        num_resamples=num_resamples,
        confidence_level=confidence_level,
        seed=seed,
        top_k=top_k,
        ties=ties,
        rated=rated,
    )


def bootstrap(
    metric_name: str,
    predictions: Predictions | ArrayLike,
    labels: Labels | ArrayLike,
    *,
    num_resamples: int = 1000,
    confidence_level: float = 0.95,
    seed: int | np.random.Generator = 0,
    **settings: Any,
) -> Bootstrap:
    """Return any metric of videos or rankings with its error bars, as `bootstrap_gap` does for GAP.

    In `mean_average_precision` a label that is true in no video of a resample drops out of the mean
    there. Labels with a handful of positives gain by copies of them, so that its resamples may all
    lie above the value: then trust the standard error, not the intervals. The propensities of
    `psp_at_k` are those of all videos throughout.

    Parameters
    ----------
    metric_name : str
        'gap', 'mean_average_precision', 'hit_at_k', 'precision_at_k', 'recall_at_k', 'map_at_k',
        'ndcg_at_k', 'perr', 'label_ranking_average_precision' or 'psp_at_k'.
    predictions, labels, num_resamples, confidence_level, seed
        As in `bootstrap_gap`.
    **settings
        Keyword arguments of the metric's function, such as `k`, `top_k` or `rated`.

    Returns
    -------
    Bootstrap
        As of `bootstrap_gap`.

    Raises
    ------
    DataError
        As the metric does.
    UsageError
        As the metric does; the name or a setting is unknown; or num_resamples, confidence_level or
        seed is out of range.

    References
    ----------
    As `bootstrap_gap`.

    Examples
    --------
    >>> confidences = [[0.9, 0.1], [0.2, 0.8], [0.7, 0.3], [0.4, 0.6]]
    >>> result = bootstrap("hit_at_k", confidences, [[1, 0], [0, 1], [0, 1], [0, 1]], k=1)
    >>> result.value, result.percentile
    (0.75, (0.25, 1.0))
    """
    intervals.check_resampling(num_resamples, confidence_level)
    rng = intervals.check_seed(seed)
    (value,), metrics = reweigh(metric_name, [predictions], labels, settings)
    (resample_B,) = evaluate_draws(metrics, num_resamples, draw_videos(rng))
    (jackknife_G,) = leave_out_groups(metrics)
    return Bootstrap(
        value=value,
        standard_error=intervals.standard_error(resample_B),
        percentile=intervals.percentile_interval(resample_B, confidence_level),
        bca=intervals.bca_interval(resample_B, value, jackknife_G, confidence_level),
        confidence_level=float(confidence_level),
        num_videos=metrics[0].num_rows,
        resamples=resample_B,
    )
