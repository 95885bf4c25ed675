"""`gapkit train`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gapkit.cli._console import Progress, note
from gapkit.cli._options import DataFolder, Device, Overwrite
from gapkit.cli._source import default_name
from gapkit.cli._train_several import is_several, train_several

if TYPE_CHECKING:
    from gapkit.training import Epoch, Pretraining


def train(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME...",
            help="A predictor: its name, module:object, or .py. Several are trained one after "
            "another and compared; so are the runs of a sweep file, SWEEP.toml.",
        ),
    ],
    data: DataFolder = Path("data"),
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="Folder of the run, or of several. [default: runs/NAME]"
        ),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(help="Passes over split train. [default: 5]")
    ] = None,
    batch_size: Annotated[int | None, typer.Option(help="Videos a step. [default: 128]")] = None,
    lr: Annotated[
        float | None, typer.Option(help="Learning rate of Adam. [default: 0.001]")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Of weights, order and crops. [default: 0]")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="A setting of the predictor (gapkit predictors NAME lists them) or of the "
            "trainer, as ema_decay, mixup, patience, loss; repeatable. Of several predictors those "
            "take it that have it.",
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume", help="Go on with the run in -o; begin where none is, end if it is finished."
        ),
    ] = False,
    init: Annotated[
        Path | None,
        typer.Option(help="Run whose weights it starts from; another number of labels is fine."),
    ] = None,
    teacher: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Submission of split train to learn from; --set distillation=SHARE of it in the "
            "target, 0.5 by default.",
        ),
    ] = None,
    device: Device = "auto",
    overwrite: Overwrite = False,
) -> None:
    """Train a predictor, scored on val as it trains.

    It learns from split train; after each epoch split val is scored by exact GAP. The run keeps
    the last and the best weights.
    """
    from gapkit._settings import parse_settings, take_settings
    from gapkit.plugins import find_predictor, list_predictors
    from gapkit.training import Epoch, TrainingConfig
    from gapkit.training import train as train_predictor

    given = parse_settings(settings or [])
    named = {"epochs": epochs, "batch_size": batch_size, "learning_rate": lr, "seed": seed}
    training: dict[str, Any] = {key: value for key, value in named.items() if value is not None}
    options: dict[str, Any] = {
        "device": device, "overwrite": overwrite, "resume": resume, "init": init,
        "teacher": teacher,
    }  # fmt: skip
    with Progress("epoch 1", "videos") as progress:

        def show(ended: Epoch | Pretraining) -> None:
            progress.clear()
            if isinstance(ended, Epoch):
                print(format_epoch(ended), flush=True)
            else:
                print(f"pretraining {ended.epoch}  loss {ended.loss:.4f}", flush=True)

        def tell(message: str) -> None:
            progress.clear()
            note(message)

        options |= {"on_epoch": show, "on_note": tell}
        if is_several(names):
            output = output or Path("runs")
            train_several(names, data, output, given, training, progress, **options)
            return
        name = names[0]
        values, more = take_settings(given, find_predictor(name).config_class, TrainingConfig)
        output = output or Path("runs") / default_name(name)
        done = train_predictor(
            name, data, output, settings=values, training=more | training, progress=progress,
            **options,
        )  # fmt: skip
    if os.environ.get("RANK", "0") != "0":
        return  # of the processes that torchrun starts one speaks
    if not done:
        print(f"{output}: ended in its first phase, without labels; --resume with more goes on")
        return
    installed = {listing.name for listing in list_predictors()}
    by_path = "" if name in installed else f" --predictor {name}"
    best = max(done, key=lambda epoch: epoch.score.gap)
    print(
        f"{output}: GAP {done[-1].score.gap:.5f} with the last weights, {best.score.gap:.5f} with "
        f"the best (epoch {best.epoch})\n"
        f"next: gapkit predict {output} --data {data} --split val{by_path}"
    )


def format_epoch(epoch: Epoch) -> str:
    """A line about an epoch."""
    return (
        f"epoch {epoch.epoch}  loss {epoch.loss:.4f}  "
        f"gap {epoch.score.gap:.5f}  map {epoch.score.map:.5f}  "
        f"{epoch.videos_per_second:,.0f} videos/s, {100 * epoch.wait_share:.0f} % waiting"
        f"{'  best' if epoch.is_best else ''}"
    )
