"""The checks of rows, block by block: every one that is wrong, where readers stop at the first."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from gapkit._ids import group_ids
from gapkit.io._problems.confidences import ConfidenceChecks
from gapkit.io._problems.entries import read_entries
from gapkit.io._problems.figures import Figures
from gapkit.io._problems.findings import Findings, RowNames
from gapkit.io._problems.labels import check_labels
from gapkit.io._problems.report import Coverage, Distribution

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gapkit.predictions import Labels


class RowChecks:
    """What is wrong in the rows that are added, and what they look like.

    Parameters
    ----------
    num_header_lines : int or None
        Lines before the first row; None where the file has no lines.
    """

    def __init__(self, num_header_lines: int | None = None) -> None:
        self.problems, self.notes, self.figures = Findings(), Findings(), Figures()
        self.num_classes: int | None = None
        self.top_k: int | None = None
        self.is_labels = self.is_readable = False
        self.num_header_lines = num_header_lines
        self._confidences = ConfidenceChecks(self.problems, self.notes, self.figures)
        self._ids: list[pa.StringArray] = []
        self._numbers: list[NDArray[np.int64]] = []

    def add(self, batch: pa.RecordBatch, number_N: NDArray[np.int64]) -> None:
        """Check rows of `id`, `labels` and, where they are predictions, `confidences`."""
        names = RowNames(number_N, plain_strings(batch["id"]), self.num_header_lines)
        self._add_ids(names)
        labels = read_entries(batch["labels"], "label", names, self.problems)
        is_fine = check_labels(labels, self.num_classes, names, self.problems, self.figures)
        if "confidences" not in batch.schema.names:
            return
        self.notes.add_rows(
            "empty",
            np.flatnonzero(labels.is_there & (labels.lengths == 0)),
            names,
            lambda row: "has no labels",
            "It counts as a video without predictions.",
        )
        confidences = read_entries(batch["confidences"], "confidence", names, self.problems)
        self._confidences.add(labels, confidences, names, is_fine)

    def _add_ids(self, names: RowNames) -> None:
        is_missing_N = np.asarray(names.ids.is_null())
        self.problems.add_rows(
            "id_missing",
            np.flatnonzero(is_missing_N),
            names,
            lambda row: "its id is missing",
            "Give each row its id.",
        )
        there = pa.array(np.flatnonzero(~is_missing_N))
        self._ids.append(names.ids.take(there) if is_missing_N.any() else names.ids)
        self._numbers.append(names.numbers[~is_missing_N])

    def finish(self, labels: Labels | None) -> tuple[Distribution | None, Coverage | None]:
        """What only all rows tell: ids that stand twice, short rows; and the figures."""
        if not self.is_readable:
            return None, None
        ids = pa.concat_arrays([*self._ids, pa.array([], pa.string())])
        self._check_ids(ids)
        top_k = self.figures.longest if self.top_k is None else self.top_k
        if not self.is_labels:
            self._note_lengths(min(top_k, self.num_classes or top_k))
            self._confidences.note_ties(top_k)
        coverage = None if labels is None else _cover(ids, labels)
        return self.figures.compute(top_k, self.num_classes), coverage

    def _check_ids(self, ids: pa.StringArray) -> None:
        video_N, first_G = group_ids(ids)
        if len(first_G) == len(ids):
            return
        number_N = np.concatenate(self._numbers)
        names = RowNames(number_N, ids, self.num_header_lines)
        before_N = first_G[video_N]
        self.problems.add_rows(
            "id_twice",
            np.flatnonzero(before_N != np.arange(len(ids))),
            names,
            lambda row: f"its id stands in row {number_N[before_N[row]]} already",
            "Keep one row a video.",
        )

    def _note_lengths(self, top_k: int) -> None:
        of_length = self.figures.rows_of_length
        for kind, num_rows, what in (
            ("short", int(of_length[1:top_k].sum()), "fewer"),
            ("long", int(of_length[top_k + 1 :].sum()), "more"),
        ):
            if num_rows:
                videos = "1 video has" if num_rows == 1 else f"{num_rows:,} videos have"
                self.notes.add_count(kind, f"{videos} {what} than {top_k} labels.", num_rows)


def _cover(ids: pa.StringArray, labels: Labels) -> Coverage:
    found_N = labels.index.find(ids)
    return Coverage(
        num_labelled=len(labels),
        missing=len(labels) - np.unique(found_N[found_N >= 0]).size,
        ignored=int(np.count_nonzero(found_N < 0)),
    )


def plain_strings(ids: pa.Array) -> pa.StringArray:
    """Ids as Arrow strings of any make come, some perhaps missing."""
    if isinstance(ids, pa.ChunkedArray):
        ids = ids.combine_chunks()
    if pa.types.is_dictionary(ids.type):
        ids = ids.dictionary_decode()
    return ids if ids.type == pa.string() else ids.cast(pa.string())
