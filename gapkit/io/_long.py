"""Long tables as CSV: `id,label,confidence` or, for labels, `id,label`."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa

from gapkit.errors import DataError
from gapkit.io._place import Place
from gapkit.io._rows import Rows, rows_of_table
from gapkit.io._text import line_blocks, open_text, read_columns

_TYPES = {"id": pa.string(), "label": pa.int64(), "confidence": pa.float64()}
_WHAT = {"label": "a label", "confidence": "a confidence"}


@contextmanager
def open_rows(place: Place, rows_per_batch: int) -> Iterator[Rows]:
    """The rows, whatever the order of the columns; others than these are left out."""
    with open_text(place) as stream:
        header = next(line_blocks(stream)).partition(b"\n")[0].decode()
    columns = next(csv.reader([header.removeprefix("\ufeff").rstrip("\r")]))
    types = {name: kind for name, kind in _TYPES.items() if name in columns}
    twice = [name for name in types if columns.count(name) > 1]
    if twice:
        raise DataError(f"column {twice[0]!r} stands twice. Keep one.")
    try:
        with open_text(place) as stream:
            table = read_columns(stream, None, types)
    except pa.ArrowInvalid:
        _refuse_first(place, columns, types)
        raise
    yield rows_of_table(table, rows_per_batch)


def _refuse_first(place: Place, columns: list[str], types: dict[str, pa.DataType]) -> None:
    """Say which word is no number, and where; with threads Arrow does not."""
    try:
        with open_text(place) as stream:
            read_columns(stream, None, types, threads=False)
    except pa.ArrowInvalid as error:
        found = re.search(r"CSV column #(\d+): Row #(\d+): .* invalid value '(.*)'", str(error))
        if found is None:
            return
        name = columns[int(found[1])]
        raise DataError(
            f"row {int(found[2]) - 2}: {found[3]!r} is not {_WHAT.get(name, name)}. "
            f"Labels are whole numbers from 0, confidences numbers."
        ) from None
