"""The formats: how each is told from a file's first bytes, and which suffix asks for it.

A format is a line in one of the two tables and a module that has what the line needs.
"""

from __future__ import annotations

import csv
import os
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

import pyarrow as pa

from gapkit.errors import DataError, UsageError
from gapkit.io._place import Place
from gapkit.io._rows import Rows
from gapkit.predictions import Labels

_HEAD_BYTES = 4096


class BatchWriter(Protocol):
    """Appends record batches of a submission to a file."""

    def write_batch(self, batch: pa.RecordBatch, /) -> None:
        """Append the rows."""


class FormatModule(Protocol):
    """What the module of a format has; the writers only where a suffix asks for them."""

    def open_rows(self, place: Place, rows_per_batch: int, /) -> AbstractContextManager[Rows]:
        """The rows of the file."""

    def open_writer(
        self, path: Path, schema: pa.Schema, is_gzip: bool, /
    ) -> AbstractContextManager[BatchWriter]:
        """Write a submission."""

    def write_labels(self, path: Path, labels: Labels, is_gzip: bool, /) -> None:
        """Write labels."""


@dataclass(frozen=True)
class Head:
    """What tells a format: a file's first bytes, unpacked."""

    start: bytes
    is_gzip: bool

    @cached_property
    def first_line(self) -> str:
        """The header of a CSV; '' where the file is no text."""
        if b"\0" in self.start:
            return ""
        line = self.start.split(b"\n")[0].removeprefix(b"\xef\xbb\xbf").rstrip(b"\r")
        return line.decode("utf-8", "replace")

    @cached_property
    def columns(self) -> list[str]:
        """The words of that line between commas."""
        return next(csv.reader([self.first_line]), [])

    @cached_property
    def words(self) -> list[str]:
        """The words of that line between blanks."""
        return self.first_line.split()


@dataclass(frozen=True)
class Format:
    """A line of the table."""

    name: str
    detects: Callable[[Head], bool]
    module: str
    suffixes: tuple[str, ...] = ()
    """Those of files that are written so"""

    def load(self) -> FormatModule:
        """Its module, imported when it is needed: pyarrow.compute takes 0.03 s."""
        return cast(FormatModule, import_module(f"gapkit.io.{self.module}"))


def _is_number(word: str, kind: type[int] | type[float]) -> bool:
    try:
        kind(word)
    except ValueError:
        return False
    return True


def _is_run(head: Head) -> bool:
    words = head.words
    return len(words) == 6 and _is_number(words[3], int) and _is_number(words[4], float)


def _is_qrels(head: Head) -> bool:
    return len(head.words) == 4 and _is_number(head.words[3], int)


KAGGLE_HEADER = ["VideoId", "LabelConfidencePairs"]
LISTS_HEADER = ["id", "labels"]
LONG_HEADER = ["id", "label", "confidence"]

_PARQUET = Format("parquet", lambda head: head.start[:4] == b"PAR1", "_parquet", (".parquet",))
_ARROW = Format("arrow", lambda head: head.start[:6] == b"ARROW1", "_arrow", (".arrow",))
_LONG = Format("long", lambda head: {"id", "label"} <= set(head.columns), "_long")

SUBMISSIONS = (
    _PARQUET,
    _ARROW,
    Format("kaggle", lambda head: head.columns == KAGGLE_HEADER, "_kaggle", (".csv", ".csv.gz")),
    _LONG,
    Format("run", _is_run, "_run", (".run", ".trec")),
)
LABELS = (
    _PARQUET,
    _ARROW,
    Format("lists", lambda head: head.columns == LISTS_HEADER, "_lists", (".csv", ".csv.gz")),
    _LONG,
    Format("qrels", _is_qrels, "_qrels", (".qrels",)),
)


def detect(place: Place, formats: Sequence[Format]) -> Format:
    """The one of the formats that a file is in."""
    head = read_head(place)
    for known in formats:
        if known.detects(head):
            return known
    if len(head.columns) < 2:
        raise DataError(
            "neither Parquet nor Arrow IPC nor CSV with a header line, nor of TREC's columns. "
            "Write it with gapkit or as README.md describes."
        )
    if formats is LABELS and head.columns == KAGGLE_HEADER:
        raise DataError("a submission where labels were expected. Are the files swapped?")
    headers = (
        (KAGGLE_HEADER, LONG_HEADER) if formats is SUBMISSIONS else (LISTS_HEADER, LONG_HEADER[:2])
    )
    raise DataError(
        f"its header is {','.join(head.columns)[:80]!r} and must be "
        f"{' or '.join(repr(','.join(header)) for header in headers)}. "
        f"Write it anew."
    )


def read_head(place: Place) -> Head:
    """A file's first bytes."""
    with place.open() as file:
        start = file.read(_HEAD_BYTES)
    if not start:
        raise DataError("the file is empty. Write or copy it anew.")
    is_gzip = start[:2] == b"\x1f\x8b"
    if is_gzip:
        try:
            start = zlib.decompressobj(31).decompress(start, _HEAD_BYTES)
        except zlib.error as error:
            raise DataError(f"damaged ({error}). Write or copy it anew.") from None
        if not start:
            raise DataError("damaged: nothing can be unpacked from it. Write or copy it anew.")
    return Head(start, is_gzip)


def detect_format(path: Path) -> str:
    """The name of a submission's format."""
    return detect(Place.of(path), SUBMISSIONS).name


def check_output(path: str | os.PathLike[str]) -> None:
    """Refuse an output that no submission can be, before work is done for it."""
    place = Place.of(path)
    format_of_suffix(place, SUBMISSIONS)
    if place.path is not None and place.path.is_dir():
        raise DataError(f"{place.name} is a folder. Name a file.")


def suffix_of(path: str | os.PathLike[str]) -> str:
    """The suffix of an output, with both its dots where it has two."""
    return format_of_suffix(Place.of(path), SUBMISSIONS)[1]


def format_of_suffix(place: Place, formats: Sequence[Format]) -> tuple[Format, str]:
    """The format that an output's suffix asks for, and that suffix."""
    suffixes = dict(_suffixes(formats))
    for suffix in sorted(suffixes, key=len, reverse=True):
        if place.file_name.endswith(suffix):
            return suffixes[suffix], suffix
    raise UsageError(
        f"{place.name}: the suffix chooses the format. Use one of {', '.join(suffixes)}."
    )


def _suffixes(formats: Sequence[Format]) -> Iterator[tuple[str, Format]]:
    for known in formats:
        for suffix in known.suffixes:
            yield suffix, known
