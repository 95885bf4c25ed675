"""Read and write labels files."""

from __future__ import annotations

import os

from gapkit.io._formats import LABELS, detect, format_of_suffix, read_head
from gapkit.io._place import Place, reading
from gapkit.io._rows import ROWS_PER_BATCH
from gapkit.predictions import Labels


def read_labels(path: str | os.PathLike[str]) -> Labels:
    """Return the labels of a file, whose format is found by content.

    ==================  ==========================================================================
    Parquet, Arrow IPC  Columns `id` and `labels` (a list a video), or a long table of `id`, `label`
    CSV                 `id,labels`, those of a video separated by spaces; or `id,label`, one a line
    TREC qrels          `qid 0 docid rel`: video, label; true where rel > 0
    ==================  ==========================================================================

    Texts may be gzipped. In qrels a video whose lines all have rel 0 is labelled, without a
    positive; a long table can't hold such a video.

    Parameters
    ----------
    path : path or str
        A URI is read through its filesystem, as by `read_predictions`.

    Raises
    ------
    DataError
        The file is absent, empty, damaged or of another schema, or a row is wrong.
    """
    place = Place.of(path)
    with reading(place), detect(place, LABELS).load().open_rows(place, ROWS_PER_BATCH) as rows:
        return rows.to_labels()


def holds_labels(path: str | os.PathLike[str]) -> bool:
    """Whether a file holds labels rather than a submission, by its columns."""
    place = Place.of(path)
    with reading(place):
        head = read_head(place)
        known = next((known for known in LABELS if known.detects(head)), None)
        if known is None:
            return False
        if known.name == "long":
            return "confidence" not in head.columns
        if known.name not in ("parquet", "arrow"):
            return True
        with known.load().open_rows(place, ROWS_PER_BATCH) as rows:
            return not {"confidence", "confidences"} & set(rows.schema.names)


def write_labels(path: str | os.PathLike[str], labels: Labels) -> None:
    """Write a labels file; the suffix chooses the format, the file appears whole or not at all.

    Parameters
    ----------
    path : path or str
        Ending in `.parquet`, `.arrow`, `.csv` or `.csv.gz` (`id,labels`), or `.qrels`. CSV and
        qrels hold neither num_classes nor label names.
    labels : Labels

    Raises
    ------
    UsageError
        Another suffix.
    DataError
        The folder can't be written, or an id is empty or has a blank, which qrels can't hold.
    """
    place = Place.of(path)
    known, suffix = format_of_suffix(place, LABELS)
    with place.replacing() as temporary:
        known.load().write_labels(temporary, labels, suffix.endswith(".gz"))
