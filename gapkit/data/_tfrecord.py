"""TFRecord files: the framing with its checksums, and the protobuf classes of what lies inside.

A record is its length (uint64, little-endian), the masked CRC32C of those 8 bytes, the data, and
the masked CRC32C of the data. The tfrecord package reads the same framing without checking it.
"""

import functools
import importlib.util
import os
import struct
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from gapkit.errors import DataError, GapkitError

_INSTALL = "is not installed. Install it with: pip install 'gapkit[train]'"
_AGAIN = "Download or copy the file again."
_LENGTH = struct.Struct("<Q")
_CRC = struct.Struct("<I")
_HEADER_BYTES = _LENGTH.size + _CRC.size


class Messages(NamedTuple):
    """The protobuf classes of TensorFlow's records."""

    Example: Any
    SequenceExample: Any


def read_records(
    path: str | os.PathLike[str],
    *,
    on_bytes: Callable[[int], object] | None = None,
    on_error: Callable[[str], object] | None = None,
) -> Iterator[bytes | None]:
    """Yield the data of each record of a TFRecord file, both checksums checked.

    Nothing is opened before the first record is asked for, and one record at a time is in memory.

    Parameters
    ----------
    path : str or path
        The file, not compressed.
    on_bytes : callable, optional
        Called after each record with the bytes it took, framing included; in the end they sum to
        the size of the file.
    on_error : callable, optional
        Told of a damaged record, in whose place None is yielded; where its length can't be
        trusted nothing behind it can be found, which is said, and the file ends there.

    Yields
    ------
    bytes or None
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
    with _open(path) as file:
        size_bytes = os.fstat(file.fileno()).st_size
        if size_bytes == 0:
            raise DataError(f"{path}: holds no records: the file is empty. {_AGAIN}")
        record, offset = 0, 0
        while offset < size_bytes:
            data: bytes | None = None
            try:
                data = _read_record(file, path, record, offset, size_bytes, masked_crc)
            except DataError as error:
                if on_error is None or (record == 0 and file.tell() <= _HEADER_BYTES):
                    raise  # no TFRecord at all
                if file.tell() - offset <= _HEADER_BYTES:
                    left_bytes = size_bytes - offset
                    on_error(f"{error} The {left_bytes:,} bytes from there on are left out.")
                    if on_bytes is not None:
                        on_bytes(left_bytes)
                    return
                on_error(str(error))
            taken_bytes = file.tell() - offset
            record, offset = record + 1, offset + taken_bytes
            if on_bytes is not None:
                on_bytes(taken_bytes)
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
    file: BinaryIO,
    path: str | os.PathLike[str],
    record: int,
    offset: int,
    size_bytes: int,
    masked_crc: Callable[[bytes], int],
) -> bytes:
    """Return the data of the record at the file's position, or say what is wrong with it."""
    where = f"{path}: record {record} at byte {offset}"
    header = file.read(_HEADER_BYTES)
    if len(header) < _HEADER_BYTES:
        raise DataError(
            f"{where}: cut short, {len(header)} of the {_HEADER_BYTES} bytes of its header. "
            f"{_AGAIN}"
        )
    (crc,) = _CRC.unpack_from(header, _LENGTH.size)
    if masked_crc(header[: _LENGTH.size]) != crc:
        if header.startswith(b"\x1f\x8b"):
            raise DataError(f"{where}: is compressed with gzip. Decompress the file first: gunzip")
        if record == 0:
            raise DataError(
                f"{where}: wrong checksum of its length: not a TFRecord, or damaged at its first "
                f"record. Check what the file is, or download it again."
            )
        raise DataError(f"{where}: wrong checksum of its length: the file is damaged. {_AGAIN}")
    (length,) = _LENGTH.unpack_from(header)
    left_bytes = size_bytes - offset - _HEADER_BYTES
    if length + _CRC.size <= left_bytes:
        data, footer = file.read(length), file.read(_CRC.size)
        if len(data) + len(footer) == length + _CRC.size:
            if masked_crc(data) != _CRC.unpack(footer)[0]:
                raise DataError(f"{where}: wrong checksum of its data: damaged. {_AGAIN}")
            return data
        left_bytes = len(data) + len(footer)  # The file shrank while it was read.
    raise DataError(
        f"{where}: cut short, {left_bytes} of the {length + _CRC.size} bytes after its header. "
        f"{_AGAIN}"
    )


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
