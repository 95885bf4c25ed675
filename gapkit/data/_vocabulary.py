"""How many labels a data set has, and what they are called."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from gapkit.errors import DataError

FILE_NAME = "vocabulary.csv"
_NAME_COLUMNS = ("name", "display_name")  # ours and YouTube-8M's; AudioSet's


@dataclass(frozen=True, kw_only=True)
class Vocabulary:
    """The labels of a data set."""

    num_classes: int
    """Number of labels"""
    names: list[str] | None
    """A name a label, None where they are not known"""
    source: str
    """Where it comes from, for messages"""


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
    names: dict[int, str] = {}
    for line, row in enumerate(rows, start=2):
        index = row["index"]
        if not index or not index.isdecimal() or int(index) in names:
            raise DataError(
                f"{path}: line {line}: index {index!r} is not a new whole number. "
                f"Number the labels 0, 1, ..., each once."
            )
        names[int(index)] = row[column] or ""
    absent = next((i for i in range(len(names)) if i not in names), None)
    if absent is not None:
        raise DataError(f"{path}: label {absent} is missing. Number the labels 0, 1, ... .")
    return Vocabulary(
        num_classes=len(names), names=[names[i] for i in range(len(names))], source=str(path)
    )


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
