"""What resamples tell: intervals, and how probable a difference is by chance."""

from __future__ import annotations

from numbers import Integral
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from gapkit.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

Interval = tuple[float, float]

POWER = 0.8

_NORMAL = NormalDist()
_ROUNDING = 1e-12  # metrics that differ by less are the same number, rounded in another order


def check_resampling(num_resamples: object, confidence_level: float) -> None:
    """Refuse fewer than 1 resample, and levels not between 0 and 1."""
    if isinstance(num_resamples, bool) or not isinstance(num_resamples, Integral):
        raise UsageError(f"num_resamples is {num_resamples!r}. It must be a whole number.")
    if num_resamples < 1:
        raise UsageError(f"num_resamples is {num_resamples}. Draw at least 1.")
    if not isinstance(confidence_level, float | np.floating) or not 0 < confidence_level < 1:
        raise UsageError(
            f"confidence_level is {confidence_level!r}. It must lie between 0 and 1, as 0.95 does."
        )


def check_seed(seed: int | np.random.Generator) -> np.random.Generator:
    """The Generator of a seed, or the one that is given."""
    if isinstance(seed, np.random.Generator):
        return seed
    if isinstance(seed, bool) or not isinstance(seed, Integral) or seed < 0:
        raise UsageError(f"seed is {seed!r}. It must be a whole number from 0, or a Generator.")
    return np.random.default_rng(int(seed))


def standard_error(resample_B: NDArray[np.float64]) -> float:
    """Their standard deviation; NaN for a single one."""
    return float(resample_B.std(ddof=1)) if len(resample_B) > 1 else float("nan")


def percentile_interval(resample_B: NDArray[np.float64], confidence_level: float) -> Interval:
    """What leaves out the same share of the resamples at either end."""
    tail = (1 - confidence_level) / 2
    return _quantiles(resample_B, tail, 1 - tail)


def bca_interval(
    resample_B: NDArray[np.float64],
    value: float,
    jackknife_G: NDArray[np.float64],
    confidence_level: float,
) -> Interval:
    """The percentile interval, corrected for bias and for an error that depends on the value."""
    num_below = np.count_nonzero(resample_B < value - _ROUNDING)
    num_equal = np.count_nonzero(np.abs(resample_B - value) <= _ROUNDING)
    half = 0.5 / len(resample_B)  # as if half a resample lay beyond the last one
    bias = _NORMAL.inv_cdf(min(max((num_below + num_equal / 2) / len(resample_B), half), 1 - half))
    shift_G = jackknife_G.mean() - jackknife_G
    spread = float((shift_G**2).sum())
    is_spread = np.abs(shift_G).max() > _ROUNDING
    acceleration = float((shift_G**3).sum()) / (6 * spread**1.5) if is_spread else 0.0

    def corrected(level: float) -> float:
        z = bias + _NORMAL.inv_cdf(level)
        shrink = 1 - acceleration * z
        return _NORMAL.cdf(bias + z / shrink) if shrink > 0 else float(z > 0)

    tail = (1 - confidence_level) / 2
    return _quantiles(resample_B, corrected(tail), corrected(1 - tail))


def p_shifted(resample_B: NDArray[np.float64], difference: float) -> float:
    """Two-sided p of no difference: the resamples are moved to where it is true, a mean of 0."""
    return share_as_large(resample_B - resample_B.mean(), difference)


def share_as_large(null_B: NDArray[np.float64], difference: float) -> float:
    """Share of differences under the null at least as large as the one seen, itself counted in."""
    count = np.count_nonzero(np.abs(null_B) >= abs(difference) - _ROUNDING)
    return (1 + int(count)) / (1 + len(null_B))


def detectable_difference(error: float, confidence_level: float) -> float:
    """The true difference that a two-sided test finds with a power of POWER."""
    return (_NORMAL.inv_cdf((1 + confidence_level) / 2) + _NORMAL.inv_cdf(POWER)) * error


def _quantiles(resample_B: NDArray[np.float64], low: float, high: float) -> Interval:
    bounds = np.quantile(resample_B, [low, high])
    return float(bounds[0]), float(bounds[1])
