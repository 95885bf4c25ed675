"""What makes one shard, as it goes to a worker; and what came of it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from gapkit.data._split import Source


@dataclass(frozen=True, kw_only=True)
class Task:
    """A file, or row groups of one, that become a shard."""

    reader: str
    """'tfrecord' or 'table'"""
    path: str
    """The file"""
    shard: str
    """Name of the shard"""
    level: str
    """'frame' or 'video'"""
    feature_sizes: dict[str, int]
    """Values a frame (or a video) by feature, in order"""
    num_classes: int
    """Labels are below"""
    stride: int
    """Frames lie phase-major for it"""
    max_frames: int | None
    """Frames beyond are cut"""
    skip_corrupt: bool
    """Records that can't be read, or don't fit, are left out"""
    size_bytes: int
    """Of the whole file"""
    read_bytes: int
    """Of the file's share in this shard"""
    expected_bytes: int
    """Of the shard, about"""
    crc32c: int | None = None
    """Of the whole file, where it is known"""
    row_groups: tuple[int, int] | None = None
    """First, and one past the last"""
    num_rows_before: int = 0
    """Rows of the file in shards before, for messages"""

    def key(self) -> dict[str, Any]:
        """What a finished shard must have been made with to be used again."""
        names = ("reader", "shard", "level", "stride", "max_frames", "skip_corrupt")
        about = {name: getattr(self, name) for name in names}
        about["feature_sizes"] = list(self.feature_sizes.items())
        about["row_groups"] = self.row_groups
        about["num_classes"] = self.num_classes if self.skip_corrupt else None  # what fits
        normal: dict[str, Any] = json.loads(json.dumps(about))
        return normal

    def to_json(self) -> str:
        """One line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Task:
        """The task of such a line."""
        about = json.loads(text)
        groups = about["row_groups"]
        return cls(**{**about, "row_groups": None if groups is None else tuple(groups)})


@dataclass(frozen=True, kw_only=True)
class Part:
    """A finished shard."""

    key: dict[str, Any]
    """What it was made with"""
    source: Source
    """What it was made from"""
    num_videos: int
    """Videos in it"""
    num_cut: int
    """Videos that lost frames"""
    max_label: int
    """The largest, -1 where there are none"""
    size_bytes: int
    """Of the shard"""
    crc32c: int
    """Of the shard"""
    labels_crc32c: int
    """Of the file of its labels"""
    faults: list[str] = field(default_factory=list)
    """What was left out"""
    was_there: bool = False
    """Whether an interrupted import had finished it"""

    @property
    def shard(self) -> str:
        """Name of the shard."""
        return str(self.key["shard"])

    def to_json(self) -> str:
        """One line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Part:
        """The part of such a line; ValueError, KeyError or TypeError where it is none."""
        about = json.loads(text)
        return cls(**{**about, "source": Source(**about["source"])})

    def found(self) -> Part:
        """The same, found again."""
        return replace(self, was_there=True)


@dataclass(frozen=True, kw_only=True)
class Places:
    """The staging folder of an import: `split` becomes the split."""

    folder: Path
    """All of it"""
    run: Path
    """What this process is writing"""

    @property
    def split(self) -> Path:
        """Finished shards."""
        return self.folder / "split"

    @property
    def parts(self) -> Path:
        """What is known of finished shards, and their labels."""
        return self.folder / "parts"
