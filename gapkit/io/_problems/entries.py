"""A column of lists, flat, and the rows that have something wrong in them.

Shape letters: N rows of a block, P their entries one row after another.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from gapkit.io._problems.findings import Findings, RowNames

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Entries:
    """Values of all rows; what is missing counts as 0."""

    values: NDArray[Any]
    lengths: NDArray[np.int64]
    is_there: NDArray[np.bool_]
    """(N,) rows whose list is there, and all its entries"""

    @cached_property
    def rows(self) -> NDArray[np.int64]:
        """(P,) the row of each entry."""
        return np.repeat(np.arange(len(self.lengths)), self.lengths)

    def take(self, is_kept_N: NDArray[np.bool_]) -> Entries:
        """Some of the rows."""
        if is_kept_N.all():
            return self
        is_kept_P = np.repeat(is_kept_N, self.lengths)
        return Entries(self.values[is_kept_P], self.lengths[is_kept_N], self.is_there[is_kept_N])

    def report(
        self,
        kind: str,
        is_wrong_P: NDArray[np.bool_],
        names: RowNames,
        into: Findings,
        describe: Callable[[Any], str],
        remedy: str,
    ) -> None:
        """Add the rows that have a wrong entry; `describe` is given the first of a row."""
        position = np.flatnonzero(is_wrong_P)
        rows, first = np.unique(self.rows[position], return_index=True)
        place = dict(zip(rows.tolist(), position[first].tolist(), strict=True))
        into.add_rows(kind, rows, names, lambda row: describe(self.values[place[row]]), remedy)


def read_entries(lists: pa.Array, what: str, names: RowNames, problems: Findings) -> Entries:
    """The entries of a column; rows that lack some are problems."""
    import pyarrow.compute as pc

    length_N = pc.list_value_length(lists).fill_null(0).to_numpy().astype(np.int64)
    flat = lists.flatten()
    is_there_N = np.asarray(lists.is_valid()).copy()
    problems.add_rows(
        f"{what}s_missing",
        np.flatnonzero(~is_there_N),
        names,
        lambda row: f"its {what}s are missing",
        "Write an empty list for none.",
    )
    if flat.null_count:
        is_null_P = np.asarray(flat.is_null())
        rows = np.unique(np.repeat(np.arange(len(length_N)), length_N)[is_null_P])
        problems.add_rows(
            f"{what}_missing",
            rows,
            names,
            lambda row: f"one of its {what}s is missing",
            "Remove it.",
        )
        is_there_N[rows] = False
        flat = flat.fill_null(0)
    return Entries(flat.to_numpy(zero_copy_only=False), length_N, is_there_N)
