"""What the kernels rank: one uint32 key a prediction, and the rule for ties."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gapkit.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_TIES = {"expected": 0, "optimistic": 1, "pessimistic": 2}  # as in _kernels.gap


def ties_code(ties: str) -> int:
    """The kernels' number for a ties rule."""
    if ties not in _TIES:
        raise UsageError(f"ties={ties!r} is not a rule. Choose one of {', '.join(_TIES)}.")
    return _TIES[ties]


def prediction_keys(
    confidence_N: NDArray[np.floating[Any]], hit_N: NDArray[np.bool_]
) -> NDArray[np.uint32]:
    """Keys ordered like the finite confidences, with the hit in the lowest bit.

    float16 and float32 in [0, 1] give their bits. Anything else gives its rank among the distinct
    values: exact for any type, at the price of a sort.
    """
    from gapkit._kernels.gap import unit_keys

    key_N = np.empty(confidence_N.size, np.uint32)
    if confidence_N.dtype.itemsize <= 4:
        narrow_N = np.ascontiguousarray(confidence_N, np.float32)
        if unit_keys(narrow_N, np.ascontiguousarray(hit_N), key_N) < 0:
            return key_N
    rank_N = np.unique(confidence_N, return_inverse=True)[1].reshape(-1)
    np.left_shift(rank_N, 1, out=key_N, casting="unsafe")
    key_N |= hit_N
    return key_N
