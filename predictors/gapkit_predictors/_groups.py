"""Labels in groups: from a vocabulary's verticals, from a CSV, or by what occurs together."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from gapkit.data import FrameStore
from gapkit.errors import DataError, UsageError

NUM_CLUSTERS = 25  # as many as YouTube-8M has verticals


def find_groups(setting: str, num_groups: int | None, store: FrameStore) -> tuple[int, ...]:
    """The group of each label, numbered from 0.

    Parameters
    ----------
    setting : str
        'auto' (verticals where the split knows them, else co-occurrence), 'verticals',
        'cooccurrence', or the path of a CSV with the columns index and group (or vertical).
    num_groups : int or None
        Groups are merged to so many at most, such that each has about as many true labels.
    store : FrameStore
        The training split.

    Raises
    ------
    UsageError, DataError
        The split has no verticals; the CSV can't be read, or does not name each label once.
    """
    if setting == "auto":
        setting = "verticals" if store.verticals is not None else "cooccurrence"
    if setting == "cooccurrence":
        return _cluster(store, num_groups)
    if setting == "verticals":
        if store.verticals is None:
            raise UsageError(
                f"{store.path}: its labels have no verticals. Attach a vocabulary that has: "
                f"gapkit data names, or set groups=cooccurrence."
            )
        names = [of_label[0] if of_label else "(Unknown)" for of_label in store.verticals]
    else:
        names = _read_groups(Path(setting), store.num_classes)
    found = {name: number for number, name in enumerate(sorted(set(names)))}
    groups = [found[name] for name in names]
    if num_groups is None or num_groups >= len(found):
        return tuple(groups)
    return _merge(
        groups, num_groups, np.bincount(np.concatenate(store.labels.labels), minlength=len(groups))
    )


def _merge(groups: Sequence[int], num_groups: int, count_C: np.ndarray) -> tuple[int, ...]:
    """The most frequent group first, each into the merged group with the fewest true labels."""
    sizes = np.bincount(groups, weights=count_C + 1)
    merged, filled = {}, [0.0] * num_groups
    for group in np.argsort(-sizes, kind="stable").tolist():
        merged[group] = filled.index(min(filled))
        filled[merged[group]] += sizes[group]
    return tuple(merged[group] for group in groups)


def _read_groups(path: Path, num_classes: int) -> list[str]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            f"{path}: can't be read as CSV ({error}). groups is auto, verticals, cooccurrence, "
            f"or a CSV with the columns index,group."
        ) from None
    names: dict[int, str] = {}
    for line, row in enumerate(rows, start=2):
        name, index = row.get("group") or row.get("vertical"), row.get("index") or ""
        if name is None or not index.isdecimal():
            raise DataError(f"{path}: line {line}: the columns index,group are needed.")
        if int(index) in names or int(index) >= num_classes:
            raise DataError(
                f"{path}: line {line}: label {index} stands twice, or is out of range for "
                f"num_classes={num_classes}."
            )
        names[int(index)] = name
    absent = next((label for label in range(num_classes) if label not in names), None)
    if absent is not None:
        raise DataError(
            f"{path}: has groups for {len(names)} of {num_classes} labels; label {absent} has none."
        )
    return [names[label] for label in range(num_classes)]


def _cluster(store: FrameStore, num_groups: int | None) -> tuple[int, ...]:
    """Labels by what they occur with; those that never occur where the fewest labels are."""
    together_CC = _count_pairs(store.labels.labels, store.num_classes)
    seen = np.flatnonzero(together_CC.diagonal())
    num_groups = min(num_groups or NUM_CLUSTERS, max(len(seen), 1))
    groups = np.zeros(store.num_classes, np.int64)
    if len(seen):
        groups[seen] = _cluster_seen(together_CC[np.ix_(seen, seen)], num_groups)
    sizes = np.bincount(groups[seen], minlength=num_groups)
    for label in np.setdiff1d(np.arange(store.num_classes), seen):
        groups[label] = sizes.argmin()
        sizes[groups[label]] += 1
    return tuple(groups.tolist())


def _cluster_seen(together_SS: np.ndarray, num_groups: int) -> np.ndarray:
    """K-means in a few dimensions, seeded; no group is empty."""
    counts_SS = torch.from_numpy(together_SS).float()
    scale_S = counts_SS.diagonal().sqrt()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        size = min(2 * num_groups, len(counts_SS))
        vectors, strengths, _ = torch.svd_lowrank(counts_SS / scale_S[:, None] / scale_S, q=size)
    point_SE = torch.nn.functional.normalize(vectors * strengths, dim=-1)
    chosen = [0]
    while len(chosen) < num_groups:  # each further centre is the label farthest from all
        nearest_S = (point_SE @ point_SE[chosen].T).amax(dim=1)
        nearest_S[chosen] = torch.inf
        chosen.append(int(nearest_S.argmin()))
    center_KE = point_SE[chosen]
    for _ in range(30):
        likeness_SK = point_SE @ center_KE.T
        likeness_SK[chosen, range(num_groups)] = torch.inf  # each keeps the label it began with
        group_S = likeness_SK.argmax(dim=1)
        sums_KE = torch.zeros_like(center_KE).index_add_(0, group_S, point_SE)
        center_KE = torch.nn.functional.normalize(sums_KE, dim=-1)
    return group_S.numpy()


def _count_pairs(rows: Sequence[np.ndarray], num_classes: int) -> np.ndarray:
    """In how many videos two labels stand together, (C, C)."""
    counts = np.zeros(num_classes * num_classes, np.int64)
    for begin in range(0, len(rows), 100_000):
        pairs = [np.add.outer(r * np.int64(num_classes), r) for r in rows[begin : begin + 100_000]]
        counts += np.bincount(np.concatenate([p.ravel() for p in pairs]), minlength=len(counts))
    return counts.reshape(num_classes, num_classes)
