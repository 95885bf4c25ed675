"""Checks of what users pass: ids, labels, lengths. Each says what is wrong, and where."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from gapkit._ids import IdIndex
from gapkit.errors import DataError, UsageError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

_MAX_CLASSES = 2**24  # kernels hold a few arrays of one value a label
_MAX_UINT16_CLASSES = 65_535


def label_dtype(num_classes: int) -> type[np.unsignedinteger[Any]]:
    """uint16 up to 65,535 classes, uint32 beyond."""
    return np.uint16 if num_classes <= _MAX_UINT16_CLASSES else np.uint32


def check_top_k(top_k: int, name: str = "top_k") -> int:
    """How many predictions count, at least 1; `name` is the setting that says so."""
    if isinstance(top_k, bool) or not isinstance(top_k, Integral):
        raise UsageError(f"{name} is {top_k!r}. It must be a whole number.")
    if top_k < 1:
        raise UsageError(f"{name} is {top_k}. It must be at least 1.")
    return int(top_k)


def check_num_classes(num_classes: int | None) -> int | None:
    """num_classes, at least 1 where it is known."""
    if num_classes is None:
        return None
    if isinstance(num_classes, bool) or not isinstance(num_classes, Integral):
        raise DataError(f"num_classes is {num_classes!r}. It must be a whole number.")
    if not 1 <= num_classes <= _MAX_CLASSES:
        raise DataError(f"num_classes is {num_classes}. It must be from 1 to {_MAX_CLASSES:,}.")
    return int(num_classes)


def as_strings(ids: Sequence[str] | pa.Array) -> pa.StringArray:
    """Ids as one Arrow array of strings, none missing."""
    if isinstance(ids, pa.ChunkedArray):
        ids = ids.combine_chunks()
    if isinstance(ids, pa.Array):
        _check_arrow(ids)
    else:
        try:
            ids = pa.array(list(ids), pa.string())
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise DataError(f"ids must be strings: {error}. Convert them with str.") from None
    if pa.types.is_dictionary(ids.type):
        ids = ids.dictionary_decode()
    if ids.type not in (pa.string(), pa.large_string(), pa.string_view(), pa.null()):
        raise DataError(f"ids of type {ids.type} are not strings. Convert them with str.")
    if ids.type != pa.string():
        ids = ids.cast(pa.string())
    if ids.null_count:
        row = _first_null(ids)
        raise DataError(f"row {row}: its id is missing. Give each row its id.")
    return ids


def check_ids(ids: Sequence[str] | pa.Array) -> IdIndex:
    """The ids as one Arrow array of strings, each once, and where each stands."""
    index = IdIndex(as_strings(ids))
    duplicate = index.first_duplicate()
    if duplicate is not None:
        row, before = duplicate
        raise DataError(
            f"row {row}: id {index.ids[row].as_py()!r} stands in row {before} already. "
            f"Keep one row a video."
        )
    return index


def _first_null(array: pa.Array) -> int:
    return int(np.flatnonzero(array.is_null().to_numpy(zero_copy_only=False))[0])


def _check_arrow(ids: pa.Array) -> None:
    """Refuse an Arrow array that is damaged, which a file may hold: offsets, UTF-8."""
    try:
        ids.validate(full=True)
    except pa.ArrowInvalid as error:
        raise DataError(f"the ids are damaged ({error}). Write them anew.") from None


def row_place(ids: pa.StringArray, row: int) -> str:
    """How errors name a row: by its number and its id."""
    return f"row {row} (id {ids[row].as_py()!r})"


def counted_entries(lengths: NDArray[np.int64], k: int) -> NDArray[np.bool_]:
    """Which entries of rows of k count, (N, k): those before each row's length."""
    counted_NK: NDArray[np.bool_] = np.arange(k) < lengths[:, None]
    return counted_NK


def numbered_ids(num_videos: int) -> pa.StringArray:
    """'0', '1', ...: the ids of rows that have none."""
    return pa.array(np.arange(num_videos)).cast(pa.string())


def check_lengths(lengths: ArrayLike | None, num_videos: int, k: int) -> NDArray[np.int64]:
    """How many entries of each row count, each in [0, k]."""
    if lengths is None:
        return np.full(num_videos, k, np.int64)
    length_N = np.asarray(lengths)
    if length_N.shape != (num_videos,) or length_N.dtype.kind not in "iu":
        raise DataError(
            f"lengths of shape {length_N.shape} and type {length_N.dtype} do not fit "
            f"{num_videos} rows. Give one whole number a row."
        )
    wrong = np.flatnonzero((length_N < 0) | (length_N > k))
    if wrong.size:
        row = int(wrong[0])
        raise DataError(f"row {row}: its length {length_N[row]} is not in 0..{k}.")
    return length_N.astype(np.int64)


def check_labels(values: NDArray[Any], num_classes: int | None, place: Callable[[int], str]) -> int:
    """A bound that no label reaches: num_classes, or the largest label plus 1.

    `place` says where the value at a position stands.
    """
    if values.size == 0:
        return num_classes or 1
    if values.dtype.kind not in "iu":
        raise DataError(f"labels of type {values.dtype} are not whole numbers.")
    bound = _MAX_CLASSES if num_classes is None else num_classes
    if values.min() < 0 or values.max() >= bound:
        position = int(np.flatnonzero((values < 0) | (values >= bound))[0])
        limit = f"num_classes={num_classes}" if num_classes else f"at most {bound:,} labels"
        raise DataError(
            f"{place(position)}: label {values[position]} is out of range for {limit}. "
            f"Labels count from 0."
        )
    return num_classes or int(values.max()) + 1


def flatten_ragged(
    labels: Sequence[ArrayLike] | pa.Array, what: str = "label", *, first_row: int = 0
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """The values of all rows, and where each row begins in them: (P,) and (N + 1,).

    Errors count the rows from `first_row`.
    """
    if isinstance(labels, pa.ChunkedArray):
        labels = labels.combine_chunks()
    if isinstance(labels, pa.Array):
        if not is_list_type(labels.type):
            raise DataError(f"{what}s of type {labels.type} must be a list a video.")
        if labels.null_count:
            row = _first_null(labels)
            raise DataError(
                f"row {first_row + row}: its {what}s are missing. Write an empty list for none."
            )
        flat, lengths = _flatten(labels)
        if flat.null_count:
            position = _first_null(flat)
            row = int(np.searchsorted(np.cumsum(lengths), position, side="right"))
            raise DataError(f"row {first_row + row}: one of its {what}s is missing. Remove it.")
        values = flat.to_numpy(zero_copy_only=False)
    else:
        arrays = [np.asarray(row) for row in labels]
        if any(row.ndim != 1 for row in arrays):
            raise DataError(f"{what}s must be one sequence a video, and some are not.")
        lengths = np.array([len(row) for row in arrays], np.int64)
        filled = [row for row in arrays if len(row)]
        values = np.concatenate(filled) if filled else np.zeros(0, np.int64)
    offsets = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return values, offsets


def _flatten(lists: pa.Array) -> tuple[pa.Array, NDArray[np.integer[Any]]]:
    """Entries and lengths of lists without nulls; `pyarrow.compute` takes 0.06 s to import."""
    if pa.types.is_fixed_size_list(lists.type):
        size = lists.type.list_size
        return lists.values.slice(lists.offset * size, len(lists) * size), np.full(len(lists), size)
    if hasattr(lists, "sizes"):  # a view: entries may stand in any order
        return lists.flatten(), np.asarray(lists.sizes)
    offset_N = np.asarray(lists.offsets)
    return lists.values.slice(offset_N[0], offset_N[-1] - offset_N[0]), np.diff(offset_N)


def is_list_type(kind: pa.DataType) -> bool:
    """Whether an Arrow type is a list of any make."""
    return bool(
        pa.types.is_list(kind)
        or pa.types.is_large_list(kind)
        or pa.types.is_fixed_size_list(kind)
        or pa.types.is_list_view(kind)
    )


def as_rows(rows: ArrayLike, name: str) -> NDArray[Any]:
    """An array of rows of one length."""
    try:
        return np.asarray(rows)
    except ValueError:
        raise DataError(
            f"{name} are not rows of one length. Pad them, and pass their lengths."
        ) from None
