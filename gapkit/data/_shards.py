"""The shards of a split in memory, and copies of frames out of them.

Shape letters: B videos asked for, T frames, D values a frame.
"""

from __future__ import annotations

import mmap
from ctypes import memmove
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from gapkit.data._phases import cut_crop
from gapkit.data._shard_map import ShardMap, Spot
from gapkit.data._spare import Spare
from gapkit.data._split import LABELS_FILE, SPLIT_FILE, SplitMeta
from gapkit.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

try:
    import resource

    _TELLS_DISK_READS = hasattr(resource, "RUSAGE_THREAD") and hasattr(mmap, "MADV_WILLNEED")
except ImportError:  # Windows
    _TELLS_DISK_READS = False
_NUM_SPARE = 8  # batches whose memory is used again
_NUM_CHECKED = 100_000  # videos at once
_NUM_ADVISED = 64  # batches after one that had to wait for the disk


class Shards:
    """The features of all videos: a shard is mapped when one of its videos is first asked for.

    Raises
    ------
    DataError
        A shard is missing; or, when it is first asked for, it is damaged, or holds other frames
        of a video than `num_frames` says.
    """

    def __init__(self, folder: Path, meta: SplitMeta) -> None:
        self._folder = folder
        self._sizes, self._stride = dict(meta.feature_sizes), meta.stride
        self._is_frames = meta.level == "frame"
        self._dtype = np.uint8 if self._is_frames else np.float32
        self._names, self._counts = list(meta.shards), list(meta.shards.values())
        self._ends = np.cumsum(np.array(self._counts, np.int64))
        self._begins = self._ends - self._counts
        self._maps: list[ShardMap | None] = [None] * len(self._names)
        self._opening = Lock()
        self._num_to_advise = 0
        self._spare = Spare(_NUM_SPARE * len(self._sizes))
        there = {path.name for path in folder.iterdir()}
        absent = next((name for name in self._names if name not in there), None)
        if absent is not None:
            raise DataError(f"{folder / absent}: missing. Import the split again.")

    def copy(
        self,
        row_B: NDArray[np.int64],
        num_frames_B: NDArray[np.int64],
        position_B: NDArray[np.int64],
        length_B: NDArray[np.int64],
    ) -> dict[str, NDArray[Any]]:
        """So many stored frames of each video, from a position on: one copy each."""
        spots = self._find(row_B)
        longest = int(length_B.max(initial=0 if self._is_frames else 1))
        is_short_B = length_B < longest
        features: dict[str, NDArray[Any]] = {}
        faults = _count_disk_reads()
        for name, size in self._sizes.items():
            out_BTD = self._spare.empty((len(row_B), longest, size), self._dtype)
            frame_bytes = size * out_BTD.itemsize
            source_B = self._addresses(name, spots, row_B, num_frames_B * frame_bytes)
            source_B += position_B * frame_bytes
            target_B = out_BTD.ctypes.data + np.arange(len(row_B)) * (longest * frame_bytes)
            bytes_B = (length_B * frame_bytes).tolist()
            if self._num_to_advise > 0:
                _advise(spots, source_B, bytes_B)
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
        spots = self._find(row_B)
        features: dict[str, NDArray[Any]] = {}
        for name, size in self._sizes.items():
            out_BTD = np.zeros((len(row_B), int(length_B.max(initial=0)), size), np.uint8)
            bytes_B = num_frames_B * size
            source_B = self._addresses(name, spots, row_B, bytes_B)
            for b, (shard, _, _) in enumerate(spots):
                begin = int(source_B[b]) - shard.file.address
                stored = shard.file.values[begin : begin + int(bytes_B[b])]
                out_BTD[b, : length_B[b]] = cut_crop(
                    stored.reshape(-1, size),
                    self._stride,
                    int(start_B[b]),
                    stride,
                    int(length_B[b]),
                )
            features[name] = out_BTD
        return features

    def read_ahead(
        self,
        row_B: NDArray[np.int64],
        num_frames_B: NDArray[np.int64],
        position_B: NDArray[np.int64],
        length_B: NDArray[np.int64],
    ) -> None:
        """Have the disk read what `copy` would, in the order in which it lies there."""
        order_B = np.argsort(row_B)
        row_B, num_frames_B = row_B[order_B], num_frames_B[order_B]
        position_B, length_B = position_B[order_B], length_B[order_B]
        spots = self._find(row_B)
        for name, size in self._sizes.items():
            frame_bytes = size * np.dtype(self._dtype).itemsize
            source_B = self._addresses(name, spots, row_B, num_frames_B * frame_bytes)
            _advise(spots, source_B + position_B * frame_bytes, (length_B * frame_bytes).tolist())

    def map_all(self) -> None:
        """Map what is not yet mapped."""
        for number in range(len(self._names)):
            self._open(number)

    def check(self, row_N: NDArray[np.int64], num_frames_N: NDArray[np.int64]) -> None:
        """Compare the bytes of each video with those that its frames take."""
        for first in range(0, len(row_N), _NUM_CHECKED):
            row_B = row_N[first : first + _NUM_CHECKED]
            num_frames_B = num_frames_N[first : first + _NUM_CHECKED]
            spots = self._find(row_B)
            for name, size in self._sizes.items():
                frame_bytes = size * np.dtype(self._dtype).itemsize
                self._addresses(name, spots, row_B, num_frames_B * frame_bytes)

    def _find(self, row_B: NDArray[np.int64]) -> list[Spot]:
        """Where each video lies."""
        shard_B = np.searchsorted(self._ends, row_B, side="right")
        place_B = row_B - self._begins[shard_B]
        maps = self._maps
        return [
            (maps[shard] or self._open(shard)).find(place)
            for shard, place in zip(shard_B.tolist(), place_B.tolist(), strict=True)
        ]

    def _open(self, number: int) -> ShardMap:
        with self._opening:
            there = self._maps[number]
            if there is None:
                there = self._maps[number] = ShardMap(
                    self._folder / self._names[number],
                    self._counts[number],
                    self._sizes,
                    is_frames=self._is_frames,
                )
            return there

    def _addresses(
        self, name: str, spots: list[Spot], row_B: NDArray[np.int64], bytes_B: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """Of the first value of each video, which must have as many bytes as that."""
        place, size = list(self._sizes).index(name), 4 * self._sizes[name]
        found: list[int] = []
        for spot, num_bytes in zip(spots, bytes_B.tolist(), strict=True):
            shard, columns, row = spot
            at, address, all_bytes = columns[place]
            if self._is_frames:
                words = shard.words
                begin, end = words[at + row], words[at + row + 1]
            else:
                begin, end = row * size, (row + 1) * size
            if end - begin != num_bytes or begin < 0 or end > all_bytes:
                raise DataError(
                    f"{self._folder}: the shards hold {end - begin:,} bytes of {name!r} of video "
                    f"{row_B[len(found)]}, and by {LABELS_FILE} and {SPLIT_FILE} it has "
                    f"{num_bytes:,}. Import the split again."
                )
            found.append(address + begin)
        return np.array(found, np.int64)


def _advise(spots: list[Spot], source_B: NDArray[np.int64], bytes_B: list[int]) -> None:
    """Have the disk read all crops at once, and nothing else."""
    for spot, address, size in zip(spots, source_B.tolist(), bytes_B, strict=True):
        spot[0].file.will_need(address, size)


def _count_disk_reads() -> int:
    """How often this thread has waited for a page from disk; 0 where that can't be told."""
    return resource.getrusage(resource.RUSAGE_THREAD).ru_majflt if _TELLS_DISK_READS else 0
