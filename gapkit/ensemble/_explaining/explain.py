"""What each member adds to an ensemble, alone and beside members like it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from numbers import Integral
from typing import TYPE_CHECKING

import numpy as np

from gapkit._threads import num_threads
from gapkit.ensemble._averaging.average import average
from gapkit.ensemble._explaining.result import Explanation
from gapkit.ensemble._fitting.table import Table, Trial, lay_out, read_members
from gapkit.ensemble._members.pieces import transform_table
from gapkit.ensemble._weights import check_transforms, check_weights
from gapkit.errors import UsageError
from gapkit.metrics import Bootstrap, bootstrap_gap, gap
from gapkit.predictions import Labels, Predictions

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gapkit.ensemble._weights import Knots


def explain(
    members: Sequence[Predictions | str | os.PathLike[str]],
    labels: Labels,
    weights: Sequence[float] | None = None,
    *,
    top_k: int = 20,
    mode: str = "mean",
    fill: str = "zero",
    transforms: Sequence[Knots | None] | None = None,
    names: Sequence[str] | None = None,
    num_orders: int = 2,
    num_resamples: int = 1000,
    confidence_level: float = 0.95,
    seed: int = 0,
) -> Explanation:
    """Return what each member is worth: alone, to the ensemble, and beside members like it.

    A member whose leave-one-out gain is 0 is not useless where others say the same: see its
    Shapley value, which shares such gains out. The GAP of no member counts as 0.

    Parameters
    ----------
    members : sequence of Predictions or path
    labels : Labels
    weights, top_k, mode, fill, transforms, names
        As in `average`; the mode 'max' has no weights.
    num_orders : int
        Random orders of the members for the Shapley values, at least 1; each is taken in all its
        rotations, so that every member stands once at every place.
    num_resamples, confidence_level
        As in `gapkit.metrics.bootstrap_gap`, for the leave-one-out intervals.
    seed : int
        Of orders and resamples.

    Returns
    -------
    Explanation
        Prints as a table.

    Raises
    ------
    UsageError, DataError
        As `average`, `fit_weights` and `bootstrap_gap` do; or num_orders is below 1.

    References
    ----------
    Shapley, A Value for n-Person Games, 1953; sampled as by Castro et al., Polynomial Calculation
    of the Shapley Value Based on Sampling, 2009. Their GAP, as that of the search for `order`, is
    found within some 1e-6; all else is exact.

    Examples
    --------
    >>> truth = Labels(["v", "w"], [[0], [1]])
    >>> good = Predictions(["v", "w"], [[0, 1], [1, 0]], [[0.9, 0.2], [0.8, 0.1]])
    >>> bad = Predictions(["v", "w"], [[0, 1], [1, 0]], [[0.3, 0.2], [0.1, 0.9]])
    >>> explain([good, bad], truth).gaps
    array([1. , 0.5])
    """
    if isinstance(num_orders, bool) or not isinstance(num_orders, Integral) or num_orders < 1:
        raise UsageError(f"num_orders is {num_orders!r}. It must be a whole number from 1.")
    weight_M = check_weights(weights, len(members))
    weight_M = weight_M / weight_M.sum()
    knots_M = check_transforms(transforms, len(members))
    tables, names = read_members(members, names)
    tables = [transform_table(t, knots) for t, knots in zip(tables, knots_M, strict=True)]
    table = lay_out(tables, labels, names=names, top_k=top_k, mode=mode, fill=fill)
    trial = Trial(table, np.arange(len(labels)))

    def mean(weight_M: NDArray[np.float64]) -> Predictions:
        return average(tables, weight_M.tolist(), top_k=top_k, mode=mode, fill=fill, names=names)

    def bootstrap(weight_M: NDArray[np.float64]) -> Bootstrap:
        return bootstrap_gap(
            mean(weight_M),
            labels,
            top_k=top_k,
            num_resamples=num_resamples,
            confidence_level=confidence_level,
            seed=seed,
        )

    whole = bootstrap(weight_M)
    out_M = np.zeros(len(members))
    interval_M2 = np.zeros((len(members), 2))
    tail = (1 - confidence_level) / 2
    for m in np.flatnonzero(weight_M).tolist():
        others_M = weight_M.copy()
        others_M[m] = 0
        resamples = whole.resamples
        out_M[m] = whole.value
        if others_M.any():
            rest = bootstrap(others_M)
            out_M[m] -= rest.value
            resamples = resamples - rest.resamples
        interval_M2[m] = np.quantile(resamples, [tail, 1 - tail])
    shapley_M, error_M = _shapley(table, weight_M, int(num_orders), np.random.default_rng(seed))
    order_M = _forward(trial)
    size_S = _sizes(len(members))
    correlation_MM, overlap_MM = _likeness(
        table
        if (mode, fill) == ("mean", "zero")
        else lay_out(tables, labels, names=names, top_k=top_k, mode="mean", fill="zero")
    )
    return Explanation(
        names=tuple(names),
        weights=weight_M,
        gap=whole.value,
        gaps=np.array([gap(member, labels, top_k=top_k) for member in tables]),
        leave_one_out=out_M,
        leave_one_out_intervals=interval_M2,
        shapley=shapley_M,
        shapley_errors=error_M,
        correlations=correlation_MM,
        overlaps=overlap_MM,
        order=order_M,
        sizes=size_S,
        size_gaps=np.array(
            [
                gap(
                    mean(np.isin(np.arange(len(members)), order_M[:size]) * 1.0),
                    labels,
                    top_k=top_k,
                )
                for size in size_S.tolist()
            ]
        ),
        confidence_level=confidence_level,
    )


def _shapley(
    table: Table, weight_M: NDArray[np.float64], num_orders: int, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean gain of each member over random orders and all rotations of these; its standard error.

    In the rotations of an order each member stands once at each place. Most of a gain depends on
    the place, the first one above all, which thus adds nothing to the error.
    """
    used = np.flatnonzero(weight_M)
    order_PU = np.array([rng.permutation(used) for _ in range(num_orders)])

    def gains_by_place(order_U: NDArray[np.int64]) -> NDArray[np.float64]:
        trial = Trial(table, np.arange(table.num_videos))
        gain_UM = np.zeros((len(used), len(weight_M)))
        for shift in range(len(used)):
            trial.reset()
            before = 0.0
            for place, m in enumerate(np.roll(order_U, shift).tolist()):
                trial.move(m, float(weight_M[m]))
                after = trial.gap()
                gain_UM[place, m] = after - before
                before = after
        return gain_UM

    with ThreadPoolExecutor(num_threads(len(table.lows) * len(used))) as pool:
        gain_PUM = np.array(list(pool.map(gains_by_place, order_PU)))
    error_M = np.full(len(weight_M), np.nan)
    if num_orders > 1:
        variance_M = gain_PUM.var(axis=0, ddof=1).sum(axis=0) / len(used) ** 2
        error_M = np.sqrt(variance_M / num_orders)
    return gain_PUM.mean(axis=(0, 1)), error_M


def _forward(trial: Trial) -> NDArray[np.int64]:
    """The members, each time the one that makes the best uniform mean with those before it."""
    trial.reset()
    left = list(range(trial.table.num_members))
    order = []
    while left:
        gaps = [trial.gap_after(m, 1.0) for m in left]
        chosen = left.pop(int(np.argmax(gaps)))
        trial.move(chosen, 1.0)
        order.append(chosen)
    return np.array(order)


def _sizes(num_members: int) -> NDArray[np.int64]:
    """1, 2, 4, ... and all."""
    size_S = 2 ** np.arange(num_members.bit_length())
    return np.unique(np.append(size_S, num_members))


def _likeness(table: Table) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Pearson's correlation of shared entries, and the share of entries that two members share."""
    from gapkit._kernels.fit import add_pairs

    sum_MM6 = np.zeros((table.num_members, table.num_members, 6))
    add_pairs(table.places, table.values, table.lengths, max(table.most, 1), sum_MM6)
    count, a, b, aa, bb, ab = np.moveaxis(sum_MM6, -1, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = np.sqrt((count * aa - a * a) * (count * bb - b * b))
        correlation_MM = (count * ab - a * b) / spread
        size_M = table.lengths.sum(axis=1)
        overlap_MM = 2 * count / (size_M[:, None] + size_M)
    lower = np.tril_indices(table.num_members, -1)
    correlation_MM[lower] = correlation_MM.T[lower]
    overlap_MM[lower] = overlap_MM.T[lower]
    return correlation_MM, overlap_MM
