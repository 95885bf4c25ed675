"""Memory of batches that nobody looks at any more, for the next ones.

A batch of 128 crops takes 6 MB. Given back to the system and asked for again, its pages are
zeroed each time: a fifth of what cutting the crops takes.
"""

from __future__ import annotations

import sys
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

_LEAST_BYTES = 1 << 18  # smaller ones the system keeps by itself
_probe = [np.empty(0, np.uint8)]
_NUM_UNUSED = sys.getrefcount(_probe[0])  # of an array that only a list holds
# Without the GIL the count is no proof.
_CAN_TELL: bool = getattr(sys, "_is_gil_enabled", lambda: True)()


class Spare:
    """Arrays to be filled; one is used again when no view of it is left.

    Views hold on to the array that they are cut from, so that its references tell whether
    anybody, a torch tensor included, can still see it.
    """

    def __init__(self, num_kept: int) -> None:
        self._num_kept = num_kept
        self._kept: list[NDArray[np.uint8]] = []
        self._choosing = Lock()

    def empty(self, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """An array of unknown content."""
        num_bytes = int(np.prod(shape)) * np.dtype(dtype).itemsize
        if num_bytes < _LEAST_BYTES or not _CAN_TELL:
            return np.empty(shape, dtype)
        with self._choosing:
            kept = self._kept
            for place in range(len(kept)):
                if sys.getrefcount(kept[place]) == _NUM_UNUSED and len(kept[place]) >= num_bytes:
                    return kept[place][:num_bytes].view(dtype).reshape(shape)
            whole = np.empty(num_bytes, np.uint8)
            del kept[: len(kept) + 1 - self._num_kept]
            kept.append(whole)
            return whole.view(dtype).reshape(shape)
