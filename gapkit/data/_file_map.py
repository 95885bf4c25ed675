"""A file in memory that keeps no descriptor open.

`mmap.mmap` keeps one for each map until Python 3.13, and a split of thousands of shards has more
of them than a process may hold (1,024 on most systems).
"""

from __future__ import annotations

import ctypes
import mmap
import os
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


class FileMap:
    """A file that is read as memory: no page of it is read before it is touched.

    Attributes
    ----------
    address : int
        Of the first byte.
    values : (S,) uint8
        All bytes, read-only; the file stays mapped while a view of them lives.

    Raises
    ------
    OSError
        The file is missing, or can't be mapped.
    ValueError
        It is empty.
    """

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            size_bytes = os.fstat(file.fileno()).st_size
            if not size_bytes:
                raise ValueError("the file is empty")
            pages: Any = (
                mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
                if _libc is None
                else _map(_libc, file.fileno(), size_bytes)
            )
        self.values: NDArray[np.uint8] = np.frombuffer(pages, np.uint8)
        self.values.flags.writeable = False
        self.address = int(self.values.ctypes.data)
        # Without readahead: it read four times a video for a crop of a fifth.
        self._advise("MADV_RANDOM", 0, size_bytes)

    def will_need(self, address: int, size_bytes: int) -> None:
        """Have the disk read what lies at an address, in the background."""
        begin = (address - self.address) // mmap.PAGESIZE * mmap.PAGESIZE
        self._advise("MADV_WILLNEED", begin, address - self.address + size_bytes - begin)

    def _advise(self, name: str, begin: int, size_bytes: int) -> None:
        advice = getattr(mmap, name, None)
        if _libc is not None and advice is not None:
            _libc.madvise(self.address + begin, size_bytes, advice)


def _load_libc() -> ctypes.CDLL | None:
    """The system's mmap, munmap and madvise; None where there are none (Windows)."""
    if os.name != "posix":
        return None
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_longlong]
    libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    return libc


def _map(libc: ctypes.CDLL, descriptor: int, size_bytes: int) -> ctypes.Array[ctypes.c_ubyte]:
    """Shared pages of a file, given back when nobody looks at them any more."""
    address = libc.mmap(None, size_bytes, mmap.PROT_READ, mmap.MAP_SHARED, descriptor, 0)
    if address == ctypes.c_void_p(-1).value:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    pages = (ctypes.c_ubyte * size_bytes).from_address(address)
    finalizer = weakref.finalize(pages, libc.munmap, address, size_bytes)
    finalizer.atexit = False
    return pages


_libc = _load_libc()
