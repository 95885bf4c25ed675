"""Sums of float64 without rounding: the same bits in any order, grouping and merging."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_CHUNK = 1 << 16  # lies in a core's cache, and its sums of halves fit float64
_MANTISSA_BITS, _LOW_BITS = 53, 27
_LEAST_EXPONENT = -1073  # of np.frexp
_UNIT_BITS = 1126


def exact_sum(value_N: NDArray[np.float64]) -> int:
    """The sum of finite values as a whole number of 2**-1126, the last bit of the least float64.

    Such numbers are added and divided without rounding: Python's `/` rounds their ratio once.
    """
    if (np.abs(value_N) <= 1).all() and (value_N == np.rint(value_N)).all():
        return int(value_N.sum()) << _UNIT_BITS  # counts: no sum of them is rounded
    total = 0
    for start in range(0, len(value_N), _CHUNK):
        mantissa_N, exponent_N = np.frexp(value_N[start : start + _CHUNK])
        whole_N = np.ldexp(mantissa_N, _MANTISSA_BITS).astype(np.int64)
        shift_N = exponent_N - _LEAST_EXPONENT
        least = int(shift_N.min())
        high_E = np.bincount(shift_N - least, weights=whole_N >> _LOW_BITS)
        low_E = np.bincount(shift_N - least, weights=whole_N & ((1 << _LOW_BITS) - 1))
        for exponent in np.flatnonzero((high_E != 0) | (low_E != 0)).tolist():
            part = (int(high_E[exponent]) << _LOW_BITS) + int(low_E[exponent])
            total += part << (exponent + least)
    return total
