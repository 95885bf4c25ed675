"""`gapkit data holdout`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gapkit.cli._console import plural
from gapkit.cli._options import Overwrite


def holdout(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="Folder of the splits.")],
    num_videos: Annotated[int, typer.Option(help="Videos of the holdout.")],
    source: Annotated[str, typer.Option("--from", help="The split that gives them.")] = "train",
    target: Annotated[str, typer.Option("--to", help="The split that gets them.")] = "val",
    overwrite: Overwrite = False,
) -> None:
    """Hold videos out of a split, chosen by a hash of the id.

    Those of the smallest SHA-256, whatever their order and shards. No frames are copied.
    """
    from gapkit.data import hold_out

    result = hold_out(
        data, source=source, target=target, num_videos=num_videos, overwrite=overwrite
    )
    verb = "complete already, " if result.was_complete else ""
    print(
        f"{data / target}: {verb}{plural(result.num_held, 'video')} held out of {source}, "
        f"which keeps {result.num_left:,}"
    )
