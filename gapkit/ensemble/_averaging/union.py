"""The videos of an ensemble, in the order in which its members first name them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from gapkit import _checks
from gapkit.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gapkit._ids import IdIndex


class Union:
    """Takes the ids of one member after another and tells the place of each.

    Ids that equal the first member's need no index: it is made by the first that don't, or by
    `check_first`, which another thread may call.
    """

    def __init__(self, names: list[str]) -> None:
        self._names = names
        self.counts: list[int] = []
        """How many videos each member has"""
        self._index: IdIndex | None = None
        self._lock = Lock()
        self._first = pa.array([], pa.string())
        self._owner_N = np.zeros(0, np.int32)
        self._is_shared: list[bool] = []

    @property
    def ids(self) -> pa.StringArray:
        """(N,) all videos so far."""
        return self._index.ids if self._index else self._first

    def add(self, ids: pa.Array) -> NDArray[np.int64] | None:
        """The place of each id of the next member; None if all stand where the first's do."""
        number = len(self.counts)
        self.counts.append(len(ids))
        if number == 0:
            with _named(self._names[0]):
                self._first = _checks.as_strings(ids)
            self._owner_N = np.zeros(len(ids), np.int32)
            self._is_shared.append(False)
            return None
        if self._first.equals(ids):
            self._is_shared.append(True)
            self._is_shared[0] = True
            return None
        index = self.check_first()
        place_N = _places(index, ids)
        if place_N is None:
            with _named(self._names[number]):
                ids = _checks.check_ids(ids).ids
            place_N = index.find(ids)
        is_new_N = place_N < 0
        owners = np.flatnonzero(np.bincount(self._owner_N[place_N[~is_new_N]]))
        for owner in owners:
            self._is_shared[owner] = True
        self._is_shared.append(len(owners) > 0)
        if is_new_N.any():
            new = ids.filter(pa.array(is_new_N))
            place_N[is_new_N] = np.arange(len(self.ids), len(self.ids) + len(new))
            self._index = _checks.check_ids(pa.concat_arrays([self.ids, new]))
            self._owner_N = np.append(self._owner_N, np.full(len(new), number, np.int32))
        return place_N

    def check_first(self) -> IdIndex:
        """An index of all ids so far; that of the first member's finds one that stands twice."""
        with self._lock:
            if self._index is None:
                with _named(self._names[0]):
                    self._index = _checks.check_ids(self._first)
            return self._index

    @property
    def missing(self) -> list[int]:
        """How many videos of the others each member lacks."""
        return [len(self.ids) - count for count in self.counts]

    def check_overlap(self) -> None:
        """Refuse a member none of whose videos any other has."""
        names = self._names
        filled = [m for m, count in enumerate(self.counts) if count]
        alone = [m for m in filled if not self._is_shared[m]]
        if len(filled) > 1 and alone:
            m = alone[-1]
            mine = self.ids[int(np.flatnonzero(self._owner_N == m)[0])].as_py()
            other = next(names[n] for n in filled if n != m)
            raise DataError(
                f"{names[m]}: no other member has any of its {self.counts[m]:,} videos, the "
                f"first of them {mine!r}. Is it of the same split as {other}?"
            )


def _places(index: IdIndex, ids: pa.Array) -> NDArray[np.int64] | None:
    """Each id's place, if all have one of their own: then they need no check."""
    if ids.type != pa.string() or ids.null_count:
        return None
    place_N = index.find(ids)
    if place_N.min(initial=0) < 0:
        return None
    is_taken_N = np.zeros(len(index.ids), np.bool_)
    is_taken_N[place_N] = True
    return place_N if np.count_nonzero(is_taken_N) == len(place_N) else None


@contextmanager
def _named(name: str) -> Iterator[None]:
    """Put a member's name before what is wrong with its ids."""
    try:
        yield
    except DataError as error:
        raise DataError(f"{name}: {error}") from None
