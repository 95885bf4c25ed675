"""What in a split, or between two of them, will hurt whoever trains or scores on it."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from gapkit._ids import IdIndex

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gapkit.data._describe import SplitColumns

_TOP_K = 20
_LONG_FRAMES = 50


def warn_of_split(split: SplitColumns) -> list[str]:
    """Return what will hurt in one split, a line each."""
    num_classes = split.meta.num_classes
    warnings = [] if split.problem is None else [f"can't be opened: {split.problem}"]
    beyond = np.flatnonzero((split.labels < 0) | (split.labels >= num_classes))
    if beyond.size:
        row = int(np.searchsorted(np.cumsum(split.num_labels), beyond[0], side="right"))
        warnings.append(
            f"{_count(beyond.size, 'true label')} out of range for num_classes={num_classes}, "
            f"as {split.labels[beyond[0]]} of video {split.ids[row].as_py()!r}."
        )
    empty = np.flatnonzero(split.num_frames < 1)
    if empty.size:
        warnings.append(
            f"{_count(empty.size, 'video')} without frames, as {split.ids[empty[0]].as_py()!r}."
        )
    unlabelled = int((split.num_labels == 0).sum())
    if unlabelled:
        warnings.append(f"{_count(unlabelled, 'video')} without labels: nothing to score there.")
    crowded = int((split.num_labels > _TOP_K).sum())
    if crowded:
        warnings.append(
            f"{_count(crowded, 'video')} with more than {_TOP_K} labels: "
            f"GAP at top {_TOP_K} can't reach 1."
        )
    if len(split.ids) == 0:
        warnings.append("no videos.")
    elif split.meta.level == "frame":
        median = np.median(split.num_frames)
        if split.meta.stride == 1 and median >= _LONG_FRAMES:
            warnings.append(
                f"laid out for stride 1, and its videos have {median:.0f} frames: crops of other "
                f"strides gather, which is slow. Import with --stride 5."
            )
        elif split.meta.stride > median:
            warnings.append(
                f"laid out for stride {split.meta.stride}, and its videos have {median:.0f} "
                f"frames: a crop is one frame or none more. Import with --stride 1."
            )
    return warnings


def warn_of_pairs(splits: Sequence[SplitColumns]) -> dict[str, list[str]]:
    """Return what will hurt between splits, under the name of the later one."""
    warnings: dict[str, list[str]] = {split.name: [] for split in splits}
    for first, second in combinations(splits, 2):
        warnings[second.name] += _warn_of_pair(first, second)
    by_name = {split.name: split for split in splits}
    train = by_name.get("train")
    for split in splits:
        if train is not None and split is not train:
            warnings[split.name] += _warn_of_unlearned(train, split)
    return warnings


def _warn_of_pair(first: SplitColumns, second: SplitColumns) -> list[str]:
    warnings = []
    index = IdIndex(first.ids)
    shared = np.flatnonzero(index.find(second.ids) >= 0)
    if shared.size:
        warnings.append(
            f"{_count(shared.size, 'id')} in {first.name} as well, as "
            f"{second.ids[shared[0]].as_py()!r}: scores will flatter."
        )
    for what in ("level", "num_classes", "feature_sizes"):
        here, there = getattr(second.meta, what), getattr(first.meta, what)
        if here != there:
            warnings.append(f"{what} is {here}, and {there} in {first.name}.")
    if second.names != first.names and second.meta.num_classes == first.meta.num_classes:
        warnings.append(
            f"label names are not those of {first.name}. "
            f"Give both the same: gapkit data names DATA --vocabulary FILE"
        )
    return warnings


def _warn_of_unlearned(train: SplitColumns, split: SplitColumns) -> list[str]:
    unlearned = np.setdiff1d(split.labels, train.labels)
    if unlearned.size == 0 or train.labels.size == 0:
        return []
    first = int(unlearned[0])
    named = split.names is not None and 0 <= first < len(split.names)
    name = f"{first} ({split.names[first]})" if split.names is not None and named else str(first)
    return [f"{_count(unlearned.size, 'label')} that no video of train has, as {name}."]


def _count(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
