"""Uniform and weighted averages of predictions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gapkit import _checks
from gapkit.errors import DataError, UsageError
from gapkit.predictions import Predictions

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ROWS_PER_BLOCK = 8_192  # 36 members x 20 labels of a block are 35 MB


def average(
    members: Sequence[Predictions],
    weights: Sequence[float] | None = None,
    *,
    top_k: int = 20,
    names: Sequence[str] | None = None,
) -> Predictions:
    """Return the average of the members' confidences, cut to the top_k of each video.

    A label that a member's row lacks counts as confidence 0 there, and so does a video that the
    member lacks. Videos stand in the order in which the members first name them.

    Parameters
    ----------
    members : sequence of Predictions
        At least one; rows in any order.
    weights : sequence of float, optional
        One a member, finite, not negative, not all 0; divided by their sum. Uniform by default.
    top_k : int
        Labels to keep of each video, at least 1.
    names : sequence of str, optional
        What errors and the result's provenance call the members.

    Returns
    -------
    Predictions
        Sums are float64, rounded to float32 before order and cut.

    Raises
    ------
    UsageError
        No members, or weights of the wrong number or sign.
    DataError
        Members of different num_classes.

    Examples
    --------
    >>> a = Predictions(["v"], [[0, 1]], [[0.75, 0.5]])
    >>> b = Predictions(["v"], [[1, 2]], [[1.0, 0.25]])
    >>> average([a, b]).confidences
    array([[0.75 , 0.375, 0.125]], dtype=float32)
    """
    _checks.check_top_k(top_k)
    weight_M = check_weights(weights, len(members))
    names = [f"member {m + 1}" for m in range(len(members))] if names is None else list(names)
    num_classes = _common_num_classes(members, names)
    id_column = _union_of_ids(members)
    row_MN = [
        pc.index_in(id_column, value_set=member.id_column).fill_null(-1).to_numpy()
        for member in members
    ]
    bound = num_classes or 1 + max(_largest_label(member) for member in members)
    k = min(top_k, bound)
    label_NT = np.zeros((len(id_column), k), np.uint32)
    confidence_NT = np.zeros((len(id_column), k), np.float32)
    length_N = np.zeros(len(id_column), np.int64)
    for start in range(0, len(id_column), _ROWS_PER_BLOCK):
        block = slice(start, start + _ROWS_PER_BLOCK)
        _average_block(
            members,
            [row_N[block] for row_N in row_MN],
            weight_M,
            bound,
            (label_NT[block], confidence_NT[block], length_N[block]),
        )
    return Predictions(
        id_column,
        label_NT,
        confidence_NT,
        length_N,
        num_classes=num_classes,
        provenance={"members": names, "weights": (weight_M / weight_M.sum()).tolist()},
    )


def check_weights(weights: Sequence[float] | None, num_members: int) -> NDArray[np.float64]:
    """One weight a member, as float64: finite, not negative, not all 0."""
    if num_members == 0:
        raise UsageError("an ensemble of no members. Name at least one.")
    if weights is None:
        return np.ones(num_members)
    try:
        weight_M = np.array(weights, np.float64)
    except (TypeError, ValueError):
        raise UsageError(f"weights {weights!r} are not numbers.") from None
    if weight_M.shape != (num_members,):
        raise UsageError(
            f"{weight_M.size} weights for {num_members} members. Give each member one weight."
        )
    wrong = np.flatnonzero(~(np.isfinite(weight_M) & (weight_M >= 0)))
    if wrong.size:
        raise UsageError(
            f"weight {wrong[0] + 1} is {weight_M[wrong[0]]:g}. Weights are 0 or more, and finite."
        )
    if not weight_M.any():
        raise UsageError("all weights are 0. Give at least one member a weight above 0.")
    weight_M /= weight_M.max()  # so that their sum can't overflow
    return weight_M


def _common_num_classes(members: Sequence[Predictions], names: list[str]) -> int | None:
    known = {m: p.num_classes for m, p in enumerate(members) if p.num_classes is not None}
    if len(set(known.values())) > 1:
        first = next(iter(known))
        other = next(m for m, value in known.items() if value != known[first])
        raise DataError(
            f"{names[other]} has num_classes={known[other]} and {names[first]} has "
            f"num_classes={known[first]}. Are they of one data set?"
        )
    # A member of unknown num_classes may hold any label, so the average's is unknown too.
    return known[0] if len(known) == len(members) else None


def _largest_label(member: Predictions) -> int:
    is_counted_NK = _checks.counted_entries(member.lengths, member.top_k)
    return int(member.labels.max(initial=0, where=is_counted_NK))


def _union_of_ids(members: Sequence[Predictions]) -> pa.StringArray:
    first = members[0].id_column
    if all(first.equals(member.id_column) for member in members[1:]):
        return first
    return pc.unique(pa.chunked_array([member.id_column for member in members]))


def _average_block(
    members: Sequence[Predictions],
    row_MN: list[NDArray[np.int32]],
    weight_M: NDArray[np.float64],
    num_classes: int,
    out: tuple[NDArray[np.uint32], NDArray[np.float32], NDArray[np.int64]],
) -> None:
    from gapkit._kernels.average import average_rows

    shape = (len(members), len(row_MN[0]), max(member.top_k for member in members))
    label_MNK = np.zeros(shape, np.uint32)
    confidence_MNK = np.zeros(shape, np.float32)
    length_MN = np.zeros(shape[:2], np.int64)
    for m, (member, row_N) in enumerate(zip(members, row_MN, strict=True)):
        place_N = np.flatnonzero(row_N >= 0)
        found_N = row_N[place_N]
        label_MNK[m, place_N, : member.top_k] = member.labels[found_N]
        confidence_MNK[m, place_N, : member.top_k] = member.confidences[found_N]
        length_MN[m, place_N] = member.lengths[found_N]
    average_rows(label_MNK, confidence_MNK, length_MN, weight_M, num_classes, *out)
