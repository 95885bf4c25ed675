"""`gapkit train`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gapkit.cli._console import Progress
from gapkit.cli._options import DataFolder, Device, Overwrite
from gapkit.cli._predict import default_name

if TYPE_CHECKING:
    from gapkit.training import Epoch


def train(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="A predictor: its name, module:object, or .py.")
    ],
    data: DataFolder = Path("data"),
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder of the run. [default: runs/NAME]")
    ] = None,
    epochs: Annotated[int, typer.Option(help="Passes over split train.")] = 5,
    batch_size: Annotated[int, typer.Option(help="Videos a step.")] = 128,
    lr: Annotated[float, typer.Option(help="Learning rate of Adam.")] = 0.001,
    seed: Annotated[int, typer.Option(help="Of weights, order and crops.")] = 0,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="A setting of the predictor; repeatable."),
    ] = None,
    device: Device = "auto",
    overwrite: Overwrite = False,
) -> None:
    """Train a predictor, scored on val as it trains.

    It learns from split train; after each epoch split val is scored by exact GAP. The run keeps
    the last and the best weights.
    """
    from gapkit._settings import parse_settings
    from gapkit.plugins import list_predictors
    from gapkit.training import TrainingConfig
    from gapkit.training import train as train_predictor

    values = parse_settings(settings or [])

    training = TrainingConfig(epochs=epochs, batch_size=batch_size, learning_rate=lr, seed=seed)
    output = output or Path("runs") / default_name(name)
    with Progress("epoch 1", "videos") as progress:

        def show(epoch: Epoch) -> None:
            progress.clear()
            print(format_epoch(epoch, epochs), flush=True)

        done = train_predictor(
            name,
            data,
            output,
            settings=values,
            training=training,
            device=device,
            overwrite=overwrite,
            on_epoch=show,
            progress=progress,
        )
    installed = {listing.name for listing in list_predictors()}
    by_path = "" if name in installed else f" --predictor {name}"
    best = max(done, key=lambda epoch: epoch.score.gap)
    print(
        f"{output}: GAP {done[-1].score.gap:.5f} with the last weights, {best.score.gap:.5f} with "
        f"the best (epoch {best.epoch})\n"
        f"next: gapkit predict {output} --data {data} --split val{by_path}"
    )


def format_epoch(epoch: Epoch, num_epochs: int) -> str:
    """A line about an epoch."""
    return (
        f"epoch {epoch.epoch}/{num_epochs}  loss {epoch.loss:.4f}  "
        f"gap {epoch.score.gap:.5f}  map {epoch.score.map:.5f}  "
        f"{epoch.videos_per_second:,.0f} videos/s{'  best' if epoch.is_best else ''}"
    )
