"""A holdout: videos of one split that become another, chosen by a hash of their ids.

Both splits then list rows of the same shards: `labels.parquet` has a column `row`, the place of
each video in them, and the shards are linked, not copied.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gapkit.data._labels_checksum import forget_labels_checksum, note_labels_checksum
from gapkit.data._pending import (
    HOLDOUT_KEY,
    ORIGIN_KEY,
    finish_holdout,
    pending_folder,
    read_holdout,
    read_origin,
)
from gapkit.data._split import FILES, LABELS_FILE
from gapkit.data._store import FrameStore
from gapkit.errors import DataError, UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_IDS_AT_ONCE = 100_000


@dataclass(frozen=True, kw_only=True)
class HoldoutResult:
    """What a holdout did."""

    num_held: int
    """Videos of the new split"""
    num_left: int
    """Videos that its source keeps"""
    was_complete: bool
    """Whether it was there already"""


def hold_out(
    data: str | os.PathLike[str],
    *,
    source: str = "train",
    target: str = "val",
    num_videos: int,
    overwrite: bool = False,
) -> HoldoutResult:
    """Move videos from one split to another: those of the smallest SHA-256 of the id.

    The choice depends on the ids alone, not on their order or their shards, and a larger holdout
    holds every smaller one. No frames are copied. Whatever ends the call early, a kill included,
    leaves either both splits as they were, or both as they shall be.

    Parameters
    ----------
    data : path
        Folder of the splits.
    source, target : str
        Names of the split that gives videos and of the one that gets them.
    num_videos : int
        Videos of the holdout, at least 1, and fewer than the source has.
    overwrite : bool
        Replace a `target` that is there. One that lists other videos of the same shards, as a
        holdout of `source` does, is drawn anew from the videos of both.

    Raises
    ------
    UsageError
        num_videos is out of range, or a name is that of no folder in `data`.
    DataError
        There is no source, it is damaged, the target is there already, was held out of a split of
        other shards, or can't be written.

    Examples
    --------
    >>> import tempfile
    >>> from gapkit.data import import_tfrecords, synthesize
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     made = synthesize(
    ...         f"{folder}/raw", num_videos=25, num_classes=4, rgb_size=8, audio_size=4
    ...     )
    ...     files = sorted(made.folder.glob("train-*.tfrecord"))
    ...     imported = import_tfrecords(files, f"{folder}/data/train")
    ...     hold_out(f"{folder}/data", num_videos=5)
    HoldoutResult(num_held=5, num_left=15, was_complete=False)
    """
    data = Path(data)
    for option, name in (("--from", source), ("--to", target)):
        if Path(name).name != name or name.startswith("."):
            raise UsageError(f"{option} {name}: not the name of a split. Name one in {data}.")
    if source == target:
        raise UsageError(f"--from and --to are both {source}. Name two splits.")
    if num_videos < 1:
        raise UsageError(f"--num-videos {num_videos} is too small. Hold out at least one.")
    finish_holdout(data / target)
    shutil.rmtree(data / f".{target}.pending.old", ignore_errors=True)  # what one replaced
    there = FrameStore(data / source)
    table = _with_rows(pq.read_table(data / source / LABELS_FILE))
    held, origin = _held_before(data / target, there, table), read_origin(data / target)
    if held is None and origin not in (None, source):
        raise DataError(
            f"{data / target}: was held out of {origin}, and its videos may be nowhere else. "
            f"Choose another --to, or remove the folder."
        )
    if held is None and (data / target).exists() and not overwrite:
        raise DataError(
            f"{data / target}: is there already, and is no holdout of what {source} now is. "
            f"Pass --overwrite to replace it."
        )
    if held is not None:
        if len(held) == num_videos and origin in (None, source):
            return HoldoutResult(num_held=num_videos, num_left=len(table), was_complete=True)
        if not overwrite:
            raise DataError(
                f"{data / target}: is a holdout of {len(held)} videos already. "
                f"Pass --overwrite to draw {num_videos} anew."
            )
        table = _in_order(pa.concat_tables([table, held.cast(table.schema)]))
    if num_videos >= len(table):
        raise UsageError(
            f"--num-videos {num_videos} is too large: {data / source} has {len(table)}. "
            f"Leave it at least one."
        )
    is_held_N = smallest_hashes(table["id"], num_videos)
    _install(data, source, target, table, is_held_N)
    return HoldoutResult(num_held=num_videos, num_left=len(table) - num_videos, was_complete=False)


def smallest_hashes(ids: pa.ChunkedArray, count: int) -> NDArray[np.bool_]:
    """Return which ids have the `count` smallest SHA-256 (of their UTF-8), (N,)."""
    parts = [np.zeros(0, np.uint64)]
    for first in range(0, len(ids), _IDS_AT_ONCE):
        some = ids.slice(first, _IDS_AT_ONCE).to_pylist()
        digests = b"".join(hashlib.sha256(id_.encode()).digest()[:8] for id_ in some)
        parts.append(np.frombuffer(digests, ">u8").astype(np.uint64))
    hash_N = np.concatenate(parts)
    last = np.partition(hash_N, count - 1)[count - 1]
    is_chosen_N: NDArray[np.bool_] = hash_N < last
    equal = np.flatnonzero(hash_N == last)  # of the first 64 bits: one, but by a miracle
    rest = sorted(equal, key=lambda n: hashlib.sha256(ids[n].as_py().encode()).digest())
    is_chosen_N[rest[: count - int(is_chosen_N.sum())]] = True
    return is_chosen_N


def _with_rows(table: pa.Table) -> pa.Table:
    """Labels that say where in the shards each video lies."""
    if "row" in table.column_names:
        return table
    return table.append_column("row", pa.array(np.arange(len(table)), pa.int64()))


def _in_order(table: pa.Table) -> pa.Table:
    return table.take(pc.sort_indices(table["row"])).combine_chunks()


def _held_before(target: Path, source: FrameStore, table: pa.Table) -> pa.Table | None:
    """The labels of a target that lists other videos of the source's shards than the source."""
    try:
        if FrameStore(target).meta != source.meta:
            return None
        held = _with_rows(pq.read_table(target / LABELS_FILE))
    except (DataError, OSError, pa.ArrowException):
        return None
    return None if pc.any(pc.is_in(held["row"], table["row"])).as_py() else held


def _install(
    data: Path, source: str, target: str, table: pa.Table, is_held_N: NDArray[np.bool_]
) -> None:
    """Make the new split beside its place, then take its videos from the source."""
    _refuse_foreign(data / target)
    pending = pending_folder(data / target)
    held, left = table.filter(pa.array(is_held_N)), table.filter(pa.array(~is_held_N))
    rows = held["row"].to_numpy().astype("<i8").tobytes()
    about = {"from": source, "to": target, "num_videos": len(held)}
    about["sha256"] = hashlib.sha256(rows).hexdigest()  # tells this holdout from any other
    try:
        shutil.rmtree(pending, ignore_errors=True)  # of one that was killed
        pending.mkdir()
        for file in sorted((data / source).iterdir()):
            if file.name != LABELS_FILE and file.is_file():
                _link(file, pending / file.name)
        _write(held, about, source, pending / LABELS_FILE)
        note_labels_checksum(pending)
        staged = pending / "source.parquet"
        _write(left, about, read_origin(data / source), staged)
        _sync(pending)
        forget_labels_checksum(data / source)
        staged.replace(data / source / LABELS_FILE)  # from here on the holdout counts
        _sync(data / source)
        finish_holdout(data / target)
        note_labels_checksum(data / source)
    except OSError as error:
        raise DataError(
            f"{data / target}: can't be written: {error.strerror or error}. Make room for it."
        ) from None
    finally:
        if read_holdout(data / source) != about:
            shutil.rmtree(pending, ignore_errors=True)


def _refuse_foreign(target: Path) -> None:
    """Only what gapkit wrote is replaced."""
    there = sorted(target.iterdir()) if target.is_dir() else []
    foreign = [entry.name for entry in there if not any(entry.match(p) for p in FILES)]
    if foreign or target.is_file():
        raise DataError(
            f"{target}: {f'holds {foreign[0]!r}' if foreign else 'is a file'}, which gapkit did "
            f"not write there. Choose another --to."
        )


def _link(file: Path, place: Path) -> None:
    """A second name for a file, which outlives the first; a symbolic one where there is no other.

    Small files are copied: they may be written anew in place.
    """
    if file.suffix == ".json":
        shutil.copyfile(file, place)
        return
    try:
        place.hardlink_to(file.resolve())
    except OSError:
        place.symlink_to(os.path.relpath(file, place.parent))


def _write(table: pa.Table, about: dict[str, object], origin: str | None, path: Path) -> None:
    metadata = {**(table.schema.metadata or {}), HOLDOUT_KEY: json.dumps(about)}
    if origin is not None:
        metadata[ORIGIN_KEY] = origin
    pq.write_table(table.replace_schema_metadata(metadata), path, write_page_checksum=True)
    _sync(path)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
