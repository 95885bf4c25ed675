"""The Kaggle CSV: `VideoId,LabelConfidencePairs`, label and confidence in turn."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from gapkit._checks import check_labels
from gapkit._threads import num_threads
from gapkit.errors import DataError
from gapkit.io._formats import KAGGLE_HEADER
from gapkit.io._place import Place
from gapkit.io._rows import Rows
from gapkit.io._text import line_blocks, open_text
from gapkit.io._words import offsets_of, split_rows, strip_header, write_two_columns

_SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("labels", pa.list_(pa.uint32())),
        ("confidences", pa.list_(pa.float32())),
    ]
)
_MANY = 1 << 30


@contextmanager
def open_rows(place: Place, rows_per_batch: int) -> Iterator[Rows]:
    """The rows, parsed some megabytes at a time."""
    with open_text(place) as stream:
        yield Rows(_SCHEMA, None, _batches(stream))


def _batches(stream: pa.NativeFile) -> Iterator[pa.RecordBatch]:
    """Blocks parsed in threads, a few ahead of who asks for them."""
    threads = num_threads(_MANY)
    waiting: deque[Future[pa.RecordBatch]] = deque()
    first_row = 0
    with ThreadPoolExecutor(threads) as pool:
        try:
            for n, block in enumerate(line_blocks(stream)):
                lines = block if n else strip_header(block)
                if not lines.strip():
                    continue
                waiting.append(pool.submit(_parse, lines, first_row))
                first_row += lines.count(b"\n")
                if len(waiting) > threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _parse(lines: bytes, first_row: int) -> pa.RecordBatch:
    return _parse_full_rows(lines) or _parse_any_rows(lines, first_row)


def _parse_full_rows(lines: bytes) -> pa.RecordBatch | None:
    """Rows of as many pairs as the first: columns of a CSV that is separated by spaces.

    Five times as fast as splitting each row; None where a row is of another length, or quoted.
    """
    k, odd = divmod(lines.partition(b"\n")[0].count(b" ") + 1, 2)
    num_rows = lines.count(b"\n")
    if odd or b'"' in lines or b"  " in lines or lines.count(b",") != num_rows:
        return None
    labels, confidences = [f"l{n}" for n in range(k)], [f"c{n}" for n in range(k)]
    names = ["id", *(name for pair in zip(labels, confidences, strict=True) for name in pair)]
    types = {
        "id": pa.string(),
        **dict.fromkeys(labels, pa.uint32()),
        **dict.fromkeys(confidences, pa.float64()),
    }
    try:
        table = csv.read_csv(
            pa.BufferReader(lines.replace(b",", b" ")),
            csv.ReadOptions(column_names=names, use_threads=False, block_size=len(lines) + 1),
            csv.ParseOptions(delimiter=" ", quote_char=False),
            csv.ConvertOptions(column_types=types, null_values=[""]),
        )
    except pa.ArrowInvalid:
        return None
    if len(table) != num_rows or any(column.null_count for column in table.columns):
        return None
    ids = table["id"].combine_chunks()
    if not _commas_end_ids(lines, ids):
        return None
    label_NK, confidence_NK = (
        np.empty((num_rows, k), np.uint32),
        np.empty((num_rows, k), np.float32),
    )
    with np.errstate(over="ignore"):  # what is not finite is found later
        for n in range(k):
            label_NK[:, n] = table[labels[n]].to_numpy()
            confidence_NK[:, n] = table[confidences[n]].to_numpy()
    return _to_batch(ids, label_NK, confidence_NK, np.full(num_rows, k))


def _commas_end_ids(lines: bytes, ids: pa.StringArray) -> bool:
    """Whether the comma of each line follows its id."""
    bytes_B = np.frombuffer(lines, np.uint8)
    starts = np.concatenate([[0], np.flatnonzero(bytes_B == ord("\n"))[:-1] + 1])
    lengths = pc.binary_length(ids).to_numpy()
    return bool((bytes_B[starts + lengths] == ord(",")).all())


def _parse_any_rows(lines: bytes, first_row: int) -> pa.RecordBatch:
    """Rows of any length; what is wrong in one is found here."""
    rows = split_rows(lines, KAGGLE_HEADER, first_row)
    odd = np.flatnonzero(rows.lengths % 2)
    if odd.size:
        raise DataError(
            f"{rows.place(int(odd[0]))}: {rows.lengths[odd[0]]} words where pairs of label and "
            f"confidence were expected. Separate all by spaces."
        )
    label_P = rows.parse(slice(0, None, 2), pa.int64()).to_numpy()
    confidence_P = rows.parse(slice(1, None, 2), pa.float64()).to_numpy()
    row_P = rows.row_of_word[::2]
    check_labels(label_P, None, lambda position: rows.place(int(row_P[position])))
    with np.errstate(over="ignore"):
        return _to_batch(
            rows.ids, label_P.astype(np.uint32), confidence_P.astype(np.float32), rows.lengths // 2
        )


def _to_batch(ids: pa.StringArray, labels: Any, confidences: Any, lengths: Any) -> pa.RecordBatch:
    offsets = offsets_of(lengths)
    lists = [
        pa.ListArray.from_arrays(offsets, pa.array(values.reshape(-1)))
        for values in (labels, confidences)
    ]
    return pa.RecordBatch.from_arrays([ids, *lists], schema=_SCHEMA)


@contextmanager
def open_writer(path: Path, schema: pa.Schema, is_gzip: bool) -> Iterator[_Writer]:
    """Write a submission; float32 in the shortest exact digits."""
    with pa.output_stream(str(path), compression="gzip" if is_gzip else None) as sink:
        sink.write((",".join(KAGGLE_HEADER) + "\n").encode())
        yield _Writer(sink)


class _Writer:
    def __init__(self, sink: pa.NativeFile) -> None:
        self._sink = sink

    def write_batch(self, batch: pa.RecordBatch) -> None:
        """Append the rows of a batch."""
        lists = batch["labels"]
        pairs = pc.binary_join_element_wise(
            lists.flatten().cast(pa.string()),
            batch["confidences"].flatten().cast(pa.string()),
            " ",
        )
        offsets = pc.subtract(lists.offsets, lists.offsets[0])  # a slice's do not begin at 0
        rows = pc.binary_join(pa.ListArray.from_arrays(offsets, pairs), " ")
        write_two_columns(self._sink, pa.table([batch["id"], rows], names=KAGGLE_HEADER))
