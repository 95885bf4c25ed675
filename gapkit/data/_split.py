"""The files of a split: split.json, labels.parquet and Arrow shards of features."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from gapkit.data._pending import finish_holdout
from gapkit.data._phases import phase_order
from gapkit.errors import DataError

if TYPE_CHECKING:
    from gapkit.data._records import Video

SPLIT_FILE = "split.json"
LABELS_FILE = "labels.parquet"
FILES = (SPLIT_FILE, LABELS_FILE, "features-*.arrow")  # all that a split holds
VERSION = 1
_BATCH_BYTES = 32 << 20


@dataclass(frozen=True, kw_only=True)
class Source:
    """A file that a split was made from."""

    name: str
    size_bytes: int
    crc32c: int
    """Of the whole file"""


@dataclass(frozen=True, kw_only=True)
class SplitMeta:
    """What split.json says."""

    level: str
    """'frame' or 'video'"""
    feature_sizes: dict[str, int]
    """Values a frame (or a video) by feature, in order"""
    num_classes: int
    """Number of labels"""
    stride: int
    """Frames of a video lie phase-major for it"""
    num_videos: int
    """Videos in all shards"""
    shards: dict[str, int]
    """Videos by shard file, in order"""
    sources: list[Source]
    """Files that it was made from"""
    checksums: dict[str, int] = field(default_factory=dict)
    """CRC32 of each shard file; empty in splits of older versions"""
    version: int = VERSION
    """Of the format"""

    def write(self, folder: Path) -> None:
        """Write split.json: the last file of a split, so that only a whole one has it."""
        (folder / SPLIT_FILE).write_text(json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def read(cls, folder: Path) -> SplitMeta:
        """What a split's split.json says; DataError where there is none."""
        finish_holdout(folder)
        path = folder / SPLIT_FILE
        try:
            about = json.loads(path.read_text())
        except (FileNotFoundError, NotADirectoryError):
            raise DataError(missing_split(folder)) from None
        except (OSError, ValueError) as error:
            raise DataError(f"{path}: can't be read ({error}). Import the split again.") from None
        if not isinstance(about, dict) or about.get("version") != VERSION:
            raise DataError(f"{path}: not a split of version {VERSION}. Import the split again.")
        try:
            about["sources"] = [Source(**source) for source in about["sources"]]
            meta = cls(**about)
        except (TypeError, KeyError) as error:
            raise DataError(f"{path}: not a split ({error}). Import the split again.") from None
        if meta.stride < 1 or meta.num_videos != sum(meta.shards.values()):
            raise DataError(f"{path}: its numbers do not agree. Import the split again.")
        return meta


def missing_split(folder: Path) -> str:
    """That a split is not there, and which ones are."""
    data = folder.parent
    there = [folder.name for folder in split_folders(data)]
    if there:
        return f"{folder}: no such split. {data} has {', '.join(there)}."
    return (
        f"{folder}: no such split, and {data} has none. "
        f"Make one: gapkit data import FILES... -o {folder}"
    )


def find_labels(split: Path) -> Path:
    """Return the labels file of a split; DataError names the splits that are there."""
    finish_holdout(split)
    if not (split / LABELS_FILE).is_file():
        raise DataError(missing_split(split))
    return split / LABELS_FILE


def split_folders(data: Path) -> list[Path]:
    """The splits of a folder, by name; an interrupted holdout among them is finished."""
    for pending in data.glob(".*.pending"):
        finish_holdout(data / pending.name.removeprefix(".").removesuffix(".pending"))
    folders = sorted(path.parent for path in data.glob(f"*/{SPLIT_FILE}"))
    return [folder for folder in folders if not folder.name.startswith(".")]


def shard_schema(level: str, feature_sizes: dict[str, int]) -> pa.Schema:
    """Columns of a shard: a string of bytes a video, with 64-bit offsets, or a list of floats."""
    return pa.schema(
        [
            (name, pa.large_binary() if level == "frame" else pa.list_(pa.float32(), size))
            for name, size in feature_sizes.items()
        ]
    )


class ShardWriter:
    """Appends videos to one shard in record batches of bounded size."""

    def __init__(self, path: Path, level: str, feature_sizes: dict[str, int], stride: int) -> None:
        self._schema = shard_schema(level, feature_sizes)
        self._writer = pa.ipc.new_file(str(path), self._schema)
        self._stride = stride
        self._pending: dict[str, list[Any]] = {name: [] for name in feature_sizes}
        self._pending_bytes = 0

    def write(self, video: Video) -> None:
        """Append a video, its frames in phase-major order."""
        order = phase_order(video.num_frames, self._stride) if video.level == "frame" else None
        for name, values in video.features.items():
            stored = values if order is None else values[order].tobytes()
            self._pending[name].append(stored)
            self._pending_bytes += values.nbytes
        if self._pending_bytes >= _BATCH_BYTES:
            self._flush()

    def close(self) -> None:
        """Write what is pending and end the file."""
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        if self._pending_bytes == 0:
            return
        columns = [
            pa.array(self._pending[field.name], field.type)
            if pa.types.is_large_binary(field.type)
            else pa.FixedSizeListArray.from_arrays(
                np.concatenate(self._pending[field.name]), type=field.type
            )
            for field in self._schema
        ]
        self._writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=self._schema))
        self._pending = {name: [] for name in self._pending}
        self._pending_bytes = 0
