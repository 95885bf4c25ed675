"""`gapkit predict`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gapkit.cli._console import Progress, plural
from gapkit.cli._options import DataFolder, Device, TopK, parse_numbers
from gapkit.errors import DataError, PredictorError

if TYPE_CHECKING:
    from gapkit.data import FrameStore
    from gapkit.plugins import Predictor


def predict(
    name: Annotated[
        str,
        typer.Argument(
            metavar="RUN|NAME", help="Folder of a run; or a predictor that needs no training."
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
        bool, typer.Option("--separate", help="One file a start: p.start0.parquet for p.parquet.")
    ] = False,
    batch_size: Annotated[
        int | None, typer.Option(help="Videos a batch. [default: the run's own, else 128]")
    ] = None,
    top_k: TopK = 20,
    checkpoint: Annotated[str, typer.Option(help="Weights of the run: last or best.")] = "last",
    predictor: Annotated[
        str | None, typer.Option(help="Predictor of a run that was trained from a path.")
    ] = None,
    device: Device = "auto",
) -> None:
    """Write a submission of a run or a predictor."""
    from gapkit.data import FrameStore
    from gapkit.io import check_output
    from gapkit.predicting import write_split

    path = output or Path("submissions") / f"{default_name(name)}.parquet"
    check_output(path)
    numbers = [int(start) for start in parse_numbers(starts, "--starts", int)]
    store = FrameStore(data / split)
    if Path(name).is_dir():
        model, about, own_size = _open_run(name, store, checkpoint, predictor, device)
    elif "/" in name and ":" not in name and not name.endswith(".py"):
        raise DataError(f"{name}: no such run folder. Train it, or name a predictor.")
    else:
        model, about, own_size = _open_predictor(name, store)
    with Progress("predicting", "videos") as progress:
        written = write_split(
            model,
            store,
            path,
            starts=numbers,
            separate=separate,
            batch_size=own_size if batch_size is None else batch_size,
            top_k=top_k,
            provenance=about,
            name=name,
            progress=progress,
        )
    for file in written:
        print(f"{file}: {plural(len(store), 'video')}")


def default_name(name: str) -> str:
    """What a run or a submission is called after its predictor or run."""
    return Path(name.rpartition(":")[2]).resolve().name.removesuffix(".py")


def _open_run(
    name: str, store: FrameStore, checkpoint: str, predictor: str | None, device: str
) -> tuple[Predictor, dict[str, Any], int]:
    from gapkit.training import load_run

    run = load_run(name, checkpoint=checkpoint, predictor=predictor, device=device)
    model = run.predictor
    for what in ("num_classes", "feature_sizes"):
        trained, there = getattr(model, what), getattr(store, what)
        if trained != there:
            raise DataError(
                f"{store.path}: {what} is {there}, and {name} was trained on {trained}. "
                f"Predict a split of the data that it was trained on."
            )
    about = {"predictor": run.name, "run": name, "checkpoint": checkpoint}
    return model, about, run.batch_size


def _open_predictor(name: str, store: FrameStore) -> tuple[Predictor, dict[str, Any], int]:
    from gapkit.plugins import find_predictor

    plugin = find_predictor(name)
    model = plugin.build(store.num_classes, store.feature_sizes, plugin.configure({}))
    training = sys.modules.get("gapkit.training")
    if training is not None and isinstance(model, training.TorchPredictor):
        raise PredictorError(
            f"predictor {name!r} has no weights yet. Train it: gapkit train {name}, then "
            f"gapkit predict runs/{default_name(name)}"
        )
    return model, {"predictor": name}, 128
