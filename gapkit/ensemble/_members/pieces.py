"""Rows of a member as they come from memory or disk, and as they are laid for the kernel."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gapkit import _checks
from gapkit.errors import DataError
from gapkit.predictions import Predictions

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class Piece:
    """N rows, their entries anywhere in two flat arrays."""

    labels: NDArray[np.unsignedinteger[Any]]
    """(P,) uint16 or uint32"""
    confidences: NDArray[np.float32]
    """(P,)"""
    begins: NDArray[np.int64]
    """(N,) where each row begins in them"""
    lengths: NDArray[np.int64]
    """(N,)"""
    num_classes: int
    """A bound that no label reaches"""
    is_checked: bool
    """Whether each row is sorted and known to be fine"""

    def rows(self, first: int, last: int) -> Piece:
        """Some of its rows."""
        return replace(self, begins=self.begins[first:last], lengths=self.lengths[first:last])

    @property
    def width(self) -> int:
        """Entries of the longest row."""
        return int(self.lengths.max(initial=0))


@dataclass(frozen=True, kw_only=True)
class Places:
    """R rows of `width` entries, flat, to be filled."""

    labels: NDArray[np.unsignedinteger[Any]]
    confidences: NDArray[np.float32]
    lengths: NDArray[np.int64]
    width: int

    def lay(self, piece: Piece, row_N: NDArray[np.int64]) -> int:
        """Lay each row of a piece at its place; the first with a fault, or -1."""
        from gapkit._kernels.lay import lay_rows

        return int(
            lay_rows(
                np.ascontiguousarray(piece.labels, self.labels.dtype),
                piece.confidences,
                piece.begins,
                piece.lengths,
                row_N,
                piece.num_classes,
                self.width,
                piece.is_checked,
                self.labels,
                self.confidences,
                self.lengths,
            )
        )


def piece_of_table(table: Predictions, rows: slice | NDArray[np.int64], num_classes: int) -> Piece:
    """Some rows of a table, by number; -1 is a row that it lacks."""
    if isinstance(rows, slice):
        label_NK, confidence_NK = table.labels[rows], table.confidences[rows]
        length_N = table.lengths[rows]
    else:
        label_NK, confidence_NK, length_N = (
            np.take(array, rows, axis=0, mode="clip")
            for array in (table.labels, table.confidences, table.lengths)
        )
        length_N = np.where(rows >= 0, length_N, 0)
    return Piece(
        labels=label_NK.reshape(-1),
        confidences=confidence_NK.reshape(-1),
        begins=np.arange(len(length_N), dtype=np.int64) * table.top_k,
        lengths=length_N,
        num_classes=num_classes,
        is_checked=True,
    )


def bound_of(table: Predictions) -> int:
    """A bound that no label reaches."""
    if table.num_classes is not None:
        return table.num_classes
    counted_NK = _checks.counted_entries(table.lengths, table.top_k)
    return 1 + int(table.labels.max(initial=0, where=counted_NK))


def transform(confidences: NDArray[np.float32], knots: NDArray[np.float64] | None) -> Any:
    """Confidences through a piecewise linear map."""
    if knots is None:
        return confidences
    return np.interp(confidences, knots[:, 0], knots[:, 1]).astype(np.float32)


def transform_table(table: Predictions, knots: NDArray[np.float64] | None) -> Predictions:
    """The same of a table."""
    if knots is None:
        return table
    counted_NK = _checks.counted_entries(table.lengths, table.top_k)
    return Predictions(
        table.id_column,
        table.labels,
        np.where(counted_NK, transform(table.confidences, knots), np.float32(0)),
        table.lengths,
        num_classes=table.num_classes,
    )


def check_probabilities(table: Predictions, name: str) -> None:
    """Refuse a confidence outside [0, 1], which has no log odds."""
    counted_NK = _checks.counted_entries(table.lengths, table.top_k)
    wrong_NK = counted_NK & ~((table.confidences >= 0) & (table.confidences <= 1))
    if wrong_NK.any():
        row, column = (int(i[0]) for i in np.nonzero(wrong_NK))
        raise DataError(
            f"{name}: {_checks.row_place(table.id_column, row)}: the confidence of label "
            f"{table.labels[row, column]} is {table.confidences[row, column]}. Mode 'logit' takes "
            f"confidences in [0, 1]."
        )
