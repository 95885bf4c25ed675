"""One shard in memory: where the values of each of its videos lie."""

from __future__ import annotations

from bisect import bisect_right
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from gapkit.data._file_map import FileMap
from gapkit.errors import DataError

_WORD_BYTES = 8


class Column(NamedTuple):
    """A feature of one record batch."""

    bounds: int
    """Word of the file from which on it says where each video begins; none at video level"""
    address: int
    """Of the first value"""
    num_bytes: int
    """Of all values"""


class ShardMap:
    """A shard, mapped.

    Raises
    ------
    DataError
        It is missing or damaged, or holds another number of videos.
    """

    def __init__(
        self, path: Path, num_videos: int, feature_sizes: dict[str, int], *, is_frames: bool
    ) -> None:
        self._is_frames = is_frames
        self._starts: list[int] = []  # the first video of each record batch
        self._batches: list[tuple[Column, ...]] = []
        found = 0
        try:
            self.file = FileMap(path)
            num_words = len(self.file.values) // _WORD_BYTES
            # All of it as int64; an entry comes in half of NumPy's time.
            self.words = self.file.values[: num_words * _WORD_BYTES].data.cast("q")
            reader = pa.ipc.open_file(pa.py_buffer(self.file.values))
            for i in range(reader.num_record_batches):
                batch = reader.get_batch(i)
                self._starts.append(found)
                found += batch.num_rows
                self._batches.append(
                    tuple(
                        self._locate(name, batch.column(name), size)
                        for name, size in feature_sizes.items()
                    )
                )
        except (OSError, ValueError, KeyError, pa.ArrowException) as error:
            reason = " ".join(str(error).split())
            raise DataError(
                f"{path}: missing or damaged ({reason}). Import the split again."
            ) from None
        if found != num_videos:
            raise DataError(
                f"{path}: {found} videos, and split.json says {num_videos}. Import the split again."
            )

    def find(self, row: int) -> Spot:
        """The shard, the record batch of a video, and the video's row there."""
        batch = bisect_right(self._starts, row) - 1
        return self, self._batches[batch], row - self._starts[batch]

    def _locate(self, name: str, column: pa.Array, size: int) -> Column:
        expected = pa.large_binary() if self._is_frames else pa.list_(pa.float32(), size)
        if column.type != expected:
            raise ValueError(f"the column {name!r} is {column.type}, and not {expected}")
        if not self._is_frames:
            values = column.flatten()
            if len(values) != len(column) * size:
                raise ValueError(f"the column {name!r} is cut short")
            address = self._address(name, values.buffers()[1]) + 4 * values.offset
            return Column(-1, address, 4 * len(values))
        _, offsets, data = column.buffers()
        bounds, rest = divmod(self._address(name, offsets) - self.file.address, _WORD_BYTES)
        if rest or offsets.size < (len(column) + 1) * _WORD_BYTES:
            raise ValueError(f"the column {name!r} is cut short")
        return Column(bounds, self._address(name, data), data.size if data else 0)

    def _address(self, name: str, buffer: pa.Buffer | None) -> int:
        """Of a buffer, which must lie in the file as it is."""
        if buffer is None or not buffer.size:
            return self.file.address
        first = buffer.address - self.file.address
        if not 0 <= first <= first + buffer.size <= len(self.file.values):
            raise ValueError(f"the column {name!r} is compressed")
        return int(buffer.address)


Spot = tuple[ShardMap, tuple[Column, ...], int]
