"""Findings, counted by kind as rows are met."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from gapkit.io._problems.report import Finding, Spot

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

_MAX_SPOTS = 5


@dataclass(frozen=True)
class RowNames:
    """What the rows of a block are called."""

    numbers: NDArray[np.int64]
    ids: pa.StringArray
    num_header_lines: int | None
    """None where the file has no lines"""

    def spot(self, row: int, what: str) -> Spot:
        """The place of a row of the block."""
        number = int(self.numbers[row])
        lines = self.num_header_lines
        return Spot(
            row=number,
            id=self.ids[row].as_py(),
            line=None if lines is None else number + lines + 1,
            what=what,
        )


@dataclass
class _Found:
    remedy: str
    count: int = 0
    spots: list[Spot] = field(default_factory=list)


class Findings:
    """Counts of each kind, and its first places."""

    def __init__(self) -> None:
        self._found: dict[str, _Found | Finding] = {}

    def __len__(self) -> int:
        return len(self._found)

    def add_file(self, kind: str, message: str) -> None:
        """Something about the file as a whole."""
        self.add_count(kind, message, 1)

    def add_count(self, kind: str, message: str, count: int) -> None:
        """Something about so many rows, which are not named."""
        self._found.setdefault(kind, Finding(kind=kind, message=message, count=count))

    def add_rows(
        self,
        kind: str,
        rows: NDArray[np.integer[Any]],
        names: RowNames,
        describe: Callable[[int], str],
        remedy: str,
    ) -> None:
        """Rows of a block, each once; `describe` says what is wrong in one of them."""
        self._add(
            kind,
            len(rows),
            [names.spot(r, describe(r)) for r in rows[:_MAX_SPOTS].tolist()],
            remedy,
        )

    def add_spot(self, kind: str, spot: Spot, remedy: str) -> None:
        """A single place."""
        self._add(kind, 1, [spot], remedy)

    def _add(self, kind: str, count: int, spots: list[Spot], remedy: str) -> None:
        if count == 0:
            return
        found = self._found.setdefault(kind, _Found(remedy))
        if isinstance(found, Finding):
            return
        found.count += count
        found.spots += spots[: _MAX_SPOTS - len(found.spots)]

    def to_tuple(self) -> tuple[Finding, ...]:
        """All of them: what is about the file, then by the first row that has it."""
        findings = [_to_finding(kind, found) for kind, found in self._found.items()]
        return tuple(sorted(findings, key=lambda f: f.spots[0].row if f.spots else -1))


def _to_finding(kind: str, found: _Found | Finding) -> Finding:
    if isinstance(found, Finding):
        return found
    first, *others = spots = sorted(found.spots, key=lambda spot: spot.row)
    more = found.count - 1
    message = f"{first}: {first.what}. {found.remedy}"
    if more:
        rest = ", ".join(map(str, others)) + (", ..." if more > len(others) else "")
        message += f" {more:,} more: {rest}"
    return Finding(kind=kind, message=message, count=found.count, spots=tuple(spots))
