"""`gapkit predict`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gapkit.cli._console import Progress, note, plural
from gapkit.cli._options import DataFolder, Device, TopK, parse_numbers
from gapkit.cli._source import default_name, open_source
from gapkit.errors import UsageError


def predict(
    name: Annotated[
        str,
        typer.Argument(
            metavar="RUN|NAME",
            help="A run, an exported .pt2 or .onnx, or a predictor that needs no training.",
        ),
    ],
    data: DataFolder = Path("data"),
    split: Annotated[str, typer.Option(help="Split to predict.")] = "val",
    starts: Annotated[str, typer.Option(help="First frames of the crops, averaged: 0,1,2.")] = "0",
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Where to write. [default: submissions/RUN.parquet]"),
    ] = None,
    separate: Annotated[
        bool,
        typer.Option(
            "--separate", help="One file a start and checkpoint: p.start0.parquet for p.parquet."
        ),
    ] = False,
    full: Annotated[
        bool, typer.Option("--full", help="All frames, at stride 1, whatever the run was cut to.")
    ] = False,
    batch_size: Annotated[
        int | None,
        typer.Option(
            help="Videos a batch, halved where memory runs out. [default: the run's own, else 128]"
        ),
    ] = None,
    top_k: TopK = 20,
    checkpoints: Annotated[
        str | None,
        typer.Option(
            "--checkpoints",
            "--checkpoint",
            help="Weights of the run, averaged: last, best, any other NAME.safetensors of it, "
            "with commas between; all takes the numbered ones. [default: last]",
        ),
    ] = None,
    predictor: Annotated[
        str | None, typer.Option(help="Predictor of a run that was trained from a path.")
    ] = None,
    device: Device = "auto",
) -> None:
    """Write a submission of a run or a predictor.

    One that was killed goes on where it was when the same command is given again.
    """
    from gapkit.data import FrameStore
    from gapkit.io import check_output
    from gapkit.predicting import fingerprint_of, write_split

    path = output or Path("submissions") / f"{default_name(name)}.parquet"
    check_output(path)
    numbers = [int(start) for start in parse_numbers(starts, "--starts", int)]
    store = FrameStore(data / split)
    source = open_source(
        name, store, checkpoints=parse_names(checkpoints), predictor=predictor, device=device
    )

    def tell(message: str) -> None:
        progress.clear()
        note(message)

    with Progress("predicting", "videos") as progress:
        written = write_split(
            source.predictor,
            store,
            path,
            starts=numbers,
            separate=separate,
            full=full,
            batch_size=source.batch_size if batch_size is None else batch_size,
            top_k=top_k,
            provenance=source.about,
            fingerprint=fingerprint_of(source.files, [source.about, str(store.path), device]),
            name=name,
            progress=progress,
            tell=tell,
        )
    for file in written:
        print(f"{file}: {plural(len(store), 'video')}")


def parse_names(text: str | None) -> list[str] | None:
    """Names separated by commas."""
    if text is None:
        return None
    names = [word.strip() for word in text.split(",")]
    if not all(names):
        raise UsageError(f"--checkpoints {text}: not names separated by commas.")
    return names
