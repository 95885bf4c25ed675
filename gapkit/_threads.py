"""Work shared by threads: kernels run without the GIL."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TypeVar

Part = TypeVar("Part")
Result = TypeVar("Result")

_MAX_THREADS = 8
_ITEMS_PER_THREAD = 1 << 17  # fewer are done before a thread has started


def num_threads(num_items: int) -> int:
    """How many threads pay for so many predictions: the cores of this process, at most 8."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, min(cores or 1, _MAX_THREADS, num_items // _ITEMS_PER_THREAD))


def row_slices(num_rows: int, num_items: int) -> list[slice]:
    """Equal runs of rows, one a thread."""
    count = max(1, min(num_threads(num_items), num_rows))
    return [slice(num_rows * t // count, num_rows * (t + 1) // count) for t in range(count)]


def in_threads(function: Callable[[Part], Result], parts: Sequence[Part]) -> list[Result]:
    """The function of each part, in order; the first error is raised."""
    if len(parts) == 1:
        return [function(parts[0])]
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(len(parts)) as pool:
        return list(pool.map(function, parts))
