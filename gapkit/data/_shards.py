"""The shards of a split in memory, and copies of frames out of them.

Shape letters: B videos asked for, T frames, D values a frame.
"""

from __future__ import annotations

import mmap
from collections.abc import Mapping
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
        A shard is missing or damaged, or has other frames than `num_frames` says.
    """

    def __init__(self, folder: Path, meta: SplitMeta, num_frames: NDArray[np.int64]) -> None:
        self._sizes, self._stride = dict(meta.feature_sizes), meta.stride
        self._is_frames = meta.level == "frame"
        self._dtype = np.uint8 if self._is_frames else np.float32
        self._num_frames = num_frames
        self._frame_starts = np.concatenate([[0], np.cumsum(num_frames)])
        self._maps: list[tuple[mmap.mmap, int]] = []  # of each record batch, and its address
        self._batches, starts = self._open(folder, meta.shards)
        self._batch_starts = np.array(starts, np.int64)
        self._addresses = {
            name: np.array([batch[name].ctypes.data for batch in self._batches], np.int64)
            for name in self._sizes
        }
        self._num_to_advise = 0

    def copy(
        self,
        index_B: NDArray[np.int64],
        position_B: NDArray[np.int64],
        length_B: NDArray[np.int64],
    ) -> dict[str, NDArray[Any]]:
        """So many stored frames of each video, from a position on: one copy each."""
        batch_B = np.searchsorted(self._batch_starts, index_B, side="right") - 1
        stored_B = self._frame_starts[index_B] - self._frame_starts[self._batch_starts[batch_B]]
        longest = int(length_B.max(initial=0))
        is_short_B = length_B < longest
        features: dict[str, NDArray[Any]] = {}
        faults = _count_disk_reads()
        for name, size in self._sizes.items():
            out_BTD = np.empty((len(index_B), longest, size), self._dtype)
            frame_bytes = size * out_BTD.itemsize
            source_B = self._addresses[name][batch_B] + (stored_B + position_B) * frame_bytes
            target_B = out_BTD.ctypes.data + np.arange(len(index_B)) * (longest * frame_bytes)
            bytes_B = (length_B * frame_bytes).tolist()
            if self._num_to_advise > 0:
                self._advise(batch_B, source_B, bytes_B)
            # Without the GIL, and half as fast again as assigning slices: no views to be made.
            for copy in zip(target_B.tolist(), source_B.tolist(), bytes_B, strict=True):
                memmove(*copy)
            for b in np.flatnonzero(is_short_B).tolist():
                out_BTD[b, length_B[b] :] = 0
            features[name] = out_BTD if self._is_frames else out_BTD.reshape(len(index_B), size)
        is_cold = _count_disk_reads() > faults + len(index_B) // 4
        self._num_to_advise = _NUM_ADVISED if is_cold else max(self._num_to_advise - 1, 0)
        return features

    def _advise(
        self, batch_B: NDArray[np.int64], source_B: NDArray[np.int64], bytes_B: list[int]
    ) -> None:
        """Have the disk read all crops at once, and nothing else."""
        for b, address, size in zip(batch_B.tolist(), source_B.tolist(), bytes_B, strict=True):
            mapped, base = self._maps[b]
            start = (address - base) // mmap.PAGESIZE * mmap.PAGESIZE
            mapped.madvise(mmap.MADV_WILLNEED, start, address - base - start + size)

    def gather(
        self,
        index_B: NDArray[np.int64],
        start_B: NDArray[np.int64],
        stride: int,
        length_B: NDArray[np.int64],
    ) -> dict[str, NDArray[Any]]:
        """Crops of a stride that the frames are not laid out for."""
        batch_B = np.searchsorted(self._batch_starts, index_B, side="right") - 1
        stored_B = self._frame_starts[index_B] - self._frame_starts[self._batch_starts[batch_B]]
        features: dict[str, NDArray[Any]] = {}
        for name, size in self._sizes.items():
            out_BTD = np.zeros((len(index_B), int(length_B.max(initial=0)), size), np.uint8)
            for b, index in enumerate(index_B.tolist()):
                frames_TD = self._batches[batch_B[b]][name].reshape(-1, size)[stored_B[b] :]
                out_BTD[b, : length_B[b]] = cut_crop(
                    frames_TD[: self._num_frames[index]],
                    self._stride,
                    int(start_B[b]),
                    stride,
                    int(length_B[b]),
                )
            features[name] = out_BTD
        return features

    def _open(
        self, folder: Path, shards: Mapping[str, int]
    ) -> tuple[list[dict[str, Any]], list[int]]:
        """Views of the features of each record batch, and the video that each starts with."""
        batches: list[dict[str, Any]] = []
        starts: list[int] = []
        num_videos = 0
        for name, num_in_shard in shards.items():
            path, before = folder / name, num_videos
            try:
                mapped = _map(path)
                reader = pa.ipc.open_file(pa.py_buffer(mapped))
                for i in range(reader.num_record_batches):
                    batch = reader.get_batch(i)
                    starts.append(num_videos)
                    num_videos += batch.num_rows
                    batches.append({f: self._view(batch.column(f)) for f in self._sizes})
                    self._check_size(path, starts[-1], num_videos, batches[-1])
                    self._maps.append((mapped, np.frombuffer(mapped, np.uint8).ctypes.data))
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
        return batches, starts

    def _view(self, column: pa.Array) -> NDArray[Any]:
        """All values of a record batch, one video after another."""
        if not self._is_frames:
            values: NDArray[Any] = column.flatten().to_numpy()
            return values
        _, _, data = column.buffers()
        return np.frombuffer(b"" if data is None else data, np.uint8)

    def _check_size(
        self, path: Path, start: int, stop: int, views: dict[str, NDArray[Any]]
    ) -> None:
        """Crops are cut where num_frames says that a video lies: refuse what has other frames."""
        stop = min(stop, len(self._num_frames))
        num_frames = int(self._frame_starts[stop] - self._frame_starts[min(start, stop)])
        for name, size in self._sizes.items():
            if views[name].size != num_frames * size:
                raise DataError(
                    f"{path}: videos {start} to {stop - 1} have {views[name].size:,} values of "
                    f"{name!r}, and {LABELS_FILE} says {num_frames * size:,}. "
                    f"Import the split again."
                )


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
