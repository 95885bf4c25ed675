"""TREC runs: `qid Q0 docid rank score tag`; a query is a video, a document a label.

The order is that of the scores, as for trec_eval: ranks are not read. Second word and tag are not
read either; they are written as Q0 and gapkit.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from gapkit.io._place import Place
from gapkit.io._rows import Rows, rows_of_table
from gapkit.io._trec import check_ids, read_trec

_COLUMNS = {"id": 0, "label": 2, "confidence": 4}
_TAG = "gapkit"


@contextmanager
def open_rows(place: Place, rows_per_batch: int) -> Iterator[Rows]:
    """The lines as a long table."""
    yield rows_of_table(read_trec(place, 6, _COLUMNS), rows_per_batch)


@contextmanager
def open_writer(path: Path, schema: pa.Schema, is_gzip: bool) -> Iterator[_Writer]:
    """Write a submission; a video without predictions has no line."""
    with pa.output_stream(str(path), compression="gzip" if is_gzip else None) as sink:
        yield _Writer(sink)


class _Writer:
    def __init__(self, sink: pa.NativeFile) -> None:
        self._sink = sink

    def write_batch(self, batch: pa.RecordBatch) -> None:
        """Append the rows of a batch."""
        check_ids(batch["id"])
        lists = batch["labels"]
        row_P = pc.list_parent_indices(lists)
        length_N = pc.list_value_length(lists).to_numpy()
        first_N = np.cumsum(length_N) - length_N
        rank_P = 1 + np.arange(len(row_P)) - np.repeat(first_N, length_N)
        table = pa.table(
            {
                "id": batch["id"].take(row_P),
                "q0": pa.repeat("Q0", len(row_P)),
                "label": lists.flatten(),
                "rank": rank_P,
                "confidence": batch["confidences"].flatten(),
                "tag": pa.repeat(_TAG, len(row_P)),
            }
        )
        options = csv.WriteOptions(include_header=False, delimiter=" ", quoting_style="none")
        csv.write_csv(table, self._sink, options)
