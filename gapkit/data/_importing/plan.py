"""What an import will do, told from the heads of its files."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from gapkit.data._checksum import file_checksum
from gapkit.data._importing.npz import dense_classes, read_npz
from gapkit.data._importing.table import Feature, find_features, is_npz, open_parquet
from gapkit.data._records import Video, read_videos
from gapkit.data._vocabulary import Vocabulary, find_vocabulary
from gapkit.errors import DataError

DEFAULT_STRIDE = 5
_SHORT_FRAMES = 50  # the longest of the first videos has fewer: stride 1
_NUM_FIRST = 100
_SHARD_BYTES = 256 << 20


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the user asks for."""

    num_classes: int | None
    vocabulary: Path | None
    stride: int | None
    max_frames: int | None
    skip_corrupt: bool = False


@dataclass(kw_only=True)
class Input:
    """A file."""

    path: Path
    size_bytes: int
    crc32c: int | None = None
    """Where it is known already"""

    def checksum(self) -> int:
        """CRC32C of the file, read for it if need be."""
        if self.crc32c is None:
            self.crc32c = file_checksum(self.path)
        return self.crc32c


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """What becomes one shard."""

    read_bytes: int
    expected_bytes: int
    row_groups: tuple[int, int] | None = None
    num_rows_before: int = 0


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The files, and what all of their videos share."""

    reader: str
    inputs: list[Input]
    level: str
    feature_sizes: dict[str, int]
    vocabulary: Vocabulary
    stride: int
    max_frames: int | None
    skip_corrupt: bool
    chunks: Callable[[Input], list[Chunk]]
    """The shards of a file"""
    ignored: list[str] = field(default_factory=list)
    """Columns that hold no features"""


def plan_records(paths: Sequence[Path], options: Options) -> Plan:
    """Of TFRecords: a file, a shard."""
    inputs = [_input(path) for path in paths]
    first, read_bytes = _first_videos(paths, skip_corrupt=options.skip_corrupt)
    found = find_vocabulary(
        list(paths),
        num_classes=options.num_classes,
        vocabulary=options.vocabulary,
        known_classes=first[0].known_classes,
    )
    kept = sum(
        _video_bytes(video.level, video.feature_sizes, video.num_frames, options.max_frames)
        for video in first
    )
    ratio = kept / max(read_bytes, 1)
    return Plan(
        reader="tfrecord",
        inputs=inputs,
        level=first[0].level,
        feature_sizes=first[0].feature_sizes,
        vocabulary=found,
        stride=options.stride or _default_stride(max(video.num_frames for video in first)),
        max_frames=options.max_frames,
        skip_corrupt=options.skip_corrupt,
        chunks=lambda file: [
            Chunk(read_bytes=file.size_bytes, expected_bytes=int(file.size_bytes * ratio))
        ],
    )


def plan_tables(paths: Sequence[Path], options: Options) -> Plan:
    """Of Parquet files: some row groups, a shard; of .npz: a file, a shard."""
    inputs = [_input(path) for path in paths]
    head = _head(paths[0])
    features, ignored = find_features(paths[0], head)
    longest, mean_frames = _frames_of(head, features)
    level, sizes = features[0].level, {f.name: f.size for f in features}
    dense = dense_classes(paths[0]) if is_npz(paths[0]) else None
    found = find_vocabulary(
        list(paths),
        num_classes=options.num_classes,
        vocabulary=options.vocabulary,
        known_classes=dense,
    )
    if dense is not None and found.source == "a known release":
        found = replace(found, source="dense labels")
    row_bytes = _video_bytes(level, sizes, mean_frames, options.max_frames)
    return Plan(
        reader="table",
        inputs=inputs,
        level=level,
        feature_sizes=sizes,
        vocabulary=found,
        stride=options.stride or (_default_stride(longest) if level == "frame" else 1),
        max_frames=options.max_frames,
        skip_corrupt=False,
        chunks=lambda file: _table_chunks(file, row_bytes),
        ignored=ignored,
    )


def _input(path: Path) -> Input:
    try:
        size_bytes = path.stat().st_size
    except FileNotFoundError:
        raise DataError(f"{path}: no such file. Check the path.") from None
    except OSError as error:
        raise DataError(f"{path}: can't be read: {error.strerror}.") from None
    if path.is_dir():
        raise DataError(f"{path}: is a folder. Name files in it.")
    return Input(path=path, size_bytes=size_bytes)


def _first_videos(paths: Sequence[Path], *, skip_corrupt: bool) -> tuple[list[Video], int]:
    """Videos of the first file that has any, and the bytes of their records."""
    for path in paths:
        read_bytes = 0

        def count_bytes(taken: int) -> None:
            nonlocal read_bytes
            read_bytes += taken

        videos = read_videos(
            path, on_bytes=count_bytes, on_fault=(lambda fault: None) if skip_corrupt else None
        )
        first = list(itertools.islice(videos, _NUM_FIRST))
        if first:
            return _of_commonest_kind(first) if skip_corrupt else first, read_bytes
    raise DataError(f"{paths[0]}: no record of the files can be read. Check what they are.")


def _of_commonest_kind(videos: list[Video]) -> list[Video]:
    """Those of the features that most have: the others will be left out."""
    kinds = [(video.level, *video.feature_sizes.items()) for video in videos]
    ((commonest, _),) = Counter(kinds).most_common(1)
    return [video for video, kind in zip(videos, kinds, strict=True) if kind == commonest]


def _default_stride(longest: int) -> int:
    return DEFAULT_STRIDE if longest >= _SHORT_FRAMES else 1


def _video_bytes(
    level: str, sizes: dict[str, int], num_frames: float, max_frames: int | None
) -> float:
    kept = min(num_frames, max_frames or num_frames)
    return sum(sizes.values()) * (4 if level == "video" else kept)


def _head(path: Path) -> pa.Table:
    if is_npz(path):
        return read_npz(path)
    with open_parquet(path) as file:
        try:
            batch = next(file.iter_batches(_NUM_FIRST, use_threads=False), None)
        except (OSError, pa.ArrowException) as error:
            reason = " ".join(str(error).split())
            raise DataError(f"{path}: damaged ({reason}).") from None
        if batch is None:
            raise DataError(f"{path}: holds no rows. Name a file with videos first.")
        return pa.Table.from_batches([batch])


def _frames_of(head: pa.Table, features: list[Feature]) -> tuple[int, float]:
    """Frames of the longest of the first videos, and of their mean."""
    if features[0].level == "video":
        return 1, 1.0
    column = head[features[0].name]
    lengths = [len(row) for row in column.slice(0, _NUM_FIRST) if row.is_valid]
    return max(lengths, default=1), sum(lengths) / max(len(lengths), 1)


def _table_chunks(file: Input, row_bytes: float) -> list[Chunk]:
    file.checksum()
    if is_npz(file.path):
        return [Chunk(read_bytes=file.size_bytes, expected_bytes=file.size_bytes)]
    with open_parquet(file.path) as opened:
        return _cut(opened.metadata, file.size_bytes, row_bytes)


def _cut(metadata: pq.FileMetaData, size_bytes: int, row_bytes: float) -> list[Chunk]:
    chunks: list[Chunk] = []
    first = rows_before = rows = 0
    for group in range(metadata.num_row_groups):
        rows += metadata.row_group(group).num_rows
        if rows * row_bytes >= _SHARD_BYTES or group == metadata.num_row_groups - 1:
            chunks.append(
                Chunk(
                    read_bytes=int(size_bytes * rows / max(metadata.num_rows, 1)),
                    expected_bytes=int(rows * row_bytes),
                    row_groups=(first, group + 1),
                    num_rows_before=rows_before,
                )
            )
            first, rows_before, rows = group + 1, rows_before + rows, 0
    return chunks
