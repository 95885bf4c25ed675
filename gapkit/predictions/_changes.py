"""What changed from one table of predictions to another.

Shape letters: S videos of both tables, E entries of one, P pairs of video and label of both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from gapkit import _checks
from gapkit._ids import IdIndex

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gapkit.predictions._predictions import Predictions

_LABEL_BITS = 32
_MASK = (1 << _LABEL_BITS) - 1


@dataclass(frozen=True, kw_only=True)
class ConfidenceChange:
    """A label of a video that both tables hold."""

    id: str
    label: int
    before: float
    """Its confidence in the first table"""
    after: float
    """Its confidence in the second table"""


@dataclass(frozen=True, kw_only=True)
class Changes:
    """How the second of two tables of predictions differs from the first."""

    only_before: int
    """Videos of the first table alone"""
    only_after: int
    """Videos of the second table alone"""
    identical: int
    """Videos of both, with the same labels and confidences"""
    same_labels: int
    """Videos of both, with the same labels and other confidences"""
    other_labels: int
    """Videos of both, with other labels"""
    overlap: float
    """Mean over the videos of both: labels in both over labels in either (Jaccard); 1 if none"""
    spearman: float | None
    """Rank correlation of the confidences of labels in both, over all videos; None where one of
    the tables has a single value"""
    mean_change: float
    """Mean absolute change of these confidences"""
    largest: tuple[ConfidenceChange, ...]
    """The largest of these changes, falling"""
    gone_by_label: NDArray[np.int64]
    """(C,) videos of both in which the label stood, and does no more"""
    new_by_label: NDArray[np.int64]
    """(C,) videos of both in which it stands, and did not"""


def find_changes(before: Predictions, after: Predictions, *, num_largest: int = 5) -> Changes:
    """Return what changed between two tables of predictions.

    Parameters
    ----------
    before, after : Predictions
        In any order of videos; those of one table alone are counted, and left out of the rest.
    num_largest : int
        Changes of confidence to name.

    Returns
    -------
    Changes

    Examples
    --------
    >>> from gapkit.predictions import Predictions
    >>> before = Predictions.from_dict({"a": {3: 0.5, 1: 0.25}, "b": {2: 0.5}})
    >>> after = Predictions.from_dict({"b": {2: 0.5}, "a": {3: 0.75, 0: 0.5}})
    >>> changes = find_changes(before, after)
    >>> changes.identical, changes.other_labels, round(changes.overlap, 3)
    (1, 1, 0.667)
    >>> changes.largest[0]
    ConfidenceChange(id='a', label=3, before=0.5, after=0.75)
    """
    row_of_after = IdIndex(before.id_column).find(after.id_column)
    kept = np.flatnonzero(row_of_after >= 0)
    ids = after.id_column.take(pa.array(kept))
    key_a, value_a = _entries(before, row_of_after[kept])
    key_b, value_b = _entries(after, kept)
    at_a, at_b = _matches(key_a, key_b)
    was, now = value_a[at_a], value_b[at_b]
    row_P = key_a[at_a] >> _LABEL_BITS
    both_S = np.bincount(row_P, minlength=len(kept))
    length_a = before.lengths[row_of_after[kept]]
    length_b = after.lengths[kept]
    either_S = length_a + length_b - both_S
    is_same_S = both_S == either_S
    is_changed_S = np.bincount(row_P[was != now], minlength=len(kept)) > 0
    change_P = np.abs(now.astype(np.float64) - was)
    largest = np.argsort(-change_P, kind="stable")[:num_largest]
    num_labels = max(_num_labels(key_a), _num_labels(key_b))
    return Changes(
        only_before=len(before) - len(kept),
        only_after=len(after) - len(kept),
        identical=int(np.count_nonzero(is_same_S & ~is_changed_S)),
        same_labels=int(np.count_nonzero(is_same_S & is_changed_S)),
        other_labels=int(np.count_nonzero(~is_same_S)),
        overlap=float(np.mean(np.where(either_S, both_S / np.maximum(either_S, 1), 1.0)))
        if len(kept)
        else 1.0,
        spearman=_spearman(was, now),
        mean_change=float(change_P.mean()) if change_P.size else 0.0,
        largest=tuple(
            ConfidenceChange(
                id=ids[int(row_P[place])].as_py(),
                label=int(key_a[at_a[place]]) & _MASK,
                before=float(was[place]),
                after=float(now[place]),
            )
            for place in largest.tolist()
            if change_P[place] > 0
        ),
        gone_by_label=_unmatched_by_label(key_a, at_a, num_labels),
        new_by_label=_unmatched_by_label(key_b, at_b, num_labels),
    )


def _entries(
    predictions: Predictions, rows: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The entries of rows: keys of place and label, rising, and the confidences."""
    length_S = predictions.lengths[rows]
    is_counted = _checks.counted_entries(length_S, predictions.top_k)
    key_SK = (np.arange(len(rows)) << _LABEL_BITS)[:, None] + predictions.labels[rows].astype(
        np.int64
    )
    key_SK[~is_counted] = np.iinfo(np.int64).max
    order_SK = np.argsort(key_SK, axis=1)
    is_counted = np.take_along_axis(is_counted, order_SK, axis=1)
    key_E = np.take_along_axis(key_SK, order_SK, axis=1)[is_counted]
    return key_E, np.take_along_axis(predictions.confidences[rows], order_SK, axis=1)[is_counted]


def _matches(
    key_a: NDArray[np.int64], key_b: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where the keys of both stand in each; both rise."""
    place = np.searchsorted(key_b, key_a)
    at_a = np.flatnonzero(np.append(key_b, -1)[place] == key_a)
    return at_a, place[at_a]


def _num_labels(key_E: NDArray[np.int64]) -> int:
    return int((key_E & _MASK).max(initial=-1)) + 1


def _unmatched_by_label(
    key_E: NDArray[np.int64], matched: NDArray[np.int64], num_labels: int
) -> NDArray[np.int64]:
    is_left = np.ones(key_E.size, np.bool_)
    is_left[matched] = False
    return np.bincount(key_E[is_left] & _MASK, minlength=num_labels)


def _spearman(was: NDArray[np.float32], now: NDArray[np.float32]) -> float | None:
    """Pearson's correlation of the ranks; equal values share the mean of theirs."""
    rank_was, rank_now = _mean_ranks(was), _mean_ranks(now)
    scale = np.sqrt(float(rank_was @ rank_was) * float(rank_now @ rank_now))
    return float(rank_was @ rank_now) / scale if scale else None


def _mean_ranks(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """Ranks less their mean."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    start_G = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]])[: values.size])
    size_G = np.diff(start_G, append=values.size)
    ranks = np.empty(values.size)
    ranks[order] = np.repeat(start_G + (size_G - 1) / 2, size_G)
    return ranks - (values.size - 1) / 2
