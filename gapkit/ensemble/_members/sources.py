"""Members of an ensemble: tables in memory and files, each as ids and as rows.

A lane gives a member's rows in the order of the ensemble, some at a time. What stands in that order
is streamed from its file; a table is looked up; the rest is spilled to disk first.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gapkit import _checks
from gapkit.ensemble._members.parquet import ParquetRows, can_stream, label_dtype_of, read_ids
from gapkit.ensemble._members.pieces import (
    Piece,
    bound_of,
    check_probabilities,
    piece_of_table,
    transform,
    transform_table,
)
from gapkit.ensemble._members.spill import Spill, SpillFolder
from gapkit.errors import DataError
from gapkit.io import read_predictions
from gapkit.io._columns import read_metadata
from gapkit.predictions import Predictions

if TYPE_CHECKING:
    from numpy.typing import NDArray


_FAULTS = (DataError, OSError, pa.ArrowException, UnicodeDecodeError)


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How all members are read."""

    rows_per_block: int
    only_probabilities: bool
    """Whether a confidence outside [0, 1] is an error"""


class Lane(Protocol):
    """A member's rows in the order of the ensemble."""

    @property
    def label_dtype(self) -> Any:
        """uint16 or uint32."""

    def read(self, start: int, stop: int) -> list[Piece]:
        """The rows from start to stop, which follow those that were read before; or fewer."""


class Member(Protocol):
    """A member before it is known how its rows stand."""

    name: str
    num_classes: int | None

    def ids(self) -> pa.Array:
        """The column of ids, unchecked."""

    def lane(self, place_N: NDArray[np.int64] | None, spills: SpillFolder) -> Lane:
        """Its rows, where `place_N` tells the place of each; None if each is at its own."""


class TableMember:
    """A table in memory."""

    def __init__(
        self, table: Predictions, name: str, how: Reading, knots: NDArray[np.float64] | None
    ) -> None:
        self.name, self.num_classes = name, table.num_classes
        if how.only_probabilities:
            check_probabilities(table, name)
        self._table = transform_table(table, knots)

    def ids(self) -> pa.Array:
        """The column of ids."""
        return self._table.id_column

    def lane(self, place_N: NDArray[np.int64] | None, spills: SpillFolder) -> Lane:
        """Its rows, looked up."""
        return _TableLane(self._table, place_N)


class _TableLane:
    def __init__(self, table: Predictions, place_N: NDArray[np.int64] | None) -> None:
        self._table, self.label_dtype = table, table.labels.dtype
        self._num_classes = bound_of(table)
        self._row_R: NDArray[np.int64] | None = None
        if place_N is not None:
            self._row_R = np.full(int(place_N.max(initial=-1)) + 1, -1, np.int64)
            self._row_R[place_N] = np.arange(len(place_N))

    def read(self, start: int, stop: int) -> list[Piece]:
        rows = slice(start, stop) if self._row_R is None else self._row_R[start:stop]
        return [piece_of_table(self._table, rows, self._num_classes)]


class FileMember:
    """A file; a Parquet submission is streamed, any other is read whole, once."""

    def __init__(
        self,
        path: str | os.PathLike[str],
        name: str,
        how: Reading,
        knots: NDArray[np.float64] | None,
    ) -> None:
        self.name, self.path = name, path
        self._how, self._knots = how, knots
        self._table: Predictions | None = None
        self._can_stream = False
        self.label_dtype: np.dtype[Any] = np.dtype(np.uint16)
        self.num_classes: int | None = None
        schema = _parquet_schema(path)
        if schema is not None and can_stream(schema):
            with suppress(DataError):  # a plain read raises it, with the file's name
                about = read_metadata(schema)
                self.num_classes = _checks.check_num_classes(about.get("num_classes"))
                self.label_dtype = label_dtype_of(schema)
                self._can_stream = True

    def ids(self) -> pa.Array:
        """The column of ids; nothing more is read where it can be streamed."""
        if self._can_stream:
            try:
                return read_ids(self.path)
            except _FAULTS as error:
                self.explain(str(error))
        table = read_predictions(self.path)
        if self._how.only_probabilities:
            check_probabilities(table, self.name)
        self.num_classes = table.num_classes
        self._table = transform_table(table, self._knots)
        return table.id_column

    def lane(self, place_N: NDArray[np.int64] | None, spills: SpillFolder) -> Lane:
        """Its rows, streamed or from a spill."""
        if self._table is not None:
            table, self._table = self._table, None
            place_N = np.arange(len(table)) if place_N is None else place_N
            spill = _new_spill(spills, place_N, table.labels.dtype)
            spill.lay(piece_of_table(table, slice(0, len(table)), bound_of(table)), place_N)
            spill.close()
            return _SpillLane(spill)
        if place_N is None:
            return _FileLane(self)
        spill = _new_spill(spills, place_N, self.label_dtype)
        rows, start = self.rows(), 0
        while pieces := self.read(rows, self._how.rows_per_block):
            for piece in pieces:
                stop = start + len(piece.begins)
                if spill.lay(piece, place_N[start:stop]) >= 0:
                    self.explain("an entry is wrong")
                start = stop
        spill.close()
        return _SpillLane(spill)

    def rows(self) -> ParquetRows:
        """The rows from the first on."""
        return ParquetRows(self.path, self.num_classes, self._how.rows_per_block)

    def read(self, rows: ParquetRows, num_rows: int) -> list[Piece]:
        """The next of them, transformed, their confidences in range."""
        try:
            pieces = rows.read(num_rows)
        except _FAULTS as error:
            self.explain(str(error))
        for piece in pieces if self._how.only_probabilities else ():
            if not (
                piece.confidences.min(initial=0) >= 0 and piece.confidences.max(initial=0) <= 1
            ):
                self.explain("a confidence lies outside [0, 1]")
        if self._knots is None:
            return pieces
        return [
            replace(piece, confidences=transform(piece.confidences, self._knots))
            for piece in pieces
        ]

    def explain(self, message: str) -> NoReturn:
        """Read the file anew in the way that finds the place of its first fault."""
        table = read_predictions(self.path)
        if self._how.only_probabilities:
            check_probabilities(table, self.name)
        raise DataError(f"{self.name}: {' '.join(message.split())}")


class _FileLane:
    def __init__(self, member: FileMember) -> None:
        self._member, self.label_dtype = member, member.label_dtype
        self._rows = member.rows()

    def read(self, start: int, stop: int) -> list[Piece]:
        return self._member.read(self._rows, stop - start)

    def explain(self, message: str) -> NoReturn:
        self._member.explain(message)


class _SpillLane:
    def __init__(self, spill: Spill) -> None:
        self._spill, self.label_dtype = spill, spill.dtype

    def read(self, start: int, stop: int) -> list[Piece]:
        return [self._spill.read(start, stop)]


def make_member(
    member: Predictions | str | os.PathLike[str],
    name: str,
    how: Reading,
    knots: NDArray[np.float64] | None,
) -> Member:
    """A table or a file as a member."""
    if isinstance(member, Predictions):
        return TableMember(member, name, how, knots)
    return FileMember(member, name, how, knots)


def _new_spill(spills: SpillFolder, place_N: NDArray[np.int64], dtype: Any) -> Spill:
    return Spill(spills, int(place_N.max(initial=-1)) + 1, dtype)


def _parquet_schema(path: str | os.PathLike[str]) -> pa.Schema | None:
    """Of a Parquet file; None where a plain read has to say what the file is, or lacks."""
    try:
        with Path(path).open("rb") as file:
            is_parquet = file.read(4) == b"PAR1"
        return pq.read_schema(path) if is_parquet else None
    except (OSError, pa.ArrowException):
        return None
