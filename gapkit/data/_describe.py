"""What a split holds, in figures."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gapkit.data._describe_warnings import warn_of_pairs, warn_of_split
from gapkit.data._pending import read_origin
from gapkit.data._split import LABELS_FILE, SPLIT_FILE, SplitMeta, no_splits, split_folders
from gapkit.data._store import FrameStore
from gapkit.data._vocabulary import read_names
from gapkit.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

NUM_LISTED = 5


@dataclass(frozen=True, kw_only=True)
class SplitFigures:
    """What a split holds."""

    name: str
    """Of its folder"""
    num_videos: int
    """Videos"""
    level: str
    """'frame' or 'video'"""
    feature_sizes: dict[str, int]
    """Values a frame (or a video) by feature"""
    num_frames: int
    """Frames of all videos"""
    frames_span: tuple[int, float, int]
    """Frames a video: least, median, most"""
    stride: int
    """Frames are laid out for it"""
    num_shards: int
    """Files of features"""
    num_classes: int
    """Labels that there are"""
    labels_per_video: float
    """True labels a video, mean"""
    labels_span: tuple[int, float, int]
    """True labels a video: least, median, most"""
    most_frequent: list[tuple[str, int]]
    """Names (or numbers) of the five most frequent labels, and their videos"""
    rarest: list[tuple[str, int]]
    """The same of the five rarest that a video has, the rarest first"""
    verticals: list[tuple[str, int]]
    """The five most frequent verticals, and their true labels; empty where none are known"""
    has_names: bool
    """Whether the labels have names"""
    num_unseen: int
    """Labels that no video has"""
    num_unlabelled: int
    """Videos without labels"""
    max_frames: int | None
    """Frames beyond were cut; None where all were kept"""
    num_cut: int
    """Videos that lost frames so when they were imported, those held out since included"""
    num_faults: int
    """Records that --skip-corrupt left out then"""
    held_out_of: str | None
    """The split that it was held out of, with which it shares its shards"""
    size_bytes: int
    """On disk, shards that it shares with other splits included"""
    warnings: list[str]
    """What will hurt"""


@dataclass(frozen=True, kw_only=True)
class SplitColumns:
    """The columns of a split's labels, read without the checks that would refuse them."""

    name: str
    meta: SplitMeta
    ids: pa.Array
    labels: NDArray[np.int64]
    """True labels, one video after another"""
    num_labels: NDArray[np.int64]
    num_frames: NDArray[np.int64]
    names: list[str] | None
    problem: str | None
    """Why the split can't be opened"""


def describe(data: str | os.PathLike[str]) -> list[SplitFigures]:
    """Return the figures of each split of a folder, or of the one split that it is.

    Raises
    ------
    DataError
        There is no split, or the labels of one can't be read.
    """
    data = Path(data)
    folders = [data] if (data / SPLIT_FILE).is_file() else split_folders(data)
    if not folders:
        raise DataError(no_splits(data))
    splits = [_read_columns(folder) for folder in folders]
    of_pairs = warn_of_pairs(splits)
    return [
        _describe_split(folder, split, [*warn_of_split(split), *of_pairs[split.name]])
        for folder, split in zip(folders, splits, strict=True)
    ]


def _read_columns(folder: Path) -> SplitColumns:
    meta, path = SplitMeta.read(folder), folder / LABELS_FILE
    try:
        _ = FrameStore(folder).labels
        problem = None
    except DataError as error:
        problem = str(error)
    try:
        table = pq.read_table(path).combine_chunks()
        names, _ = read_names(table.schema)
        lists = table["labels"].combine_chunks()
        ids = table["id"].combine_chunks().cast(pa.string())
        num_frames_N = table["num_frames"].to_numpy().astype(np.int64)
        label_P = lists.flatten().to_numpy(zero_copy_only=False).astype(np.int64)
        num_labels_N = lists.value_lengths().fill_null(0).to_numpy().astype(np.int64)
    except (OSError, KeyError, ValueError, pa.ArrowException):
        raise DataError(problem or f"{path}: can't be read. Import the split again.") from None
    return SplitColumns(
        name=folder.resolve().name,
        meta=meta,
        ids=ids,
        labels=label_P,
        num_labels=num_labels_N,
        num_frames=num_frames_N,
        names=names,
        problem=problem,
    )


def _describe_split(folder: Path, split: SplitColumns, warnings: list[str]) -> SplitFigures:
    num_classes = split.meta.num_classes
    label_P = split.labels[(split.labels >= 0) & (split.labels < num_classes)]
    counts_C = np.bincount(label_P, minlength=num_classes)
    _, verticals = read_names(pq.read_schema(folder / LABELS_FILE))
    most = np.argsort(-counts_C, kind="stable")[:NUM_LISTED]
    seen = np.flatnonzero(counts_C)
    rarest = seen[np.argsort(counts_C[seen], kind="stable")][:NUM_LISTED]

    def listed(labels: NDArray[np.integer[Any]]) -> list[tuple[str, int]]:
        names = split.names or [str(label) for label in range(num_classes)]
        return [(names[label], int(counts_C[label])) for label in labels]

    return SplitFigures(
        name=split.name,
        num_videos=len(split.ids),
        level=split.meta.level,
        feature_sizes=split.meta.feature_sizes,
        num_frames=int(split.num_frames.sum()),
        frames_span=_span(split.num_frames),
        stride=split.meta.stride,
        num_shards=len(split.meta.shards),
        num_classes=num_classes,
        labels_per_video=len(split.labels) / max(len(split.ids), 1),
        labels_span=_span(split.num_labels),
        most_frequent=listed(most),
        rarest=listed(rarest),
        verticals=_count_verticals(verticals, counts_C),
        has_names=split.names is not None,
        num_unseen=int((counts_C == 0).sum()),
        num_unlabelled=int((split.num_labels == 0).sum()),
        max_frames=split.meta.max_frames,
        num_cut=split.meta.num_cut,
        num_faults=split.meta.num_faults,
        held_out_of=read_origin(folder),
        size_bytes=sum(path.stat().st_size for path in folder.iterdir()),
        warnings=warnings,
    )


def _span(values: NDArray[np.int64]) -> tuple[int, float, int]:
    if values.size == 0:
        return 0, 0.0, 0
    return int(values.min()), float(np.median(values)), int(values.max())


def _count_verticals(
    verticals: list[list[str]] | None, counts_C: NDArray[np.int64]
) -> list[tuple[str, int]]:
    counts: dict[str, int] = {}
    for label, of_label in enumerate(verticals or []):
        for vertical in of_label:
            counts[vertical] = counts.get(vertical, 0) + int(counts_C[label])
    return sorted(counts.items(), key=lambda item: -item[1])[:NUM_LISTED]
