"""`gapkit data`: import, synth, info."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gapkit.cli._console import Progress, note, plural, print_table
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
    if result.num_unlabelled:
        note(f"{plural(result.num_unlabelled, 'video')} without labels: nothing to score there.")


@data_app.command()
def synth(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the TFRecords.")],
    num_videos: Annotated[int, typer.Option(help="Videos in all; a fifth goes to val.")] = 5000,
    num_classes: Annotated[int, typer.Option(help="Labels.")] = 100,
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes.")] = 0,
    rgb_size: Annotated[int, typer.Option(help="Visual values a frame.")] = 1024,
    audio_size: Annotated[int, typer.Option(help="Audio values a frame.")] = 128,
    max_frames: Annotated[int, typer.Option(help="Frames of the longest video.")] = 300,
    overwrite: Overwrite = False,
) -> None:
    """Make a synthetic corpus of TFRecords.

    It has the shape of YouTube-8M at frame level: train-*.tfrecord, val-*.tfrecord.
    """
    from gapkit.data import synthesize

    with Progress("making", "videos") as progress:
        made = synthesize(
            output,
            num_videos=num_videos,
            num_classes=num_classes,
            seed=seed,
            rgb_size=rgb_size,
            audio_size=audio_size,
            max_frames=max_frames,
            overwrite=overwrite,
            progress=progress,
        )
    kinds = made.world.kinds
    counts = ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds))
    print(
        f"{output}: {made.num_train:,} + {made.num_val:,} videos (train, val), "
        f"{num_classes} labels: {counts}\n"
        f"next: gapkit data import {output}/train-*.tfrecord -o data/train"
    )


@data_app.command()
def info(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="Folder of splits, or one split.")],
) -> None:
    """Say what splits there are, and their figures."""
    from gapkit.data import describe

    splits = describe(data)
    print_table(
        ["split", "videos", "level", "features", "frames", "stride", "labels", "a video", "MB"],
        [
            [
                split.name,
                f"{split.num_videos:,}",
                split.level,
                "+".join(f"{name}:{size}" for name, size in split.feature_sizes.items()),
                f"{split.num_frames:,}",
                str(split.stride),
                f"{split.num_classes:,}",
                f"{split.labels_per_video:.2f}",
                f"{split.size_bytes / 1e6:,.1f}",
            ]
            for split in splits
        ],
    )
    for split in splits:
        most = ", ".join(f"{name} {count:,}" for name, count in split.most_frequent)
        print(f"{split.name}: most frequent {most}; {plural(split.num_unseen, 'label')} unseen")
        if split.num_unlabelled:
            note(f"{split.name}: {plural(split.num_unlabelled, 'video')} without labels.")
