"""Predictions on disk, sorted by bin, and the sum of precision over them in bounded memory."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from gapkit.metrics._ranking.ranges import (
    Plan,
    add_parts,
    make_plan,
    sort_by_bin,
    sum_keys,
    sum_of_few,
)
from gapkit.metrics._ranking.values import from_ordered_values, to_ordered_values

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gapkit.metrics._ranking.ranges import Values

_BYTES_PER_READ = 1 << 24


@dataclass(frozen=True, kw_only=True)
class _Run:
    """Keys that were written at once: bin after bin, from the lowest up."""

    offset_bytes: int
    bins: NDArray[np.int64]
    """(U,) bins that hold predictions"""
    packed: NDArray[np.uint64]
    """(U,) predictions and hits of each, as `count_bins` packs them"""

    @property
    def sizes(self) -> NDArray[np.int64]:
        """(U,) predictions of each bin."""
        return (self.packed & np.uint64(0xFFFFFFFF)).astype(np.int64)


class Spool:
    """Runs of predictions in a temporary file that is gone when the process is.

    Confidences of one width: float32, or float64 from the first of these on.
    """

    def __init__(self, itemsize: int) -> None:
        self.itemsize = itemsize
        self._runs: list[_Run] = []
        self._file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115

    def __del__(self) -> None:
        self._file.close()

    def __len__(self) -> int:
        return sum(int(run.sizes.sum()) for run in self._runs)

    def add(self, parts: Sequence[tuple[NDArray[Any], NDArray[np.bool_]]]) -> None:
        """Write (confidences, hits) as one run."""
        ordered = [
            (to_ordered_values(confidence_N.astype(f"f{self.itemsize}", copy=False)), hit_N)
            for confidence_N, hit_N in parts
            if len(hit_N)
        ]
        if not ordered:
            return
        key_N, packed_B = sort_by_bin(ordered)
        bins = np.flatnonzero(packed_B)
        offset_bytes = self._file.seek(0, 2)
        self._file.write(key_N.data.cast("B"))
        self._runs.append(_Run(offset_bytes=offset_bytes, bins=bins, packed=packed_B[bins]))

    def extend(self, other: Spool) -> None:
        """Take over the predictions of another spool of at most this width."""
        for parts in other.blocks():
            self.add([parts])

    def blocks(self) -> Iterator[tuple[NDArray[np.floating[Any]], NDArray[np.bool_]]]:
        """All predictions as (confidences, hits), some at a time."""
        half = 8 * self.itemsize - 1
        one = np.dtype(f"u{self.itemsize}").type(1)
        for run in self._runs:
            size_U = run.sizes
            num_low = int(size_U[run.bins < (1 << 15)].sum())
            total = int(size_U.sum())
            for low, high, top in ((0, num_low, 0), (num_low, total, 1)):
                for start in range(low, high, _BYTES_PER_READ // self.itemsize):
                    stop = min(start + _BYTES_PER_READ // self.itemsize, high)
                    key_N = self._read(run, start, stop)
                    value_N = (key_N >> one) | key_N.dtype.type(top << half)
                    yield from_ordered_values(value_N), (key_N & one).astype(np.bool_)

    def _read(self, run: _Run, start: int, stop: int) -> Values:
        key_N = np.empty(stop - start, f"u{self.itemsize}")
        self._file.seek(run.offset_bytes + start * self.itemsize)
        if self._file.readinto(key_N.data.cast("B")) != key_N.nbytes:  # type: ignore[attr-defined]
            raise OSError("a temporary file of gapkit was cut short")
        return key_N

    def sum_of_precision(self, ties: int, memory_bytes: int) -> float:
        """Sum of the precision at each hit; the same bits as without a spool.

        Ranges are read together as far as memory_bytes go, at least one; a bin of float32 that is
        larger is tallied by value. (A larger bin of float64 is read whole.)
        """
        from gapkit._kernels.ranges import FEW, NUM_BINS

        if len(self) <= FEW:
            few = [
                (to_ordered_values(confidence_N), hit_N) for confidence_N, hit_N in self.blocks()
            ]
            return sum_of_few(few, ties)
        packed_PB = np.zeros((len(self._runs), NUM_BINS), np.uint64)
        for run, packed_B in zip(self._runs, packed_PB, strict=True):
            packed_B[run.bins] = run.packed
        plan = make_plan(packed_PB, 0, NUM_BINS)
        del packed_PB
        begin_PR = np.cumsum(plan.sizes, axis=1) - plan.sizes
        most = max(memory_bytes // (2 * self.itemsize), 1)
        parts = []
        first, count = 0, len(plan.hits)
        while first < count:
            behind = int(np.searchsorted(plan.starts, plan.starts[first] + most, "right")) - 1
            last = min(max(behind, first + 1), count)
            if plan.starts[last] - plan.starts[first] > most and self.itemsize == 4:
                parts.append(self._tally_range(plan, begin_PR, first, ties, most))
            elif plan.hits[first:last].any():
                parts.append(self._sum_ranges(plan, begin_PR, first, last, ties))
            first = last
        return add_parts(np.concatenate(parts))

    def _sum_ranges(
        self, plan: Plan, begin_PR: NDArray[np.int64], first: int, last: int, ties: int
    ) -> NDArray[np.float64]:
        """The sums of the ranges first to last, whose keys are put together."""
        start_R = plan.starts[first : last + 1] - plan.starts[first]
        key_N = np.empty(int(start_R[-1]), f"u{self.itemsize}")
        position_R = start_R[:-1].copy()
        for run, begin_R, size_R in zip(self._runs, begin_PR, plan.sizes, strict=True):
            begin = int(begin_R[first])
            run_N = self._read(run, begin, int(begin_R[last - 1] + size_R[last - 1]))
            for r in range(last - first):
                size = size_R[first + r]
                there = begin_R[first + r] - begin
                key_N[position_R[r] : position_R[r] + size] = run_N[there : there + size]
            position_R += size_R[first:last]
        return sum_keys(
            key_N,
            start_R,
            plan.hits[first:last],
            plan.num_above[first:last],
            plan.hits_above[first:last],
            ties,
        )

    def _tally_range(
        self, plan: Plan, begin_PR: NDArray[np.int64], r: int, ties: int, most: int
    ) -> NDArray[np.float64]:
        """The sum of a range of one bin, read piece by piece."""
        from gapkit._kernels.ranges import add_tallies, sum_tallies

        size_T, hits_T = np.zeros(1 << 16, np.int64), np.zeros(1 << 16, np.int64)
        for run, begin_R, size_R in zip(self._runs, begin_PR, plan.sizes, strict=True):
            stop = int(begin_R[r] + size_R[r])
            for start in range(int(begin_R[r]), stop, most):
                add_tallies(self._read(run, start, min(start + most, stop)), size_T, hits_T)
        total = sum_tallies(size_T, hits_T, plan.num_above[r], plan.hits_above[r], ties)
        return np.array([total])
