"""Parquet submissions read column by column: ids alone, or entries alone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gapkit.ensemble._members.pieces import Piece
from gapkit.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MAX_CLASSES = 2**24
_IDS_PER_BATCH = 1 << 20  # few: while another thread imports Numba, each return to Python waits


class ParquetRows:
    """The rows of a file in its own order, decoded as they are asked for.

    What it yields is not checked: `Places.lay` finds what is wrong with an entry.
    """

    def __init__(
        self, path: str | os.PathLike[str], num_classes: int | None, rows_per_batch: int
    ) -> None:
        self._batches = _batches(path, ["labels", "confidences"], rows_per_batch)
        self._num_classes = num_classes
        self._batch: pa.RecordBatch | None = None

    def read(self, num_rows: int) -> list[Piece]:
        """The next rows, fewer at the end of the file."""
        pieces = []
        while num_rows:
            batch = self._batch or next(self._batches, None)
            if batch is None:
                break
            pieces.append(_to_piece(batch.slice(0, num_rows), self._num_classes))
            self._batch = batch.slice(num_rows) if num_rows < len(batch) else None
            num_rows -= min(num_rows, len(batch))
        return pieces


def can_stream(schema: pa.Schema) -> bool:
    """Whether a file has the columns and types that gapkit writes, or wider lists of them."""
    names = ("id", "labels", "confidences")
    if any(schema.names.count(name) != 1 for name in names):
        return False
    id_type, labels, confidences = (schema.field(name).type for name in names)
    return (
        id_type in (pa.string(), pa.large_string())
        and all(pa.types.is_list(t) or pa.types.is_large_list(t) for t in (labels, confidences))
        and labels.value_type in (pa.uint16(), pa.uint32())
        and confidences.value_type == pa.float32()
    )


def label_dtype_of(schema: pa.Schema) -> np.dtype[Any]:
    """uint16 or uint32."""
    is_wide = schema.field("labels").type.value_type == pa.uint32()
    return np.dtype(np.uint32 if is_wide else np.uint16)


def read_ids(path: str | os.PathLike[str]) -> pa.Array:
    """The column of ids, as it stands in the file."""
    columns = [batch.column(0) for batch in _batches(path, ["id"], _IDS_PER_BATCH)]
    return pa.concat_arrays(columns).cast(pa.string()) if columns else pa.array([], pa.string())


def _batches(
    path: str | os.PathLike[str], columns: list[str], num_rows: int
) -> Iterator[pa.RecordBatch]:
    with pq.ParquetFile(
        path, page_checksum_verification=True, pre_buffer=False, buffer_size=1 << 16
    ) as file:
        num_read = 0
        for batch in file.iter_batches(num_rows, columns=columns, use_threads=False):
            num_read += len(batch)
            yield batch
        if num_read != file.metadata.num_rows:
            raise DataError(
                f"damaged: {num_read:,} of {file.metadata.num_rows:,} rows can be read. "
                f"Write or copy it anew."
            )


def _to_piece(batch: pa.RecordBatch, num_classes: int | None) -> Piece:
    labels, confidences = batch.column("labels"), batch.column("confidences")
    if labels.null_count or confidences.null_count:
        raise DataError("a row has no labels. Write an empty list for none.")
    begin_N, length_N = _rows_of(labels)
    other_begin_N, other_length_N = _rows_of(confidences)
    if not np.array_equal(length_N, other_length_N):
        raise DataError("a row has more labels than confidences, or fewer.")
    label_P = _values(labels, begin_N, length_N)
    largest = int(label_P.max(initial=0))
    if largest >= (num_classes or _MAX_CLASSES):
        raise DataError(f"label {largest} is out of range.")
    return Piece(
        labels=label_P,
        confidences=_values(confidences, other_begin_N, other_length_N),
        begins=begin_N - (begin_N[0] if len(begin_N) else 0),
        lengths=length_N,
        num_classes=num_classes or largest + 1,
        is_checked=False,
    )


def _rows_of(lists: Any) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    offset_N = lists.offsets.to_numpy().astype(np.int64)
    return offset_N[:-1], np.diff(offset_N)


def _values(lists: Any, begin_N: NDArray[np.int64], length_N: NDArray[np.int64]) -> NDArray[Any]:
    """The entries of the rows, which lie one behind another."""
    if len(begin_N) == 0:
        return np.zeros(0, lists.type.value_type.to_pandas_dtype())
    values = lists.values.slice(begin_N[0], length_N.sum())
    if values.null_count:
        raise DataError("a label or a confidence is missing.")
    array: NDArray[Any] = values.to_numpy()
    return array
