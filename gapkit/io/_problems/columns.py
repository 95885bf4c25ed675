"""What the schema of a file says: which table it is, and whether columns and metadata fit."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gapkit._ids import group_ids
from gapkit.errors import DataError
from gapkit.io._columns import read_metadata
from gapkit.io._problems.findings import RowNames
from gapkit.io._problems.rows import RowChecks, plain_strings
from gapkit.io._rows import rows_of_table

Block = tuple[NDArray[np.int64], pa.RecordBatch]
"""Rows, and the number of each"""


def is_labels_file(schema: pa.Schema) -> bool:
    """Whether the columns are those of true labels, without confidences."""
    pairs = (("labels", "confidences"), ("label", "confidence"))
    return any(what in schema.names and other not in schema.names for what, other in pairs)


def check_schema(schema: pa.Schema, checks: RowChecks) -> bool:
    """Add what is wrong with columns and metadata; whether rows can be checked."""
    checks.is_labels = is_labels_file(schema)
    bare = schema.remove_metadata()
    try:
        _read_none(bare)
    except DataError as error:
        checks.problems.add_file("columns", str(error))
        return False
    checks.is_readable = True
    try:
        _read_none(schema)
    except DataError as error:
        checks.problems.add_file("metadata", str(error))
        return True
    about = read_metadata(schema)
    checks.num_classes = about.get("num_classes")
    top_k = about.get("top_k")
    checks.top_k = top_k if isinstance(top_k, int) and top_k >= 0 else None
    if about and checks.num_classes is None:
        checks.notes.add_file(
            "num_classes_unknown",
            "its metadata do not tell num_classes: labels are held against no bound.",
        )
    return True


def _read_none(schema: pa.Schema) -> None:
    """Read an empty file of the schema, as readers do."""
    rows = rows_of_table(schema.empty_table())
    if is_labels_file(schema):
        rows.to_labels()
    else:
        rows.to_predictions()


def add_blocks(blocks: Iterator[Block], schema: pa.Schema, checks: RowChecks) -> None:
    """Check all rows; those of a long table are put together by video first."""
    columns = ["id", "labels"] if checks.is_labels else ["id", "labels", "confidences"]
    if "labels" not in schema.names:
        _add_long(list(blocks), schema, checks)
        return
    for number_N, batch in blocks:
        checks.add(batch.select(columns), number_N)


def _add_long(blocks: list[Block], schema: pa.Schema, checks: RowChecks) -> None:
    """Rows of one label each; a video's number is that of its first."""
    names = ["id", "label"] if checks.is_labels else ["id", "label", "confidence"]
    table = pa.Table.from_batches([batch for _, batch in blocks], schema).select(names)
    table = table.combine_chunks()
    number_E = np.concatenate([np.zeros(0, np.int64), *(number_N for number_N, _ in blocks)])
    ids = plain_strings(table["id"])
    row_names = RowNames(number_E, ids, checks.num_header_lines)
    is_whole_E = np.ones(len(table), np.bool_)
    for name in names:
        is_null_E = np.asarray(table[name].is_null())
        is_whole_E &= ~is_null_E
        checks.problems.add_rows(
            f"{name}_missing",
            np.flatnonzero(is_null_E),
            row_names,
            partial(_say_missing, name),
            "Fill it in, or leave the row out.",
        )
    kept_E = np.flatnonzero(is_whole_E)
    ids = ids.take(pa.array(kept_E))
    video_E, first_G = group_ids(ids)
    order = np.argsort(video_E, kind="stable")
    offsets = pa.array(np.searchsorted(video_E[order], np.arange(len(first_G) + 1)))
    columns = [ids.take(pa.array(first_G))]
    for name in names[1:]:
        values = table[name].combine_chunks().take(pa.array(kept_E[order]))
        columns.append(pa.LargeListArray.from_arrays(offsets, values))
    batch = pa.RecordBatch.from_arrays(columns, ["id", "labels", "confidences"][: len(columns)])
    checks.add(batch, number_E[kept_E][first_G])


def _say_missing(name: str, row: int) -> str:
    return f"its {name} is missing"
