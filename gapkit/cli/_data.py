"""`gapkit data`: import, and the other commands of the group."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gapkit.cli._console import Progress, note, plural
from gapkit.cli._data_holdout import holdout
from gapkit.cli._data_info import info, names
from gapkit.cli._data_synth import synth
from gapkit.cli._options import Overwrite

data_app = typer.Typer(no_args_is_help=True, help="Make splits of videos and look at them.")


@data_app.command("import")
def import_files(
    files: Annotated[list[Path], typer.Argument(metavar="FILES", help="TFRecord files.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DATA/SPLIT", help="Folder of the split.")
    ],
    num_classes: Annotated[
        int | None, typer.Option(help="Number of labels. [default: from the vocabulary or release]")
    ] = None,
    vocabulary: Annotated[
        Path | None,
        typer.Option(help="CSV of index,name. [default: vocabulary.csv beside the files]"),
    ] = None,
    stride: Annotated[
        int | None,
        typer.Option(help="Layout for crops of it. [default: 5; 1 for short clips]"),
    ] = None,
    max_frames: Annotated[
        int | None, typer.Option(help="Frames of a video kept at most. [default: all]")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="Processes. [default: one a core where there is much to do]")
    ] = None,
    skip_corrupt: Annotated[
        bool, typer.Option("--skip-corrupt", help="Leave out what can't be read, and count it.")
    ] = False,
    overwrite: Overwrite = False,
) -> None:
    """Import TFRecords as a split.

    YouTube-8M (frame and video level) and AudioSet; the checksums of each record are checked.
    """
    from gapkit.data import import_tfrecords

    with Progress("importing", "bytes") as progress:
        result = import_tfrecords(
            files,
            output,
            num_classes=num_classes,
            vocabulary=vocabulary,
            stride=stride,
            max_frames=max_frames,
            workers=workers,
            skip_corrupt=skip_corrupt,
            overwrite=overwrite,
            progress=progress,
        )
    meta = result.meta
    if result.was_complete:
        print(f"{output}: complete already, {plural(meta.num_videos, 'video')} of the same files")
        return
    features = " + ".join(f"{name} {size}" for name, size in meta.feature_sizes.items())
    print(
        f"{output}: {plural(meta.num_videos, 'video')}, {meta.level} level, {features}, "
        f"{meta.num_classes:,} labels (from {result.vocabulary}), stride {meta.stride}"
    )
    if result.num_cut_videos:
        note(
            f"{plural(result.num_cut_frames, 'frame')} beyond --max-frames cut from "
            f"{plural(result.num_cut_videos, 'video')}."
        )
    for message in result.skipped:
        note(f"skipped: {message}")
    if result.num_unlabelled:
        note(f"{plural(result.num_unlabelled, 'video')} without labels: nothing to score there.")


for _command in (synth, holdout, info, names):
    data_app.command()(_command)
