"""One shard: an Arrow IPC file of features."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from gapkit.data._importing.shard_file import ShardFile

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gapkit.data._records import Video

BATCH_BYTES = 32 << 20
_FIRST_BYTES = 1 << 20


def shard_schema(level: str, feature_sizes: dict[str, int]) -> pa.Schema:
    """Columns of a shard: a string of bytes a video, with 64-bit offsets, or a list of floats."""
    return pa.schema(
        [
            (name, pa.large_binary() if level == "frame" else pa.list_(pa.float32(), size))
            for name, size in feature_sizes.items()
        ]
    )


class ShardWriter:
    """Appends videos to one shard in record batches of bounded size; a context."""

    def __init__(
        self,
        path: Path,
        level: str,
        feature_sizes: dict[str, int],
        stride: int,
        *,
        expected_bytes: int = 0,
    ) -> None:
        self._schema = shard_schema(level, feature_sizes)
        self.file = ShardFile(path, expected_bytes)
        self._writer = pa.ipc.new_file(pa.PythonFile(self.file, "w"), self._schema)
        column = _Frames if level == "frame" else _Means
        self._columns = {
            name: column(self._schema.field(name).type, stride) for name in feature_sizes
        }
        self._pending_bytes = 0

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        try:
            if kind is None:
                self._flush()
                self._writer.close()
                self.file.finish()
        finally:
            self.file.close()

    def write(self, video: Video, max_frames: int | None = None) -> None:
        """Append a video, its first frames in phase-major order."""
        for name, values in video.features.items():
            kept = values if video.level == "video" else values[:max_frames]
            self._columns[name].append(kept)
            self._pending_bytes += kept.nbytes
        if self._pending_bytes >= BATCH_BYTES:
            self._flush()

    def _flush(self) -> None:
        if self._pending_bytes:
            arrays = [self._columns[field.name].take() for field in self._schema]
            self._writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=self._schema))
            self._pending_bytes = 0


class _Frames:
    """Frames of many videos, one string of bytes a video, in one buffer that is used again."""

    def __init__(self, type_: pa.DataType, stride: int) -> None:
        self._type, self._stride = type_, stride
        self._buffer: NDArray[np.uint8] = np.empty(0, np.uint8)
        self._ends = [0]

    def append(self, frames_TD: NDArray[np.uint8]) -> None:
        begin, (num_frames, size) = self._ends[-1], frames_TD.shape
        end = begin + num_frames * size
        if end > len(self._buffer):
            larger = np.empty(max(end, 2 * len(self._buffer), _FIRST_BYTES), np.uint8)
            larger[:begin] = self._buffer[:begin]
            self._buffer = larger
        stored_TD = self._buffer[begin:end].reshape(num_frames, size)
        position = 0
        for phase in range(min(self._stride, num_frames)):
            frames = frames_TD[phase :: self._stride]
            stored_TD[position : position + len(frames)] = frames
            position += len(frames)
        self._ends.append(end)

    def take(self) -> pa.Array:
        offsets = np.array(self._ends, np.int64)
        values = pa.py_buffer(self._buffer[: self._ends[-1]])
        self._ends = [0]
        buffers = [None, pa.py_buffer(offsets), values]
        return pa.Array.from_buffers(self._type, len(offsets) - 1, buffers)


class _Means:
    """One vector a video."""

    def __init__(self, type_: pa.DataType, stride: int) -> None:
        self._type = type_
        self._pending: list[NDArray[Any]] = []

    def append(self, values_D: NDArray[Any]) -> None:
        self._pending.append(values_D)

    def take(self) -> pa.Array:
        values, self._pending = np.concatenate(self._pending), []
        return pa.FixedSizeListArray.from_arrays(values, type=self._type)
