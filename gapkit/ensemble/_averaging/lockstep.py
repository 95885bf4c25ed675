"""The one mechanism of all averages: members side by side, a block of videos at a time.

A first pass reads the ids of each member. A file that names the videos as the first member does
is streamed; one whose rows stand otherwise is read once and spilled to disk in their order. So
memory holds a block of each member, however many there are. Threads share the members while a
block is read and its rows while it is averaged.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from operator import methodcaller
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import numpy as np

from gapkit._threads import num_threads
from gapkit.ensemble._averaging.union import Union
from gapkit.ensemble._members.pieces import Piece, Places
from gapkit.ensemble._members.sources import Lane, Member
from gapkit.ensemble._members.spill import SpillFolder
from gapkit.ensemble._modes import FILLS, MODES, group_by_weight
from gapkit.errors import DataError

if TYPE_CHECKING:
    import os

    from numpy.typing import NDArray

Part = TypeVar("Part")
Result = TypeVar("Result")
Progress = Callable[[int, int, str], object]

_ENTRIES_IN_CACHE = 1 << 18
_ENTRIES_AHEAD = 24_000_000  # 150 MB
_LABELS_OF_A_ROW = 20
MAX_STREAMS = 64
"""Files that are open at once; a stream holds some MB of decoded pages"""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How values become an average."""

    weights: NDArray[np.float64]
    """(M,) as `check_weights` returns them"""
    mode: str
    fill: str
    top_k: int


@dataclass(frozen=True, kw_only=True)
class Block:
    """Averaged rows of the videos from `start` on."""

    start: int
    labels: NDArray[np.unsignedinteger[Any]]
    """(N, T)"""
    confidences: NDArray[np.float32]
    """(N, T)"""
    lengths: NDArray[np.int64]
    """(N,)"""


class Lockstep:
    """Members whose rows come in one order; made by `in_lockstep`."""

    def __init__(
        self,
        union: Union,
        num_classes: int | None,
        lanes: list[Lane],
        names: list[str],
        pool: ThreadPoolExecutor,
        checked: Future[Any],
    ) -> None:
        self.ids, self.missing, self.num_classes = union.ids, union.missing, num_classes
        self._lanes, self._names, self._pool, self._checked = lanes, names, pool, checked
        self.label_dtype = np.result_type(*(lane.label_dtype for lane in lanes))

    def average(self, recipe: Recipe, rows_per_block: int, num_parts: int) -> Iterator[Block]:
        """Yield the averaged rows in the order of the ids.

        Blocks are read ahead: while Numba is imported, and while others are averaged.
        """
        order_M, group_M = group_by_weight(recipe.weights)
        lanes = [self._lanes[m] for m in order_M]
        kernel = _Kernel(recipe, order_M, group_M, self.label_dtype)
        starts = range(0, len(self.ids), rows_per_block)
        entries_per_block = rows_per_block * len(lanes) * _LABELS_OF_A_ROW
        num_ahead = max(_ENTRIES_AHEAD // entries_per_block, 1)

        def read(start: int) -> list[list[Piece]]:
            stop = min(start + rows_per_block, len(self.ids))
            return list(self._pool.map(methodcaller("read", start, stop), lanes))

        with _pool(1) as reader:
            blocks = _ahead(reader, read, starts, num_ahead)
            for start, pieces_M in zip(starts, blocks, strict=True):
                self._checked.result()
                count = min(rows_per_block, len(self.ids) - start)
                block = self._average(kernel, recipe.top_k, start, count, pieces_M, num_parts)
                if isinstance(block, int):
                    self._explain(int(order_M[block]))
                yield block

    def _average(
        self,
        kernel: _Kernel,
        top_k: int,
        start: int,
        count: int,
        pieces_M: list[list[Piece]],
        num_parts: int,
    ) -> Block | int:
        """A block; or the first member with a fault, by its place in the order of the kernel."""
        bound = max((piece.num_classes for pieces in pieces_M for piece in pieces), default=1)
        k = min(top_k, bound)
        block = Block(
            start=start,
            labels=np.zeros((count, k), self.label_dtype),
            confidences=np.zeros((count, k), np.float32),
            lengths=np.zeros(count, np.int64),
        )
        cuts = [count * t // num_parts for t in range(num_parts + 1)]
        parts = [slice(a, b) for a, b in pairwise(cuts) if a < b]
        run = partial(kernel.run, pieces_M, bound, block)
        faults = [fault for fault in self._pool.map(run, parts) if fault is not None]
        return faults[0] if faults else block

    def _explain(self, m: int) -> NoReturn:
        explain = getattr(self._lanes[m], "explain", None)
        if explain is not None:
            explain("an entry is wrong")
        raise DataError(f"{self._names[m]}: an entry is wrong.")


class _Kernel:
    """The kernel and what it is told of all blocks."""

    def __init__(
        self,
        recipe: Recipe,
        order_M: NDArray[np.int64],
        group_M: NDArray[np.int64],
        label_dtype: Any,
    ) -> None:
        self._recipe, self._group_M, self._label_dtype = recipe, group_M, label_dtype
        self._weight_M = recipe.weights[order_M]
        self._total = math.fsum(self._weight_M)

    def run(self, pieces_M: list[list[Piece]], bound: int, block: Block, part: slice) -> int | None:
        """Average some rows of a block; the first member with a fault, or None.

        Rows are laid side by side, so few at a time that they stay in the cache.
        """
        num_members = len(pieces_M)
        width = max((piece.width for pieces in pieces_M for piece in pieces), default=0)
        num_rows = max(_ENTRIES_IN_CACHE // max(num_members * width, 1), 1)
        num_rows = min(num_rows, part.stop - part.start)
        places = Places(
            labels=np.empty(num_rows * num_members * width, self._label_dtype),
            confidences=np.empty(num_rows * num_members * width, np.float32),
            lengths=np.empty(num_rows * num_members, np.int64),
            width=width,
        )
        place_N = np.arange(num_rows, dtype=np.int64) * num_members
        for start in range(part.start, part.stop, num_rows):
            stop = min(start + num_rows, part.stop)
            places.lengths[:] = 0
            for m, pieces in enumerate(pieces_M):
                begin = 0
                for piece in pieces:
                    first, last = max(start - begin, 0), min(stop - begin, len(piece.begins))
                    if first < last:
                        at = begin + first - start
                        rows_N = place_N[at : at + last - first] + m
                        if places.lay(piece.rows(first, last), rows_N) >= 0:
                            return m
                    begin += len(piece.begins)
            self._average(places, num_members, bound, block, slice(start, stop))
        return None

    def _average(
        self, places: Places, num_members: int, bound: int, block: Block, rows: slice
    ) -> None:
        from gapkit._kernels.average import average_rows

        count = rows.stop - rows.start
        shape = (len(places.lengths) // num_members, num_members, places.width)
        average_rows(
            places.labels.reshape(shape)[:count],
            places.confidences.reshape(shape)[:count],
            places.lengths.reshape(shape[:2])[:count],
            self._weight_M,
            self._group_M,
            self._total,
            bound,
            MODES.index(self._recipe.mode),
            FILLS.index(self._recipe.fill),
            block.labels[rows],
            block.confidences[rows],
            block.lengths[rows],
        )


@contextmanager
def in_lockstep(
    members: Sequence[Member],
    *,
    strict: bool = False,
    folder: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> Iterator[Lockstep]:
    """Yield the members in one order; spills lie in a folder of their own, gone at the end.

    `folder` is where that folder is made, by default where temporary files are.
    """
    names = [member.name for member in members]
    with SpillFolder(folder) as spills, _pool(num_threads(1 << 30)) as pool:
        union = Union(names)
        lanes: list[Future[Lane]] = []
        checked: Future[Any] | None = None
        for m, ids in enumerate(_ahead(pool, methodcaller("ids"), members, 2)):
            place_N = union.add(ids)
            checked = checked or pool.submit(union.check_first)
            if place_N is None and m >= MAX_STREAMS:
                place_N = np.arange(len(ids))
            if m > 1:
                lanes[m - 2].result()  # so that no more whole files are in memory than threads
            lanes.append(pool.submit(members[m].lane, place_N, spills))
            if progress is not None:
                progress(m + 1, len(members), "ids")
        union.check_overlap()
        num_classes = common_num_classes(members)
        if strict:
            _refuse_missing(union, members)
        if checked is not None:
            ready = [lane.result() for lane in lanes]
            yield Lockstep(union, num_classes, ready, names, pool, checked)


def common_num_classes(members: Sequence[Member]) -> int | None:
    """What all members say it is; None where one does not say, as it may hold any label."""
    known = [member for member in members if member.num_classes is not None]
    for member in known:
        if member.num_classes != known[0].num_classes:
            raise DataError(
                f"{member.name} has num_classes={member.num_classes} and {known[0].name} has "
                f"num_classes={known[0].num_classes}. Are they of one data set?"
            )
    return known[0].num_classes if len(known) == len(members) else None


def _refuse_missing(union: Union, members: Sequence[Member]) -> None:
    for member, missing in zip(members, union.missing, strict=True):
        if missing:
            import pyarrow.compute as pc

            is_there = pc.is_in(union.ids, value_set=member.ids())
            first = union.ids[pc.index(is_there, False).as_py()].as_py()
            raise DataError(
                f"{member.name}: lacks {missing:,} of {len(union.ids):,} videos, the first of "
                f"them {first!r}. Leave strict out to count them as confidence 0."
            )


@contextmanager
def _pool(num_workers: int) -> Iterator[ThreadPoolExecutor]:
    """Threads that start nothing more once an error is on its way."""
    pool = ThreadPoolExecutor(num_workers)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _ahead(
    pool: ThreadPoolExecutor,
    function: Callable[[Part], Result],
    parts: Sequence[Part],
    num_ahead: int,
) -> Iterator[Result]:
    """The function of each part, in order, so many of them under way."""
    waiting: deque[Future[Result]] = deque()
    for part in parts:
        waiting.append(pool.submit(function, part))
        if len(waiting) > num_ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()
