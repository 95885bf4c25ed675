"""Tables as Arrow columns: what Parquet and Arrow IPC files hold."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from gapkit import _checks
from gapkit.errors import DataError
from gapkit.predictions import Labels, Predictions
from gapkit.predictions._rows import to_lists, widen

if TYPE_CHECKING:
    from numpy.typing import NDArray

METADATA_KEY = b"gapkit"
VERSION = 1


def submission_schema(num_classes: int | None, top_k: int, provenance: dict[str, Any]) -> pa.Schema:
    """Columns and metadata of a submission; unknown num_classes takes the wide labels."""
    wide = num_classes is None or _checks.label_dtype(num_classes) is np.uint32
    label_type = pa.uint32() if wide else pa.uint16()
    about = {**provenance, "version": VERSION, "top_k": top_k, "num_classes": num_classes}
    return pa.schema(
        [
            ("id", pa.string()),
            ("labels", pa.list_(label_type)),
            ("confidences", pa.list_(pa.float32())),
        ],
        metadata={METADATA_KEY: json.dumps(about)},
    )


def predictions_to_batch(predictions: Predictions, schema: pa.Schema) -> pa.RecordBatch:
    """The rows of a table as a record batch of the schema."""
    lists = [
        to_lists(rows_NK, predictions.lengths, schema.field(name).type.value_type)
        for name, rows_NK in (
            ("labels", predictions.labels),
            ("confidences", predictions.confidences),
        )
    ]
    return pa.RecordBatch.from_arrays([predictions.id_column, *lists], schema=schema)


def batches_to_predictions(
    schema: pa.Schema, num_rows: int, batches: Iterable[pa.RecordBatch], first_row: int = 0
) -> Predictions:
    """A submission from so many rows; list types of any engine, rows of any length.

    Errors count the rows from `first_row`. Each batch goes straight to its place in the arrays.
    """
    _check_columns(schema, ("id", "labels", "confidences"), "a submission")
    about = read_metadata(schema)
    ids: list[pa.Array] = []
    length_N = np.zeros(num_rows, np.int64)
    label_NK, confidence_NK = (
        np.zeros((num_rows, 0), _entry_dtype(schema.field(name).type))
        for name in ("labels", "confidences")
    )
    start = 0
    for batch in batches:
        rows = slice(start, start + len(batch))
        labels, confidences, length_N[rows] = _flatten_rows(batch, first_row + start)
        k = int(length_N[rows].max(initial=0))
        if k > label_NK.shape[1]:
            label_NK, confidence_NK = widen(label_NK, k), widen(confidence_NK, k)
        _place_rows(labels, length_N[rows], label_NK[rows])
        _place_rows(confidences, length_N[rows], confidence_NK[rows])
        ids.append(batch["id"])
        start += len(batch)
    return Predictions(
        pa.chunked_array(ids, schema.field("id").type),
        label_NK,
        confidence_NK,
        length_N,
        num_classes=about.get("num_classes"),
        provenance=provenance_of(about),
    )


def provenance_of(about: dict[str, Any]) -> dict[str, Any]:
    """What made a table, from a file's metadata."""
    own = ("version", "top_k", "num_classes")
    return {key: value for key, value in about.items() if key not in own}


def _entry_dtype(kind: pa.DataType) -> np.dtype[Any]:
    dtype: np.dtype[Any] = np.dtype(kind.value_type.to_pandas_dtype())
    return dtype


def _flatten_rows(
    batch: pa.RecordBatch, first_row: int
) -> tuple[NDArray[Any], NDArray[Any], NDArray[np.int64]]:
    """Labels and confidences, one row after another, and how many each row has."""
    labels, label_offsets = _checks.flatten_ragged(batch["labels"], first_row=first_row)
    confidences, offsets = _checks.flatten_ragged(
        batch["confidences"], "confidence", first_row=first_row
    )
    length_N = np.diff(offsets)
    label_length_N = np.diff(label_offsets)
    uneven = np.flatnonzero(length_N != label_length_N)
    if uneven.size:
        row = int(uneven[0])
        raise DataError(
            f"row {first_row + row} (id {batch['id'][row].as_py()!r}): {label_length_N[row]} "
            f"labels but {length_N[row]} confidences. Give each label its confidence."
        )
    return labels, confidences, length_N


def _place_rows(values: NDArray[Any], length_N: NDArray[np.int64], row_NK: NDArray[Any]) -> None:
    """Put ragged values to the left of rows that are zero."""
    k = row_NK.shape[1]
    if (length_N == k).all():
        row_NK[:] = values.reshape(row_NK.shape)
    else:
        row_NK[_checks.counted_entries(length_N, k)] = values


def labels_to_table(labels: Labels) -> pa.Table:
    """Ids and lists of true labels, with num_classes and names as metadata."""
    about: dict[str, Any] = {"version": VERSION, "num_classes": labels.num_classes}
    if labels.label_names is not None:
        about["label_names"] = labels.label_names
    return labels.to_arrow().replace_schema_metadata({METADATA_KEY: json.dumps(about)})


def table_to_labels(table: pa.Table) -> Labels:
    """Labels from their columns."""
    if "confidences" in table.column_names:
        raise DataError("a submission where labels were expected. Are the files swapped?")
    _check_columns(table.schema, ("id", "labels"), "a labels file")
    about = read_metadata(table.schema)
    names = about.get("label_names")
    if names is not None and not (
        isinstance(names, list) and all(isinstance(name, str) for name in names)
    ):
        raise DataError("its label_names under 'gapkit' are not a list of names. Write it anew.")
    return Labels(
        table["id"],
        table["labels"],
        num_classes=about.get("num_classes"),
        label_names=names,
    )


def read_metadata(schema: pa.Schema) -> dict[str, Any]:
    """The JSON under the key 'gapkit', {} where there is none."""
    text = (schema.metadata or {}).get(METADATA_KEY)
    if text is None:
        return {}
    try:
        about = json.loads(text)
    except ValueError:
        about = None
    if not isinstance(about, dict):
        raise DataError("its metadata under 'gapkit' is not a JSON object. Write it anew.")
    if not isinstance(about.get("version", VERSION), int):
        raise DataError(f"its version is {about['version']!r} and must be a number. Write it anew.")
    if about.get("version", VERSION) > VERSION:
        raise DataError(
            f"written in version {about['version']} of the format, and this gapkit reads up to "
            f"{VERSION}. Upgrade gapkit."
        )
    return about


def _check_columns(schema: pa.Schema, names: tuple[str, ...], what: str) -> None:
    twice = [name for name in names if schema.names.count(name) > 1]
    if twice:
        raise DataError(f"column {twice[0]!r} stands twice. Keep one.")
    missing = [name for name in names if name not in schema.names]
    if missing:
        raise DataError(
            f"not {what}: column {missing[0]!r} is missing among {', '.join(schema.names)}. "
            f"It needs {', '.join(names)}."
        )
    for name in names[1:]:
        kind = schema.field(name).type
        if not _checks.is_list_type(kind):
            raise DataError(f"column {name!r} is {kind} and must be a list a video.")
