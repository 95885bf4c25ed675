"""The file of a shard: its checksum taken as it is written, a large one past the page cache."""

from __future__ import annotations

import errno
import io
import mmap
import os
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from gapkit.data._checksum import load_checksum

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

DIRECT_BYTES = 32 << 20  # smaller shards are soon read again: they stay in the page cache
_BLOCK_BYTES = 4 << 20
_DIRECT = getattr(os, "O_DIRECT", 0)


class ShardFile(io.RawIOBase):
    """A new file that knows the checksum of what was written.

    Blocks taken from the file system at once, rather than page by page, make writing faster by a
    third; and a full disk is known before the first byte. A file of `DIRECT_BYTES` or more goes to
    the disk in blocks by a thread of its own, and not through the page cache: a data set is larger
    than memory, and a page of the cache costs more than what is computed for it.
    """

    def __init__(self, path: Path, expected_bytes: int) -> None:
        self.crc32c, self.size_bytes = 0, 0
        self._checksum = load_checksum()
        self._file = path.open("wb", buffering=0)
        if expected_bytes and hasattr(os, "posix_fallocate"):
            try:
                os.posix_fallocate(self._file.fileno(), 0, expected_bytes)
            except OSError:  # the estimate is too large, or the file system does not know how
                self._file.truncate(0)
        is_direct = expected_bytes >= DIRECT_BYTES and _set_direct(self._file.fileno(), True)
        self._blocks = _Blocks(self._file.fileno()) if is_direct else None

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        self.crc32c = self._checksum(view, self.crc32c)
        self.size_bytes += len(view)
        if self._blocks is None:
            written = 0
            while written < len(view):
                written += self._file.write(view[written:]) or 0
        else:
            self._blocks.append(view)
        return len(view)

    def tell(self) -> int:
        return self.size_bytes

    def finish(self) -> None:
        """Write what is left, and give back what was taken and not needed."""
        if self._blocks is not None:
            self._blocks.finish()
        self._file.truncate(self.size_bytes)

    def close(self) -> None:
        if self._blocks is not None:
            self._blocks.close()
        self._file.close()
        super().close()


class _Blocks:
    """Whole blocks written by a thread while the next one is filled."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor, self._offset, self._filled_bytes = descriptor, 0, 0
        self._filling, self._spare = (mmap.mmap(-1, _BLOCK_BYTES) for _ in range(2))  # aligned
        self._thread = ThreadPoolExecutor(1)
        self._writing: Future[None] | None = None

    def append(self, view: memoryview) -> None:
        while len(view):
            taken = min(len(view), _BLOCK_BYTES - self._filled_bytes)
            begin = self._filled_bytes
            self._filling[begin : begin + taken] = view[:taken]
            self._filled_bytes += taken
            view = view[taken:]
            if self._filled_bytes == _BLOCK_BYTES:
                self._write_out()

    def finish(self) -> None:
        self._wait()
        with memoryview(self._filling) as block:
            _set_direct(self._descriptor, False)  # the end of the file is no whole block
            _write_at(self._descriptor, block[: self._filled_bytes], self._offset)

    def close(self) -> None:
        self._thread.shutdown()

    def _write_out(self) -> None:
        self._wait()
        self._writing = self._thread.submit(
            _write_at, self._descriptor, memoryview(self._filling), self._offset
        )
        self._filling, self._spare = self._spare, self._filling
        self._offset, self._filled_bytes = self._offset + _BLOCK_BYTES, 0

    def _wait(self) -> None:
        if self._writing is not None:
            self._writing.result()


def _write_at(descriptor: int, view: memoryview, offset: int) -> None:
    """Write all of it; OSError where that can't be."""
    while len(view):
        try:
            written = os.pwrite(descriptor, view, offset)
        except OSError as error:
            if error.errno == errno.EINVAL and _set_direct(descriptor, False):
                continue  # of another alignment than this file system wants
            raise
        view, offset = view[written:], offset + written


def _set_direct(descriptor: int, is_direct: bool) -> bool:
    """Have writes pass the page cache by, or not; whether that has changed anything."""
    if fcntl is None or not _DIRECT:
        return False
    flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
    wanted = flags | _DIRECT if is_direct else flags & ~_DIRECT
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETFL, wanted)
    except OSError:  # a file system without it, as tmpfs
        return False
    return wanted != flags
