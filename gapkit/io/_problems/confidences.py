"""The confidences of rows: finite numbers, one a label; ties and order are only noted.

Shape letters: N rows of a block, P their entries one row after another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gapkit.io._problems.entries import Entries
from gapkit.io._problems.figures import Figures, add_counts
from gapkit.io._problems.findings import Findings, RowNames

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MANY_TIES = 0.1


class ConfidenceChecks:
    """What is wrong in the confidences of the blocks that are added, and what is to be noted."""

    def __init__(self, problems: Findings, notes: Findings, figures: Figures) -> None:
        self._problems, self._notes, self._figures = problems, notes, figures
        self._num_tied = self._num_finite = 0
        self._tied_ends_of_length = np.zeros(1, np.int64)

    def add(
        self, labels: Entries, confidences: Entries, names: RowNames, is_range_fine: bool
    ) -> None:
        """Check those of a block."""
        is_both_N = labels.is_there & confidences.is_there
        is_even_N = labels.lengths == confidences.lengths
        self._problems.add_rows(
            "uneven",
            np.flatnonzero(is_both_N & ~is_even_N),
            names,
            lambda row: f"{labels.lengths[row]} labels but {confidences.lengths[row]} confidences",
            "Give each label its confidence.",
        )
        if confidences.values.dtype.kind != "f":
            if confidences.values.size:
                self._problems.add_file(
                    "confidences_type",
                    f"confidences of type {confidences.values.dtype} are not floating-point "
                    f"numbers. Are labels and confidences swapped?",
                )
            return
        with np.errstate(over="ignore", invalid="ignore"):
            value_P = np.ascontiguousarray(confidences.values, np.float32)
        confidences = Entries(value_P, confidences.lengths, confidences.is_there)
        is_finite_P = np.isfinite(value_P)
        if not is_finite_P.all():
            confidences.report(
                "confidence_not_finite",
                ~is_finite_P,
                names,
                self._problems,
                lambda value: f"a confidence is {value}",
                "Confidences must be finite numbers.",
            )
        self._note_outside(confidences, is_finite_P, names)
        self._count(confidences, is_finite_P)
        if is_range_fine:
            is_kept_N = is_both_N & is_even_N
            self._note_order(
                labels.take(is_kept_N),
                confidences.take(is_kept_N),
                np.flatnonzero(is_kept_N),
                names,
            )

    def _note_outside(
        self, confidences: Entries, is_finite_P: NDArray[np.bool_], names: RowNames
    ) -> None:
        value_P = confidences.values
        is_outside_P = is_finite_P & ((value_P < 0) | (value_P > 1))
        if is_outside_P.any():
            confidences.report(
                "confidence_outside",
                is_outside_P,
                names,
                self._notes,
                lambda value: f"confidence {value:.6g} lies outside [0, 1]",
                "It is ranked, but is no probability.",
            )

    def _count(self, confidences: Entries, is_finite_P: NDArray[np.bool_]) -> None:
        is_counted_P = is_finite_P & np.repeat(confidences.is_there, confidences.lengths)
        row_P, value_P = confidences.rows[is_counted_P], confidences.values[is_counted_P]
        starts = np.flatnonzero(np.diff(row_P, prepend=-1))
        first = np.maximum.reduceat(value_P, starts) if starts.size else value_P
        self._figures.add_confidences(first, value_P)
        value_P = np.sort(value_P)
        is_new_P = np.ones(value_P.size + 1, np.bool_)
        is_new_P[1:-1] = value_P[1:] != value_P[:-1]
        self._num_finite += value_P.size
        self._num_tied += value_P.size - int(np.count_nonzero(is_new_P[1:] & is_new_P[:-1]))

    def _note_order(
        self, labels: Entries, confidences: Entries, place_N: NDArray[np.int64], names: RowNames
    ) -> None:
        """Note rows that are not sorted, and count those whose last two are equal."""
        row_P, label_P, value_P = labels.rows, labels.values, confidences.values
        is_same_row = row_P[1:] == row_P[:-1]
        with np.errstate(invalid="ignore"):
            is_tie = is_same_row & (value_P[1:] == value_P[:-1])
            is_unsorted = is_same_row & (value_P[1:] > value_P[:-1])
        is_unsorted |= is_tie & (label_P[1:] < label_P[:-1])
        self._notes.add_rows(
            "unsorted",
            place_N[np.unique(row_P[1:][is_unsorted])],
            names,
            lambda row: "its labels do not stand by falling confidence, equal ones by rising label",
            "Readers sort them.",
        )
        length_N = labels.lengths
        last_of_many = (np.cumsum(length_N) - 1)[length_N >= 2]
        tied = last_of_many[is_tie[last_of_many - 1]]
        self._tied_ends_of_length = add_counts(
            self._tied_ends_of_length, np.bincount(length_N[row_P[tied]])
        )

    def note_ties(self, top_k: int) -> None:
        """Say how many confidences are equal, after the last block."""
        num_cut = int(self._tied_ends_of_length[top_k:].sum())
        if num_cut:
            self._notes.add_count(
                "ties_at_cut",
                f"the last labels of {num_cut:,} full rows have equal confidences: which of more "
                f"such labels were kept may be an accident.",
                num_cut,
            )
        if self._num_tied > _MANY_TIES * self._num_finite:
            share = self._num_tied / self._num_finite
            self._notes.add_count(
                "many_ties",
                f"at least {share:.1%} of the confidences are equal to another's: their order is "
                f"open, and GAP depends on ties (by default it is the mean over all orders).",
                self._num_tied,
            )
