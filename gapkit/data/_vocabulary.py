"""How many labels a data set has, what they are called, and what verticals they belong to."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from gapkit.errors import DataError

FILE_NAME = "vocabulary.csv"
_NAME_COLUMNS = ("name", "display_name")  # ours and YouTube-8M's; AudioSet's
_VERTICAL_COLUMNS = (("vertical",), ("vertical1", "vertical2", "vertical3"))  # of 2017; of 2018
_METADATA_KEY = b"gapkit"  # as in every labels file


@dataclass(frozen=True, kw_only=True)
class Vocabulary:
    """The labels of a data set."""

    num_classes: int
    """Number of labels"""
    names: list[str] | None
    """A name a label, None where they are not known"""
    source: str
    """Where it comes from, for messages"""
    verticals: list[list[str]] | None = None
    """The verticals of each label, None where they are not known"""


def read_vocabulary(path: Path) -> Vocabulary:
    """Label names from a CSV with the columns `index` and `name` (or AudioSet's `display_name`)."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
            columns = rows[0].keys() if rows else ()
    except FileNotFoundError:
        raise DataError(f"{path}: no such file. Name a CSV with the columns index,name.") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: can't be read as CSV ({error}).") from None
    column = next((name for name in _NAME_COLUMNS if name in columns), None)
    if column is None or "index" not in columns:
        raise DataError(
            f"{path}: its columns are {','.join(columns) or 'none'}; index,name are needed."
        )
    named = next((group for group in _VERTICAL_COLUMNS if group[0] in columns), ())
    names: dict[int, str] = {}
    verticals: dict[int, list[str]] = {}
    for line, row in enumerate(rows, start=2):
        index = row["index"]
        if not index or not index.isdecimal() or int(index) in names:
            raise DataError(
                f"{path}: line {line}: index {index!r} is not a new whole number. "
                f"Number the labels 0, 1, ..., each once."
            )
        names[int(index)] = row[column] or f"label {index}"  # one of 2018 has none
        verticals[int(index)] = [row[name] for name in named if row.get(name)]
    absent = next((i for i in range(len(names)) if i not in names), None)
    if absent is not None:
        raise DataError(f"{path}: label {absent} is missing. Number the labels 0, 1, ... .")
    return Vocabulary(
        num_classes=len(names),
        names=[names[i] for i in range(len(names))],
        source=str(path),
        verticals=[verticals[i] for i in range(len(names))] if named else None,
    )


def with_names(table: pa.Table, vocabulary: Vocabulary) -> pa.Table:
    """Return a table of labels with the names and the verticals of a vocabulary as metadata."""
    metadata: dict[bytes, bytes] = dict(table.schema.metadata or {})
    about = _about(metadata)
    for key, values in (("label_names", vocabulary.names), ("verticals", vocabulary.verticals)):
        about.pop(key, None)
        if values is not None:
            about[key] = values
    return table.replace_schema_metadata({**metadata, _METADATA_KEY: json.dumps(about).encode()})


def read_names(schema: pa.Schema) -> tuple[list[str] | None, list[list[str]] | None]:
    """Return the names and the verticals of a labels file; None where it has none."""
    about = _about(schema.metadata)
    return about.get("label_names"), about.get("verticals")


def _about(metadata: Mapping[bytes, bytes] | None) -> dict[str, Any]:
    about: dict[str, Any] = json.loads((metadata or {}).get(_METADATA_KEY, b"{}"))
    return about


def find_vocabulary(
    files: list[Path],
    *,
    num_classes: int | None,
    vocabulary: Path | None,
    known_classes: int | None,
) -> Vocabulary:
    """The labels of TFRecord files: as told, else from the CSV beside them, else as released."""
    if vocabulary is not None:
        found = read_vocabulary(vocabulary)
        if num_classes not in (None, found.num_classes):
            raise DataError(
                f"--num-classes {num_classes} but {vocabulary} has {found.num_classes} labels. "
                f"Give one of the two."
            )
        return found
    if num_classes is not None:
        return Vocabulary(num_classes=num_classes, names=None, source="--num-classes")
    beside = sorted({file.parent / FILE_NAME for file in files if _is_beside(file)})
    found_beside = [read_vocabulary(path) for path in beside]
    if found_beside:
        for other in found_beside[1:]:
            if other.names != found_beside[0].names:
                raise DataError(
                    f"{found_beside[0].source} and {other.source} differ. "
                    f"Import one data set at a time, or pass --vocabulary."
                )
        return found_beside[0]
    if known_classes is not None:
        return Vocabulary(num_classes=known_classes, names=None, source="a known release")
    raise DataError(
        f"{files[0]}: how many labels there are is not known: no {FILE_NAME} lies beside it and it "
        f"is no known release. Pass --num-classes N or --vocabulary FILE."
    )


def _is_beside(file: Path) -> bool:
    return (file.parent / FILE_NAME).is_file()
