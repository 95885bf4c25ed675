"""Whether the files of a split are what was written."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from gapkit.data._shard_import import file_checksum
from gapkit.data._split import SplitMeta
from gapkit.data._store import FrameStore
from gapkit.errors import DataError


def check_split(
    path: str | os.PathLike[str], *, progress: Callable[[int, int], object] | None = None
) -> list[str]:
    """Return what is wrong with a split, a line a file; nothing where all bytes are as written.

    Reads everything: the checksum of each shard, and the labels with theirs.

    Parameters
    ----------
    path : path
        Folder of the split.
    progress : callable, optional
        Called with the shards checked and all shards.

    Raises
    ------
    DataError
        There is no split, or its split.json can't be read.
    """
    path = Path(path)
    meta = SplitMeta.read(path)
    problems: list[str] = []
    for number, name in enumerate(meta.shards, start=1):
        expected = meta.checksums.get(name)
        try:
            found = file_checksum(path / name)
        except OSError as error:
            problems.append(f"{path / name}: can't be read: {error.strerror}. Import it again.")
        else:
            if expected is not None and found != expected:
                problems.append(
                    f"{path / name}: its checksum is {found:08x}, and split.json says "
                    f"{expected:08x}: damaged. Import the split again."
                )
        if progress is not None:
            progress(number, len(meta.shards))
    if not problems:
        try:
            _ = FrameStore(path).labels
        except DataError as error:
            problems.append(str(error))
    return problems
