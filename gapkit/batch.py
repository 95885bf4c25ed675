"""What a predictor is given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Batch"]


@dataclass(frozen=True, kw_only=True)
class Batch:
    """A few videos, B of them, with their features.

    Frames are quantised as they are stored: a value q stands for q * 4/255 + 4/512 - 2.
    """

    ids: NDArray[np.object_]
    """(B,) video ids, str"""
    features: dict[str, NDArray[Any]]
    """By name: (B, T, D) uint8 frames, zero past each video's num_frames, T that of the longest;
    or, at video level, (B, D) float32"""
    num_frames: NDArray[np.int64]
    """(B,) frames of each video that count, at least 1; 1 at video level"""

    def __len__(self) -> int:
        return len(self.ids)
