"""What rankings compare: unsigned integers ordered like the confidences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gapkit.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gapkit.metrics._ranking.ranges import Values

_BITS_OF_ONE = {4: 0x3F800000, 8: 0x3FF0000000000000}


def check_confidences(confidence_N: NDArray[Any]) -> NDArray[np.floating[Any]]:
    """Finite float32 or float64, one after another; float16 is widened, which is exact."""
    if confidence_N.size == 0:
        return np.zeros(0, np.float32)
    if confidence_N.dtype.kind != "f" or confidence_N.dtype.itemsize > 8:
        raise DataError(
            f"confidences of type {confidence_N.dtype} are not float16, float32 or float64. "
            f"Are confidences and hits swapped?"
        )
    dtype = np.float64 if confidence_N.dtype.itemsize == 8 else np.float32
    flat_N: NDArray[Any] = np.ascontiguousarray(confidence_N, dtype).reshape(-1)
    if not _is_unit(flat_N):
        wrong = np.flatnonzero(~np.isfinite(flat_N))
        if wrong.size:
            raise DataError(
                f"prediction {wrong[0]}: its confidence is {flat_N[wrong[0]]}. "
                f"Confidences must be finite numbers."
            )
    return flat_N


def to_values(parts: Sequence[NDArray[np.floating[Any]]]) -> list[Values]:
    """Values that compare throughout the parts, which `check_confidences` has passed.

    The bits of confidences in [0, 1] are ordered as they are, and taken without a copy.
    """
    if any(part.dtype == np.float64 for part in parts):
        parts = [part.astype(np.float64, copy=False) for part in parts]
    if all(_is_unit(part) for part in parts):
        return [part.view(f"u{part.itemsize}") for part in parts]
    return [to_ordered_values(part) for part in parts]


def to_ordered_values(confidence_N: NDArray[np.floating[Any]]) -> Values:
    """Values of finite confidences of any range."""
    from gapkit._kernels.values import ordered_values

    value_N = np.empty(confidence_N.size, f"u{confidence_N.itemsize}")
    ordered_values(confidence_N, value_N)
    return value_N


def from_ordered_values(value_N: Values) -> NDArray[np.floating[Any]]:
    """The confidences of `to_ordered_values`."""
    sign = value_N.dtype.type(1 << (8 * value_N.itemsize - 1))
    bits_N = np.where(value_N & sign, value_N ^ sign, ~value_N)
    return bits_N.view(f"f{value_N.itemsize}")


def _is_unit(confidence_N: NDArray[np.floating[Any]]) -> bool:
    """Whether all lie in [0, 1], and none is -0.0: told from their bits, NaN included."""
    bits_N = confidence_N.view(f"u{confidence_N.itemsize}")
    return int(bits_N.max(initial=0)) <= _BITS_OF_ONE[confidence_N.itemsize]
