"""Parquet: lists a video or a long table, by whatever engine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from gapkit.errors import DataError
from gapkit.io._columns import labels_to_table
from gapkit.io._place import Place
from gapkit.io._rows import Rows
from gapkit.predictions import Labels

# Page checksums find a flipped bit, at about 15 ms in reading 200,000 x 20; with labels alone as
# a dictionary files are written faster and are smaller than with pyarrow's defaults
# (bench/README.md, 'Submission files').
OPTIONS = {
    "compression": "snappy",
    "use_dictionary": ["labels.list.element"],
    "write_page_checksum": True,
}


@contextmanager
def open_rows(place: Place, rows_per_batch: int) -> Iterator[Rows]:
    """The rows of a file, found whole: offsets, UTF-8, page checksums."""
    with place.open() as file:
        if file.size() < 12 or file.read_at(4, file.size() - 4) != b"PAR1":
            raise DataError("Parquet that is cut short: its end is missing. Copy it anew.")
    is_local = place.path is not None
    with (
        place.open() as source,
        pq.ParquetFile(
            source,
            page_checksum_verification=True,
            # Reading ahead of a local file takes 250 MB more and is slower (bench/README.md).
            pre_buffer=not is_local,
            buffer_size=1 << 20 if is_local else 0,
        ) as parquet,
    ):
        about = parquet.metadata
        in_groups = sum(about.row_group(i).num_rows for i in range(about.num_row_groups))
        if in_groups != about.num_rows:
            raise _damaged(in_groups, about.num_rows)
        yield Rows(parquet.schema_arrow, about.num_rows, _batches(parquet, rows_per_batch))


def _batches(file: pq.ParquetFile, rows_per_batch: int) -> Iterator[pa.RecordBatch]:
    num_read = 0
    for batch in file.iter_batches(batch_size=rows_per_batch):
        batch.validate(full=True)
        num_read += len(batch)
        yield batch
    if num_read != file.metadata.num_rows:
        raise _damaged(num_read, file.metadata.num_rows)


def _damaged(num_read: int, num_rows: int) -> DataError:
    return DataError(
        f"damaged: {num_read:,} of {num_rows:,} rows can be read. Write or copy it anew."
    )


def open_writer(path: Path, schema: pa.Schema, is_gzip: bool) -> Any:
    """Write a submission."""
    return pq.ParquetWriter(path, schema, **OPTIONS)


def write_labels(path: Path, labels: Labels, is_gzip: bool) -> None:
    """Write labels as lists."""
    pq.write_table(labels_to_table(labels), path, write_page_checksum=True)
