"""The phase-major order of a video's frames.

For a stride s the frames 0, s, 2s, ... stand first, then 1, s+1, ..., so that a crop
`frames[start::s]` is one contiguous slice.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def phase_order(num_frames: int, stride: int) -> NDArray[np.int64]:
    """The frame that stands at each position, (num_frames,)."""
    return np.concatenate([np.arange(phase, num_frames, stride) for phase in range(stride)])


def position_of(frame: Any, num_frames: Any, stride: int) -> Any:
    """Where a frame, or an array of frames, stands."""
    phase = frame % stride
    return phase * (num_frames // stride) + np.minimum(phase, num_frames % stride) + frame // stride


def crop_length(num_frames: Any, start: Any, stride: int, max_frames: int | None) -> Any:
    """How many frames `frames[min(start, T-1)::stride][:max_frames]` keeps of T."""
    left = num_frames - np.minimum(start, num_frames - 1)
    length = -(-left // stride)
    return length if max_frames is None else np.minimum(length, max_frames)


def cut_crop(
    stored_TD: NDArray[Any], layout_stride: int, start: int, stride: int, length: int
) -> NDArray[Any]:
    """The first `length` frames of a crop, cut from frames that lie phase-major."""
    num_frames = len(stored_TD)
    first = min(start, num_frames - 1)
    step, odd = divmod(stride, layout_stride)
    if odd == 0:
        position = position_of(first, num_frames, layout_stride)
        return stored_TD[position : position + (length - 1) * step + 1 : step]
    gathered_TD: NDArray[Any] = stored_TD[
        position_of(first + stride * np.arange(length), num_frames, layout_stride)
    ]
    return gathered_TD
