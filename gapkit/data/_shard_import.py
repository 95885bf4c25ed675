"""One TFRecord file to one shard: what a worker does.

Beside the shard lies a JSON of the same name once it is whole: an import that was interrupted goes
on behind the last of them.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from gapkit.data._records import Video, read_videos
from gapkit.data._split import ShardWriter
from gapkit.errors import DataError


@dataclass(frozen=True, kw_only=True)
class ShardTask:
    """What becomes of a file."""

    source: Path
    target: Path
    """The shard"""
    level: str
    feature_sizes: dict[str, int]
    num_classes: int
    stride: int
    max_frames: int | None
    """Frames of a video that are kept at most"""
    skip_corrupt: bool
    """Whether what can't be read is left out"""


@dataclass(frozen=True, kw_only=True)
class ImportedShard:
    """What became of it."""

    ids: list[str]
    labels: list[list[int]]
    num_frames: list[int]
    checksum: int
    """CRC32 of the shard file"""
    num_cut_videos: int
    num_cut_frames: int
    skipped: list[str]
    """What could not be read, and why"""


def import_shard(task: ShardTask, on_bytes: Callable[[int], object] | None = None) -> ImportedShard:
    """Write a shard, or take the one that an interrupted import has left."""
    marker = task.target.with_suffix(".json")
    if marker.is_file():
        if on_bytes is not None:
            on_bytes(task.source.stat().st_size)
        return ImportedShard(**json.loads(marker.read_text()))
    writer = ShardWriter(task.target, task.level, task.feature_sizes, task.stride)
    ids: list[str] = []
    labels: list[list[int]] = []
    num_frames: list[int] = []
    skipped: list[str] = []
    num_cut_videos = num_cut_frames = 0
    on_error = skipped.append if task.skip_corrupt else None
    for video in read_videos(task.source, on_bytes=on_bytes, on_error=on_error):
        _check_video(video, task)
        num_cut = video.num_frames - (task.max_frames or video.num_frames)
        if video.level == "frame" and num_cut > 0:
            num_cut_videos, num_cut_frames = num_cut_videos + 1, num_cut_frames + num_cut
            video = video.cut(video.num_frames - num_cut)
        writer.write(video)
        ids.append(video.id)
        labels.append(video.labels.tolist())
        num_frames.append(video.num_frames)
    writer.close()
    done = ImportedShard(
        ids=ids,
        labels=labels,
        num_frames=num_frames,
        checksum=file_checksum(task.target),
        num_cut_videos=num_cut_videos,
        num_cut_frames=num_cut_frames,
        skipped=skipped,
    )
    unfinished = marker.with_suffix(".part")
    unfinished.write_text(json.dumps(asdict(done)))
    unfinished.rename(marker)
    return done


def file_checksum(path: Path) -> int:
    """CRC32 of a file."""
    crc = 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            crc = zlib.crc32(block, crc)
    return crc


def _check_video(video: Video, task: ShardTask) -> None:
    path = task.source
    if video.level != task.level or video.feature_sizes != task.feature_sizes:
        raise DataError(
            f"{path}: video {video.id!r} has {video.level}-level features "
            f"{video.feature_sizes}, and the first video {task.level}-level "
            f"{task.feature_sizes}. Import files of one kind."
        )
    num_classes = task.num_classes
    if video.labels.size and not 0 <= video.labels.min() <= video.labels.max() < num_classes:
        wrong = next(x for x in video.labels.tolist() if not 0 <= x < num_classes)
        raise DataError(
            f"{path}: video {video.id!r}: label {wrong} is out of range for "
            f"num_classes={num_classes}. Pass the right --num-classes or --vocabulary."
        )
    if len(np.unique(video.labels)) != video.labels.size:
        raise DataError(f"{path}: video {video.id!r} has a label twice. Keep it once.")
