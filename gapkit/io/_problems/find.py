"""Check a file: as readers read it and, where they stop, around what stops them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa

from gapkit.errors import DataError
from gapkit.io._formats import LABELS, SUBMISSIONS, Format, detect
from gapkit.io._place import Place, reading
from gapkit.io._problems.columns import Block, add_blocks, check_schema
from gapkit.io._problems.report import FileReport, Finding
from gapkit.io._problems.rows import RowChecks
from gapkit.io._problems.salvage import salvage_arrow, salvage_parquet
from gapkit.io._problems.salvage_text import salvage_text
from gapkit.predictions import Labels

_ROWS_PER_BATCH = 1 << 16
_HEADER_LINES = {"kaggle": 1, "lists": 1, "long": 1, "run": 0, "qrels": 0}


def find_problems(path: str | os.PathLike[str], labels: Labels | None = None) -> FileReport:
    r"""Return all problems of a submission or labels file, and what its rows look like.

    Where `read_predictions` stops at the first, every row that can be read is checked: those of
    other row groups than a damaged one, of the lines around a wrong one. The memory is that of a
    block of rows and of all ids; a long table is read whole.

    Parameters
    ----------
    path : path
        In any format that `read_predictions` or `read_labels` reads.
    labels : Labels, optional
        Labelled videos to count those that the file lacks.

    Returns
    -------
    FileReport
        A file that can't be read, or is not there, has that as its problem.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "p.csv"
    ...     lines = ["VideoId,LabelConfidencePairs", "a,3 0.5 3 0.25", "b,1 nan", ""]
    ...     _ = path.write_text("\n".join(lines))
    ...     [problem.kind for problem in find_problems(path).problems]
    ['label_twice', 'confidence_not_finite']
    """
    place = Place.of(path)
    try:
        with reading(place):
            known = _detect(place)
    except DataError as error:
        return _unreadable(place, None, error)
    checks = RowChecks(_HEADER_LINES.get(known.name))
    try:
        with reading(place), known.load().open_rows(place, _ROWS_PER_BATCH) as rows:
            if check_schema(rows.schema, checks):
                add_blocks(_numbered(rows.batches), rows.schema, checks)
    except DataError as error:
        checks = RowChecks(_HEADER_LINES.get(known.name))
        if not _salvage(place, known, checks):
            return _unreadable(place, known, error)
    distribution, coverage = checks.finish(labels)
    return FileReport(
        path=place.name,
        kind="labels" if checks.is_labels else "submission",
        format=known.name,
        problems=checks.problems.to_tuple(),
        notes=checks.notes.to_tuple(),
        distribution=distribution,
        coverage=coverage,
    )


def _detect(place: Place) -> Format:
    """The format of a submission, else of a labels file."""
    try:
        return detect(place, SUBMISSIONS)
    except DataError as error:
        try:
            return detect(place, LABELS)
        except DataError:
            raise error from None


def _numbered(batches: Iterable[pa.RecordBatch]) -> Iterator[Block]:
    start = 0
    for batch in batches:
        yield start + np.arange(len(batch)), batch
        start += len(batch)


def _salvage(place: Place, known: Format, checks: RowChecks) -> bool:
    """Check what can be read of a file that readers refuse; whether that tells why."""
    try:
        if known.name == "parquet":
            salvage_parquet(place, checks)
        elif known.name == "arrow":
            salvage_arrow(place, checks)
        else:
            salvage_text(place, known.name, checks)
    except (OSError, DataError, pa.ArrowException, UnicodeDecodeError):
        return False
    return len(checks.problems) > 0


def _unreadable(place: Place, known: Format | None, error: DataError) -> FileReport:
    """What is left to say of a file of which nothing can be read."""
    message = str(error).removeprefix(f"{place.name}: ").removeprefix(f"{place.name} ")
    return FileReport(
        path=place.name,
        kind="submission",
        format=None if known is None else known.name,
        problems=(Finding(kind="unreadable", message=message, count=1),),
        notes=(),
        distribution=None,
        coverage=None,
    )
