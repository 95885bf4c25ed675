"""Reading a split: labels, and crops of frames."""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gapkit.batch import Batch
from gapkit.data._phases import crop_length, cut_crop
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
    labels : Labels
        Ids and true labels, in the order of the store.
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
        self.labels: Labels = read_labels(self.path / LABELS_FILE)
        self.num_frames: NDArray[np.int64] = self._read_num_frames()
        self._row_N = self._read_rows()
        if self._row_N is None and len(self.labels) != meta.num_videos:
            raise DataError(
                f"{self.path / LABELS_FILE}: {len(self.labels)} videos, and split.json says "
                f"{meta.num_videos}. Import the split again."
            )
        if self.labels.num_classes != meta.num_classes:
            raise DataError(
                f"{self.path / LABELS_FILE}: num_classes={self.labels.num_classes}, and "
                f"split.json says {meta.num_classes}. Import the split again."
            )
        self._batches, starts = self._open_shards()
        self._batch_starts = np.array(starts, np.int64)

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        return (
            f"FrameStore({str(self.path)!r}, num_videos={len(self)}, "
            f"num_classes={self.num_classes}, feature_sizes={self.feature_sizes})"
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
        place_B = index_B if self._row_N is None else self._row_N[index_B]
        batch_B = np.searchsorted(self._batch_starts, place_B, side="right") - 1
        row_B = place_B - self._batch_starts[batch_B]
        places = list(zip(batch_B.tolist(), row_B.tolist(), strict=True))
        if self.level == "video":
            length_B = np.ones(len(index_B), np.int64)
            features = {
                name: np.stack([self._batches[b][name][row] for b, row in places])
                if places
                else np.zeros((0, size), np.float32)
                for name, size in self.feature_sizes.items()
            }
        else:
            length_B = crop_length(self.num_frames[index_B], start_B, stride, max_frames)
            features = {}
            for name, size in self.feature_sizes.items():
                crop_BTD = np.zeros((len(places), int(length_B.max(initial=0)), size), np.uint8)
                for i, (b, row) in enumerate(places):
                    offsets, data = self._batches[b][name]
                    stored_TD = data[offsets[row] : offsets[row + 1]].reshape(-1, size)
                    length = int(length_B[i])
                    crop_BTD[i, :length] = cut_crop(
                        stored_TD, self.stride, int(start_B[i]), stride, length
                    )
                features[name] = crop_BTD
        return Batch(ids=self.ids[index_B], features=features, num_frames=length_B)

    def truth(self, indices: ArrayLike) -> NDArray[np.bool_]:
        """Return the true labels of videos, dense: (B, num_classes) bool."""
        index_B = np.asarray(indices, np.int64)
        begin_B, end_B = self.labels.offsets[index_B], self.labels.offsets[index_B + 1]
        true_BC = np.zeros((len(index_B), self.num_classes), np.bool_)
        for i, (begin, end) in enumerate(zip(begin_B, end_B, strict=True)):
            true_BC[i, self.labels.values[begin:end]] = True
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
        with pq.ParquetFile(path) as file:
            if "num_frames" not in file.schema_arrow.names:
                raise DataError(f"{path}: has no column num_frames. Import the split again.")
            column = file.read(columns=["num_frames"])["num_frames"]
        num_frames: NDArray[np.int64] = column.to_numpy().astype(np.int64)
        return num_frames

    def _read_rows(self) -> NDArray[np.int64] | None:
        """Where in the shards each video lies; None where all of them are listed, in order."""
        path = self.path / LABELS_FILE
        with pq.ParquetFile(path) as file:
            if "row" not in file.schema_arrow.names:
                return None
            row_N = file.read(columns=["row"])["row"].to_numpy().astype(np.int64)
        num_stored = self.meta.num_videos
        if len(row_N) and not 0 <= row_N.min() <= row_N.max() < num_stored:
            wrong = int(np.flatnonzero((row_N < 0) | (row_N >= num_stored))[0])
            raise DataError(
                f"{path}: row {wrong}: lies at {row_N[wrong]} of the shards, which hold "
                f"{num_stored} videos. Import the split again."
            )
        return np.asarray(row_N)

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
                    batches.append({f: self._view(batch.column(f)) for f in self.feature_sizes})
                    starts.append(num_videos)
                    num_videos += batch.num_rows
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

    def _view(self, column: pa.Array) -> Any:
        if self.level == "video":
            return column.flatten().to_numpy().reshape(len(column), -1)
        _, offsets, data = column.buffers()
        return np.frombuffer(offsets, np.int64), np.frombuffer(data, np.uint8)
