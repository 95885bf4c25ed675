"""The average of submissions in memory."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from gapkit.ensemble._averaging.lockstep import in_lockstep
from gapkit.ensemble._averaging.plan import make_plan, to_table
from gapkit.predictions import Predictions

if TYPE_CHECKING:
    from gapkit.ensemble._weights import Knots


def average(
    members: Sequence[Predictions | str | os.PathLike[str]],
    weights: Sequence[float] | None = None,
    *,
    top_k: int = 20,
    mode: str = "mean",
    fill: str = "zero",
    names: Sequence[str] | None = None,
    transforms: Sequence[Knots | None] | None = None,
    strict: bool = False,
) -> Predictions:
    """Return the average of the members' confidences, cut to the top_k of each video.

    A label that a member's row lacks counts as confidence 0 there (or see `fill`), and so does a
    video that the member lacks. Videos stand in the order in which the members first name them.

    Parameters
    ----------
    members : sequence of Predictions or path
        At least one; rows in any order. Files are streamed: see `ensemble_files`, which keeps the
        result out of memory, too.
    weights : sequence of float, optional
        One a member, finite, not negative, not all 0; divided by their sum. Uniform by default.
    top_k : int
        Labels to keep of each video, at least 1.
    mode : {'mean', 'logit', 'rank', 'rrf', 'max'}
        What is averaged: confidences; their log odds, clipped to those of 1e-6 and 1 - 1e-6, the
        mean mapped back to [0, 1] (0 counts as 1e-6); ranks as 1 for the first of a row of n labels
        down to 1/n for its last; or 1 / (60 + rank) (reciprocal rank fusion). Or the largest
        confidence, which takes no weights.
    fill : {'zero', 'minimum'}
        What a label counts that a member's row lacks: 0, or what the last label of that row does.
    names : sequence of str, optional
        What errors and the result's provenance call the members.
    transforms : sequence of knots, optional
        For each member None, or a rising piecewise linear map of its confidences before all else,
        as pairs (x, y).
    strict : bool
        Refuse members that lack a video.

    Returns
    -------
    Predictions
        Sums are float64, rounded to float32 before order and cut. They are added by rising weight,
        those of one weight before they are weighed, so that the result does not depend on the order
        of the members (but where float64 rounds: confidences of one video and label of which one is
        10 million times another). Members, weights, mode and fill are its provenance.

    Raises
    ------
    UsageError
        No members, weights of the wrong number or sign, or an unknown mode or fill.
    DataError
        Members of different num_classes; a member that shares no video with the others, or lacks
        one and `strict` is set; in mode 'logit' a confidence outside [0, 1]; a bad file.

    References
    ----------
    Cormack, Clarke, Büttcher 2009, for reciprocal rank fusion.

    Examples
    --------
    >>> a = Predictions(["v"], [[0, 1]], [[0.75, 0.5]])
    >>> b = Predictions(["v"], [[1, 2]], [[1.0, 0.25]])
    >>> average([a, b]).confidences
    array([[0.75 , 0.375, 0.125]], dtype=float32)
    >>> average([a, b], mode="max").confidences
    array([[1.  , 0.75, 0.25]], dtype=float32)
    """
    plan = make_plan(members, weights, names, top_k, mode, fill, transforms)
    with in_lockstep(plan.members, strict=strict) as lockstep:
        result = to_table(lockstep, list(plan.blocks(lockstep)))
    result.provenance.update(plan.provenance)
    return result
