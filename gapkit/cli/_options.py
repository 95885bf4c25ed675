"""Options that several commands share, and what their values stand for."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gapkit.errors import UsageError

Submissions = Annotated[list[Path], typer.Argument(metavar="FILE", help="Submissions.")]
DataFolder = Annotated[
    Path,
    typer.Option("--data", envvar="GAPKIT_DATA", help="Folder of the splits.", show_default=True),
]
LabelsName = Annotated[
    str,
    typer.Option(
        "--labels", help="A split of --data, as val; or a labels file (with a slash or a suffix)."
    ),
]
TopK = Annotated[int, typer.Option("--top-k", help="Labels kept of each video.", min=1)]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")]
Device = Annotated[str, typer.Option("--device", help="cpu, cuda, ...; auto takes a GPU if any.")]


def labels_path(name: str, data: Path) -> Path:
    """The file that --labels names: a path, or the labels of a split, which must be there."""
    if "/" in name or Path(name).suffix:
        path = Path(name)
        return path / "labels.parquet" if path.is_dir() else path
    path = data / name / "labels.parquet"
    if not path.is_file() or (data / f".{name}.pending").exists():  # the import takes its time
        from gapkit.data import find_labels

        return find_labels(path.parent)
    return path


def parse_numbers(text: str, option: str, kind: type[int] | type[float]) -> list[float]:
    """Numbers separated by commas."""
    try:
        return [kind(word) for word in text.split(",")]
    except ValueError:
        raise UsageError(f"{option} {text}: not numbers separated by commas.") from None
