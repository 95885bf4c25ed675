"""`gapkit data info` and `gapkit data names`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gapkit.cli._console import note, plural, print_table

if TYPE_CHECKING:
    from gapkit.data import SplitFigures

_HEADS = ("split", "videos", "level", "features", "frames", "stride", "labels", "a video")
Data = Annotated[Path, typer.Argument(metavar="DATA", help="Folder of splits, or one split.")]


def info(
    data: Data,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON list.")] = False,
) -> None:
    """Say what splits there are, their figures, and what in them will hurt."""
    from gapkit.data import describe

    splits = describe(data)
    if as_json:
        print(json.dumps([asdict(split) for split in splits], indent=1))
        return
    print_table([*_HEADS, "min-median-max", "shards", "MB"], [_row(split) for split in splits])
    for split in splits:
        print(
            f"{split.name}: most frequent {_listed(split.most_frequent)}; "
            f"{plural(split.num_unseen, 'label')} unseen"
        )
        print(f"{split.name}: rarest {_listed(split.rarest)}")
        if split.verticals:
            print(f"{split.name}: verticals {_listed(split.verticals)} (true labels)")
        print(f"{split.name}: {_layout(split)}")
        if split.num_cut:
            print(
                f"{split.name}: {plural(split.num_cut, 'video')} cut to {split.max_frames} frames "
                f"by its import (--max-frames)"
            )
        if split.num_faults:
            print(
                f"{split.name}: {plural(split.num_faults, 'fault')} left out by its import "
                f"(--skip-corrupt)"
            )
        if split.held_out_of:
            print(f"{split.name}: held out of {split.held_out_of}, whose shards it shares")
    for split in splits:
        for warning in split.warnings:
            note(f"{split.name}: {warning}")


def names(
    data: Data,
    vocabulary: Annotated[
        Path, typer.Option(help="CSV of index,name, and vertical if there are any.")
    ],
) -> None:
    """Give the labels of splits names: those of YouTube-8M, of AudioSet, or your own."""
    from gapkit.data import attach_vocabulary

    found, folders = attach_vocabulary(data, vocabulary)
    verticals = {name for of_label in found.verticals or [] for name in of_label}
    further = f" in {plural(len(verticals), 'vertical')}" if verticals else ""
    for folder in folders:
        print(f"{folder}: {plural(found.num_classes, 'label')}{further} named by {vocabulary}")


def _row(split: SplitFigures) -> list[str]:
    return [
        split.name,
        f"{split.num_videos:,}",
        split.level,
        "+".join(f"{name}:{size}" for name, size in split.feature_sizes.items()),
        f"{split.num_frames:,}",
        str(split.stride),
        f"{split.num_classes:,}",
        f"{split.labels_per_video:.2f}",
        "-".join(f"{value:g}" for value in split.labels_span),
        str(split.num_shards),
        f"{split.size_bytes / 1e6:,.1f}",
    ]


def _listed(counts: list[tuple[str, int]]) -> str:
    return "; ".join(f"{name} {count:,}" for name, count in counts if count) or "none"


def _layout(split: SplitFigures) -> str:
    """How frames lie, and what that means for a crop."""
    if split.level == "video":
        return "one vector a video"
    least, median, most = (f"{value:g}" for value in split.frames_span)
    order = f"in {split.stride} phases" if split.stride > 1 else "in order"
    return (
        f"{least} to {most} frames a video, median {median}; {order}: a crop of stride "
        f"{split.stride} is one slice"
    )
