"""`gapkit average`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from gapkit.cli._console import Progress, print_table
from gapkit.cli._options import DataFolder, Device, Overwrite
from gapkit.errors import UsageError


class Method(StrEnum):
    """Which checkpoints are averaged."""

    uniform = "uniform"
    greedy = "greedy"


def average(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run.")],
    checkpoints: Annotated[
        str,
        typer.Option(
            metavar="NAME,...",
            help="Weights of the run; all stands for the numbered ones, which "
            "gapkit train --set keep_every=1 writes.",
        ),
    ] = "all",
    method: Annotated[
        Method, typer.Option(help="All of them; or from the best on, those that raise the GAP.")
    ] = Method.uniform,
    name: Annotated[str, typer.Option(help="Of the new checkpoint.")] = "average",
    data: DataFolder = Path("data"),
    split: Annotated[
        str | None, typer.Option(help="Scored with each and with the mean, as val.")
    ] = None,
    predictor: Annotated[
        str | None, typer.Option(help="Predictor of a run that was trained from a path.")
    ] = None,
    device: Device = "auto",
    overwrite: Overwrite = False,
) -> None:
    """Average the weights of a run's checkpoints into a new one.

    It costs nothing to predict with, and is mostly better than the best of them.
    """
    from gapkit.training import average_checkpoints

    if method == Method.greedy and split is None:
        raise UsageError("--method greedy needs a split to score: --split val")
    with Progress("scoring", "videos") as progress:
        made = average_checkpoints(
            run,
            checkpoints.split(","),
            method=method,
            split=None if split is None else data / split,
            name=name,
            predictor=predictor,
            device=device,
            overwrite=overwrite,
            progress=progress,
        )
    if made.gap is not None:
        rows = [
            [one, f"{gap:.5f}", "yes" if one in made.members else "no"]
            for one, gap in made.gaps.items()
        ]
        print_table(["checkpoint", "gap", "taken"], [*rows, [name, f"{made.gap:.5f}", ""]])
    print(f"{made.path}: the mean of {', '.join(made.members)}")
    print(f"next: gapkit predict {run} --checkpoints {name} --data {data} --split {split or 'val'}")
