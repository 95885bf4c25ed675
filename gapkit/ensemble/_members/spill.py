"""A member's rows in the order of the ensemble, on disk."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from gapkit.ensemble._members.pieces import Piece, Places

if TYPE_CHECKING:
    from numpy.typing import NDArray


# Rows that come in random order cost a page fault each in a mapped file: 36 members took 37 s.
_BYTES_IN_MEMORY = 1 << 27
_HELD_BYTES = 1 << 28  # of the spills together: few or small ones never see the disk


class SpillFolder:
    """A folder that is made when a first spill asks for it, and is gone at the end.

    Parameters
    ----------
    parent : path, optional
        Where to make it; by default where temporary files are.
    """

    def __init__(self, parent: str | os.PathLike[str] | None) -> None:
        self._parent, self._lock = parent, Lock()
        self._folder: Path | None = None
        self._num_paths, self._held_bytes = 0, 0
        self._free: list[NDArray[np.uint8]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def new_path(self) -> Path:
        """A path that no other spill has."""
        with self._lock:
            if self._folder is None:
                self._folder = Path(tempfile.mkdtemp(prefix=".gapkit-", dir=self._parent))
            self._num_paths += 1
            return self._folder / str(self._num_paths)

    def hold(self, num_bytes: int) -> bool:
        """Whether so much may stay in memory, beside what stays there already."""
        with self._lock:
            fits = self._held_bytes + num_bytes <= _HELD_BYTES
            self._held_bytes += num_bytes if fits else 0
        return fits

    def borrow(self, num_bytes: int) -> NDArray[np.uint8]:
        """Memory of that size; what was given back is taken again, its pages being there."""
        with self._lock:
            if self._free and len(self._free[-1]) == num_bytes:
                return self._free.pop()
        return np.empty(num_bytes, np.uint8)

    def give_back(self, data: NDArray[np.uint8]) -> None:
        """Take back what was borrowed."""
        with self._lock:
            self._free = [data, *self._free[:1]]


class Spill:
    """N rows that are written in any order and read from the first to the last.

    Parameters
    ----------
    folder : SpillFolder
    num_rows : int
    dtype : dtype
        Of the labels.
    """

    def __init__(self, folder: SpillFolder, num_rows: int, dtype: Any) -> None:
        self.num_rows, self.dtype = num_rows, np.dtype(dtype)
        self.num_classes = 1
        self._folder, self._width = folder, 0
        self._path: Path | None = None
        self._places = self._map(0)

    def lay(self, piece: Piece, row_N: NDArray[np.int64]) -> int:
        """Write rows at their places; the first of them with a fault, or -1."""
        if piece.width > self._width:
            self._widen(piece.width)
        self.num_classes = max(self.num_classes, piece.num_classes)
        return self._places.lay(piece, row_N)

    def close(self) -> None:
        """Leave the rows to reads; unless they are few, nothing of them stays in memory."""
        if self._path is None and not self._folder.hold(self._data.nbytes):
            self._path = self._folder.new_path()
            self._data.tofile(self._path)
            self._folder.give_back(self._data)
        del self._places
        if self._path is not None:
            del self._data

    def read(self, start: int, stop: int) -> Piece:
        """Rows from start to stop; past the last there is none."""
        count = max(min(stop, self.num_rows) - start, 0)
        lengths, confidences, labels = (
            self._part(dtype, offset + start * size * dtype.itemsize, size * count)
            for dtype, size, offset in self._layout(self._width)
        )
        return Piece(
            labels=labels,
            confidences=confidences,
            begins=np.arange(count, dtype=np.int64) * self._width,
            lengths=lengths,
            num_classes=self.num_classes,
            is_checked=True,
        )

    def _part(self, dtype: np.dtype[Any], offset: int, count: int) -> NDArray[Any]:
        """Entries from a byte on; of a file they are in memory for as long as they are used."""
        if count == 0:
            return np.zeros(0, dtype)
        if self._path is None:
            return self._data[offset : offset + count * dtype.itemsize].view(dtype)
        return np.memmap(self._path, dtype, "r", offset, (count,)).view(np.ndarray)

    def _layout(self, width: int) -> list[tuple[np.dtype[Any], int, int]]:
        """Type, entries of a row and first byte of lengths, confidences and labels."""
        length_bytes = 8 * self.num_rows
        confidence_bytes = 4 * self.num_rows * width
        return [
            (np.dtype(np.int64), 1, 0),
            (np.dtype(np.float32), width, length_bytes),
            (self.dtype, width, length_bytes + confidence_bytes),
        ]

    def _map(self, width: int) -> Places:
        layout = self._layout(width)
        last, size, offset = layout[-1]
        num_bytes = offset + size * self.num_rows * last.itemsize
        self._data: NDArray[np.uint8]
        if num_bytes <= _BYTES_IN_MEMORY:
            self._data = self._folder.borrow(num_bytes)
            self._data[: layout[0][2] + 8 * self.num_rows] = 0
        else:
            self._path = self._folder.new_path()
            with self._path.open("wb") as file:
                file.truncate(num_bytes)
            self._data = np.memmap(self._path, np.uint8, "r+")
        lengths, confidences, labels = (
            self._data[offset : offset + size * self.num_rows * dtype.itemsize].view(dtype)
            for dtype, size, offset in layout
        )
        return Places(labels=labels, confidences=confidences, lengths=lengths, width=width)

    def _widen(self, width: int) -> None:
        """Make room for longer rows."""
        old, old_path = self._places, self._path
        self._width, self._path = width, None
        self._places = self._map(width)
        self._places.lengths[:] = old.lengths
        for new_Q, old_Q in (
            (self._places.labels, old.labels),
            (self._places.confidences, old.confidences),
        ):
            if old.width:
                new_Q.reshape(-1, width)[:, : old.width] = old_Q.reshape(-1, old.width)
        if old_path is not None:
            old_path.unlink()
