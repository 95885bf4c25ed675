"""TFRecord files: the framing with its checksums, and the protobuf classes of what lies inside.

A record is its length (uint64, little-endian), the masked CRC32C of those 8 bytes, the data, and
the masked CRC32C of the data. The tfrecord package reads the same framing without checking it.
"""

import functools
import importlib.util
import os
import struct
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from gapkit.errors import DataError, GapkitError

_INSTALL = "is not installed. Install it with: pip install 'gapkit[train]'"
_AGAIN = "Download or copy the file again."
_LENGTH = struct.Struct("<Q")
_CRC = struct.Struct("<I")
_HEADER_BYTES = _LENGTH.size + _CRC.size


class Fault(NamedTuple):
    """What is wrong with a file, where a reader may go on."""

    message: str
    """Names file, record and byte"""
    ends_file: bool
    """Whether what follows is lost as well"""

    def told(self) -> str:
        """For a reader who goes on."""
        return f"{self.message} The rest of the file is lost." if self.ends_file else self.message


class Messages(NamedTuple):
    """The protobuf classes of TensorFlow's records."""

    Example: Any
    SequenceExample: Any


def read_records(
    path: str | os.PathLike[str],
    *,
    on_bytes: Callable[[int], object] | None = None,
    on_fault: Callable[[Fault], object] | None = None,
    file: BinaryIO | None = None,
) -> Iterator[bytes]:
    """Yield the data of each record of a TFRecord file, both checksums checked.

    Nothing is opened before the first record is asked for, and one record at a time is in memory.

    Parameters
    ----------
    path : str or path
        The file, not compressed.
    on_bytes : callable, optional
        Called after each record with the bytes it took, framing included; in the end they sum to
        the size of the file.
    on_fault : callable, optional
        Told what is wrong, in place of an error. A record whose data are damaged is left out; one
        whose length can't be trusted takes the rest of the file along.
    file : binary file, optional
        Read in place of the path, which then is its name.

    Yields
    ------
    bytes
        The data of a record, in the order of the file.

    Raises
    ------
    DataError
        The file is missing, unreadable, empty, cut short or damaged. The message names the file,
        the record (counted from 0) and the byte at which that record starts.
    GapkitError
        The crc32c package is missing.
    """
    masked_crc = _masked_crc()
    with _open(path) if file is None else nullcontext(file) as opened:
        size_bytes = os.fstat(opened.fileno()).st_size
        if size_bytes == 0:
            message = f"{path}: holds no records: the file is empty. {_AGAIN}"
            if on_fault is None:
                raise DataError(message)
            on_fault(Fault(message=message, ends_file=True))
        record, offset = 0, 0
        while offset < size_bytes:
            where = f"{path}: record {record} at byte {offset}"
            data, taken_bytes, fault = _read_record(
                opened, where, record, size_bytes - offset, masked_crc
            )
            if fault is not None:
                if on_fault is None:
                    raise DataError(fault.message)
                on_fault(fault)
            record, offset = record + 1, offset + taken_bytes
            if on_bytes is not None:
                on_bytes(taken_bytes)
            if fault is None:
                yield data


def write_records(target: str | os.PathLike[str] | BinaryIO, records: Iterable[bytes]) -> int:
    """Write records with their framing and checksums; return how many bytes were written.

    Parameters
    ----------
    target : str, path or binary file
        A path is created or overwritten in place; a file is written from where it stands and
        stays open.
    records : iterable of bytes
        The data of each record.

    Returns
    -------
    int
        Bytes written, framing included; 0 for no records.

    Raises
    ------
    GapkitError
        The crc32c package is missing.

    Examples
    --------
    >>> import io
    >>> file = io.BytesIO()
    >>> write_records(file, [b"ab", b"c"])
    35
    """
    if isinstance(target, (str, os.PathLike)):
        with Path(target).open("wb") as file:
            return write_records(file, records)
    masked_crc = _masked_crc()
    written_bytes = 0
    for data in records:
        length = _LENGTH.pack(len(data))
        for part in (length, _CRC.pack(masked_crc(length)), data, _CRC.pack(masked_crc(data))):
            written_bytes += target.write(part)
    return written_bytes


@functools.cache
def messages() -> Messages:
    """Return the protobuf classes `Example` and `SequenceExample` of the tfrecord package.

    They are loaded from the package's file, because `import tfrecord` imports torch wherever torch
    is installed (2 s).

    Raises
    ------
    GapkitError
        The tfrecord package is missing.
    """
    package = importlib.util.find_spec("tfrecord")
    if package is None or not package.submodule_search_locations:
        raise GapkitError(f"TFRecord files need the package tfrecord, which {_INSTALL}")
    path = Path(package.submodule_search_locations[0]) / "example_pb2.py"
    spec = importlib.util.spec_from_file_location("gapkit.data._example_pb2", path)
    if spec is None or spec.loader is None:
        raise GapkitError(f"{path}: can't be loaded. Reinstall: pip install 'gapkit[train]'")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except ImportError as error:
        raise GapkitError(f"TFRecord files need the package protobuf, which {_INSTALL}") from error
    except FileNotFoundError:
        raise GapkitError(f"{path}: is missing. Reinstall: pip install 'gapkit[train]'") from None
    return Messages(module.Example, module.SequenceExample)


def _open(path: str | os.PathLike[str]) -> BinaryIO:
    """Return the file, open for reading, or say why not."""
    try:
        return Path(path).open("rb")
    except FileNotFoundError:
        raise DataError(f"{path}: no such file. Check the path.") from None
    except IsADirectoryError:
        raise DataError(f"{path}: is a folder, not a TFRecord file. Name files in it.") from None
    except OSError as error:
        raise DataError(f"{path}: can't be read: {error.strerror}.") from error


def _read_record(
    file: BinaryIO, where: str, record: int, left_bytes: int, masked_crc: Callable[[bytes], int]
) -> tuple[bytes, int, Fault | None]:
    """The data of the record at the file's position, the bytes it takes, and what is wrong."""
    header = file.read(_HEADER_BYTES)
    fault = _check_header(header, where, record, masked_crc)
    if fault is not None:
        return b"", left_bytes, fault
    (length,) = _LENGTH.unpack_from(header)
    after_bytes = left_bytes - _HEADER_BYTES
    if length + _CRC.size <= after_bytes:
        data, footer = file.read(length), file.read(_CRC.size)
        if len(data) + len(footer) == length + _CRC.size:
            taken_bytes = _HEADER_BYTES + length + _CRC.size
            if masked_crc(data) == _CRC.unpack(footer)[0]:
                return data, taken_bytes, None
            message = f"{where}: wrong checksum of its data: damaged. {_AGAIN}"
            return b"", taken_bytes, Fault(message=message, ends_file=False)
        after_bytes = len(data) + len(footer)  # The file shrank while it was read.
    message = (
        f"{where}: cut short, {after_bytes} of the {length + _CRC.size} bytes after its header. "
        f"{_AGAIN}"
    )
    return b"", left_bytes, Fault(message=message, ends_file=True)


def _check_header(
    header: bytes, where: str, record: int, masked_crc: Callable[[bytes], int]
) -> Fault | None:
    if len(header) < _HEADER_BYTES:
        message = (
            f"{where}: cut short, {len(header)} of the {_HEADER_BYTES} bytes of its header. "
            f"{_AGAIN}"
        )
        return Fault(message=message, ends_file=True)
    (crc,) = _CRC.unpack_from(header, _LENGTH.size)
    if masked_crc(header[: _LENGTH.size]) == crc:
        return None
    if header.startswith(b"\x1f\x8b"):
        message = f"{where}: is compressed with gzip. Decompress the file first: gunzip"
    elif record == 0:
        message = (
            f"{where}: wrong checksum of its length: not a TFRecord, or damaged at its first "
            f"record. Check what the file is, or download it again."
        )
    else:
        message = f"{where}: wrong checksum of its length: the file is damaged. {_AGAIN}"
    return Fault(message=message, ends_file=True)


@functools.cache
def _masked_crc() -> Callable[[bytes], int]:
    """Return the checksum of the format: CRC32C, rotated by 15 bits, plus a constant."""
    crc32c = load_crc32c()

    def masked_crc(data: bytes) -> int:
        crc = crc32c(data)
        return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF

    return masked_crc


def load_crc32c() -> Callable[..., int]:
    """Return `crc32c(data, crc=0)` of the crc32c package, or say how to install it."""
    try:
        from crc32c import crc32c
    except ImportError:
        raise GapkitError(f"TFRecord files need the package crc32c, which {_INSTALL}") from None
    function: Callable[..., int] = crc32c
    return function
