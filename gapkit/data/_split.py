"""The files of a split: split.json, labels.parquet and Arrow shards of features."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from gapkit.data._pending import finish_holdout, finish_import
from gapkit.errors import DataError

SPLIT_FILE = "split.json"
LABELS_FILE = "labels.parquet"
FILES = (SPLIT_FILE, LABELS_FILE, "features-*.arrow")  # all that a split holds
VERSION = 1


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
    max_frames: int | None = None
    """Frames beyond were cut; None where all were kept"""
    num_cut: int = 0
    """Videos that lost frames so"""
    checksums: dict[str, int] = field(default_factory=dict, compare=False)
    """CRC32C of shards and of labels.parquet, by name; of an older split there are none"""
    version: int = VERSION
    """Of the format"""

    def write(self, folder: Path) -> None:
        """Write split.json: the last file of a split, so that only a whole one has it."""
        (folder / SPLIT_FILE).write_text(json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def read(cls, folder: Path) -> SplitMeta:
        """What a split's split.json says; DataError where there is none."""
        finish_holdout(folder)
        finish_import(folder)
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
    if folder.is_dir():
        return f"{folder}: is a folder, and no split: it has no {SPLIT_FILE}."
    return (
        f"{folder}: no such split, and {data} has none. "
        f"Make one: gapkit data import FILES... -o {folder}"
    )


def find_labels(split: Path) -> Path:
    """Return the labels file of a split; DataError names the splits that are there."""
    finish_holdout(split)
    finish_import(split)
    if not (split / LABELS_FILE).is_file():
        raise DataError(missing_split(split))
    return split / LABELS_FILE


def split_folders(data: Path) -> list[Path]:
    """The splits of a folder, by name; an interrupted holdout or import is finished."""
    for staging in data.glob(".*.import"):
        finish_import(data / staging.name.removeprefix(".").removesuffix(".import"))
    for pending in data.glob(".*.pending"):
        finish_holdout(data / pending.name.removeprefix(".").removesuffix(".pending"))
    folders = sorted(path.parent for path in data.glob(f"*/{SPLIT_FILE}"))
    return [folder for folder in folders if not folder.name.startswith(".")]
