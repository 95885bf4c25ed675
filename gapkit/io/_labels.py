"""Read and write labels files."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow.parquet as pq

from gapkit.io._atomic import replacing_file
from gapkit.io._columns import labels_to_table, table_to_labels
from gapkit.io._csv import read_label_lists
from gapkit.io._formats import detect_format, open_batches, open_text, reading
from gapkit.predictions import Labels


def read_labels(path: str | os.PathLike[str]) -> Labels:
    """Return the labels of a file: Parquet or Arrow IPC (`id`, `labels`), or CSV (`id,labels`).

    In the CSV the labels of a video are separated by spaces.

    Raises
    ------
    DataError
        The file is absent, empty, damaged or of another schema, or a row is wrong.
    """
    path = Path(path)
    with reading(path):
        kind = detect_format(path)
        if kind in ("csv", "csv.gz"):
            with open_text(path, kind) as source:
                return table_to_labels(read_label_lists(source))
        with open_batches(path, kind) as rows:
            return table_to_labels(rows.to_table())


def write_labels(path: str | os.PathLike[str], labels: Labels) -> None:
    """Write a labels file as Parquet; it appears whole or not at all.

    Raises
    ------
    DataError
        The folder can't be written.
    """
    with replacing_file(path) as temporary:
        pq.write_table(labels_to_table(labels), temporary, write_page_checksum=True)
