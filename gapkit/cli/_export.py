"""`gapkit export`."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gapkit.cli._console import Progress, note, print_table
from gapkit.cli._options import DataFolder, Device, Overwrite
from gapkit.cli._source import default_name, open_source
from gapkit.errors import DataError, UsageError

if TYPE_CHECKING:
    from gapkit.data import FrameStore


class Kind(StrEnum):
    """What a run becomes."""

    float16 = "float16"
    int8 = "int8"
    torch = "torch"
    onnx = "onnx"


_SUFFIXES = {Kind.torch: ".pt2", Kind.onnx: ".onnx"}


def export(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Folder of a run.")],
    to: Annotated[
        Kind,
        typer.Option(
            "--to",
            help="A run with smaller weights (float16, int8); or one file that needs no plug-in.",
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="Where to. [default: RUN-float16, RUN-int8, RUN.pt2, RUN.onnx]"
        ),
    ] = None,
    checkpoint: Annotated[str, typer.Option(help="Weights of the run, as best.")] = "last",
    data: DataFolder = Path("data"),
    split: Annotated[
        str | None, typer.Option(help="Tell the GAP before and after on this split, as val.")
    ] = None,
    level: Annotated[
        str, typer.Option(help="Of the data that a file will read: frame or video.")
    ] = "frame",
    max_frames: Annotated[
        int | None,
        typer.Option(
            help="Frames that a file takes at most where a loop over them is unrolled. "
            "[default: max_frames of the run]"
        ),
    ] = None,
    predictor: Annotated[
        str | None, typer.Option(help="Predictor of a run that was trained from a path.")
    ] = None,
    device: Device = "auto",
    overwrite: Overwrite = False,
) -> None:
    """Make a run smaller, or one file that runs where its plug-in is not.

    gapkit predict takes what comes out like any run.
    """
    from gapkit.data import FrameStore
    from gapkit.training import export_run, quantise_run

    suffix = _SUFFIXES.get(to, "")
    place = Path(run)
    target = output or place.parent / f"{default_name(run)}{suffix or f'-{to}'}"
    if suffix and target.suffix != suffix:
        raise UsageError(f"{target}: --to {to} writes a {suffix} file. Name it so.")
    if suffix and target.exists() and not overwrite:
        raise DataError(f"{target}: is there already. Pass --overwrite to replace it.")
    store = None if split is None else FrameStore(data / split)
    options: dict[str, Any] = {"checkpoint": checkpoint, "predictor": predictor}
    if suffix:
        level = store.level if store else level
        made = export_run(run, target, level=level, max_frames=max_frames, **options)
        _tell_frames(target, made.config.fixed_frames)
        weights = target
    else:
        quantise_run(run, target, kind=to, overwrite=overwrite, **options)
        weights = target / "last.safetensors"
    rows: list[tuple[str, Path, str | None]] = [
        (run, place / f"{checkpoint}.safetensors", checkpoint),
        (str(target), weights, None if suffix else "last"),
    ]
    table = []
    for name, file, names in rows:
        row = [name, f"{file.stat().st_size:,}"]
        if store is not None:
            row.append(f"{_gap(name, store, names, predictor, device):.5f}")
        table.append(row)
    print_table(["file", "bytes", "gap"][: len(table[0])], table)
    print(f"next: gapkit predict {target} --data {data} --split {split or 'val'}")


def _tell_frames(target: Path, fixed_frames: int | None) -> None:
    if fixed_frames is not None:
        note(f"{target}: takes up to {fixed_frames} frames; its loop over frames was unrolled")


def _gap(
    name: str, store: FrameStore, checkpoint: str | None, predictor: str | None, device: str
) -> float:
    from gapkit.metrics import score
    from gapkit.predicting import predict_split

    if store.labels.num_positives == 0:
        raise DataError(f"{store.path}: has no labels to score against. Name another --split.")
    source = open_source(
        name,
        store,
        checkpoints=None if checkpoint is None else [checkpoint],
        predictor=predictor,
        device=device,
    )
    model = source.predictor
    if isinstance(model, Mapping):
        (model,) = model.values()
    with Progress(f"scoring {name}", "videos") as progress:
        predictions = predict_split(
            model, store, batch_size=source.batch_size, name=name, progress=progress
        )
    return score(predictions, store.labels).gap
