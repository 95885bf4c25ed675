"""What was killed between two renames, and is finished by whoever asks for its split first.

A holdout between its two steps: its split stands ready, beside its place, under a hidden name.

One rename takes the videos from the source; from then on the holdout counts, and whoever asks for
its split first moves it to its place. A process killed before leaves the source as it was, one
killed after leaves all of both.

An import that replaces a split, or adds to it, moves the old one away and the new one to its place.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from gapkit.errors import DataError
from gapkit.io import install_folder

HOLDOUT_KEY = b"gapkit_holdout"  # metadata of both labels.parquet: equal once the holdout counts
ORIGIN_KEY = b"gapkit_held_out_of"  # metadata of a holdout: the split that it was held out of
_LABELS_FILE = "labels.parquet"


def pending_folder(split: Path) -> Path:
    """Where a split waits."""
    place = Path(os.path.abspath(split))  # noqa: PTH100 - '.' has no name, and links stay links
    return place.with_name(f".{place.name}.pending")


def finish_holdout(split: Path) -> None:
    """Move a holdout that counts, but whose process was killed, to its place."""
    pending = pending_folder(split)
    if not pending.is_dir():
        return
    about = read_holdout(pending)
    if about is None or read_holdout(pending.with_name(str(about["from"]))) != about:
        return  # it does not count: its source still has the videos
    try:
        install_folder(pending, pending.with_name(split.name))
    except OSError as error:
        raise DataError(
            f"{split}: an interrupted holdout can't be finished: {error.strerror}. "
            f"Make its folder writable, and look at it once: gapkit data info {split}"
        ) from None


def staging_folder(split: Path) -> Path:
    """Where an import puts what it has finished."""
    place = Path(os.path.abspath(split))  # noqa: PTH100 - as above
    return place.with_name(f".{place.name}.import")


def finish_import(split: Path) -> None:
    """Move a new split to its place, if the old one was moved away and the process was killed."""
    staging = staging_folder(split)
    if not staging.is_dir() or split.exists():
        return
    ready, old = staging / "split", staging / "split.old"
    if not (old.is_dir() and (ready / "split.json").is_file()):
        return
    try:
        ready.rename(staging.with_name(split.name))
    except FileNotFoundError:  # another process was first
        return
    except OSError as error:
        raise DataError(
            f"{split}: an interrupted import can't be finished: {error.strerror}. "
            f"Make its folder writable, and look at it once: gapkit data info {split}"
        ) from None


def read_holdout(split: Path) -> dict[str, Any] | None:
    """What the last holdout wrote into a split's labels; None where there was none."""
    try:
        about = json.loads(_metadata(split).get(HOLDOUT_KEY, b"null"))
    except ValueError:
        return None
    return about if isinstance(about, dict) and {"from", "to"} <= about.keys() else None


def read_origin(split: Path) -> str | None:
    """The split that this one was held out of; None where it was not."""
    origin = _metadata(split).get(ORIGIN_KEY)
    if origin is not None:
        return origin.decode()
    about = read_holdout(split)  # an older version wrote no more
    return str(about["from"]) if about and about["to"] == split.resolve().name else None


def _metadata(split: Path) -> dict[bytes, bytes]:
    try:
        return pq.read_schema(split / _LABELS_FILE).metadata or {}
    except (OSError, ValueError, pa.ArrowException):
        return {}
