"""An import from its plan to the split."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from gapkit.data._importing.assemble import Before, gather_labels, write_split
from gapkit.data._importing.plan import Input, Plan
from gapkit.data._importing.staging import Staging, count_finished, discard
from gapkit.data._importing.task import Part, Task
from gapkit.data._importing.there import find_same, new_files
from gapkit.data._importing.workers import make_parts
from gapkit.data._pending import finish_holdout, finish_import, staging_folder
from gapkit.data._split import FILES, SPLIT_FILE, SplitMeta
from gapkit.errors import DataError
from gapkit.io import check_replaceable, make_parent

_LABEL_BYTES = 64  # of a video in labels.parquet, about
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_ALONE_BYTES = 64 << 20  # fewer are imported before a second process has started


@dataclass(frozen=True, kw_only=True)
class ImportResult:
    """What an import did."""

    meta: SplitMeta
    """The split"""
    num_videos: int
    """Videos that it lists: fewer than its shards hold, where a holdout has taken some"""
    was_complete: bool
    """Whether the split of the same files was there already"""
    num_unlabelled: int
    """Videos without labels"""
    vocabulary: str
    """Where the number of labels comes from"""
    has_other_names: bool = False
    """Whether the split that was there names its labels otherwise"""
    num_added: int = 0
    """Videos that this import put into it"""
    num_cut: int = 0
    """Videos of these that lost frames to max_frames"""
    num_known_files: int = 0
    """Files left out, because the split has them already"""
    num_shards_found: int = 0
    """Shards that an interrupted import had finished"""
    faults: list[str] = field(default_factory=list)
    """What skip_corrupt left out: file, record and byte of each"""
    ignored: list[str] = field(default_factory=list)
    """Columns of a table that hold no features"""


@dataclass(frozen=True, kw_only=True)
class ImportStep:
    """How far an import is."""

    done_bytes: int
    """Read of the files"""
    total_bytes: int
    """Of all files"""
    num_videos: int
    """Imported"""


@dataclass(frozen=True, kw_only=True)
class Conduct:
    """How an import goes about it."""

    workers: int | None
    overwrite: bool
    watch: Callable[[ImportStep], object]


def run_import(plan: Plan, output: Path, conduct: Conduct, before: Before | None) -> ImportResult:
    """Make the split, or let the one that is there grow, or find it complete."""
    finish_holdout(output)
    finish_import(output)
    inputs = plan.inputs
    if before is None:
        there = None if conduct.overwrite else find_same(output, plan)
        if there is not None:
            discard(output)
            return ImportResult(
                meta=there.meta,
                num_videos=there.num_videos,
                was_complete=True,
                num_unlabelled=there.num_unlabelled,
                vocabulary=plan.vocabulary.source,
                has_other_names=there.has_other_names,
            )
        if (output / SPLIT_FILE).is_file() and not conduct.overwrite:
            raise DataError(
                f"{output}: is a split of other files, made with other options, or damaged. "
                f"Pass --append to add files to it, or --overwrite to replace it."
            )
        check_replaceable(_target(output), ours=FILES, overwrite=conduct.overwrite)
    else:
        inputs = new_files(inputs, before)
        if not inputs:
            discard(output)
            return ImportResult(
                meta=before.meta,
                num_videos=before.meta.num_videos,
                was_complete=True,
                num_unlabelled=0,
                vocabulary=plan.vocabulary.source,
                num_known_files=len(plan.inputs),
            )
    tasks = _tasks(plan, inputs, 0 if before is None else _next_shard(before.meta))
    make_parent(output)
    _check_room(output, tasks)
    try:
        return _import(plan, inputs, tasks, output, conduct, before)
    except OSError as error:
        raise DataError(_write_error(output, error)) from None


def _import(
    plan: Plan,
    inputs: list[Input],
    tasks: list[Task],
    output: Path,
    conduct: Conduct,
    before: Before | None,
) -> ImportResult:
    total_bytes = sum(file.size_bytes for file in inputs)
    done_bytes = num_videos = 0

    def watch(taken: int, videos: int) -> None:
        nonlocal done_bytes, num_videos
        done_bytes, num_videos = done_bytes + taken, num_videos + videos
        conduct.watch(
            ImportStep(done_bytes=done_bytes, total_bytes=total_bytes, num_videos=num_videos)
        )

    made: dict[str, Part] = {}
    workers = conduct.workers or (len(_cpus()) if total_bytes >= _ALONE_BYTES else 1)
    with Staging(output) as staging:

        def accept(part: Part) -> None:
            staging.accept(part)
            made[part.shard] = part

        make_parts(tasks, staging.places, workers=workers, watch=watch, accept=accept)
        parts = [made[task.shard] for task in tasks]
        files = [Path(task.path) for task in tasks]
        table = gather_labels(staging.places.parts, parts, files, before)
        meta = _meta(plan, parts, before)
        faults = [fault for part in parts for fault in part.faults]
        if faults and not meta.num_videos:
            raise DataError(f"{faults[0]} No other record can be imported.")
        staging.link([] if before is None else before.meta.shards)
        written: list[SplitMeta] = []
        staging.install(
            meta.shards,
            lambda folder: written.append(write_split(folder, table, meta, plan.vocabulary)),
        )
    unlabelled = table["labels"].combine_chunks().value_lengths().to_numpy() == 0
    return ImportResult(
        meta=written[0],
        num_videos=written[0].num_videos,
        was_complete=False,
        num_unlabelled=int(np.count_nonzero(unlabelled)),
        vocabulary=plan.vocabulary.source,
        num_added=sum(part.num_videos for part in parts),
        num_cut=sum(part.num_cut for part in parts),
        num_known_files=len(plan.inputs) - len(inputs),
        num_shards_found=sum(part.was_there for part in parts),
        faults=faults,
        ignored=plan.ignored,
    )


def _tasks(plan: Plan, inputs: list[Input], number: int) -> list[Task]:
    tasks: list[Task] = []
    for file in inputs:
        for chunk in plan.chunks(file):
            task = Task(
                reader=plan.reader,
                path=str(file.path),
                shard=f"features-{number + len(tasks):05d}.arrow",
                level=plan.level,
                feature_sizes=plan.feature_sizes,
                num_classes=plan.vocabulary.num_classes,
                stride=plan.stride,
                max_frames=plan.max_frames if plan.level == "frame" else None,
                skip_corrupt=plan.skip_corrupt,
                size_bytes=file.size_bytes,
                read_bytes=chunk.read_bytes,
                expected_bytes=chunk.expected_bytes,
                crc32c=file.crc32c,
                row_groups=chunk.row_groups,
                num_rows_before=chunk.num_rows_before,
            )
            tasks.append(task)
    return tasks


def _next_shard(meta: SplitMeta) -> int:
    return (
        max((int(name[len("features-") : -len(".arrow")]) for name in meta.shards), default=-1) + 1
    )


def _meta(plan: Plan, parts: list[Part], before: Before | None) -> SplitMeta:
    # Of the shards of one file the first names it.
    sources = [part.source for part in parts if not (part.key["row_groups"] or [0])[0]]
    new = SplitMeta(
        level=plan.level,
        feature_sizes=plan.feature_sizes,
        num_classes=plan.vocabulary.num_classes,
        stride=plan.stride,
        num_videos=sum(part.num_videos for part in parts),
        shards={part.shard: part.num_videos for part in parts},
        sources=sources,
        max_frames=plan.max_frames if plan.level == "frame" else None,
        num_cut=sum(part.num_cut for part in parts),
        num_faults=sum(len(part.faults) for part in parts),
        checksums={part.shard: part.crc32c for part in parts},
    )
    if before is None:
        return new
    old = before.meta
    return replace(
        new,
        num_videos=old.num_videos + new.num_videos,
        shards={**old.shards, **new.shards},
        sources=[*old.sources, *new.sources],
        num_cut=old.num_cut + new.num_cut,
        num_faults=old.num_faults + new.num_faults,
        checksums={**old.checksums, **new.checksums},
    )


def _check_room(output: Path, tasks: list[Task]) -> None:
    """Refuse before the first byte where the disk is too small for the split."""
    there = {path.name for path in (staging_folder(output) / "split").glob("*.arrow")}
    needed = sum(task.expected_bytes for task in tasks if task.shard not in there)
    free = shutil.disk_usage(output.absolute().parent).free
    if needed > free:
        raise DataError(
            f"{output}: needs about {_as_text(needed)} and the disk has {_as_text(free)} left. "
            f"Make room, choose another -o, or lower --max-frames."
        )


def _write_error(output: Path, error: OSError) -> str:
    about = f"{output}: can't be written: {error.strerror or error}."
    finished = count_finished(output)
    if error.errno not in _FULL:
        return f"{about} Choose another -o."
    if not finished:
        return f"{about} Make room for it, or choose another -o."
    return (
        f"{about} {finished} finished shards wait in {staging_folder(output)}: make room, and the "
        f"same command goes on from there."
    )


def _as_text(size_bytes: int) -> str:
    return f"{size_bytes / 1e9:,.1f} GB" if size_bytes >= 1e8 else f"{size_bytes / 1e6:,.1f} MB"


def _target(output: Path) -> Path:
    return output.resolve() if output.is_symlink() else output


def _cpus() -> set[int]:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))
