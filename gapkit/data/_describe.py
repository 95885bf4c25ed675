"""What a split holds, in figures."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gapkit.data._split import SPLIT_FILE, missing_split
from gapkit.data._store import FrameStore
from gapkit.errors import DataError


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
    stride: int
    """Frames are laid out for it"""
    num_classes: int
    """Labels that there are"""
    labels_per_video: float
    """True labels a video, mean"""
    most_frequent: list[tuple[str, int]]
    """Names (or numbers) of the five most frequent labels, and their videos"""
    num_unseen: int
    """Labels that no video has"""
    num_unlabelled: int
    """Videos without labels"""
    size_bytes: int
    """On disk"""


def describe(data: str | os.PathLike[str]) -> list[SplitFigures]:
    """Return the figures of each split of a folder, or of the one split that it is.

    Raises
    ------
    DataError
        There is no split, or one is damaged.
    """
    data = Path(data)
    if (data / SPLIT_FILE).is_file():
        return [_describe_split(data)]
    folders = sorted(path.parent for path in data.glob(f"*/{SPLIT_FILE}"))
    if not folders:
        raise DataError(missing_split(data / "train") if data.is_dir() else f"{data}: no folder.")
    return [_describe_split(folder) for folder in folders]


def _describe_split(folder: Path) -> SplitFigures:
    store = FrameStore(folder)
    counts_C = np.bincount(store.labels.values, minlength=store.num_classes)
    names = store.labels.label_names or [str(label) for label in range(store.num_classes)]
    most = np.argsort(-counts_C, kind="stable")[:5]
    return SplitFigures(
        name=folder.name,
        num_videos=len(store),
        level=store.level,
        feature_sizes=store.feature_sizes,
        num_frames=int(store.num_frames.sum()),
        stride=store.stride,
        num_classes=store.num_classes,
        labels_per_video=store.labels.num_positives / max(len(store), 1),
        most_frequent=[(names[label], int(counts_C[label])) for label in most],
        num_unseen=int((counts_C == 0).sum()),
        num_unlabelled=int((np.diff(store.labels.offsets) == 0).sum()),
        size_bytes=sum(path.stat().st_size for path in folder.iterdir()),
    )
