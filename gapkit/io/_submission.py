"""Read and write submissions."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pyarrow as pa

from gapkit.io._columns import predictions_to_batch, submission_schema
from gapkit.io._formats import SUBMISSIONS, detect, format_of_suffix
from gapkit.io._place import Place, reading
from gapkit.io._rows import ROWS_PER_BATCH, Rows
from gapkit.predictions import Predictions

_ROWS_PER_GROUP = 65_536


def read_predictions(path: str | os.PathLike[str]) -> Predictions:
    """Return the predictions of a submission file, whose format is found by content.

    ==================  ==========================================================================
    Parquet, Arrow IPC  Columns `id`, `labels` and `confidences` (lists, one a video), or a long
                        table of `id`, `label`, `confidence` (one prediction a row, in any order)
    CSV                 Kaggle's `VideoId,LabelConfidencePairs`, or `id,label,confidence`
    TREC run            `qid Q0 docid rank score tag`: video, label and confidence are the first,
                        third and fifth word; the others are not read, the order is the scores'
    ==================  ==========================================================================

    Texts may be gzipped. Names of columns are these exactly, in any order (Kaggle's in its own);
    other columns are left out.

    Parameters
    ----------
    path : path or str
        A URI (`s3://`, `gs://`, `hf://`, ...) is read through pyarrow's filesystem, else through
        fsspec's where it is installed.

    Raises
    ------
    DataError
        The file is absent, empty, damaged or of another schema, or a row is wrong (a NaN, an id
        twice, a label twice or out of range). The message names file, row and id.
    """
    place = Place.of(path)
    with reading(place), _open_rows(place, ROWS_PER_BATCH) as rows:
        return rows.to_predictions()


def scan_predictions(
    path: str | os.PathLike[str], *, rows_per_block: int = 65_536
) -> Iterator[Predictions]:
    """Yield the predictions of a submission file block by block.

    List Parquet, Arrow IPC and the Kaggle CSV take the memory of a few blocks; a long table and a
    TREC run, whose rows may stand in any order, are read whole. That an id stands once is checked
    in each block.

    Parameters
    ----------
    path : path or str
        As for `read_predictions`.
    rows_per_block : int
        Most videos of a block.

    Raises
    ------
    DataError
        As `read_predictions` does.
    """
    place = Place.of(path)
    with reading(place), _open_rows(place, rows_per_block) as rows:
        yield from rows.blocks(rows_per_block)


@contextmanager
def _open_rows(place: Place, rows_per_batch: int) -> Iterator[Rows]:
    with detect(place, SUBMISSIONS).load().open_rows(place, rows_per_batch) as rows:
        yield rows


def write_predictions(path: str | os.PathLike[str], predictions: Predictions) -> None:
    """Write a submission; the suffix chooses the format, the file appears whole or not at all.

    Parameters
    ----------
    path : path or str
        Ending in `.parquet`, `.arrow`, `.csv` or `.csv.gz` (Kaggle's), `.run` or `.trec`. A URI
        is written through its filesystem. CSV and TREC hold neither num_classes nor provenance,
        and TREC no video without predictions.
    predictions : Predictions

    Raises
    ------
    UsageError
        Another suffix.
    DataError
        The folder can't be written, or an id is empty or has a blank, which TREC can't hold.
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

    The file appears at the end of the block; on any exception what was there stays. However many
    rows come at a time, the file is the same.

    Parameters
    ----------
    path : path or str
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
        As `write_predictions` does.
    """
    place = Place.of(path)
    known, suffix = format_of_suffix(place, SUBMISSIONS)
    schema = submission_schema(num_classes, top_k, dict(provenance or {}))
    with (
        place.replacing() as temporary,
        known.load().open_writer(temporary, schema, suffix.endswith(".gz")) as writer,
    ):
        held: list[pa.RecordBatch] = []

        def write(predictions: Predictions) -> None:
            batch = predictions_to_batch(predictions, schema)
            start = 0
            while start < len(batch):
                room = _ROWS_PER_GROUP - sum(map(len, held))
                held.append(batch.slice(start, room))
                start += room
                if start <= len(batch):
                    write_group()

        def write_group() -> None:
            if held:
                writer.write_batch(_joined(held))
                held.clear()

        yield write
        write_group()


def _joined(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    if len(batches) == 1:
        return batches[0]
    return pa.Table.from_batches(batches).combine_chunks().to_batches()[0]
