"""TREC qrels: `qid 0 docid rel`; a query is a video, a document a label, and rel > 0 is true.

A video all of whose lines have rel 0 or less is labelled, without a positive. So one without
labels is written as a line of label 0 with rel 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import csv

from gapkit._ids import group_ids
from gapkit.io._place import Place
from gapkit.io._rows import Rows, rows_of_table
from gapkit.io._trec import check_ids, read_trec
from gapkit.predictions import Labels

_COLUMNS = {"id": 0, "label": 2, "rel": 3}


@contextmanager
def open_rows(place: Place, rows_per_batch: int) -> Iterator[Rows]:
    """Labels as lists."""
    lines = read_trec(place, 4, _COLUMNS).combine_chunks()
    ids, label_E, rel_E = (lines[name].combine_chunks() for name in _COLUMNS)
    video_E, first_N = group_ids(ids)
    is_true_E = rel_E.to_numpy() > 0
    order = np.argsort(video_E[is_true_E], kind="stable")
    count_N = np.bincount(video_E[is_true_E], minlength=len(first_N))
    offsets = np.concatenate([[0], np.cumsum(count_N)])
    lists = pa.LargeListArray.from_arrays(offsets, label_E.to_numpy()[is_true_E][order])
    table = pa.table({"id": ids.take(pa.array(first_N)), "labels": lists})
    yield rows_of_table(table, rows_per_batch)


def write_labels(path: Path, labels: Labels, is_gzip: bool) -> None:
    """Write them, with rel 1; num_classes and label names have no place in qrels."""
    check_ids(labels.id_column)
    length_N = np.diff(labels.offsets)
    is_empty_N = length_N == 0
    row_P = np.repeat(np.arange(len(labels)), np.maximum(length_N, 1))
    is_true_P = ~np.repeat(is_empty_N, np.maximum(length_N, 1))
    label_P = np.zeros(len(row_P), np.uint32)
    label_P[is_true_P] = labels.values
    table = pa.table(
        {
            "id": labels.id_column.take(pa.array(row_P)),
            "q0": pa.repeat("0", len(row_P)),
            "label": label_P,
            "rel": is_true_P.astype(np.uint8),
        }
    )
    options = csv.WriteOptions(include_header=False, delimiter=" ", quoting_style="none")
    with pa.output_stream(str(path), compression="gzip" if is_gzip else None) as sink:
        csv.write_csv(table, sink, options)
