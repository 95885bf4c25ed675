"""Whether one file of predictions is better than another, by more than chance."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gapkit.metrics._error_bars import intervals
from gapkit.metrics._error_bars.draws import (
    draw_videos,
    evaluate_draws,
    leave_out_groups,
    swap_files,
)
from gapkit.metrics._error_bars.reweighting import reweigh

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    from gapkit.predictions import Labels, Predictions


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A metric of two files of predictions over the same videos, and what resamples say."""

    value_a: float
    """Of the first file"""
    value_b: float
    """Of the second file"""
    difference: float
    """value_a - value_b"""
    standard_error: float
    """Standard deviation of the resampled differences; NaN for a single one"""
    percentile: tuple[float, float]
    """Interval of the difference that leaves out the same share of resamples at either end"""
    bca: tuple[float, float]
    """The same, corrected for bias, and accelerated: prefer it"""
    p_bootstrap: float
    """Two-sided p of no difference: the share of resampled differences at least as far from their
    mean as the difference is from 0"""
    p_randomisation: float
    """Two-sided p of no difference: the share of random exchanges of the two files' rows whose
    difference is at least as large: prefer it, unless the confidences of the files are of different
    scales, as before and after a calibration: exchanged rows then rank badly, and p is too large"""
    detectable_difference: float
    """Smallest true difference that a two-sided test at level 1 - confidence_level finds with a
    power of 0.8 on so many such videos"""
    confidence_level: float
    """Of both intervals"""
    num_videos: int
    """Labelled videos, the ones that are drawn"""
    resamples: NDArray[np.float64] = field(repr=False, compare=False)
    """(num_resamples,) the difference in each resample"""


def compare_gap(
    a: Predictions | ArrayLike,
    b: Predictions | ArrayLike,
    labels: Labels | ArrayLike,
    *,
    top_k: int | None = 20,
    ties: str = "expected",
    rated: Labels | ArrayLike | None = None,
    num_resamples: int = 1000,
    confidence_level: float = 0.95,
    seed: int | np.random.Generator = 0,
) -> Comparison:
    """Return how far the GAP of two files differs, with error bars and tests.

    The comparison is paired: a resample scores both files on the same drawn videos. What makes all
    files good or bad on these cancels, so that differences much below the standard error of either
    GAP can be told from chance.

    Parameters
    ----------
    a, b : Predictions, or (N, num_classes) array of float
        Two files of predictions of the same videos.
    labels, top_k, ties, rated
        As in `gap`.
    num_resamples : int
        Draws of the bootstrap, and exchanges of the randomisation test; at least 1. No p is below
        1 / (num_resamples + 1).
    confidence_level : float
        Share of such intervals that hold the true difference, in (0, 1).
    seed : int or numpy Generator
        The draws of videos are those of `bootstrap_gap`; the exchanges follow them.

    Returns
    -------
    Comparison
        Of the same file twice: difference and standard error 0, both p 1. So for empty input.

    Raises
    ------
    DataError
        As `gap` does.
    UsageError
        As `gap` does; or num_resamples, confidence_level or seed is out of range.

    References
    ----------
    Efron and Tibshirani, An Introduction to the Bootstrap, 1993. Efron, Better Bootstrap Confidence
    Intervals, 1987: BCa. Smucker, Allan and Carterette, A Comparison of Statistical Significance
    Tests for Information Retrieval Evaluation, 2007: the bootstrap test by a shift to a mean of 0,
    and Fisher's randomisation test. In the latter the rows of a video change files with probability
    1/2, and the GAP of either mixed pool is computed anew, as GAP is no mean over videos. Both p
    count the files as they are among the resamples.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(1)
    >>> truth = rng.random((200, 5)) < 0.3
    >>> good = (truth + 2 * rng.random((200, 5))) / 3
    >>> better = good + 0.05 * truth
    >>> result = compare_gap(better, good, truth)
    >>> round(result.difference, 3), round(result.standard_error, 3)
    (0.047, 0.005)
    >>> result.p_randomisation < 0.01
    True
    """
    return compare(
        "gap",
        a,
        b,
        labels,
        num_resamples=num_resamples,
        confidence_level=confidence_level,
        seed=seed,
        top_k=top_k,
        ties=ties,
        rated=rated,
    )


def compare(
    metric_name: str,
    a: Predictions | ArrayLike,
    b: Predictions | ArrayLike,
    labels: Labels | ArrayLike,
    *,
    num_resamples: int = 1000,
    confidence_level: float = 0.95,
    seed: int | np.random.Generator = 0,
    **settings: Any,
) -> Comparison:
    """Return how far any metric of two files differs, as `compare_gap` does for GAP.

    Parameters
    ----------
    metric_name : str
        As in `bootstrap`.
    a, b, labels, num_resamples, confidence_level, seed
        As in `compare_gap`.
    **settings
        Keyword arguments of the metric's function, such as `k`, `top_k` or `rated`.

    Returns
    -------
    Comparison
        As of `compare_gap`.

    Raises
    ------
    DataError
        As the metric does.
    UsageError
        As the metric does; the name or a setting is unknown; or num_resamples, confidence_level or
        seed is out of range.

    References
    ----------
    As `compare_gap`.

    Examples
    --------
    >>> a, b = [[0.9, 0.1], [0.2, 0.8]], [[0.9, 0.1], [0.7, 0.3]]
    >>> result = compare("hit_at_k", a, b, [[1, 0], [0, 1]], k=1)
    >>> result.value_a, result.value_b, result.difference
    (1.0, 0.5, 0.5)
    """
    intervals.check_resampling(num_resamples, confidence_level)
    rng = intervals.check_seed(seed)
    (value_a, value_b), (*metrics, pooled) = reweigh(metric_name, [a, b], labels, settings)
    difference = value_a - value_b
    drawn_a_B, drawn_b_B = evaluate_draws(metrics, num_resamples, draw_videos(rng))
    jackknife_a_G, jackknife_b_G = leave_out_groups(metrics)
    (swapped_D,) = evaluate_draws([pooled], 2 * num_resamples, swap_files(rng))
    resample_B, jackknife_G = drawn_a_B - drawn_b_B, jackknife_a_G - jackknife_b_G
    error = intervals.standard_error(resample_B)
    return Comparison(
        value_a=value_a,
        value_b=value_b,
        difference=difference,
        standard_error=error,
        percentile=intervals.percentile_interval(resample_B, confidence_level),
        bca=intervals.bca_interval(resample_B, difference, jackknife_G, confidence_level),
        p_bootstrap=intervals.p_shifted(resample_B, difference),
        p_randomisation=intervals.share_as_large(swapped_D[::2] - swapped_D[1::2], difference),
        detectable_difference=intervals.detectable_difference(error, confidence_level),
        confidence_level=float(confidence_level),
        num_videos=metrics[0].num_rows,
        resamples=resample_B,
    )
