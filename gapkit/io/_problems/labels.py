"""The labels of rows: whole numbers, in range, each once.

Shape letters: N rows of a block, P their entries one row after another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gapkit.io._problems.entries import Entries
from gapkit.io._problems.figures import Figures
from gapkit.io._problems.findings import Findings, RowNames

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MAX_CLASSES = 2**24


def check_labels(
    labels: Entries,
    num_classes: int | None,
    names: RowNames,
    problems: Findings,
    figures: Figures,
) -> bool:
    """Add what is wrong to the problems and the rest to the figures; whether all are in range."""
    from gapkit._kernels.rows import first_label_twice

    values = labels.values
    if values.dtype.kind not in "iu":
        if values.size:
            problems.add_file(
                "labels_type",
                f"labels of type {values.dtype} are not whole numbers. Write them as integers.",
            )
        figures.add_labels(labels.lengths, np.zeros(0, np.int64))
        return values.size == 0
    bound = num_classes or _MAX_CLASSES
    is_kept_P = np.repeat(labels.is_there, labels.lengths)
    is_fine = values.size == 0 or bool(values.min() >= 0 and values.max() < bound)
    if not is_fine:
        limit = f"num_classes={bound}" if num_classes else f"at most {bound:,} labels"
        for kind, is_wrong_P in (
            ("label_negative", values < 0),
            ("label_out_of_range", values >= bound),
        ):
            labels.report(
                kind,
                is_wrong_P,
                names,
                problems,
                lambda value: f"label {value} is out of range for {limit}",
                "Labels count from 0.",
            )
            is_kept_P &= ~is_wrong_P
    row_P, label_P = labels.rows[is_kept_P], values[is_kept_P].astype(np.uint32)
    figures.add_labels(labels.lengths, label_P)
    offset_N = np.searchsorted(row_P, np.arange(len(labels.lengths) + 1))
    if first_label_twice(offset_N, label_P, int(label_P.max(initial=0)) + 1) >= 0:
        _report_twice(row_P, label_P, names, problems)
    return is_fine


def _report_twice(
    row_P: NDArray[np.int64], label_P: NDArray[np.uint32], names: RowNames, problems: Findings
) -> None:
    order = np.lexsort((label_P, row_P))
    row_P, label_P = row_P[order], label_P[order]
    at = 1 + np.flatnonzero((row_P[1:] == row_P[:-1]) & (label_P[1:] == label_P[:-1]))
    rows, first = np.unique(row_P[at], return_index=True)
    label_of_row = dict(zip(rows.tolist(), label_P[at[first]].tolist(), strict=True))
    problems.add_rows(
        "label_twice",
        rows,
        names,
        lambda row: f"label {label_of_row[row]} stands twice",
        "Keep it once.",
    )
