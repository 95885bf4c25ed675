"""Lines of the text formats, one at a time: an id and words, or what is wrong with the line."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass


class LineError(Exception):
    """A line is not as its format wants it: the kind of problem, what is wrong, what to do."""


@dataclass(frozen=True)
class Line:
    """What a line holds."""

    id: str
    labels: list[str]
    confidences: list[str]


Parse = Callable[[str], Line | None]
"""None where a line counts for nothing"""


def parser_of(format_name: str, header: str) -> Parse:
    """What reads a line of a format."""
    parsers: dict[str, Parse] = {
        "kaggle": _parse_kaggle,
        "lists": _parse_lists,
        "run": _parse_run,
        "qrels": _parse_qrels,
    }
    return parsers.get(format_name) or _long_parser(header)


def _split(line: str) -> list[str]:
    return next(csv.reader([line]), []) if '"' in line else line.split(",")


def _fields(line: str, num: int) -> list[str]:
    fields = _split(line)
    if len(fields) != num:
        raise LineError(
            "columns", f"expected {num} columns, got {len(fields)}", "Quote ids that hold commas."
        )
    return fields


def _blanks(line: str, num: int) -> list[str]:
    words = line.split()
    if len(words) != num:
        raise LineError(
            "columns", f"expected {num} words, got {len(words)}", "Separate them by blanks."
        )
    return words


def _parse_kaggle(line: str) -> Line:
    id_, text = _fields(line, 2)
    words = text.split()
    if len(words) % 2:
        raise LineError(
            "odd_words",
            f"{len(words)} words where pairs of label and confidence were expected",
            "Separate all by spaces.",
        )
    return Line(id_, words[::2], words[1::2])


def _parse_lists(line: str) -> Line:
    id_, text = _fields(line, 2)
    return Line(id_, text.split(), [])


def _long_parser(header: str) -> Parse:
    names = _split(header)
    places = [names.index(name) for name in ("id", "label", "confidence") if name in names]

    def parse(line: str) -> Line:
        fields = _fields(line, len(names))
        id_, *words = (fields[place] for place in places)
        return Line(id_, words[:1], words[1:])

    return parse


def _parse_run(line: str) -> Line:
    id_, _, label, _, confidence, _ = _blanks(line, 6)
    return Line(id_, [label], [confidence])


def _parse_qrels(line: str) -> Line | None:
    id_, _, label, relevance = _blanks(line, 4)
    return None if relevance.startswith(("0", "-")) else Line(id_, [label], [])
