"""Read and write submissions."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from gapkit.io._atomic import replacing_file
from gapkit.io._columns import (
    batches_to_predictions,
    predictions_to_batch,
    submission_schema,
)
from gapkit.io._csv import KaggleWriter, read_kaggle
from gapkit.io._formats import (
    ROWS_PER_BATCH,
    Batches,
    detect_format,
    format_of_suffix,
    open_batches,
    open_text,
    reading,
)
from gapkit.predictions import Predictions

# Page checksums find a flipped bit, at about 15 ms in reading 200,000 x 20; with labels alone as
# a dictionary files are written faster and are smaller than with pyarrow's defaults
# (bench/README.md, 'Submission files').
_PARQUET_OPTIONS = {
    "compression": "snappy",
    "use_dictionary": ["labels.list.element"],
    "write_page_checksum": True,
}
_ROWS_PER_GROUP = 65_536


def read_predictions(path: str | os.PathLike[str]) -> Predictions:
    """Return the predictions of a submission file.

    The format is found by content: Parquet or Arrow IPC with the columns `id`, `labels`,
    `confidences`, or the Kaggle CSV (`VideoId,LabelConfidencePairs`), plain or gzipped.

    Raises
    ------
    DataError
        The file is absent, empty, damaged or of another schema, or a row is wrong (a NaN, an id
        twice, a label twice or out of range). The message names file, row and id.
    """
    path = Path(path)
    with reading(path), _open_batches(path) as rows:
        return batches_to_predictions(rows.schema, rows.num_rows, rows.batches)


def scan_predictions(
    path: str | os.PathLike[str], *, rows_per_block: int = 65_536
) -> Iterator[Predictions]:
    """Yield the predictions of a submission file block by block.

    Parquet and Arrow IPC take the memory of a block; a CSV is read whole. That an id stands once is
    checked in each block.

    Parameters
    ----------
    path : path
        As for `read_predictions`.
    rows_per_block : int
        Most videos of a block.

    Raises
    ------
    DataError
        As `read_predictions` does.
    """
    path = Path(path)
    with reading(path), _open_batches(path, rows_per_block) as rows:
        start = 0
        for batch in rows.batches:
            yield batches_to_predictions(rows.schema, len(batch), [batch], start)
            start += len(batch)
        if start == 0:
            yield batches_to_predictions(rows.schema, 0, [])


@contextmanager
def _open_batches(path: Path, rows_per_batch: int = ROWS_PER_BATCH) -> Iterator[Batches]:
    kind = detect_format(path)
    if kind not in ("csv", "csv.gz"):
        with open_batches(path, kind, rows_per_batch) as batches:
            yield batches
        return
    with open_text(path, kind) as source:
        table = read_kaggle(source)
    yield Batches.of_table(table, rows_per_batch)


def write_predictions(path: str | os.PathLike[str], predictions: Predictions) -> None:
    """Write a submission; the suffix chooses the format, the file appears whole or not at all.

    Parameters
    ----------
    path : path
        Ending in `.parquet`, `.arrow`, `.csv` or `.csv.gz` (the CSVs are Kaggle's).
    predictions : Predictions

    Raises
    ------
    UsageError
        Another suffix.
    DataError
        The folder can't be written.
    """
    with open_submission(
        path,
        num_classes=predictions.num_classes,
        top_k=predictions.top_k,
        provenance=predictions.provenance,
    ) as write:
        write(predictions)


@contextmanager
def open_submission(
    path: str | os.PathLike[str],
    *,
    num_classes: int | None,
    top_k: int,
    provenance: Mapping[str, Any] | None = None,
) -> Iterator[Callable[[Predictions], None]]:
    """Yield a function that appends predictions to a submission.

    The file appears at the end of the block; on any exception what was there stays.

    Parameters
    ----------
    path : path
        As for `write_predictions`.
    num_classes : int, optional
        None where it is not known.
    top_k : int
        Most labels that a row holds.
    provenance : mapping, optional
        What made the predictions; JSON.

    Raises
    ------
    UsageError
        Another suffix.
    DataError
        The folder can't be written.
    """
    path = Path(path)
    kind = format_of_suffix(path)
    schema = submission_schema(num_classes, top_k, dict(provenance or {}))
    with replacing_file(path) as temporary, ExitStack() as stack:
        writer = _open_writer(temporary, kind, schema, stack)

        def write(predictions: Predictions) -> None:
            batch = predictions_to_batch(predictions, schema)
            for start in range(0, len(predictions), _ROWS_PER_GROUP):
                writer.write_batch(batch.slice(start, _ROWS_PER_GROUP))

        yield write


class _BatchWriter(Protocol):
    def write_batch(self, batch: pa.RecordBatch, /) -> None: ...


def _open_writer(path: Path, kind: str, schema: pa.Schema, stack: ExitStack) -> _BatchWriter:
    """Whatever writes the format, closed with the stack."""
    writer: _BatchWriter
    if kind == "parquet":
        writer = stack.enter_context(pq.ParquetWriter(path, schema, **_PARQUET_OPTIONS))
    elif kind == "arrow":
        writer = stack.enter_context(pa.ipc.new_file(str(path), schema))
    else:
        compression = "gzip" if kind == "csv.gz" else None
        sink = stack.enter_context(pa.output_stream(str(path), compression=compression))
        writer = KaggleWriter(sink)
    return writer
