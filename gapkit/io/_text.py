"""Text files: unpacked, and read in blocks of whole lines or as tables."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pyarrow as pa
from pyarrow import csv

from gapkit.errors import DataError
from gapkit.io._place import Place

_BLOCK_BYTES = 1 << 22


@contextmanager
def open_text(place: Place) -> Iterator[pa.NativeFile]:
    """A text's bytes, unpacked where it is gzipped; an end cut off is refused."""
    with place.open() as file:
        is_gzip = file.read_at(2, 0) == b"\x1f\x8b"
        file.seek(0)
        if is_gzip:
            with pa.CompressedInputStream(file, "gzip") as unpacked:
                yield unpacked
            return
        if file.read_at(1, file.size() - 1) != b"\n":
            raise DataError("its last line has no end: cut short? If not, end it with a new line.")
        file.seek(0)  # `read_at` moves on
        yield file


def line_blocks(stream: pa.NativeFile) -> Iterator[bytes]:
    """The text in blocks that end with a line."""
    rest = b""
    while block := stream.read(_BLOCK_BYTES):
        head, end, tail = block.rpartition(b"\n")
        if end:
            yield rest + head + end
            rest = tail
        else:
            rest += block
    if rest:
        yield rest


def read_columns(
    source: pa.NativeFile,
    names: Sequence[str] | None,
    types: dict[str, pa.DataType],
    *,
    delimiter: str = ",",
    quoted: bool = True,
    first_row: int = 0,
    threads: bool = True,
) -> pa.Table:
    """The columns that `types` name; '' alone is missing, and a string is never.

    Parameters are pyarrow's; `names` are those of a text without a header. Errors count the rows
    from `first_row`.
    """
    try:
        return csv.read_csv(
            source,
            csv.ReadOptions(column_names=names, use_threads=threads),
            csv.ParseOptions(
                delimiter=delimiter, quote_char='"' if quoted else False, newlines_in_values=False
            ),
            csv.ConvertOptions(
                column_types=types,
                include_columns=list(types),
                null_values=[""],
                strings_can_be_null=False,
            ),
        )
    except pa.ArrowInvalid as error:
        found = re.search(r"Row #(\d+): (Expected \d+ columns, got \d+)", str(error))
        if found is None:
            raise
        line = int(found[1]) - (2 if names is None else 1)
        raise DataError(
            f"row {first_row + line}: {found[2].lower()}. Quote ids that hold commas."
        ) from None
