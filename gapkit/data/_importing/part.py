"""Makes one shard, or finds the one that an interrupted import left."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gapkit.data._checksum import file_checksum, load_checksum
from gapkit.data._importing.shard import ShardWriter
from gapkit.data._importing.table import read_table_videos
from gapkit.data._importing.task import Part, Places, Task
from gapkit.data._records import Video, read_videos
from gapkit.data._split import Source
from gapkit.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

Watch = Callable[[int, int], object]
"""Told how many bytes and how many videos more are done"""
_VIDEOS_AT_ONCE = 16


def make_part(task: Task, places: Places, watch: Watch) -> Part:
    """Write a shard and its labels to the folder of this run, unless they are there already."""
    found = _find_part(task, places)
    if found is not None:
        watch(task.read_bytes, found.num_videos)
        return found
    return _write_part(task, places, watch)


def read_part_labels(folder: Path, part: Part) -> pa.Table:
    """Ids, labels and numbers of frames of a part."""
    return pq.read_table(folder / f"{part.shard}.parquet")


def _find_part(task: Task, places: Places) -> Part | None:
    try:
        part = Part.from_json((places.parts / f"{task.shard}.json").read_text())
        if part.key != task.key() or part.source.size_bytes != task.size_bytes:
            return None
        if part.source.name != Path(task.path).name or part.max_label >= task.num_classes:
            return None
        crc = file_checksum(task.path) if task.crc32c is None else task.crc32c
        labels = places.parts / f"{task.shard}.parquet"
        if (crc, file_checksum(places.split / task.shard), file_checksum(labels)) != (
            part.source.crc32c,
            part.crc32c,
            part.labels_crc32c,
        ):
            return None
    except (OSError, ValueError, TypeError, KeyError, DataError):
        return None
    return part.found()


def _write_part(task: Task, places: Places, watch: Watch) -> Part:
    ids: list[str] = []
    labels: list[NDArray[np.int64]] = []
    num_frames: list[int] = []
    faults: list[str] = []
    num_cut = told = unwatched_bytes = 0

    def count_bytes(taken: int) -> None:
        nonlocal told, unwatched_bytes
        unwatched_bytes += taken
        if len(ids) - told >= _VIDEOS_AT_ONCE:
            watch(unwatched_bytes, len(ids) - told)
            told, unwatched_bytes = len(ids), 0

    source = _SOURCES[task.reader](task, count_bytes, faults.append)
    path = places.run / task.shard
    with ShardWriter(
        path, task.level, task.feature_sizes, task.stride, expected_bytes=task.expected_bytes
    ) as writer:
        for video in source.videos():
            writer.write(video, task.max_frames)
            ids.append(video.id)
            labels.append(video.labels)
            kept = video.num_frames
            if task.level == "frame" and task.max_frames is not None and kept > task.max_frames:
                kept, num_cut = task.max_frames, num_cut + 1
            num_frames.append(kept)
    offsets = np.cumsum([0, *map(len, labels)])
    values = np.concatenate([np.zeros(0, np.int64), *labels])
    columns = {
        "id": pa.array(ids, pa.string()),
        "labels": pa.LargeListArray.from_arrays(offsets, values),
        "num_frames": pa.array(num_frames, pa.int32()),
    }
    table = pa.table(columns)
    pq.write_table(table, places.run / f"{task.shard}.parquet")
    watch(unwatched_bytes, len(ids) - told)
    part = Part(
        key=task.key(),
        source=Source(
            name=Path(task.path).name, size_bytes=task.size_bytes, crc32c=source.checksum()
        ),
        num_videos=len(ids),
        num_cut=num_cut,
        max_label=int(values.max(initial=-1)),
        size_bytes=writer.file.size_bytes,
        crc32c=writer.file.crc32c,
        labels_crc32c=file_checksum(places.run / f"{task.shard}.parquet"),
        faults=faults,
    )
    (places.run / f"{task.shard}.json").write_text(part.to_json())
    return part


class _Records:
    """A TFRecord file, read once: its checksum is that of what was read."""

    def __init__(
        self, task: Task, on_bytes: Callable[[int], object], on_fault: Callable[[str], object]
    ) -> None:
        self._task, self._on_bytes, self._on_fault = task, on_bytes, on_fault
        self._crc = 0

    def videos(self) -> Iterator[Video]:
        path, skip = Path(self._task.path), self._task.skip_corrupt
        try:
            with path.open("rb") as file:
                summed: Any = _SummedReader(file)
                yield from read_videos(
                    path,
                    on_bytes=self._on_bytes,
                    on_fault=(lambda fault: self._on_fault(fault.told())) if skip else None,
                    check=lambda video: _check_video(video, self._task),
                    file=summed,
                )
                while summed.read(1 << 20):  # what a fault took along
                    pass
                self._crc = summed.crc32c
        except OSError as error:
            raise DataError(f"{path}: can't be read: {error.strerror}.") from None

    def checksum(self) -> int:
        return self._crc


class _SummedReader:
    """A file that knows the checksum of what was read of it, from its first byte on."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._checksum, self.crc32c = file, load_checksum(), 0

    def read(self, size: int) -> bytes:
        data = self._file.read(size)
        self.crc32c = self._checksum(data, self.crc32c)
        return data

    def fileno(self) -> int:
        return self._file.fileno()


class _Table:
    """Row groups of a Parquet file, or an .npz; its checksum is known."""

    def __init__(
        self, task: Task, on_bytes: Callable[[int], object], on_fault: Callable[[str], object]
    ) -> None:
        self._task, self._on_bytes = task, on_bytes

    def videos(self) -> Iterator[Video]:
        videos = read_table_videos(self._task, self._on_bytes)
        for row, video in enumerate(videos, self._task.num_rows_before):
            try:
                _check_video(video, self._task)
            except DataError as error:
                raise DataError(f"{self._task.path}: row {row}: {error}") from None
            yield video

    def checksum(self) -> int:
        return self._task.crc32c or 0


_SOURCES: dict[str, Any] = {"tfrecord": _Records, "table": _Table}


def _check_video(video: Video, task: Task) -> None:
    """Whether a video fits into its split; DataError, which does not name the place."""
    if not video.id:
        raise DataError("its id is empty. Give each video an id.")
    if video.level != task.level or video.feature_sizes != task.feature_sizes:
        raise DataError(
            f"video {video.id!r} has {video.level}-level features {video.feature_sizes}, and the "
            f"split {task.level}-level {task.feature_sizes}. Import files of one kind."
        )
    labels = video.labels.tolist()
    wrong = next((label for label in labels if not 0 <= label < task.num_classes), None)
    if wrong is not None:
        raise DataError(
            f"video {video.id!r}: label {wrong} is out of range for num_classes="
            f"{task.num_classes}. Pass the right --num-classes or --vocabulary."
        )
    if len(set(labels)) < len(labels):
        raise DataError(f"video {video.id!r} has a label twice. Keep it once.")
