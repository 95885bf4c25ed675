"""What commands print: tables on stdout, notes and progress on stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

_SECONDS_BETWEEN = 0.1


class Progress:
    """A line on a terminal that is written over; nothing when stderr is piped."""

    def __init__(self, what: str, unit: str = "") -> None:
        self._what, self._unit = what, unit
        self._began = self._shown = time.monotonic()
        self._first = 0, 0  # done, and counted, when it began
        self._on = sys.stderr.isatty()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.clear()

    def clear(self) -> None:
        """Take the line away, so that something else can be printed."""
        if self._on:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)

    def __call__(
        self,
        done: int,
        total: int,
        what: str | None = None,
        *,
        count: int | None = None,
    ) -> None:
        """Show how far it is: `done` of `total`; the rate is that of `count`, where it is given.

        Another `what` begins anew; behind a comma it may say more, and that may change.
        """
        now = time.monotonic()
        if not self._on or (now - self._shown < _SECONDS_BETWEEN and done < total):
            return
        if what is not None:
            if what.partition(",")[0] != self._what.partition(",")[0]:
                self._began, self._first = now, (done, count or 0)
            self._what = what
        self._shown = now
        seconds = max(now - self._began, 1e-9)
        new = done - self._first[0]
        counted = new if count is None else count - self._first[1]
        left = f", {(total - done) * seconds / new:.0f} s left" if new else ""
        scale, unit = (1e6, "MB") if self._unit == "bytes" else (1.0, self._unit)
        print(
            f"\r\x1b[K{self._what}: {100 * done / max(total, 1):.0f} %, "
            f"{counted / seconds / scale:,.0f} {unit}/s{left}",
            end="",
            file=sys.stderr,
            flush=True,
        )


def note(message: str) -> None:
    """Say something that is no error, beside the results."""
    print("note:", message, file=sys.stderr)


def print_table(
    header: Sequence[str], rows: Sequence[Sequence[str]], *, left: int = 1, indent: int = 0
) -> None:
    """Print columns side by side, the first `left` to the left and the others to the right."""
    lines = [list(header), *(list(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    for line in lines:
        cells = [
            cell.ljust(width) if column < left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        print(" " * indent + "  ".join(cells).rstrip())


def plural(count: int, noun: str) -> str:
    """'1 video', '20,371 videos'."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
