"""Rows of a table from and to flat arrays: ragged lists, and long tables of one entry a row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from gapkit import _checks
from gapkit._ids import group_ids
from gapkit.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray


def widen(values_NK: NDArray[Any], k: int) -> NDArray[Any]:
    """The rows with zeros behind, up to k entries."""
    return np.pad(values_NK, ((0, 0), (0, k - values_NK.shape[1])))


def to_lists(
    values_NK: NDArray[Any], length_N: NDArray[np.int64], entry_type: pa.DataType | None = None
) -> pa.ListArray:
    """The counted entries of each row as an Arrow list; full rows are not copied."""
    offset_N = np.zeros(len(length_N) + 1, np.int32)
    np.cumsum(length_N, out=offset_N[1:])
    is_full = bool((length_N == values_NK.shape[1]).all())
    counted = slice(None) if is_full else _checks.counted_entries(length_N, values_NK.shape[1])
    flat = values_NK[counted].reshape(-1)
    if entry_type is not None:
        flat = flat.astype(entry_type.to_pandas_dtype(), copy=False)
    return pa.ListArray.from_arrays(offset_N, pa.array(flat))


class LongTable:
    """A table of one entry a row, in any order, by video in the order in which these are met.

    Parameters
    ----------
    table : polars or pandas DataFrame, Arrow table, or anything with `__arrow_c_stream__`
    columns : tuple of str
        'id' and those that are needed beside it.

    Attributes
    ----------
    ids : (N,) Arrow string array
        Each video once.
    lengths : (N,) int64
        Entries of each video.
    """

    def __init__(self, table: Any, columns: tuple[str, ...]) -> None:
        from gapkit._kernels.long import number_entries

        self._table = _as_arrow(table, columns)
        entry_ids = _checks.as_strings(self._table["id"])
        self._video_E, first_N = group_ids(entry_ids)
        self.ids = entry_ids.take(pa.array(first_N))
        self.lengths = np.zeros(len(first_N), np.int64)
        self._column_E = np.empty(len(entry_ids), np.int64)
        number_entries(self._video_E, self.lengths, self._column_E)

    def column(self, name: str) -> NDArray[Any]:
        """A column as it is, one entry after another."""
        column = self._table[name].combine_chunks()
        if column.null_count:
            row = int(np.flatnonzero(column.is_null().to_numpy(zero_copy_only=False))[0])
            raise DataError(f"row {row}: its {name} is missing. Fill it in, or leave the row out.")
        if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
            raise DataError(f"column {name!r} is {column.type} and must hold numbers.")
        return np.asarray(column.to_numpy(zero_copy_only=False))

    def rows(self, name: str) -> NDArray[Any]:
        """A column as (N, k), zero past each video's entries."""
        values = self.column(name)
        row_NK = np.zeros((len(self.lengths), int(self.lengths.max(initial=0))), values.dtype)
        row_NK[self._video_E, self._column_E] = values
        return row_NK

    def lists(self, name: str) -> pa.LargeListArray:
        """A column as one list a video."""
        values = self.column(name)
        offset_N = np.concatenate([[0], np.cumsum(self.lengths)])
        sorted_E = np.empty_like(values)
        sorted_E[offset_N[self._video_E] + self._column_E] = values
        return pa.LargeListArray.from_arrays(offset_N, sorted_E)


def _as_arrow(table: Any, columns: tuple[str, ...]) -> pa.Table:
    if isinstance(table, pa.RecordBatch):
        table = pa.Table.from_batches([table])
    if not isinstance(table, pa.Table):
        try:
            table = pa.table(table)
        except (TypeError, ValueError, pa.ArrowException) as error:
            raise DataError(
                f"{type(table).__name__} is no table that Arrow takes ({error}). "
                f"Pass one of polars, pandas or Arrow."
            ) from None
    for name in columns:
        if table.column_names.count(name) != 1:
            there = "stands twice" if name in table.column_names else "is missing"
            raise DataError(
                f"column {name!r} {there} among {', '.join(table.column_names)}. "
                f"A long table needs {', '.join(columns)}."
            )
    return table


def find_rows(index: Any, ids: Any) -> NDArray[np.int64]:
    """The row of each id; one that there is not is named."""
    wanted = _checks.check_ids(ids).ids
    row_M: NDArray[np.int64] = index.find(wanted)
    absent = np.flatnonzero(row_M < 0)
    if absent.size:
        raise DataError(
            f"id {wanted[int(absent[0])].as_py()!r} is not in the table, nor are "
            f"{absent.size - 1:,} others. Select ids that are."
            if absent.size > 1
            else f"id {wanted[int(absent[0])].as_py()!r} is not in the table. Select ids that are."
        )
    return row_M
