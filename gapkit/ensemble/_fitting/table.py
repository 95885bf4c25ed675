"""Members and truth laid out so that weights can be tried at a few milliseconds each.

Shape letters: V labelled videos, N of them that count, M members, K labels of a video in a member,
E entries: a video and a label that some member names there.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gapkit import _checks
from gapkit.ensemble._modes import check_fill, check_mode
from gapkit.errors import DataError, UsageError
from gapkit.io import read_predictions
from gapkit.predictions import Predictions

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gapkit.predictions import Labels

    Members = Sequence[Predictions | str | os.PathLike[str]]


@dataclass(frozen=True, kw_only=True)
class Table:
    """The labelled videos of all members, and every label that a member names there."""

    places: NDArray[np.uint32]
    """(M, V, K) each prediction's entry, counted from its video's first"""
    values: NDArray[np.float32]
    """(M, V, K) what the mode makes of its confidence, above the member's floor in the video"""
    lengths: NDArray[np.int64]
    """(M, V)"""
    floors: NDArray[np.float64]
    """(M, V) what a label counts that the member lacks"""
    offsets: NDArray[np.int64]
    """(V + 1,) where each video's entries begin"""
    lows: NDArray[np.uint32]
    """(E,) as `_kernels.fit` wants them: the label and the hit"""
    labels: NDArray[np.uint32]
    """(E,)"""
    true_by_video: NDArray[np.int64]
    """(V,)"""
    num_classes: int
    """No label reaches it"""
    largest: float
    """No mean of the members is above it"""
    most: int
    """Entries of the video that has most"""
    top_k: int

    @property
    def num_members(self) -> int:
        """M."""
        return len(self.lengths)

    @property
    def num_videos(self) -> int:
        """V."""
        return len(self.true_by_video)

    @property
    def hits(self) -> NDArray[np.bool_]:
        """(E,)."""
        return (self.lows & np.uint32(1)).astype(np.bool_)

    def predictions_of(
        self, member: int, videos: NDArray[np.int64]
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """A member's values in some of the videos, and which are hits."""
        counted_NK = _checks.counted_entries(self.lengths[member, videos], self.values.shape[2])
        entry_NK = self.places[member, videos] + self.offsets[videos, None]
        return self.values[member, videos][counted_NK], self.hits[entry_NK[counted_NK]]


def read_members(
    members: Members, names: Sequence[str] | None
) -> tuple[list[Predictions], list[str]]:
    """The members as tables, and what errors call them."""
    if not members:
        raise UsageError("an ensemble of no members. Name at least one.")
    if names is None:
        names = [
            f"member {number}" if isinstance(member, Predictions) else str(member)
            for number, member in enumerate(members, start=1)
        ]
    if len(names) != len(members):
        raise UsageError(f"{len(names)} names for {len(members)} members. Give each its name.")
    tables = [m if isinstance(m, Predictions) else read_predictions(m) for m in members]
    return tables, list(names)


def lay_out(
    members: Sequence[Predictions],
    labels: Labels,
    *,
    names: Sequence[str],
    top_k: int,
    mode: str,
    fill: str,
) -> Table:
    """Join the members with the truth."""
    from gapkit._kernels import fit

    _checks.check_top_k(top_k)
    check_fill(fill)
    if check_mode(mode) == "max":
        raise UsageError("mode is 'max', which weighs nothing. Fit another mode's weights.")
    if labels.num_positives == 0:
        raise DataError("no video of the labels has a true label. There is nothing to fit to.")
    num_classes = 1 + max(
        int(labels.values.max(initial=0)),
        *(int(member.labels[_counted(member)].max(initial=0)) for member in members),
    )
    shape = (len(members), len(labels), max(1, *(member.top_k for member in members)))
    place_MVK = np.zeros(shape, np.uint32)
    value_MVK = np.zeros(shape, np.float32)
    length_MV = np.zeros(shape[:2], np.int64)
    floor_MV = np.zeros(shape[:2])
    for m, member in enumerate(members):
        row_N = labels.index.find(member.id_column)
        is_known_N = row_N >= 0
        if not is_known_N.any():
            raise DataError(
                f"{names[m]}: none of its {len(member)} videos is among the {len(labels)} of the "
                f"labels. Is it of another split?"
            )
        row_N = row_N[is_known_N]
        value_NK, floor_N = _values(member, mode, fill, names[m])
        place_MVK[m, row_N, : member.top_k] = member.labels[is_known_N]
        value_MVK[m, row_N, : member.top_k] = value_NK[is_known_N]
        length_MV[m, row_N] = member.lengths[is_known_N]
        floor_MV[m, row_N] = floor_N[is_known_N]
    offset_V = np.zeros(len(labels) + 1, np.int64)
    most = fit.count_entries(place_MVK, length_MV, num_classes, offset_V)
    label_E = np.zeros(offset_V[-1], np.uint32)
    low_E = np.zeros(offset_V[-1], np.uint32)
    fit.lay_out(
        place_MVK,
        value_MVK,
        length_MV,
        offset_V,
        labels.offsets,
        labels.values,
        num_classes,
        label_E,
        low_E,
    )
    return Table(
        places=place_MVK,
        values=value_MVK,
        lengths=length_MV,
        floors=floor_MV,
        offsets=offset_V,
        lows=low_E,
        labels=label_E,
        true_by_video=np.diff(labels.offsets),
        num_classes=num_classes,
        largest=float((value_MVK.max(axis=2) + floor_MV).max()) or 1.0,
        most=int(most),
        top_k=top_k,
    )


def _counted(member: Predictions) -> NDArray[np.bool_]:
    return _checks.counted_entries(member.lengths, member.top_k)


def _values(
    member: Predictions, mode: str, fill: str, name: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What the mode sums, (N, K), above each row's floor, (N,): 0 and more."""
    from gapkit._kernels.average import EPSILON, RRF_OFFSET

    rank_K = np.arange(member.top_k)
    is_counted_NK = _counted(member)
    if mode == "rank":
        value_NK = 1.0 - rank_K / np.maximum(member.lengths, 1)[:, None]
    elif mode == "rrf":
        value_NK = np.broadcast_to(1.0 / (RRF_OFFSET + 1.0 + rank_K), is_counted_NK.shape)
    else:
        value_NK = np.where(is_counted_NK, member.confidences, 0).astype(np.float64)
        wrong = np.argwhere((value_NK < 0) | ((value_NK > 1) & (mode == "logit")))
        if len(wrong):
            row, column = wrong[0].tolist()
            raise DataError(
                f"{name}: {_checks.row_place(member.id_column, row)}: the confidence of label "
                f"{member.labels[row, column]} is {value_NK[row, column]:g}. Weights are fitted to "
                f"confidences from 0{' to 1' if mode == 'logit' else ''}."
            )
    absent = 0.0
    if mode == "logit":
        clipped_NK = np.clip(value_NK, EPSILON, 1 - EPSILON)
        value_NK = np.log(clipped_NK / (1 - clipped_NK))
        absent = float(np.log(EPSILON / (1 - EPSILON)))
    floor_N = np.full(len(member), absent)
    if fill == "minimum" and member.top_k:
        last_N = np.maximum(member.lengths - 1, 0)[:, None]
        least_N = np.take_along_axis(value_NK, last_N, axis=1)[:, 0]
        floor_N = np.where(member.lengths > 0, least_N, absent)
    return np.where(is_counted_NK, value_NK - floor_N[:, None], 0), floor_N - absent


class Trial:
    """Weights over some of the videos, moved a step at a time; and what GAP a step would give."""

    def __init__(self, table: Table, videos: NDArray[np.int64]) -> None:
        self.table = table
        self.num_positives = int(table.true_by_video[videos].sum())
        self._videos = videos
        self.reset()

    def reset(self) -> None:
        """Give all members weight 0."""
        self.weights = np.zeros(self.table.num_members)
        self._sums = np.zeros(self.table.offsets[-1])
        self._base = np.zeros(self.table.num_videos)

    def move(self, member: int, step: float) -> None:
        """Add a step to a member's weight."""
        from gapkit._kernels.fit import move_sums

        table = self.table
        move_sums(
            self._videos,
            table.offsets,
            table.places[member],
            table.values[member],
            table.lengths[member],
            step,
            self._sums,
        )
        self._base += step * table.floors[member]
        self.weights[member] = max(self.weights[member] + step, 0.0)

    def gap_after(self, member: int, step: float) -> float:
        """GAP of the weights after a step, within some 1e-6; 0.0 without positives."""
        from gapkit._kernels.fit import try_step

        total = self.weights.sum() + step
        if self.num_positives == 0 or total <= 0:
            return 0.0
        table = self.table
        total_precision = try_step(
            self._videos,
            table.offsets,
            table.lows,
            self._sums,
            self._base,
            table.places[member],
            table.values[member],
            table.lengths[member],
            table.floors[member],
            step,
            1.0 / (total * table.largest),
            table.top_k,
            max(table.most, 1),
        )
        return float(total_precision) / self.num_positives

    def gap(self) -> float:
        """GAP of the weights as they are."""
        return self.gap_after(0, 0.0)

    def means(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The entries of the videos, and what the mode's mean is there."""
        is_used_V = np.zeros(self.table.num_videos, np.bool_)
        is_used_V[self._videos] = True
        entries = np.flatnonzero(np.repeat(is_used_V, np.diff(self.table.offsets)))
        base_E = np.repeat(self._base, np.diff(self.table.offsets))
        return entries, (self._sums + base_E)[entries] / self.weights.sum()

    def set(self, weights: NDArray[np.float64]) -> None:
        """Give each member its weight."""
        self.reset()
        for member in np.flatnonzero(weights).tolist():
            self.move(member, float(weights[member]))
