"""`gapkit data synth`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gapkit.cli._console import Progress, note, plural
from gapkit.cli._options import Overwrite
from gapkit.errors import UsageError


def synth(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the TFRecords.")],
    num_videos: Annotated[int, typer.Option(help="Videos in all; a fifth goes to val.")] = 5000,
    num_classes: Annotated[int, typer.Option(help="Labels.")] = 100,
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes.")] = 0,
    rgb_size: Annotated[int, typer.Option(help="Visual values a frame.")] = 1024,
    audio_size: Annotated[int, typer.Option(help="Audio values a frame.")] = 128,
    max_frames: Annotated[int, typer.Option(help="Frames of the longest video.")] = 300,
    part: Annotated[
        str | None,
        typer.Option(metavar="K/N", help="Every N-th shard from the K-th; parts make the whole."),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Make a synthetic corpus of TFRecords.

    It has the shape of YouTube-8M at frame level: train-*.tfrecord, val-*.tfrecord. truth.json
    tells what each label depends on.
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
            part=None if part is None else _parse_part(part),
            overwrite=overwrite,
            progress=progress,
        )
    kinds = made.world.kinds
    counts = ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds))
    print(
        f"{output}: {made.num_train:,} + {made.num_val:,} videos (train, val), "
        f"{num_classes} labels: {counts}"
    )
    if part is not None:
        print(f"part {part}: {plural(made.num_written, 'video')} written")
    if made.num_written:
        print(f"next: gapkit data import {output}/train-*.tfrecord -o data/train")
    else:
        note(f"part {part} has no shard: there are fewer, of 1,000 videos each. Make fewer parts.")
    print(f"best GAP on val that the noise of the labels allows: {made.best_gap:.4f}")


def _parse_part(text: str) -> tuple[int, int]:
    first, slash, second = text.partition("/")
    if not (slash and first.isdecimal() and second.isdecimal()):
        raise UsageError(f"--part {text}: not of the form K/N, as 1/4.")
    return int(first), int(second)
