"""The commands, in the order in which `gapkit --help` shows them."""

from typing import Annotated

import typer

import gapkit
from gapkit.cli._average import average
from gapkit.cli._check import check
from gapkit.cli._convert import convert
from gapkit.cli._data import data_app
from gapkit.cli._demo import demo
from gapkit.cli._diff import diff
from gapkit.cli._ensemble import ensemble
from gapkit.cli._export import export
from gapkit.cli._predict import predict
from gapkit.cli._predictors import predictors
from gapkit.cli._score import score
from gapkit.cli._train import train

app = typer.Typer(
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Score, ensemble and train predictors for large multi-label problems.",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"gapkit {gapkit.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Version.")
    ] = False,
) -> None:
    pass


for _command in (
    score, ensemble, convert, check, diff, train, average, predict, export, predictors, demo,
):  # fmt: skip
    app.command()(_command)
app.add_typer(data_app, name="data")
