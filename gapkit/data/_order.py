"""The order in which an epoch takes the videos of a store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def draw_runs(
    rng: np.random.Generator, num_videos: int, run_length: int, window: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Each video once, (N,), and the places in that order as they are read from disk, (N,).

    The store is cut into runs of run_length consecutive videos; the runs are shuffled, and then
    the videos of each window. Read are the runs of a window one after another.
    """
    begin_R = rng.permutation(-(-num_videos // run_length)) * run_length
    read_N = (begin_R[:, None] + np.arange(run_length)).ravel()
    read_N = read_N[read_N < num_videos]  # the last run may be short
    order_N, place_N = np.empty_like(read_N), np.empty_like(read_N)
    for begin in range(0, num_videos, window):
        end = min(begin + window, num_videos)
        place_N[begin:end] = begin + rng.permutation(end - begin)
    order_N[place_N] = read_N
    return order_N, place_N
