"""Whether a split is as it was written."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gapkit.data._checksum import file_checksum
from gapkit.data._split import LABELS_FILE, SPLIT_FILE, SplitMeta
from gapkit.data._store import FrameStore
from gapkit.errors import DataError
from gapkit.io import Finding


@dataclass(frozen=True, kw_only=True)
class SplitReport:
    """What a check of a split found."""

    path: str
    """The split"""
    num_videos: int
    """As its labels list; 0 where that can't be told"""
    num_files: int
    """Files whose checksums were compared"""
    problems: tuple[Finding, ...]
    """What is wrong: of each file the first"""
    notes: tuple[Finding, ...]
    """What could not be checked"""

    @property
    def is_ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


def check_split(
    path: str | os.PathLike[str], *, progress: Callable[[int, int], object] | None = None
) -> SplitReport:
    """Return what is wrong with a split: each file is read, and compared with its checksum.

    What the shards hold of each video is compared with its frames and with split.json, too.

    Parameters
    ----------
    path : path
        Folder of the split, as DATA/val.
    progress : callable, optional
        Called with the bytes read so far and the bytes of all files.

    Returns
    -------
    SplitReport
        Each problem names its file. A split of an older version has no checksums: a note says so,
        and what opening it tells is checked.

    Examples
    --------
    >>> check_split("nowhere/val").problems[0].message[:26]
    'nowhere/val: no such split'
    """
    path = Path(path)
    try:
        meta = SplitMeta.read(path)
    except DataError as error:
        return _report(path, 0, 0, [_finding("unreadable", str(error))], [])
    names = [*meta.shards, LABELS_FILE]
    summed = [name for name in names if name in meta.checksums]
    total_bytes = sum((path / name).stat().st_size for name in summed if (path / name).is_file())
    done_bytes = 0

    def count_bytes(taken: int) -> None:
        nonlocal done_bytes
        done_bytes += taken
        if progress is not None:
            progress(done_bytes, total_bytes)

    problems = [
        found
        for name in names
        if (found := _check_file(path / name, meta.checksums.get(name), count_bytes)) is not None
    ]
    num_videos = 0
    try:
        store = FrameStore(path)
        num_videos = len(store)
        _ = store.labels
        store.check_shards()
    except DataError as error:
        if not problems:  # else it is the same, in other words
            problems.append(_finding("unreadable", str(error)))
    num_files = len(summed) + (meta.crc32 is not None)
    return _report(path, num_videos, num_files, problems, _notes(meta, names, summed))


def _check_file(
    path: Path, expected: int | None, count_bytes: Callable[[int], object]
) -> Finding | None:
    if not path.is_file():
        return _finding("missing", f"{path.name}: is missing. Import the split again.")
    if expected is None:
        return None
    try:
        found = file_checksum(path, count_bytes)
    except DataError as error:
        return _finding("unreadable", str(error))
    if found == expected:
        return None
    return _finding(
        "damaged",
        f"{path.name}: its CRC32C is {found:08x}, and {SPLIT_FILE} says {expected:08x}: damaged. "
        f"Import the split again.",
    )


def _notes(meta: SplitMeta, names: list[str], summed: list[str]) -> list[Finding]:
    if not summed:
        message = (
            "made by an older version: it has no checksums, and only its structure was checked"
        )
        return [_finding("no_checksums", message)]
    if LABELS_FILE not in summed:
        message = f"{LABELS_FILE}: without a checksum, an interrupted command left it so"
        return [_finding("no_checksum", message)]
    if meta.crc32 is None:
        message = f"{SPLIT_FILE}: made by an older version: without a checksum"
        return [_finding("no_checksum", message)]
    absent = [name for name in names if name not in summed]
    if absent:
        message = f"{absent[0]} and {len(absent) - 1} more files have no checksums"
        return [_finding("no_checksum", message)]
    return []


def _finding(kind: str, message: str) -> Finding:
    return Finding(kind=kind, message=message, count=1)


def _report(
    path: Path, num_videos: int, num_files: int, problems: list[Finding], notes: list[Finding]
) -> SplitReport:
    return SplitReport(
        path=str(path),
        num_videos=num_videos,
        num_files=num_files,
        problems=tuple(problems),
        notes=tuple(notes),
    )
