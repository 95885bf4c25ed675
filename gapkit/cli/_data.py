"""`gapkit data`: the commands of the group."""

from __future__ import annotations

import typer

from gapkit.cli._data_holdout import holdout
from gapkit.cli._data_import import import_files
from gapkit.cli._data_info import info, names
from gapkit.cli._data_synth import synth

data_app = typer.Typer(no_args_is_help=True, help="Make splits of videos and look at them.")

data_app.command("import")(import_files)
for _command in (synth, holdout, info, names):
    data_app.command()(_command)
