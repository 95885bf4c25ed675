"""`gapkit data import`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gapkit.cli._console import Progress, note, plural
from gapkit.cli._options import Overwrite
from gapkit.errors import UsageError

if TYPE_CHECKING:
    from gapkit.data import ImportResult

_NUM_TOLD = 20  # faults; the others are counted


def import_files(
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DATA/SPLIT", help="Folder of the split.")
    ],
    files: Annotated[
        list[Path] | None, typer.Argument(metavar="[FILES]", help="TFRecord files.")
    ] = None,
    tables: Annotated[
        list[Path] | None,
        typer.Option(
            "--from",
            metavar="FILE",
            help="Parquet or .npz of embeddings, in place of FILES; may be repeated. Columns id, "
            "labels (lists of integers; in .npz 0 and 1 of shape (N, labels), or with "
            "label_offsets), and a list of one size a feature: floats are video level, lists of "
            "uint8 lists are frames.",
        ),
    ] = None,
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
        int, typer.Option(help="Frames kept of a video, the first ones; 0 keeps all.", min=0)
    ] = 300,
    workers: Annotated[
        int | None, typer.Option(help="Processes. [default: the cores]", min=1)
    ] = None,
    append: Annotated[
        bool, typer.Option("--append", help="Add files to the split; those in it are left out.")
    ] = False,
    skip_corrupt: Annotated[
        bool,
        typer.Option(
            "--skip-corrupt", help="Leave out records that can't be read or don't fit, and say so."
        ),
    ] = False,
    overwrite: Overwrite = False,
) -> None:
    """Import TFRecords, or tables of embeddings, as a split.

    YouTube-8M (frame and video level) and AudioSet; the checksums of each record are checked. An
    import that was interrupted goes on where it was when the same command is given again.
    """
    from gapkit.data import import_embeddings, import_tfrecords

    if bool(files) == bool(tables):
        raise UsageError("Name TFRecord FILES, or tables by --from FILE: one of the two.")
    if tables and skip_corrupt:
        raise UsageError("--skip-corrupt is for TFRecords. A table has no records to skip.")
    import_ = import_embeddings if tables else partial(import_tfrecords, skip_corrupt=skip_corrupt)
    try:
        with Progress("importing", "videos") as progress:
            result = import_(
                files or tables or [],
                output,
                num_classes=num_classes,
                vocabulary=vocabulary,
                stride=stride,
                max_frames=max_frames or None,
                workers=workers,
                overwrite=overwrite,
                append=append,
                watch=lambda step: progress(
                    step.done_bytes, step.total_bytes, count=step.num_videos
                ),
            )
    except BaseException:
        _tell_of_finished(output)
        raise
    _print_result(output, result)


def _tell_of_finished(output: Path) -> None:
    """How far an import got that did not end."""
    from gapkit.data import count_finished_shards

    finished = count_finished_shards(output)
    if finished:
        note(f"{plural(finished, 'shard')} finished; the same command goes on from there.")


def _print_result(output: Path, result: ImportResult) -> None:
    meta = result.meta
    if result.was_complete:
        _print_complete(output, result)
        return
    features = " + ".join(f"{name} {size}" for name, size in meta.feature_sizes.items())
    print(
        f"{output}: {plural(meta.num_videos, 'video')}, {meta.level} level, {features}, "
        f"{meta.num_classes:,} labels (from {result.vocabulary}), stride {meta.stride}"
    )
    if result.num_added != meta.num_videos:
        print(
            f"  {plural(result.num_added, 'video')} added to {meta.num_videos - result.num_added:,}"
        )
    if result.num_known_files:
        note(f"{plural(result.num_known_files, 'file')} left out: in the split already.")
    if result.num_shards_found:
        note(f"{plural(result.num_shards_found, 'shard')} of an interrupted import used again.")
    _note_cut(result.num_cut, meta.max_frames)
    if result.ignored:
        note(f"columns without features left out: {', '.join(result.ignored)}.")
    if result.num_unlabelled:
        note(f"{plural(result.num_unlabelled, 'video')} without labels: nothing to score there.")
    for fault in result.faults[:_NUM_TOLD]:
        note(f"left out: {fault}")
    _note_faults(len(result.faults))


def _print_complete(output: Path, result: ImportResult) -> None:
    meta = result.meta
    listed = plural(meta.num_videos, "video")
    if result.num_videos != meta.num_videos:
        listed = f"{result.num_videos:,} of {listed}, after a holdout,"
    print(f"{output}: complete already, {listed} of the same files")
    if result.has_other_names:
        note(f"its labels are not named as in {result.vocabulary}: gapkit data names names them.")
    _note_cut(meta.num_cut, meta.max_frames)
    _note_faults(meta.num_faults)


def _note_cut(num_cut: int, max_frames: int | None) -> None:
    if num_cut:
        note(f"{plural(num_cut, 'video')} cut to {max_frames} frames (--max-frames).")


def _note_faults(num_faults: int) -> None:
    if num_faults:
        note(f"{plural(num_faults, 'fault')} left out in all (--skip-corrupt).")
