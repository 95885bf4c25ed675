"""Seeded, shuffled epochs of crops, cut ahead of the one who asks for them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from gapkit.data._order import draw_runs
from gapkit.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gapkit.batch import Batch
    from gapkit.data._store import FrameStore

    Example = tuple[Batch, NDArray[np.bool_]]
    Starts = Callable[[np.random.Generator, NDArray[np.int64], int], NDArray[np.int64]]


def draw_within_two_strides(
    rng: np.random.Generator, num_frames_N: NDArray[np.int64], stride: int
) -> NDArray[np.int64]:
    """The paper's crops: the start is drawn from 0..9 at stride 5."""
    return rng.integers(2 * stride, size=len(num_frames_N))


def draw_within_one_stride(
    rng: np.random.Generator, num_frames_N: NDArray[np.int64], stride: int
) -> NDArray[np.int64]:
    """Those of its code: from 0..stride - 1, and all frames kept."""
    return rng.integers(stride, size=len(num_frames_N))


def start_at_zero(
    rng: np.random.Generator, num_frames_N: NDArray[np.int64], stride: int
) -> NDArray[np.int64]:
    """Each video from its first frame."""
    return np.zeros(len(num_frames_N), np.int64)


STARTS: dict[str, Starts] = {
    "paper": draw_within_two_strides,
    "code": draw_within_one_stride,
    "zero": start_at_zero,
}


class Loader:
    """Batches of a split for training: shuffled, each video with a crop of its own.

    What an epoch holds depends on seed, epoch, store and the options that follow alone: not on
    threads, nor on where it is begun. Crops are cut in threads, ahead of the one who asks.

    Parameters
    ----------
    store : FrameStore
    batch_size : int
        Videos a batch, of each rank; the last one of an epoch may hold fewer.
    seed : int
        Order and starts depend on seed and epoch.
    stride : int, optional
        None is the store's own; 1 and max_frames=None are the full length.
    max_frames : int, optional
        None keeps all.
    starts : {'paper', 'code', 'zero'} or callable
        First frame of each crop: drawn from two strides as in the paper (0..9 at stride 5; short
        clips stored at stride 1 lose one frame at most), from one as in its code, or 0; or
        `f(rng, num_frames, stride)` that returns them for (N,) videos.
    rank, num_ranks : int
        Of each num_ranks * batch_size shuffled videos rank r takes every num_ranks-th from the
        r-th: together the ranks see each video once an epoch, in as many batches each; the last
        may be empty on some. One rank with a batch of all sees the same videos batch by batch.
    run_length : int, optional
        Videos that lie together and are read as one run: for a store larger than memory on a disk
        that seeks. The runs are shuffled, then the videos of each window of num_runs of them;
        while one window is cut the crops of the next are read, run by run, into the page cache.
        Each video still comes once an epoch, but a batch holds videos of num_runs places of the
        store alone. Where the store was shuffled when it was made nothing is lost; of what is
        alike throughout a run, a batch tells no more than num_runs videos. None shuffles all
        videos, and reads each crop for itself, as a stride that is not the store's does.
    num_runs : int
        Runs in a window; of no effect without run_length.
    num_threads : int
        Threads that cut crops; 0 cuts each batch when it is asked for.
    num_ahead : int
        Batches that are cut ahead: what they take of memory.

    Raises
    ------
    UsageError
        A number is out of range, or starts is none of the above.

    Examples
    --------
    >>> loader = Loader(FrameStore("data/train"), batch_size=128)  # doctest: +SKIP
    >>> for batch, truth in loader.epoch(1):  # doctest: +SKIP
    ...     features, num_frames = batch.features, batch.num_frames
    >>> saved = loader.position  # doctest: +SKIP
    >>> for batch, truth in loader.resume(saved):  # doctest: +SKIP
    ...     ...
    """

    def __init__(
        self,
        store: FrameStore,
        *,
        batch_size: int,
        seed: int = 0,
        stride: int | None = None,
        max_frames: int | None = None,
        starts: str | Starts = "paper",
        rank: int = 0,
        num_ranks: int = 1,
        run_length: int | None = None,
        num_runs: int = 64,
        num_threads: int = 1,
        num_ahead: int = 4,
    ) -> None:
        for name, value, least in (
            ("batch_size", batch_size, 1),
            ("stride", stride, 1),
            ("max_frames", max_frames, 1),
            ("num_ranks", num_ranks, 1),
            ("run_length", run_length, 1),
            ("num_runs", num_runs, 1),
            ("num_threads", num_threads, 0),
            ("num_ahead", num_ahead, 1),
            ("seed", seed, 0),
        ):
            if value is not None and value < least:
                raise UsageError(f"{name} is {value}. It must be {least} or more.")
        if not 0 <= rank < num_ranks:
            raise UsageError(f"rank is {rank}. Of {num_ranks} ranks it is 0 to {num_ranks - 1}.")
        if not callable(starts) and starts not in STARTS:
            raise UsageError(f"starts is {starts!r}. Use {', '.join(STARTS)}, or a function.")
        self.store = store
        self.batch_size = batch_size
        self.seed = seed
        self.stride = store.stride if stride is None else stride
        self.max_frames = max_frames
        self._starts = starts if callable(starts) else STARTS[starts]
        self._starts_name = getattr(starts, "__qualname__", "") if callable(starts) else starts
        self._rank, self._num_ranks = rank, num_ranks
        self._run_length, self._num_runs = run_length, num_runs
        self._num_threads, self._num_ahead = num_threads, num_ahead
        self._next = (0, 0)

    def __len__(self) -> int:
        """Batches an epoch, the same on every rank."""
        return -(-len(self.store) // (self.batch_size * self._num_ranks))

    @property
    def position(self) -> dict[str, int | str | None]:
        """The batch that comes next, for `resume`: JSON."""
        epoch, batch = self._next
        return {
            "epoch": epoch,
            "batch": batch,
            "seed": self.seed,
            "global_batch_size": self.batch_size * self._num_ranks,
            "num_videos": len(self.store),
            "stride": self.stride,
            "max_frames": self.max_frames,
            "starts": self._starts_name,
            "run_length": self._run_length,
            "num_runs": None if self._run_length is None else self._num_runs,
        }

    def epoch(self, number: int, *, first_batch: int = 0) -> Iterator[Example]:
        """Yield the batches of an epoch, each with its dense truth (B, num_classes).

        Parameters
        ----------
        number : int
            Of the epoch, at least 0.
        first_batch : int
            How many to leave out: those that follow are as if they had not been.

        Raises
        ------
        UsageError
            One of them is below 0.
        """
        for name, value in (("number", number), ("first_batch", first_batch)):
            if value < 0:
                raise UsageError(f"{name} is {value}. It must be 0 or more.")
        return self._epoch(number, first_batch)

    def _epoch(self, number: int, first_batch: int) -> Iterator[Example]:
        rng = np.random.default_rng([self.seed, number])
        order_N, read_N = self._draw_order(rng)
        start_N = self._draw_starts(rng, order_N)
        size = self.batch_size * self._num_ranks
        rows = [
            slice(begin + self._rank, begin + size, self._num_ranks)
            for begin in range(first_batch * size, len(order_N), size)
        ]

        def read(begin: int, end: int) -> None:
            place = read_N[max(begin, 0) : end]
            if len(place):
                self.store.read_ahead(order_N[place], start_N[place], max_frames=self.max_frames)

        def cut(rows: slice) -> Example:
            begin = rows.start // self._num_ranks + self._num_ahead_on_disk
            read(begin, begin + self.batch_size)
            index_B = order_N[rows]
            crop = self.store.crops(
                index_B, start_N[rows], stride=self.stride, max_frames=self.max_frames
            )
            return crop, self.store.truth(index_B)

        done = first_batch * self.batch_size  # what is left of its window lies anywhere in it
        read(done - self._num_ahead_on_disk, done + self._num_ahead_on_disk)
        self._next = (number, first_batch)
        with closing(self._ahead(cut, rows)) as examples:
            for done, example in enumerate(examples, first_batch + 1):
                self._next = (number, done) if done < len(self) else (number + 1, 0)
                yield example

    def resume(self, position: Mapping[str, Any]) -> Iterator[Example]:
        """Yield the batches that are left of the epoch of a `position`.

        Raises
        ------
        UsageError
            The position is of another seed, batch size, number of videos, length of runs, or of
            other crops.
        """
        for name, value in self.position.items():
            if name not in ("epoch", "batch") and position.get(name) != value:
                raise UsageError(
                    f"a position with {name}={position.get(name)} does not fit a loader with "
                    f"{name}={value}. Make the loader as it was."
                )
        return self.epoch(position["epoch"], first_batch=position["batch"])

    @property
    def _num_ahead_on_disk(self) -> int:
        """Videos of a window, of this rank; about as many are read before they are cut."""
        return -(-self._num_runs * (self._run_length or 0) // self._num_ranks)

    def _draw_order(self, rng: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Each video once, (N,); the places of this rank in it, as they are read ahead."""
        if self._run_length is None:
            return rng.permutation(len(self.store)), np.empty(0, np.int64)
        window = self._run_length * self._num_runs
        order_N, read_N = draw_runs(rng, len(self.store), self._run_length, window)
        is_ahead = self.stride == self.store.stride
        return order_N, read_N[read_N % self._num_ranks == self._rank] if is_ahead else read_N[:0]

    def _draw_starts(
        self, rng: np.random.Generator, order_N: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        start_N = np.asarray(self._starts(rng, self.store.num_frames[order_N], self.stride))
        if start_N.shape != order_N.shape or start_N.dtype.kind not in "iu":
            raise UsageError(
                f"starts returned {start_N.dtype} of shape {start_N.shape}. Return one whole "
                f"number a video, {order_N.shape}."
            )
        return start_N

    def _ahead(
        self, cut: Callable[[slice], Example], rows: list[slice]
    ) -> Generator[Example, None, None]:
        """What `cut` makes of each, in order; a few are made before they are asked for."""
        if self._num_threads == 0:
            yield from map(cut, rows)
            return
        left = iter(rows)
        with ThreadPoolExecutor(self._num_threads) as pool:
            waiting = deque(pool.submit(cut, part) for part in islice(left, self._num_ahead))
            try:
                while waiting:
                    example = waiting.popleft().result()
                    waiting.extend(pool.submit(cut, part) for part in islice(left, 1))
                    yield example
            finally:
                for future in waiting:
                    future.cancel()
