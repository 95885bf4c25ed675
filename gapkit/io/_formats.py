"""What a file is, told from its first bytes; and errors that name the file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from gapkit.errors import DataError, UsageError

SUBMISSION_SUFFIXES = {
    ".parquet": "parquet",
    ".arrow": "arrow",
    ".csv": "csv",
    ".csv.gz": "csv.gz",
}


_ROWS_PER_BATCH = 1 << 16


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Put the file's name before whatever goes wrong while it is read."""
    try:
        yield
    except DataError as error:
        raise DataError(f"{path}: {error}") from None
    except FileNotFoundError:
        raise DataError(f"{path}: no such file.") from None
    except IsADirectoryError:
        raise DataError(f"{path} is a folder. Name a file in it.") from None
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise DataError(
            f"{path}: can't be read, it is damaged or cut short ({reason}). Write or copy it anew."
        ) from None


def detect_format(path: Path) -> str:
    """'parquet', 'arrow', 'csv' or 'csv.gz'."""
    with path.open("rb") as file:
        head = file.read(512)
        if head[:4] == b"PAR1":
            if len(head) < 12 or _last_bytes(file, 4) != b"PAR1":
                raise DataError("Parquet that is cut short: its end is missing. Copy it anew.")
            return "parquet"
        last = _last_bytes(file, 1)
    if not head:
        raise DataError("the file is empty. Write or copy it anew.")
    if head[:6] == b"ARROW1":
        return "arrow"
    if head[:2] == b"\x1f\x8b":
        return "csv.gz"
    if b"\0" not in head and b"," in head.split(b"\n")[0]:
        if last != b"\n":
            raise DataError("its last line has no end: cut short? If not, end it with a new line.")
        return "csv"
    raise DataError(
        "neither Parquet nor Arrow IPC nor CSV with a header line. "
        "Write it with gapkit or as README.md describes."
    )


def _last_bytes(file: BinaryIO, count: int) -> bytes:
    size_bytes = file.seek(0, 2)
    file.seek(max(size_bytes - count, 0))
    return file.read()


def check_output(path: Path) -> None:
    """Refuse an output that no submission can be, before work is done for it."""
    format_of_suffix(path)
    if path.is_dir():
        raise DataError(f"{path} is a folder. Name a file.")


def format_of_suffix(path: Path) -> str:
    """The format that an output's suffix asks for."""
    return SUBMISSION_SUFFIXES[suffix_of(path)]


def suffix_of(path: Path) -> str:
    """The suffix of an output, with both its dots where it has two."""
    for suffix in sorted(SUBMISSION_SUFFIXES, key=len, reverse=True):
        if path.name.endswith(suffix):
            return suffix
    raise UsageError(
        f"{path}: the suffix chooses the format. Use one of {', '.join(SUBMISSION_SUFFIXES)}."
    )


def open_text(path: Path, kind: str) -> pa.NativeFile:
    """A CSV's bytes, unpacked where it is gzipped."""
    return pa.input_stream(str(path), compression="gzip" if kind == "csv.gz" else None)


def read_arrow_table(path: Path, kind: str) -> pa.Table:
    """The table of a Parquet or Arrow IPC file, found whole: offsets, UTF-8, page checksums."""
    tables = list(scan_arrow_tables(path, kind, _ROWS_PER_BATCH))
    pa.default_memory_pool().release_unused()  # a quarter of a gigabyte after a large file
    return pa.concat_tables(tables)


def scan_arrow_tables(path: Path, kind: str, num_rows: int) -> Iterator[pa.Table]:
    """The same in tables of so many rows, at least one table."""
    if kind != "parquet":
        table = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
        table.validate(full=True)
        for start in range(0, max(len(table), 1), num_rows):
            yield table.slice(start, num_rows)
        return
    # pq.read_table would import pyarrow.dataset first, 0.04 s; reading a file of 14 million
    # predictions at once, or whole chunks of it ahead, takes 250 MB more and is not faster.
    with pq.ParquetFile(
        path, page_checksum_verification=True, pre_buffer=False, buffer_size=1 << 20
    ) as file:
        schema = file.schema_arrow
        num_read = 0
        for batch in file.iter_batches(batch_size=num_rows):
            table = pa.Table.from_batches([batch], schema=schema)
            table.validate(full=True)
            num_read += len(table)
            yield table
        if num_read == 0:
            yield schema.empty_table()
        if num_read != file.metadata.num_rows:
            raise DataError(
                f"damaged: {num_read:,} of {file.metadata.num_rows:,} rows can be read. "
                f"Write or copy it anew."
            )
