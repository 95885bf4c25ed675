"""Rows of a Parquet or Arrow file that is damaged in parts: what is around the damage."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gapkit.io._place import Place
from gapkit.io._problems.columns import Block, add_blocks, check_schema
from gapkit.io._problems.report import Spot
from gapkit.io._problems.rows import RowChecks

_REMEDY = "Write or copy it anew."
_ROWS_PER_BATCH = 1 << 14
_MAGIC_BYTES = 8


def salvage_parquet(place: Place, checks: RowChecks) -> None:
    """Check the row groups that can be read."""
    with (
        place.open() as source,
        pq.ParquetFile(source, page_checksum_verification=True) as file,
    ):
        if check_schema(file.schema_arrow, checks):
            add_blocks(_row_groups(file, checks), file.schema_arrow, checks)


def _row_groups(file: pq.ParquetFile, checks: RowChecks) -> Iterator[Block]:
    stop = 0
    for group in range(file.num_row_groups):
        start, stop = stop, stop + file.metadata.row_group(group).num_rows
        first = start
        try:
            for batch in file.iter_batches(_ROWS_PER_BATCH, row_groups=[group]):
                batch.validate(full=True)
                yield start + np.arange(len(batch)), batch
                start += len(batch)
        except (OSError, pa.ArrowException) as error:
            _add_damage(checks, start, f"row group {group} (rows {first} to {stop - 1})", error)
    if stop != file.metadata.num_rows:
        checks.problems.add_file(
            "damaged",
            f"damaged: row groups of {stop:,} rows, and its metadata say "
            f"{file.metadata.num_rows:,}. {_REMEDY}",
        )


def salvage_arrow(place: Place, checks: RowChecks) -> None:
    """Check the record batches up to the damage: a file holds a stream, and then its index."""
    with place.open() as source:
        source.seek(_MAGIC_BYTES)
        stream = pa.ipc.open_stream(source)
        if check_schema(stream.schema, checks):
            add_blocks(_stream_batches(stream, checks), stream.schema, checks)


def _stream_batches(stream: pa.RecordBatchStreamReader, checks: RowChecks) -> Iterator[Block]:
    start = 0
    while True:
        try:
            batch = stream.read_next_batch()
            batch.validate(full=True)
        except StopIteration:
            return
        except (OSError, pa.ArrowException) as error:
            _add_damage(checks, start, f"the record batch from row {start}", error)
            return
        yield start + np.arange(len(batch)), batch
        start += len(batch)


def _add_damage(checks: RowChecks, row: int, what: str, error: Exception) -> None:
    reason = " ".join(str(error).split())
    spot = Spot(row=row, id=None, line=None, what=f"{what} is damaged or cut short ({reason})")
    checks.problems.add_spot("damaged", spot, _REMEDY)
