"""The files of a split: split.json, labels.parquet and Arrow shards of features."""

from __future__ import annotations

import json
import zlib
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

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
    num_faults: int = 0
    """Records, or ends of files, that were left out because they can't be read or don't fit"""
    checksums: dict[str, int] = field(default_factory=dict, compare=False)
    """CRC32C of shards and of labels.parquet, by name; of an older split there are none"""
    version: int = VERSION
    """Of the format"""
    crc32: int | None = field(default=None, compare=False)
    """As it was read: of all the rest of split.json; None in one of an older version"""

    def write(self, folder: Path) -> None:
        """Write split.json: the last file of a split, so that only a whole one has it."""
        (folder / SPLIT_FILE).write_text(self.to_json())

    def to_json(self) -> str:
        """The text of split.json."""
        about = asdict(self)
        del about["crc32"]
        return json.dumps({**about, "crc32": _checksum(about)}, indent=1) + "\n"

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
        crc32 = about.pop("crc32", None)
        if crc32 not in (None, _checksum(about)):
            raise DataError(
                f"{path}: changed since it was written, or damaged: its checksum is not "
                f"{crc32}. Import the split again."
            )
        try:
            about["sources"] = [Source(**source) for source in about["sources"]]
            meta = cls(**about, crc32=crc32)
        except (TypeError, KeyError) as error:
            raise DataError(f"{path}: not a split ({error}). Import the split again.") from None
        wrong = _wrong_field(meta)
        if wrong is not None:
            raise DataError(
                f"{path}: {wrong} is {getattr(meta, wrong)!r}, which no import writes. "
                f"Import the split again."
            )
        if meta.num_videos != sum(meta.shards.values()):
            raise DataError(f"{path}: its numbers do not agree. Import the split again.")
        return meta


def _checksum(about: dict[str, Any]) -> int:
    """Of zlib, and not CRC32C: without the crc32c package that would have to load Numba."""
    return zlib.crc32(json.dumps(about).encode())


def _wrong_field(meta: SplitMeta) -> str | None:
    """The first field whose value is not of its kind."""
    is_sound = {
        "level": meta.level in ("frame", "video"),
        "feature_sizes": _are_counts(meta.feature_sizes, 1) and bool(meta.feature_sizes),
        "num_classes": _is_count(meta.num_classes, 1),
        "stride": _is_count(meta.stride, 1),
        "num_videos": _is_count(meta.num_videos),
        "shards": _are_counts(meta.shards),
        "sources": all(_is_count(s.size_bytes) and _is_count(s.crc32c) for s in meta.sources),
        "max_frames": meta.max_frames is None or _is_count(meta.max_frames, 1),
        "num_cut": _is_count(meta.num_cut),
        "num_faults": _is_count(meta.num_faults),
        "checksums": _are_counts(meta.checksums),
    }
    return next((name for name, sound in is_sound.items() if not sound), None)


def _is_count(value: object, least: int = 0) -> bool:
    return type(value) is int and value >= least


def _are_counts(values: object, least: int = 0) -> bool:
    return isinstance(values, dict) and all(_is_count(value, least) for value in values.values())


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


def no_splits(data: Path) -> str:
    """That there is neither a split nor a folder of some."""
    if data.is_dir():
        return missing_split(data / "train")
    what = "is a file" if data.exists() else "no such folder"
    return f"{data}: {what}. Name a folder of splits, or one split in it."


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
