"""TFRecords to a split."""

from __future__ import annotations

import itertools
import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gapkit._ids import IdIndex
from gapkit.data._records import Video, read_videos
from gapkit.data._shard_import import ImportedShard, ShardTask, import_shard
from gapkit.data._split import LABELS_FILE, SPLIT_FILE, Source, SplitMeta
from gapkit.data._store import FrameStore
from gapkit.data._tfrecord import load_crc32c
from gapkit.data._vocabulary import Vocabulary, find_vocabulary, with_names
from gapkit.data._working_folder import check_disk, working_folder
from gapkit.errors import DataError, UsageError
from gapkit.io import labels_to_table, read_labels
from gapkit.predictions import Labels

DEFAULT_STRIDE = 5
_SHORT_FRAMES = 50  # the longest of the first videos has fewer: stride 1
_NUM_FIRST = 100
_MUCH_BYTES = 200 << 20  # below it starting processes takes longer than they save


@dataclass(frozen=True, kw_only=True)
class ImportResult:
    """What an import did."""

    meta: SplitMeta
    """The split"""
    was_complete: bool
    """Whether the split of the same files was there already"""
    num_unlabelled: int
    """Videos without labels"""
    vocabulary: str
    """Where the number of labels comes from"""
    num_cut_videos: int = 0
    """Videos that had more than max_frames frames"""
    num_cut_frames: int = 0
    """Frames that they lost"""
    skipped: list[str] = field(default_factory=list)
    """What could not be read and was left out"""


def import_tfrecords(
    files: Sequence[str | os.PathLike[str]],
    output: str | os.PathLike[str],
    *,
    num_classes: int | None = None,
    vocabulary: str | os.PathLike[str] | None = None,
    stride: int | None = None,
    max_frames: int | None = None,
    workers: int | None = None,
    skip_corrupt: bool = False,
    overwrite: bool = False,
    progress: Callable[[int, int], object] | None = None,
) -> ImportResult:
    """Write a split from TFRecord files, checking the CRCs of each record.

    Reads YouTube-8M frame level (`rgb`, `audio`) and video level (`mean_rgb`, `mean_audio`), and
    AudioSet (`audio_embedding`, called `audio`). Onto a complete split of the same files it does
    nothing; whatever fails, what was there stays as it was. Called again after an interrupt it goes
    on with the shards that lie whole in `.SPLIT.importing`.

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
        Frames of a video that are kept at most; what is cut is counted.
    workers : int, optional
        Processes; by default one where there is little to do, else as many as cores.
    skip_corrupt : bool
        Leave out what can't be read, and count it, instead of an error.
    overwrite : bool
        Replace a split of other files.
    progress : callable, optional
        Called with the bytes read so far and the bytes of all files.

    Raises
    ------
    DataError
        A file is absent or damaged (file, record and byte are named), records are of different
        kinds, a video has no frames, an id stands twice, a label is out of range, the number of
        labels is not known, the output can't be written, or holds a split of other files.
    GapkitError
        The packages tfrecord and crc32c are not installed.
    """
    if not files:
        raise UsageError("no files to import. Name at least one TFRecord file.")
    if stride is not None and stride < 1:
        raise UsageError(f"stride is {stride}. It must be 1 or more.")
    if num_classes is not None and num_classes < 1:
        raise UsageError(f"num_classes is {num_classes}. It must be 1 or more.")
    for name, value in (("max_frames", max_frames), ("workers", workers)):
        if value is not None and value < 1:
            raise UsageError(f"{name} is {value}. It must be 1 or more.")
    paths, output = [Path(file) for file in files], Path(output)
    sources = [_source(path) for path in paths]
    first = list(itertools.islice(read_videos(paths[0]), _NUM_FIRST))
    found = find_vocabulary(
        paths,
        num_classes=num_classes,
        vocabulary=None if vocabulary is None else Path(vocabulary),
        known_classes=first[0].known_classes,
    )
    stride = stride or _default_stride(first)
    meta = SplitMeta(
        level=first[0].level,
        feature_sizes=first[0].feature_sizes,
        num_classes=found.num_classes,
        stride=stride,
        num_videos=0,
        shards={},
        sources=sources,
    )
    there = _complete_split(output, meta, found.names)
    if there is not None and not overwrite:
        labels = read_labels(output / LABELS_FILE)
        return ImportResult(
            meta=there,
            was_complete=True,
            num_unlabelled=int((np.diff(labels.offsets) == 0).sum()),
            vocabulary=found.source,
        )
    if (output / SPLIT_FILE).is_file() and not overwrite:
        raise DataError(
            f"{output}: is a split of other files, made with other options, or damaged. "
            f"Pass --overwrite to replace it."
        )
    check_disk(output, sum(source.size_bytes for source in sources))
    options = {"max_frames": max_frames, "skip_corrupt": skip_corrupt}
    with working_folder(output, {**asdict(meta), **options}, overwrite=overwrite) as folder:
        tasks = [
            ShardTask(
                source=path,
                target=folder / f"features-{number:05d}.arrow",
                level=meta.level,
                feature_sizes=meta.feature_sizes,
                num_classes=meta.num_classes,
                stride=meta.stride,
                max_frames=max_frames,
                skip_corrupt=skip_corrupt,
            )
            for number, path in enumerate(paths)
        ]
        return _write_split(tasks, folder, meta, found, workers, progress)


def _default_stride(first: list[Video]) -> int:
    longest = max(video.num_frames for video in first)
    return DEFAULT_STRIDE if longest >= _SHORT_FRAMES else 1


def _source(path: Path) -> Source:
    crc32c = load_crc32c()
    crc = 0
    try:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                crc = crc32c(block, crc)
        return Source(name=path.name, size_bytes=path.stat().st_size, crc32c=crc)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file. Check the path.") from None
    except OSError as error:
        raise DataError(f"{path}: can't be read: {error.strerror}.") from None


def _complete_split(
    output: Path, meta: SplitMeta, label_names: list[str] | None
) -> SplitMeta | None:
    """The split that is there, if it was made of the same files in the same way."""
    if not (output / SPLIT_FILE).is_file():
        return None
    try:
        store = FrameStore(output)
        names = store.labels.label_names
    except DataError:
        return None  # not complete, whatever it was made of
    keys = ("sources", "num_classes", "stride")
    same = all(getattr(store.meta, key) == getattr(meta, key) for key in keys)
    return store.meta if same and names == label_names else None


def _write_split(
    tasks: list[ShardTask],
    folder: Path,
    meta: SplitMeta,
    vocabulary: Vocabulary,
    workers: int | None,
    progress: Callable[[int, int], object] | None,
) -> ImportResult:
    imported = _import_shards(
        tasks, [source.size_bytes for source in meta.sources], workers, progress
    )
    ids = [video_id for shard in imported for video_id in shard.ids]
    labels = [np.array(row, np.int64) for shard in imported for row in shard.labels]
    num_frames = [count for shard in imported for count in shard.num_frames]
    _check_ids(ids, [task.source for task in tasks], [len(shard.ids) for shard in imported])
    table = labels_to_table(
        Labels(ids, labels, num_classes=meta.num_classes, label_names=vocabulary.names)
    )
    table = with_names(table, vocabulary)
    table = table.append_column("num_frames", pa.array(num_frames, pa.int32()))
    pq.write_table(table, folder / LABELS_FILE, write_page_checksum=True)
    names = [task.target.name for task in tasks]
    counts = [len(shard.ids) for shard in imported]
    meta = replace(
        meta,
        num_videos=len(ids),
        shards=dict(zip(names, counts, strict=True)),
        checksums={n: shard.checksum for n, shard in zip(names, imported, strict=True)},
    )
    meta.write(folder)
    return ImportResult(
        meta=meta,
        was_complete=False,
        num_unlabelled=sum(len(row) == 0 for row in labels),
        vocabulary=vocabulary.source,
        num_cut_videos=sum(shard.num_cut_videos for shard in imported),
        num_cut_frames=sum(shard.num_cut_frames for shard in imported),
        skipped=[message for shard in imported for message in shard.skipped],
    )


def _import_shards(
    tasks: list[ShardTask],
    sizes_bytes: list[int],
    workers: int | None,
    progress: Callable[[int, int], object] | None,
) -> list[ImportedShard]:
    """All shards, in this process or in several."""
    total_bytes = sum(sizes_bytes)
    done_bytes = 0

    def count_bytes(taken: int) -> None:
        nonlocal done_bytes
        done_bytes += taken
        if progress is not None:
            progress(done_bytes, total_bytes)

    if workers is None:
        workers = 1 if total_bytes < _MUCH_BYTES else os.cpu_count() or 1
    if min(workers, len(tasks)) == 1:
        return [import_shard(task, count_bytes) for task in tasks]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(tasks)), mp_context=context) as pool:
        waiting = [pool.submit(import_shard, task) for task in tasks]
        try:
            imported = []
            for future, size_bytes in zip(waiting, sizes_bytes, strict=True):
                imported.append(future.result())
                count_bytes(size_bytes)
            return imported
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _check_ids(ids: list[str], paths: list[Path], num_videos: list[int]) -> None:
    duplicate = IdIndex(pa.array(ids, pa.string())).first_duplicate()
    if duplicate is None:
        return
    ends = np.cumsum(num_videos)
    here, there = (paths[int(np.searchsorted(ends, row, side="right"))] for row in duplicate)
    row = duplicate[0]
    raise DataError(f"{here}: video {ids[row]!r} is in {there} already. Import each video once.")
