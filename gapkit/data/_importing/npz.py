"""An .npz of embeddings as a table.

id             (N,) strings or integers
labels         (N, num_classes) of 0 and 1; or (P,) integers with label_offsets (N + 1,)
others         (N, D) floats: video level; (N, T, D) uint8: frames, of which num_frames (N,)
               count; (F, D) uint8 with frame_offsets (N + 1,): frames
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from gapkit.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ABOUT = ("id", "labels", "label_offsets", "frame_offsets", "num_frames")


def dense_classes(path: Path) -> int | None:
    """Columns of dense labels; None where they are not dense."""
    with _open(path) as arrays:
        if "labels" not in arrays or "label_offsets" in arrays:
            return None
        shape = _array(path, arrays, "labels").shape
        return int(shape[1]) if len(shape) == 2 else None


def read_npz(path: Path) -> pa.Table:
    """All of it."""
    with _open(path) as arrays:
        if "id" not in arrays:
            raise DataError(f"{path}: has no array 'id', but {', '.join(arrays) or 'none'}.")
        ids = _array(path, arrays, "id")
        if ids.ndim != 1 or ids.dtype.kind not in "USiu":
            raise DataError(
                f"{path}: array 'id': {ids.dtype} of shape {ids.shape}. Give one string a video."
            )
        if ids.dtype.kind == "S":
            ids = _decode(path, ids)
        columns: dict[str, pa.Array] = {"id": pa.array(ids)}
        if "labels" in arrays:
            columns["labels"] = _labels(path, arrays, len(ids))
        for name in arrays:
            if name not in _ABOUT:
                columns[name] = _feature(path, arrays, name, len(ids))
    for name, column in columns.items():
        if len(column) != len(ids):
            raise DataError(
                f"{path}: array {name!r}: {len(column)} rows, and 'id' has {len(ids)}. "
                f"Give each video one row."
            )
    return pa.table(columns)


def _open(path: Path) -> Any:
    try:
        return np.load(path, allow_pickle=False)
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: can't be read as .npz ({error}).") from None


def _array(path: Path, arrays: Any, name: str) -> NDArray[Any]:
    try:
        array: NDArray[Any] = arrays[name]
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise DataError(
            f"{path}: array {name!r}: can't be read ({error}). Save arrays of numbers or strings."
        ) from None
    return array


def _decode(path: Path, ids: NDArray[np.bytes_]) -> NDArray[np.str_]:
    try:
        return np.char.decode(ids, "utf-8")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: array 'id': {error.object!r} is not UTF-8. Give strings."
        ) from None


def _labels(path: Path, arrays: Any, num_videos: int) -> pa.Array:
    labels = _array(path, arrays, "labels")
    if "label_offsets" in arrays:
        offsets = _offsets(path, arrays, "label_offsets", num_videos, labels)
        if labels.ndim != 1 or labels.dtype.kind not in "iu":
            raise DataError(f"{path}: array 'labels': {labels.dtype} of shape {labels.shape}.")
        return pa.LargeListArray.from_arrays(offsets, labels.astype(np.int64))
    if labels.ndim != 2 or len(labels) != num_videos:
        raise DataError(
            f"{path}: array 'labels': shape {labels.shape} for {num_videos} videos. Give (N, "
            f"num_classes) of 0 and 1, or the labels one after another with 'label_offsets'."
        )
    wrong = np.flatnonzero(((labels != 0) & (labels != 1)).any(axis=1))
    if len(wrong):
        raise DataError(f"{path}: array 'labels': row {wrong[0]}: neither 0 nor 1.")
    row_P, label_P = np.nonzero(labels)
    offsets = np.searchsorted(row_P, np.arange(num_videos + 1))
    return pa.LargeListArray.from_arrays(offsets, label_P.astype(np.int64))


def _feature(path: Path, arrays: Any, name: str, num_videos: int) -> pa.Array:
    values = _array(path, arrays, name)
    if values.ndim < 2 or values.dtype.kind in "USM":  # no feature: ignored, and told by its name
        return pa.nulls(num_videos)
    if values.ndim > 3 or values.dtype.kind not in "fu" or not values.size:
        raise DataError(
            f"{path}: array {name!r}: {values.dtype} of shape {values.shape}. Give (N, D) floats, "
            f"or uint8 frames: (N, T, D), or (F, D) with 'frame_offsets'."
        )
    vectors = pa.FixedSizeListArray.from_arrays(
        pa.array(np.ascontiguousarray(values, values.dtype.newbyteorder("=")).reshape(-1)),
        values.shape[-1],
    )
    if values.ndim == 2 and "frame_offsets" not in arrays:
        return vectors
    if values.ndim == 2:
        offsets = _offsets(path, arrays, "frame_offsets", num_videos, values)
        return pa.LargeListArray.from_arrays(offsets, vectors)
    longest = values.shape[1]
    begin_N = np.arange(len(values)) * longest
    if "num_frames" not in arrays:
        return pa.LargeListArray.from_arrays(np.append(begin_N, len(values) * longest), vectors)
    num_frames = _array(path, arrays, "num_frames")
    if num_frames.shape != (len(values),) or num_frames.dtype.kind not in "iu":
        raise DataError(
            f"{path}: array 'num_frames': {num_frames.dtype} of shape {num_frames.shape} for "
            f"{len(values)} videos."
        )
    wrong = np.flatnonzero((num_frames < 1) | (num_frames > longest))
    if len(wrong):
        raise DataError(
            f"{path}: array 'num_frames': row {wrong[0]}: {num_frames[wrong[0]]}, and there are "
            f"{longest} frames."
        )
    kept = np.arange(longest) < num_frames[:, None]
    offsets = np.concatenate([[0], np.cumsum(num_frames)]).astype(np.int64)
    return pa.LargeListArray.from_arrays(offsets, vectors.take(pa.array(np.flatnonzero(kept))))


def _offsets(
    path: Path, arrays: Any, name: str, num_videos: int, values: NDArray[Any]
) -> NDArray[np.int64]:
    offsets = _array(path, arrays, name)
    is_whole = offsets.dtype.kind in "iu" and offsets.shape == (num_videos + 1,)
    if (
        not is_whole
        or offsets[0] != 0
        or offsets[-1] != len(values)
        or (np.diff(offsets) < 0).any()
    ):
        raise DataError(
            f"{path}: array {name!r}: not {num_videos + 1} rising integers from 0 to {len(values)}."
        )
    return offsets.astype(np.int64)
