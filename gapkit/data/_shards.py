"""The shards of a split in memory, and copies of frames out of them.

Shape letters: B videos asked for, T frames, D values a frame.
"""

from __future__ import annotations

import mmap
from collections.abc import Mapping, Sequence
from ctypes import memmove
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from gapkit.data._phases import cut_crop
from gapkit.data._split import LABELS_FILE, SplitMeta
from gapkit.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

try:
    import resource

    _TELLS_DISK_READS = hasattr(resource, "RUSAGE_THREAD") and hasattr(mmap, "MADV_WILLNEED")
except ImportError:  # Windows
    _TELLS_DISK_READS = False
_NUM_ADVISED = 64  # batches after one that had to wait for the disk


class Shards:
    """The features of all videos, mapped: nothing is read before it is asked for.

    Raises
    ------
    DataError
        A shard is missing or damaged; or, when they are asked for, holds other frames of a video
        than `num_frames` says.
    """

    def __init__(self, folder: Path, meta: SplitMeta) -> None:
        self._folder = folder
        self._sizes, self._stride = dict(meta.feature_sizes), meta.stride
        self._is_frames = meta.level == "frame"
        self._dtype = np.uint8 if self._is_frames else np.float32
        self._maps: list[tuple[mmap.mmap, int]] = []  # of each record batch, and its address
        self._bounds: dict[str, list[Sequence[int]]] = {name: [] for name in self._sizes}
        self._values: dict[str, list[NDArray[Any]]] = {name: [] for name in self._sizes}
        self._batch_starts = np.array(self._open(meta.shards), np.int64)
        self._addresses, self._num_values = {}, {}
        for name, views in self._values.items():
            self._addresses[name] = np.array([view.ctypes.data for view in views], np.int64)
            self._num_values[name] = np.array([view.size for view in views], np.int64)
        self._num_to_advise = 0

    def copy(
        self,
        row_B: NDArray[np.int64],
        num_frames_B: NDArray[np.int64],
        position_B: NDArray[np.int64],
        length_B: NDArray[np.int64],
    ) -> dict[str, NDArray[Any]]:
        """So many stored frames of each video, from a position on: one copy each."""
        batch_B = np.searchsorted(self._batch_starts, row_B, side="right") - 1
        longest = int(length_B.max(initial=0 if self._is_frames else 1))
        is_short_B = length_B < longest
        features: dict[str, NDArray[Any]] = {}
        faults = _count_disk_reads()
        for name, size in self._sizes.items():
            out_BTD = np.empty((len(row_B), longest, size), self._dtype)
            frame_bytes = size * out_BTD.itemsize
            begin_B = self._begins(name, row_B, batch_B, num_frames_B * size) * out_BTD.itemsize
            source_B = self._addresses[name][batch_B] + begin_B + position_B * frame_bytes
            target_B = out_BTD.ctypes.data + np.arange(len(row_B)) * (longest * frame_bytes)
            bytes_B = (length_B * frame_bytes).tolist()
            if self._num_to_advise > 0:
                self._advise(batch_B, source_B, bytes_B)
            # Without the GIL, and half as fast again as assigning slices: no views to be made.
            for copy in zip(target_B.tolist(), source_B.tolist(), bytes_B, strict=True):
                memmove(*copy)
            for b in np.flatnonzero(is_short_B).tolist():
                out_BTD[b, length_B[b] :] = 0
            features[name] = out_BTD if self._is_frames else out_BTD.reshape(len(row_B), size)
        is_cold = _count_disk_reads() > faults + len(row_B) // 4
        self._num_to_advise = _NUM_ADVISED if is_cold else max(self._num_to_advise - 1, 0)
        return features

    def gather(
        self,
        row_B: NDArray[np.int64],
        num_frames_B: NDArray[np.int64],
        start_B: NDArray[np.int64],
        stride: int,
        length_B: NDArray[np.int64],
    ) -> dict[str, NDArray[Any]]:
        """Crops of a stride that the frames are not laid out for."""
        batch_B = np.searchsorted(self._batch_starts, row_B, side="right") - 1
        features: dict[str, NDArray[Any]] = {}
        for name, size in self._sizes.items():
            out_BTD = np.zeros((len(row_B), int(length_B.max(initial=0)), size), np.uint8)
            begin_B = self._begins(name, row_B, batch_B, num_frames_B * size)
            for b, begin in enumerate(begin_B.tolist()):
                num_values = int(num_frames_B[b]) * size
                stored = self._values[name][batch_B[b]][begin : begin + num_values]
                out_BTD[b, : length_B[b]] = cut_crop(
                    stored.reshape(-1, size),
                    self._stride,
                    int(start_B[b]),
                    stride,
                    int(length_B[b]),
                )
            features[name] = out_BTD
        return features

    def _begins(
        self,
        name: str,
        row_B: NDArray[np.int64],
        batch_B: NDArray[np.int64],
        num_values_B: NDArray[np.int64],
    ) -> NDArray[np.int64]:
        """The first value of each video in its record batch, which must hold all of them."""
        in_batch_B = row_B - self._batch_starts[batch_B]
        places = list(zip(batch_B.tolist(), in_batch_B.tolist(), strict=True))
        bounds = self._bounds[name]
        begin_B = np.array([bounds[b][row] for b, row in places], np.int64)
        end_B = np.array([bounds[b][row + 1] for b, row in places], np.int64)
        is_wrong_B = (begin_B < 0) | (end_B > self._num_values[name][batch_B])
        is_wrong_B |= end_B - begin_B != num_values_B
        if is_wrong_B.any():
            b = int(np.flatnonzero(is_wrong_B)[0])
            raise DataError(
                f"{self._folder}: the shards hold {end_B[b] - begin_B[b]:,} values of {name!r} of "
                f"video {row_B[b]}, and {LABELS_FILE} says {num_values_B[b]:,}. "
                f"Import the split again."
            )
        return begin_B

    def _advise(
        self, batch_B: NDArray[np.int64], source_B: NDArray[np.int64], bytes_B: list[int]
    ) -> None:
        """Have the disk read all crops at once, and nothing else."""
        for b, address, size in zip(batch_B.tolist(), source_B.tolist(), bytes_B, strict=True):
            mapped, base = self._maps[b]
            start = (address - base) // mmap.PAGESIZE * mmap.PAGESIZE
            mapped.madvise(mmap.MADV_WILLNEED, start, address - base - start + size)

    def _open(self, shards: Mapping[str, int]) -> list[int]:
        """Map all record batches; the first row of each."""
        starts: list[int] = []
        num_videos = 0
        for name, num_in_shard in shards.items():
            path, before = self._folder / name, num_videos
            try:
                mapped = _map(path)
                address = np.frombuffer(mapped, np.uint8).ctypes.data
                reader = pa.ipc.open_file(pa.py_buffer(mapped))
                for i in range(reader.num_record_batches):
                    batch = reader.get_batch(i)
                    starts.append(num_videos)
                    num_videos += batch.num_rows
                    self._maps.append((mapped, address))
                    for feature in self._sizes:
                        self._add(feature, batch.column(feature))
            except (OSError, ValueError, KeyError, pa.ArrowException) as error:
                reason = " ".join(str(error).split())
                raise DataError(
                    f"{path}: missing or damaged ({reason}). Import the split again."
                ) from None
            if num_videos - before != num_in_shard:
                raise DataError(
                    f"{path}: {num_videos - before} videos, and split.json says {num_in_shard}. "
                    f"Import the split again."
                )
        return starts

    def _add(self, name: str, column: pa.Array) -> None:
        """Where each video of a record batch begins, and where the last one ends; the values."""
        bounds: Sequence[int]
        if self._is_frames:
            _, offsets, data = column.buffers()
            bounds = memoryview(offsets).cast("B").cast("q")  # an entry in half of NumPy's time
            values = np.frombuffer(b"" if data is None else data, np.uint8)
        else:
            size = self._sizes[name]
            bounds = range(0, (len(column) + 1) * size, size)
            values = column.flatten().to_numpy()
        if len(bounds) <= len(column):
            raise ValueError(f"the column {name!r} is cut short")
        self._bounds[name].append(bounds)
        self._values[name].append(values)


def _map(path: Path) -> mmap.mmap:
    """A file in memory, without readahead: it read four times a video for a crop of a fifth."""
    with path.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    if hasattr(mmap, "MADV_RANDOM"):
        mapped.madvise(mmap.MADV_RANDOM)
    return mapped


def _count_disk_reads() -> int:
    """How often this thread has waited for a page from disk; 0 where that can't be told."""
    return resource.getrusage(resource.RUSAGE_THREAD).ru_majflt if _TELLS_DISK_READS else 0
