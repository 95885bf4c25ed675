"""What a file is, told from its first bytes; and errors that name the file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
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


ROWS_PER_BATCH = 1 << 14


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


@dataclass(frozen=True)
class Batches:
    """The rows of a file, some at a time."""

    schema: pa.Schema
    num_rows: int
    batches: Iterable[pa.RecordBatch]

    @classmethod
    def of_table(cls, table: pa.Table, rows_per_batch: int = ROWS_PER_BATCH) -> Batches:
        """Those of a table that is there whole."""
        return cls(table.schema, len(table), table.to_batches(max_chunksize=rows_per_batch))

    def to_table(self) -> pa.Table:
        """All of them."""
        return pa.Table.from_batches(list(self.batches), schema=self.schema)


@contextmanager
def open_batches(path: Path, kind: str, rows_per_batch: int = ROWS_PER_BATCH) -> Iterator[Batches]:
    """The rows of a Parquet or Arrow IPC file, found whole: offsets, UTF-8, page checksums."""
    if kind == "arrow":
        table = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
        table.validate(full=True)
        yield Batches.of_table(table, rows_per_batch)
        return
    # pq.read_table would import pyarrow.dataset first, 0.04 s; reading ahead, or a file of 14
    # million predictions at once, takes 250 to 400 MB more and is slower (bench/README.md).
    with pq.ParquetFile(
        path, page_checksum_verification=True, pre_buffer=False, buffer_size=1 << 20
    ) as file:
        about = file.metadata
        in_groups = sum(about.row_group(i).num_rows for i in range(about.num_row_groups))
        if in_groups != about.num_rows:
            raise _damaged(in_groups, about.num_rows)
        yield Batches(file.schema_arrow, about.num_rows, _parquet_batches(file, rows_per_batch))


def _parquet_batches(file: pq.ParquetFile, rows_per_batch: int) -> Iterator[pa.RecordBatch]:
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
