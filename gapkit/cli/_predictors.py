"""`gapkit predictors`."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Annotated

import typer

from gapkit.cli._console import note, print_table
from gapkit.errors import PredictorError

if TYPE_CHECKING:
    from gapkit.plugins import Listing


def predictors(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="One of them: its settings.")
    ] = None,
) -> None:
    """List the predictors that are installed, or the settings of one.

    Parameters are counted at the defaults, for the 4,716 labels and features of YouTube-8M.
    """
    from gapkit.plugins import list_predictors

    if name is not None:
        _show(name)
        return
    found = list_predictors()
    if importlib.util.find_spec("torch") is None:
        rows = [[p.name, p.package, "", p.target] for p in found]
        note("parameters and descriptions need torch: pip install 'gapkit[train]'")
    else:
        rows = [_describe(listing) for listing in found]
    print_table(["name", "package", "parameters", "what"], rows, left=4)
    print("A module:object or the path of a .py file with a `predictor` will do too.")


def _describe(listing: Listing) -> list[str]:
    from gapkit.plugins import find_entry_point
    from gapkit.training import describe_predictor

    try:
        about = describe_predictor(find_entry_point(listing.name))
    except PredictorError as error:  # one that is broken hides no other
        return [listing.name, listing.package, "", f"can't be used: {error}"]
    count = about.num_parameters
    parameters = "" if count is None else f"{count / 1e6:,.1f} M"
    return [listing.name, listing.package, parameters, about.line or listing.target]


def _show(name: str) -> None:
    from gapkit.plugins import find_predictor
    from gapkit.training import describe_predictor

    about = describe_predictor(find_predictor(name))
    print(f"{name}: {about.line}")
    if about.num_parameters is not None:
        print(f"{about.num_parameters:,} parameters at 4,716 labels, 1,024 + 128 features")
    gap = None if about.paper_gap is None else f"GAP {about.paper_gap:.5f} (public leaderboard)"
    in_paper = ", ".join(part for part in (gap, about.paper_note) if part)
    if in_paper:
        print(f"in the paper: {in_paper}")
    if not about.settings:
        print("It has no settings.")
        return
    print()
    rows = [[s.name, str(s.default).lower(), s.meaning] for s in about.settings]
    print_table(["--set", "default", "meaning"], rows, left=3)
