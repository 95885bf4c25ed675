"""Seeded, shuffled epochs of crops."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from gapkit.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gapkit.batch import Batch
    from gapkit.data._store import FrameStore


class Loader:
    """Batches of a split for training: shuffled, each video with a crop of its own.

    The paper draws the start of a crop from 0..9 at stride 5; here it is drawn from two strides,
    so that short clips stored at stride 1 lose one frame at most.

    Parameters
    ----------
    store : FrameStore
    batch_size : int
        Videos a batch; the last one of an epoch may hold fewer.
    seed : int
        Order and starts depend on seed and epoch alone.
    stride : int, optional
        None is the store's own.
    max_frames : int, optional
        None keeps all.

    Raises
    ------
    UsageError
        batch_size, stride or max_frames is below 1.
    """

    def __init__(
        self,
        store: FrameStore,
        *,
        batch_size: int,
        seed: int = 0,
        stride: int | None = None,
        max_frames: int | None = None,
    ) -> None:
        for name, value in (
            ("batch_size", batch_size),
            ("stride", stride),
            ("max_frames", max_frames),
        ):
            if value is not None and value < 1:
                raise UsageError(f"{name} is {value}. It must be 1 or more.")
        self.store = store
        self.batch_size = batch_size
        self.seed = seed
        self.stride = store.stride if stride is None else stride
        self.max_frames = max_frames

    def __len__(self) -> int:
        """Batches an epoch."""
        return -(-len(self.store) // self.batch_size)

    def epoch(self, number: int) -> Iterator[tuple[Batch, NDArray[np.bool_]]]:
        """Yield the batches of an epoch, each with its dense truth (B, num_classes)."""
        rng = np.random.default_rng([self.seed, number])
        order_N = rng.permutation(len(self.store))
        start_N = rng.integers(2 * self.stride, size=len(self.store))
        for begin in range(0, len(order_N), self.batch_size):
            index_B = order_N[begin : begin + self.batch_size]
            crop = self.store.crops(
                index_B,
                start_N[begin : begin + self.batch_size],
                stride=self.stride,
                max_frames=self.max_frames,
            )
            yield crop, self.store.truth(index_B)
