"""Labels as CSV: `id,labels`, those of a video separated by spaces."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gapkit._checks import check_labels
from gapkit.io._formats import LISTS_HEADER
from gapkit.io._place import Place
from gapkit.io._rows import Rows
from gapkit.io._text import line_blocks, open_text
from gapkit.io._words import offsets_of, split_rows, strip_header, write_two_columns
from gapkit.predictions import Labels

_SCHEMA = pa.schema([("id", pa.string()), ("labels", pa.list_(pa.uint32()))])


@contextmanager
def open_rows(place: Place, rows_per_batch: int) -> Iterator[Rows]:
    """The rows of a labels file."""
    with open_text(place) as stream:
        yield Rows(_SCHEMA, None, _batches(stream))


def _batches(stream: pa.NativeFile) -> Iterator[pa.RecordBatch]:
    first_row = 0
    for n, block in enumerate(line_blocks(stream)):
        lines = block if n else strip_header(block)
        if lines.strip():
            yield _parse(lines, first_row)
            first_row += lines.count(b"\n")


def _parse(lines: bytes, first_row: int) -> pa.RecordBatch:
    rows = split_rows(lines, LISTS_HEADER, first_row)
    label_P = rows.parse(slice(None), pa.int64()).to_numpy()
    row_P = rows.row_of_word
    check_labels(label_P, None, lambda position: rows.place(int(row_P[position])))
    values = pa.array(label_P.astype(np.uint32))
    lists = pa.ListArray.from_arrays(offsets_of(rows.lengths), values)
    return pa.RecordBatch.from_arrays([rows.ids, lists], schema=_SCHEMA)


def write_labels(path: Path, labels: Labels, is_gzip: bool) -> None:
    """Write them; num_classes and label names have no place in a CSV."""
    words = pa.array(labels.values).cast(pa.string())
    lists = pa.LargeListArray.from_arrays(labels.offsets, words)
    rows = pc.binary_join(lists, " ")
    with pa.output_stream(str(path), compression="gzip" if is_gzip else None) as sink:
        sink.write((",".join(LISTS_HEADER) + "\n").encode())
        write_two_columns(sink, pa.table([labels.id_column, rows], names=LISTS_HEADER))
