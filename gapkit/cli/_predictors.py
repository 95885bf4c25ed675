"""`gapkit predictors`."""

from __future__ import annotations

from gapkit.cli._console import print_table


def predictors() -> None:
    """List the predictors that are installed.

    None of them is imported for it.
    """
    from gapkit.plugins import list_predictors

    found = list_predictors()
    print_table(
        ["name", "package", "target"], [[p.name, p.package, p.target] for p in found], left=3
    )
    print("A module:object or the path of a .py file with a `predictor` will do too.")
