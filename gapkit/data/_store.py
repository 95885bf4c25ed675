"""Reading a split: labels, and crops of frames."""

from __future__ import annotations

import os
from ctypes import memmove
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gapkit.batch import Batch
from gapkit.data._phases import crop_length, cut_crop, position_of
from gapkit.data._split import LABELS_FILE, SplitMeta
from gapkit.errors import DataError, UsageError
from gapkit.io import read_labels

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from gapkit.predictions import Labels


class FrameStore:
    """A split: its videos' ids, labels and features, memory-mapped.

    Parameters
    ----------
    path : path
        Folder of the split, as DATA/val.

    Attributes
    ----------
    num_frames : (N,) int64
        Frames of each video; 1 at video level.
    num_classes : int
    feature_sizes : dict of str to int
        Values a frame (or a video) by feature.
    level : {'frame', 'video'}
    stride : int
        The stride that the frames are laid out for.

    Raises
    ------
    DataError
        There is no such split, or one of its files is missing or damaged.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        meta = SplitMeta.read(self.path)
        self.meta = meta
        self.num_classes = meta.num_classes
        self.feature_sizes = dict(meta.feature_sizes)
        self.level = meta.level
        self.stride = meta.stride
        self.num_frames: NDArray[np.int64] = self._read_num_frames()
        self._check_count(len(self.num_frames))
        self._dtype = np.uint8 if self.level == "frame" else np.float32
        self._frame_starts = np.concatenate([[0], np.cumsum(self.num_frames)])
        self._batches, starts = self._open_shards()
        self._batch_starts = np.array(starts, np.int64)
        self._addresses = {
            name: np.array([batch[name].ctypes.data for batch in self._batches], np.int64)
            for name in self.feature_sizes
        }

    def __len__(self) -> int:
        return self.meta.num_videos

    def __repr__(self) -> str:
        return (
            f"FrameStore({str(self.path)!r}, num_videos={len(self)}, "
            f"num_classes={self.num_classes}, feature_sizes={self.feature_sizes})"
        )

    @cached_property
    def labels(self) -> Labels:
        """Ids and true labels, in the order of the store; read when they are first asked for."""
        labels = read_labels(self.path / LABELS_FILE)
        self._check_count(len(labels))
        if labels.num_classes != self.num_classes:
            raise DataError(
                f"{self.path / LABELS_FILE}: num_classes={labels.num_classes}, and "
                f"split.json says {self.num_classes}. Import the split again."
            )
        return labels

    def _check_count(self, num_videos: int) -> None:
        if num_videos != len(self):
            raise DataError(
                f"{self.path / LABELS_FILE}: {num_videos} videos, and split.json says "
                f"{len(self)}. Import the split again."
            )

    @cached_property
    def ids(self) -> NDArray[np.object_]:
        """Video ids, str, (N,)."""
        return self.labels.ids

    def crops(
        self,
        indices: ArrayLike,
        starts: ArrayLike = 0,
        *,
        stride: int | None = None,
        max_frames: int | None = None,
    ) -> Batch:
        """Return crops of frames: `frames[min(start, T-1)::stride][:max_frames]` of each video.

        A crop of the store's own stride is one contiguous copy; other strides are right, only
        slower. At video level there are no frames, and all but `indices` is without effect.

        Parameters
        ----------
        indices : (B,) int
            Places of the videos in the store, in [0, N).
        starts : (B,) int, or int
            First frame of each crop, at least 0.
        stride : int, optional
            Distance of the kept frames; None is the store's own.
        max_frames : int, optional
            Kept frames at most; None keeps all.

        Returns
        -------
        Batch
            Features (B, T, D) uint8, T the longest crop, zero past each video's num_frames; or
            (B, D) float32 at video level.

        Raises
        ------
        UsageError
            An index is out of range, or a start, a stride or max_frames is too small.
        """
        index_B = np.atleast_1d(np.asarray(indices, np.int64))
        start_B = np.asarray(starts, np.int64)
        if index_B.ndim != 1 or start_B.shape not in ((), index_B.shape):
            raise UsageError(
                f"indices of shape {index_B.shape} and starts of shape {start_B.shape} do not "
                f"fit. Give one index and one start a crop."
            )
        start_B = np.broadcast_to(start_B, index_B.shape)
        stride = self.stride if stride is None else stride
        self._check(index_B, start_B, stride, max_frames)
        num_frames_B = self.num_frames[index_B]
        length_B = crop_length(num_frames_B, start_B, stride, max_frames)
        if self.level == "video" or stride == self.stride:
            first_B = np.minimum(start_B, num_frames_B - 1)
            position_B: NDArray[np.int64] = position_of(first_B, num_frames_B, self.stride)
            features = self._copy(index_B, position_B, length_B)
        else:
            features = self._gather(index_B, start_B, stride, length_B)
        ids_B = self.labels.id_column.take(pa.array(index_B)).to_numpy(zero_copy_only=False)
        return Batch(ids=ids_B, features=features, num_frames=length_B)

    def _copy(
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
        for name, size in self.feature_sizes.items():
            out_BTD = np.empty((len(index_B), longest, size), self._dtype)
            frame_bytes = size * out_BTD.itemsize
            source_B = self._addresses[name][batch_B] + (stored_B + position_B) * frame_bytes
            target_B = out_BTD.ctypes.data + np.arange(len(index_B)) * (longest * frame_bytes)
            # Without the GIL, and half as fast again as assigning slices: no views to be made.
            for copy in zip(
                target_B.tolist(),
                source_B.tolist(),
                (length_B * frame_bytes).tolist(),
                strict=True,
            ):
                memmove(*copy)
            for b in np.flatnonzero(is_short_B).tolist():
                out_BTD[b, length_B[b] :] = 0
            is_frames = self.level == "frame"
            features[name] = out_BTD if is_frames else out_BTD.reshape(len(index_B), size)
        return features

    def _gather(
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
        for name, size in self.feature_sizes.items():
            out_BTD = np.zeros((len(index_B), int(length_B.max(initial=0)), size), np.uint8)
            for b, index in enumerate(index_B.tolist()):
                frames_TD = self._batches[batch_B[b]][name].reshape(-1, size)[stored_B[b] :]
                out_BTD[b, : length_B[b]] = cut_crop(
                    frames_TD[: self.num_frames[index]],
                    self.stride,
                    int(start_B[b]),
                    stride,
                    int(length_B[b]),
                )
            features[name] = out_BTD
        return features

    def truth(self, indices: ArrayLike) -> NDArray[np.bool_]:
        """Return the true labels of videos, dense: (B, num_classes) bool."""
        index_B = np.asarray(indices, np.int64)
        begin_B = self.labels.offsets[index_B]
        count_B = self.labels.offsets[index_B + 1] - begin_B
        before_B = np.cumsum(count_B) - count_B
        place_P = np.arange(int(count_B.sum())) + np.repeat(begin_B - before_B, count_B)
        true_BC = np.zeros((len(index_B), self.num_classes), np.bool_)
        true_BC[np.repeat(np.arange(len(index_B)), count_B), self.labels.values[place_P]] = True
        return true_BC

    def _check(
        self,
        index_B: NDArray[np.int64],
        start_B: NDArray[np.int64],
        stride: int,
        max_frames: int | None,
    ) -> None:
        if index_B.size and not 0 <= index_B.min() <= index_B.max() < len(self):
            wrong = index_B[(index_B < 0) | (index_B >= len(self))][0]
            raise UsageError(f"{self.path}: no video {wrong}: there are {len(self)}, from 0.")
        if start_B.size and start_B.min() < 0:
            raise UsageError(f"start is {start_B.min()}. A crop starts at frame 0 or later.")
        if stride < 1:
            raise UsageError(f"stride is {stride}. It must be 1 or more.")
        if max_frames is not None and max_frames < 1:
            raise UsageError(f"max_frames is {max_frames}. Keep at least 1 frame.")

    def _read_num_frames(self) -> NDArray[np.int64]:
        path = self.path / LABELS_FILE
        try:
            with pq.ParquetFile(path, page_checksum_verification=True) as file:
                if "num_frames" not in file.schema_arrow.names:
                    raise DataError(f"{path}: has no column num_frames. Import the split again.")
                column = file.read(columns=["num_frames"])["num_frames"]
        except (OSError, pa.ArrowException) as error:
            read_labels(path)  # says what is wrong with the file
            reason = " ".join(str(error).split())
            raise DataError(f"{path}: damaged ({reason}). Import the split again.") from None
        num_frames: NDArray[np.int64] = column.to_numpy().astype(np.int64)
        return num_frames

    def _open_shards(self) -> tuple[list[dict[str, Any]], list[int]]:
        """Views of the features of each record batch, and the video that each starts with."""
        batches: list[dict[str, Any]] = []
        starts: list[int] = []
        num_videos = 0
        for name, num_in_shard in self.meta.shards.items():
            path, before = self.path / name, num_videos
            try:
                reader = pa.ipc.open_file(pa.memory_map(str(path)))
                for i in range(reader.num_record_batches):
                    batch = reader.get_batch(i)
                    starts.append(num_videos)
                    num_videos += batch.num_rows
                    batches.append({f: self._view(batch.column(f)) for f in self.feature_sizes})
                    self._check_size(path, starts[-1], num_videos, batches[-1])
            except (OSError, KeyError, pa.ArrowException) as error:
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
        if self.level == "video":
            values: NDArray[Any] = column.flatten().to_numpy()
            return values
        _, _, data = column.buffers()
        return np.frombuffer(b"" if data is None else data, np.uint8)

    def _check_size(
        self, path: Path, start: int, stop: int, views: dict[str, NDArray[Any]]
    ) -> None:
        """Crops are cut where num_frames says that a video lies: refuse what has other frames."""
        stop = min(stop, len(self.num_frames))
        num_frames = int(self._frame_starts[stop] - self._frame_starts[min(start, stop)])
        for name, size in self.feature_sizes.items():
            if views[name].size != num_frames * size:
                raise DataError(
                    f"{path}: videos {start} to {stop - 1} have {views[name].size:,} values of "
                    f"{name!r}, and {LABELS_FILE} says {num_frames * size:,}. "
                    f"Import the split again."
                )
