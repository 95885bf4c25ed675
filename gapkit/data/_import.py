"""Files to a split: what a user calls."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from gapkit.data._importing.plan import Options, Plan, plan_records, plan_tables
from gapkit.data._importing.run import Conduct, ImportResult, ImportStep, run_import
from gapkit.data._importing.there import find_before
from gapkit.data._pending import finish_import
from gapkit.data._split import SPLIT_FILE
from gapkit.errors import DataError, UsageError

DEFAULT_MAX_FRAMES = 300


def import_tfrecords(
    files: Sequence[str | os.PathLike[str]],
    output: str | os.PathLike[str],
    *,
    num_classes: int | None = None,
    vocabulary: str | os.PathLike[str] | None = None,
    stride: int | None = None,
    max_frames: int | None = DEFAULT_MAX_FRAMES,
    workers: int | None = None,
    overwrite: bool = False,
    append: bool = False,
    skip_corrupt: bool = False,
    progress: Callable[[int, int], object] | None = None,
    watch: Callable[[ImportStep], object] | None = None,
) -> ImportResult:
    """Write a split from TFRecord files, checking the CRCs of each record.

    Reads YouTube-8M frame level (`rgb`, `audio`) and video level (`mean_rgb`, `mean_audio`), and
    AudioSet (`audio_embedding`, called `audio`). Onto a complete split of the same files it does
    nothing; whatever fails, what was there stays as it was. The finished shards of an import that
    was interrupted wait in a hidden folder beside the split, and the same call goes on from there.

    Parameters
    ----------
    files : sequence of path
        TFRecord files of one kind; each becomes a shard.
    output : path
        Folder of the split, as DATA/val.
    num_classes : int, optional
        Number of labels; by default from `vocabulary`, from a `vocabulary.csv` beside the files,
        or from the release, where it is a known one.
    vocabulary : path, optional
        CSV with the columns index,name (or AudioSet's class_labels_indices.csv).
    stride : int, optional
        Frames are laid out for crops of this stride. By default 5, or 1 where the longest of the
        first 100 videos has fewer than 50 frames.
    max_frames : int, optional
        Frames kept of a video, the first ones; None keeps all.
    workers : int, optional
        Processes, a file each at a time. By default the cores, or 1 for less than 64 MB.
    overwrite : bool
        Replace a split of other files.
    append : bool
        Add the files to the split that is there; those that it was made from are left out.
    skip_corrupt : bool
        Leave out records that can't be read or don't fit (other features, a label out of range or
        twice), and report them, in place of an error. Where the length of a record is damaged, the
        rest of its file is lost.
    progress : callable, optional
        Called with the bytes read so far and the bytes of all files.
    watch : callable, optional
        Called with an ImportStep, which counts videos too.

    Raises
    ------
    DataError
        A file is absent or damaged (file, record and byte are named), records are of different
        kinds, a video has no frames, an id stands twice, a label is out of range, the number of
        labels is not known, the output can't be written, the disk is too small, or it holds a
        split of other files; with `append`, the split is part of a holdout, or the options are
        not its own.
    GapkitError
        The packages tfrecord and crc32c are not installed, or a worker was killed.
    """
    options = _options(num_classes, vocabulary, stride, max_frames, skip_corrupt=skip_corrupt)
    conduct = _conduct(workers, overwrite=overwrite, progress=progress, watch=watch)
    return _import(plan_records, files, Path(output), options, conduct, append=append)


def import_embeddings(
    files: Sequence[str | os.PathLike[str]],
    output: str | os.PathLike[str],
    *,
    num_classes: int | None = None,
    vocabulary: str | os.PathLike[str] | None = None,
    stride: int | None = None,
    max_frames: int | None = DEFAULT_MAX_FRAMES,
    workers: int | None = None,
    overwrite: bool = False,
    append: bool = False,
    progress: Callable[[int, int], object] | None = None,
    watch: Callable[[ImportStep], object] | None = None,
) -> ImportResult:
    """Write a split from tables of embeddings: Parquet, row groups at a time, or .npz.

    =============  ===============================  ================================================
    what           Parquet column                   array of .npz
    =============  ===============================  ================================================
    `id`           string or integer                (N,) string or integer
    `labels`       list of integers                 (N, num_classes) of 0 and 1; or (P,) integers
                                                    with `label_offsets` (N + 1,)
    a vector       list of D floats or uint8        (N, D) floats or uint8
    frames         list of lists of D uint8         (N, T, D) uint8, with `num_frames` (N,) where
                                                    videos are shorter; or (F, D) uint8 with
                                                    `frame_offsets` (N + 1,)
    =============  ===============================  ================================================

    Each column of lists beside `id` and `labels` is a feature of that name: all of them vectors
    (the split is at video level, float32), or all of them frames. Other columns are left out.
    Without `labels` no video has any. Frames are uint8, of which a predictor makes
    `q * 4/255 + 4/512 - 2`.

    Parameters
    ----------
    files : sequence of path
        Files of the same columns.
    output, num_classes, vocabulary, stride, max_frames, workers, overwrite, append, progress, watch
        As of `import_tfrecords`. The number of labels may come from dense labels, too.

    Raises
    ------
    DataError
        As of `import_tfrecords`; and a column is absent or no feature, or a value of it is null,
        not finite or of another size: column and row are named.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.savez(
    ...         f"{folder}/a.npz", id=["a", "b"], labels=np.eye(2), clip=np.ones((2, 4), np.float32)
    ...     )
    ...     result = import_embeddings([f"{folder}/a.npz"], f"{folder}/data/train")
    ...     result.meta.level, result.meta.feature_sizes, result.meta.num_classes
    ('video', {'clip': 4}, 2)
    """
    options = _options(num_classes, vocabulary, stride, max_frames, skip_corrupt=False)
    conduct = _conduct(workers, overwrite=overwrite, progress=progress, watch=watch)
    return _import(plan_tables, files, Path(output), options, conduct, append=append)


def _options(
    num_classes: int | None,
    vocabulary: str | os.PathLike[str] | None,
    stride: int | None,
    max_frames: int | None,
    *,
    skip_corrupt: bool,
) -> Options:
    for name, value in (
        ("stride", stride),
        ("num_classes", num_classes),
        ("max_frames", max_frames),
    ):
        if value is not None and value < 1:
            raise UsageError(f"{name} is {value}. It must be 1 or more.")
    return Options(
        num_classes=num_classes,
        vocabulary=None if vocabulary is None else Path(vocabulary),
        stride=stride,
        max_frames=max_frames,
        skip_corrupt=skip_corrupt,
    )


def _conduct(
    workers: int | None,
    *,
    overwrite: bool,
    progress: Callable[[int, int], object] | None,
    watch: Callable[[ImportStep], object] | None,
) -> Conduct:
    if workers is not None and workers < 1:
        raise UsageError(f"workers is {workers}. It must be 1 or more.")

    def tell(step: ImportStep) -> None:
        if progress is not None:
            progress(step.done_bytes, step.total_bytes)
        if watch is not None:
            watch(step)

    return Conduct(workers=workers, overwrite=overwrite, watch=tell)


def _import(
    make_plan: Callable[[list[Path], Options], Plan],
    files: Sequence[str | os.PathLike[str]],
    output: Path,
    options: Options,
    conduct: Conduct,
    *,
    append: bool,
) -> ImportResult:
    if not files:
        raise UsageError("no files to import. Name at least one file.")
    if append and conduct.overwrite:
        raise UsageError("--append and --overwrite: append adds to what overwrite replaces.")
    paths = [Path(file) for file in files]
    finish_import(output)
    if not append or not (output / SPLIT_FILE).is_file():
        return run_import(make_plan(paths, options), output, conduct, None)
    before = find_before(output, options)
    meta = before.meta
    kept = replace(options, num_classes=meta.num_classes, stride=meta.stride)
    plan = make_plan(paths, kept)
    if (plan.level, plan.feature_sizes) != (meta.level, meta.feature_sizes):
        raise DataError(
            f"{paths[0]}: {plan.level}-level features {plan.feature_sizes}, and {output} has "
            f"{meta.level}-level {meta.feature_sizes}. Import files of one kind."
        )
    return run_import(replace(plan, vocabulary=before.vocabulary), output, conduct, before)
