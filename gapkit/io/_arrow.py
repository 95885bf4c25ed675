"""Arrow IPC: memory-mapped, so that reading touches each byte once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from gapkit.io._columns import labels_to_table
from gapkit.io._place import Place
from gapkit.io._rows import Rows, rows_of_table
from gapkit.predictions import Labels


@contextmanager
def open_rows(place: Place, rows_per_batch: int) -> Iterator[Rows]:
    """The rows of a file, found whole: offsets and UTF-8."""
    source = place.open() if place.path is None else pa.memory_map(str(place.path))
    table = pa.ipc.open_file(source).read_all()
    table.validate(full=True)
    yield rows_of_table(table, rows_per_batch)


def open_writer(path: Path, schema: pa.Schema, is_gzip: bool) -> Any:
    """Write a submission."""
    return pa.ipc.new_file(str(path), schema)


def write_labels(path: Path, labels: Labels, is_gzip: bool) -> None:
    """Write labels as lists."""
    table = labels_to_table(labels)
    with pa.ipc.new_file(str(path), table.schema) as writer:
        writer.write_table(table)
