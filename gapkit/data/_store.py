"""Reading a split: labels, and crops of frames."""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gapkit.batch import Batch
from gapkit.data._phases import crop_length, position_of
from gapkit.data._shards import Shards
from gapkit.data._split import LABELS_FILE, SplitMeta
from gapkit.data._vocabulary import read_names
from gapkit.errors import DataError, UsageError
from gapkit.io import read_labels

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from gapkit.predictions import Labels


class _Place(NamedTuple):
    """Where crops lie, (B,) each."""

    video: NDArray[np.int64]
    row: NDArray[np.int64]
    num_frames: NDArray[np.int64]
    start: NDArray[np.int64]
    position: NDArray[np.int64]
    length: NDArray[np.int64]


class FrameStore:
    """A split: its videos' ids, labels and features, memory-mapped.

    Opening it reads how many frames each video has and no more: ids, labels and shards are read
    when they are first asked for, whatever their number, and no file is kept open.

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
        There is no such split, or one of its files is missing or damaged; of a shard the damage
        shows when one of its videos is first asked for, or in `open_shards`.
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
        self._row_N = self._read_rows()
        self._check_count(len(self.num_frames))
        self._folder = self.path.absolute()  # what is read later is read there, whatever the cwd
        self._shards = Shards(self._folder, meta)

    def __reduce__(self) -> tuple[type[FrameStore], tuple[Path]]:
        return FrameStore, (self._folder,)  # a spawned worker opens it anew

    def __len__(self) -> int:
        return len(self.num_frames)

    def __repr__(self) -> str:
        return (
            f"FrameStore({str(self.path)!r}, num_videos={len(self)}, "
            f"num_classes={self.num_classes}, feature_sizes={self.feature_sizes})"
        )

    @property
    def verticals(self) -> list[list[str]] | None:
        """The verticals of each label; None where they are not known."""
        return read_names(pq.read_schema(self._folder / LABELS_FILE))[1]

    @cached_property
    def labels(self) -> Labels:
        """Ids and true labels, in the order of the store; read when they are first asked for."""
        labels = read_labels(self._folder / LABELS_FILE)
        self._check_count(len(labels))
        if labels.num_classes != self.num_classes:
            raise DataError(
                f"{self.path / LABELS_FILE}: num_classes={labels.num_classes}, and "
                f"split.json says {self.num_classes}. Import the split again."
            )
        return labels

    def _check_count(self, num_videos: int) -> None:
        expected = self.meta.num_videos if self._row_N is None else len(self._row_N)
        if num_videos != expected:
            raise DataError(
                f"{self.path / LABELS_FILE}: {num_videos} videos, and split.json says "
                f"{expected}. Import the split again."
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
        stride = self.stride if stride is None else stride
        at = self._place(indices, starts, stride, max_frames)
        if self.level == "video" or stride == self.stride:
            features = self._shards.copy(at.row, at.num_frames, at.position, at.length)
        else:
            features = self._shards.gather(at.row, at.num_frames, at.start, stride, at.length)
        ids_B = self.labels.id_column.take(pa.array(at.video)).to_numpy(zero_copy_only=False)
        return Batch(ids=ids_B, features=features, num_frames=at.length)

    def open_shards(self) -> None:
        """Open all shards now, rather than each when it is first asked for.

        Raises
        ------
        DataError
            A shard is missing or damaged.
        """
        self._shards.map_all()

    def check_shards(self) -> None:
        """Open all shards, and compare the bytes of each video with those that its frames take.

        Raises
        ------
        DataError
            A shard is missing or damaged, or holds other frames than the split tells of.
        """
        self._shards.map_all()
        row_N = np.arange(len(self)) if self._row_N is None else self._row_N
        self._shards.check(row_N, self.num_frames)

    def read_ahead(
        self, indices: ArrayLike, starts: ArrayLike = 0, *, max_frames: int | None = None
    ) -> None:
        """Have the disk read crops of the store's own stride, in the background.

        Asked in the order in which they lie there, so that a disk that seeks reads in long runs;
        then `crops` of the same finds them in memory.

        Parameters
        ----------
        indices, starts, max_frames
            As of `crops`.

        Raises
        ------
        UsageError
            As of `crops`.
        """
        place = self._place(indices, starts, self.stride, max_frames)
        self._shards.read_ahead(place.row, place.num_frames, place.position, place.length)

    def truth(self, indices: ArrayLike) -> NDArray[np.bool_]:
        """Return the true labels of videos, dense: (B, num_classes) bool."""
        index_B = _whole("indices", indices)
        begin_B = self.labels.offsets[index_B]
        count_B = self.labels.offsets[index_B + 1] - begin_B
        before_B = np.cumsum(count_B) - count_B
        place_P = np.arange(int(count_B.sum())) + np.repeat(begin_B - before_B, count_B)
        true_BC = np.zeros((len(index_B), self.num_classes), np.bool_)
        true_BC[np.repeat(np.arange(len(index_B)), count_B), self.labels.values[place_P]] = True
        return true_BC

    def _place(
        self, indices: ArrayLike, starts: ArrayLike, stride: int, max_frames: int | None
    ) -> _Place:
        """Where crops lie."""
        index_B = np.atleast_1d(_whole("indices", indices))
        start_B = _whole("starts", starts)
        if index_B.ndim != 1 or start_B.shape not in ((), index_B.shape):
            raise UsageError(
                f"indices of shape {index_B.shape} and starts of shape {start_B.shape} do not "
                f"fit. Give one index and one start a crop."
            )
        start_B = np.broadcast_to(start_B, index_B.shape)
        self._check(index_B, start_B, stride, max_frames)
        num_frames_B = self.num_frames[index_B]
        first_B = np.minimum(start_B, num_frames_B - 1)
        return _Place(
            video=index_B,
            row=index_B if self._row_N is None else self._row_N[index_B],
            num_frames=num_frames_B,
            start=start_B,
            position=position_of(first_B, num_frames_B, self.stride),
            length=crop_length(num_frames_B, start_B, stride, max_frames),
        )

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
        if _whole("stride", stride) < 1:
            raise UsageError(f"stride is {stride}. It must be 1 or more.")
        if max_frames is not None and _whole("max_frames", max_frames) < 1:
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
        num_frames: NDArray[np.int64] = column.fill_null(0).to_numpy().astype(np.int64)
        if len(num_frames) and num_frames.min() < 1:
            row = int(num_frames.argmin())
            raise DataError(
                f"{path}: row {row}: num_frames is {num_frames[row]}. Import the split again."
            )
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


def _whole(name: str, values: ArrayLike) -> NDArray[np.int64]:
    """Whole numbers, which no others are taken for: a mask is no index."""
    array = np.asarray(values)
    # An object, or uint64, where one leaves int64.
    if array.size and (array.dtype.kind not in "iu" or int(array.max()) >= 2**63):
        raise UsageError(
            f"{name} is of {array.dtype}, as {array.flat[0]!r}. Give whole numbers below 2**63."
        )
    return array.astype(np.int64)
