"""Averages of files, block by block to a file."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gapkit.ensemble._averaging.lockstep import Block, Progress, in_lockstep
from gapkit.ensemble._averaging.plan import make_plan, to_table
from gapkit.ensemble._weights import Weights
from gapkit.errors import UsageError
from gapkit.io import check_output, open_submission

if TYPE_CHECKING:
    from gapkit.ensemble._weights import Knots

_ROWS_PER_WRITE = 65_536  # a row group


@dataclass(frozen=True, kw_only=True)
class Ensembled:
    """What `ensemble_files` has written."""

    num_videos: int
    num_classes: int | None
    """None where a member does not know it"""
    top_k: int
    """Labels of the longest row"""
    weights: Weights
    """Divided by their sum"""
    missing: tuple[int, ...]
    """How many of the videos each member lacks"""


def ensemble_files(
    paths: Sequence[str | os.PathLike[str]],
    output: str | os.PathLike[str],
    weights: Sequence[float] | None = None,
    *,
    top_k: int = 20,
    mode: str = "mean",
    fill: str = "zero",
    names: Sequence[str] | None = None,
    transforms: Sequence[Knots | None] | None = None,
    strict: bool = False,
    progress: Progress | None = None,
) -> Ensembled:
    """Write the average of submissions, and return what was written.

    Memory holds a block of videos of each file, however many files there are. Files whose rows
    stand in another order than the first one's, and those that are not Parquet, are copied to a
    temporary folder beside the output on the way. What was at `output` stays upon any error.

    Parameters
    ----------
    paths : sequence of path
        At least one; none of them the output.
    output : path
        Its suffix chooses the format.
    weights, top_k, mode, fill, names, transforms, strict
        As in `average`.
    progress : callable, optional
        Called with what is done, what there is in all, and 'ids' or 'videos'.

    Raises
    ------
    UsageError, DataError
        As `average` and `gapkit.io.open_submission` do; or the output is one of the files.

    Examples
    --------
    >>> ensemble_files(["a.parquet", "b.parquet"], "both.parquet", [0.75, 0.25])  # doctest: +SKIP
    """
    check_output(Path(output))
    target = Path(output)
    if any(_is_same(Path(path), target) for path in paths):
        raise UsageError(f"{output} is among the files to average. Choose another -o.")
    plan = make_plan(paths, weights, names, top_k, mode, fill, transforms)
    folder = target.absolute().parent
    with in_lockstep(
        plan.members,
        strict=strict,
        folder=folder if folder.is_dir() else None,
        progress=progress,
    ) as lockstep:
        longest = 0
        with (
            open_submission(
                output,
                num_classes=lockstep.num_classes,
                top_k=min(top_k, lockstep.num_classes or top_k),
                provenance=plan.provenance,
            ) as write,
            ThreadPoolExecutor(1) as writer,
        ):
            written: Future[None] | None = None
            for blocks in _runs(plan.blocks(lockstep)):
                stop = blocks[-1].start + len(blocks[-1].lengths)
                longest = max(longest, *(int(block.lengths.max(initial=0)) for block in blocks))
                if written is not None:
                    written.result()
                written = writer.submit(lambda run: write(to_table(lockstep, run)), blocks)
                if progress is not None:
                    progress(stop, len(lockstep.ids), "videos")
            if written is not None:
                written.result()
        return Ensembled(
            num_videos=len(lockstep.ids),
            num_classes=lockstep.num_classes,
            top_k=longest,
            weights=plan.shares,
            missing=tuple(lockstep.missing),
        )


def _is_same(path: Path, target: Path) -> bool:
    """Whether both lead to one file."""
    return path.exists() and target.exists() and path.samefile(target)


def _runs(blocks: Iterable[Block]) -> Iterator[list[Block]]:
    """Blocks that are written at once: each write becomes a row group."""
    run: list[Block] = []
    for block in blocks:
        run.append(block)
        if sum(len(block.lengths) for block in run) >= _ROWS_PER_WRITE:
            yield run
            run = []
    if run:
        yield run
