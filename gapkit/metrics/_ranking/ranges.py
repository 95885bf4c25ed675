"""Sums of precision over a ranking, by ranges of confidence, in threads.

The scheme is that of `_kernels.ranges`: count, plan, scatter, sum each range alone, add the parts
from the highest range down. Neither the number of threads nor how the predictions lie in parts
changes a bit of the sum.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gapkit._threads import in_threads, num_threads
from gapkit.metrics._ranking.values import check_confidences, to_values

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gapkit.metrics._ranking.join import Ranking

    Values = NDArray[np.unsignedinteger[Any]]
    Part = tuple[Values, NDArray[np.bool_]]

# Measured on 14 M predictions, uniform and skewed: fewer and larger ranges are quicker to scatter
# to, smaller ones are quicker to sum (bench/README.md).
_PREDICTIONS_PER_RANGE = 32_768
_LABELS_AT_ONCE = 1 << 20  # are widened to 32 bits


def sum_of_precision(parts: Sequence[Part], ties: int) -> float:
    """Sum of the precision at each hit of the pooled parts: (values, hits) each."""
    from gapkit._kernels.ranges import FEW

    num_predictions = sum(len(values) for values, _ in parts)
    if num_predictions <= FEW:
        return sum_of_few(parts, ties)
    shares = _share(parts, num_threads(num_predictions))
    packed_TB, begin, end = _count(shares)
    plan = make_plan(packed_TB, begin, end)
    position_TR = plan.starts[:-1] + np.cumsum(plan.sizes, axis=0) - plan.sizes
    key_N = _scatter(shares, plan.range_of_bin, position_TR)
    return add_parts(sum_keys(key_N, plan.starts, plan.hits, plan.num_above, plan.hits_above, ties))


def sort_by_bin(parts: Sequence[Part]) -> tuple[Values, NDArray[np.uint64]]:
    """The keys of all parts, bin after bin from the lowest up, and the packed counts: (B,)."""
    shares = _share(parts, num_threads(sum(len(values) for values, _ in parts)))
    packed_TB, _, _ = _count(shares)
    size_TB = (packed_TB & np.uint64(0xFFFFFFFF)).astype(np.int64)
    stop_B = np.cumsum(size_TB.sum(axis=0))
    position_TB = stop_B - size_TB[::-1].cumsum(axis=0)[::-1]
    bin_B = np.arange(len(stop_B), dtype=np.uint32)
    return _scatter(shares, bin_B, position_TB), packed_TB.sum(axis=0, dtype=np.uint64)


def _count(shares: list[list[Part]]) -> tuple[NDArray[np.uint64], int, int]:
    """The bins of each thread's share, packed: (T, B); and between which bins all lie."""
    from gapkit._kernels.ranges import NUM_BINS, count_bins

    packed_TB = np.zeros((len(shares), NUM_BINS), np.uint64)
    bound_T2 = np.tile([NUM_BINS, 0], (len(shares), 1))

    def count(thread: int) -> None:
        for value_N, hit_N in shares[thread]:
            count_bins(value_N, hit_N, packed_TB[thread], bound_T2[thread])

    in_threads(count, range(len(shares)))
    return packed_TB, int(bound_T2[:, 0].min()), int(bound_T2[:, 1].max())


def _scatter(
    shares: list[list[Part]], range_B: NDArray[np.uint32], position_TR: NDArray[np.int64]
) -> Values:
    """The keys of all shares, each at the next position of its thread and range."""
    from gapkit._kernels.ranges import scatter

    parts = [part for share in shares for part in share]
    key_N = np.empty(sum(len(values) for values, _ in parts), parts[0][0].dtype)

    def scatter_share(thread: int) -> None:
        for value_N, hit_N in shares[thread]:
            scatter(value_N, hit_N, range_B, position_TR[thread], key_N)

    in_threads(scatter_share, range(len(shares)))
    return key_N


def sum_of_few(parts: Sequence[Part], ties: int) -> float:
    """The same for few predictions, without a plan."""
    from gapkit._kernels.ranges import sum_few

    if not parts:
        return 0.0
    value_N, hit_N = parts[0]
    if len(parts) > 1:
        value_N = np.concatenate([values for values, _ in parts])
        hit_N = np.concatenate([hits for _, hits in parts])
    return float(sum_few(value_N, hit_N, ties, np.empty_like(value_N))) if len(value_N) else 0.0


@dataclass(frozen=True, kw_only=True)
class Plan:
    """R ranges of a ranking, from the lowest up, over P parts."""

    range_of_bin: NDArray[np.uint32]
    """(B,) unset for bins that hold nothing, beyond the ends"""
    sizes: NDArray[np.int64]
    """(P, R) predictions of each part in each range"""
    starts: NDArray[np.int64]
    """(R + 1,) where each range starts among all predictions"""
    hits: NDArray[np.int64]
    """(R,)"""
    num_above: NDArray[np.int64]
    """(R,) predictions above each range"""
    hits_above: NDArray[np.int64]
    """(R,) hits above each range"""


def make_plan(packed_PB: NDArray[np.uint64], begin: int, end: int) -> Plan:
    """Ranges for the bins begin to end of P parts, as `count_bins` counts them."""
    from gapkit._kernels.ranges import plan_ranges

    num_parts, num_bins = packed_PB.shape
    range_B = np.empty(num_bins, np.uint32)
    size_PR = np.zeros((num_parts, end - begin), np.int64)
    hits_R = np.zeros(end - begin, np.int64)
    target = _PREDICTIONS_PER_RANGE
    count = plan_ranges(packed_PB, begin, end, target, range_B, size_PR, hits_R)
    size_PR, hits_R = size_PR[:, :count], hits_R[:count]
    stop_R = np.cumsum(size_PR.sum(axis=0))
    return Plan(
        range_of_bin=range_B,
        sizes=size_PR,
        starts=np.concatenate([[0], stop_R]),
        hits=hits_R,
        num_above=stop_R[-1] - stop_R,
        hits_above=hits_R.sum() - np.cumsum(hits_R),
    )


def precision_sums_by_label(
    ranking: Ranking, ties: int, limit: int | None = None
) -> NDArray[np.float64]:
    """Sum of the precision at the hits of each label's own ranking, up to rank `limit`: (C,)."""
    (value_N,) = to_values([check_confidences(ranking.flatten(ranking.confidences))])
    label_N = np.ascontiguousarray(ranking.flatten(ranking.labels))
    hit_N = np.ascontiguousarray(ranking.flatten(ranking.hits))
    parts = [
        tuple(array[start : start + _LABELS_AT_ONCE] for array in (value_N, label_N, hit_N))
        for start in range(0, len(value_N), _LABELS_AT_ONCE)
    ]
    return sums_by_label(parts, len(ranking.positives_by_label), ties, limit)


def sums_by_label(
    parts: Sequence[tuple[Any, ...]],
    num_classes: int,
    ties: int,
    limit: int | None = None,
) -> NDArray[np.float64]:
    """Sum of the precision at the hits of each label's own ranking, up to rank `limit`: (C,).

    Parts are (values, labels, hits); labels are unsigned.
    """
    from gapkit._kernels import ranges

    num_predictions = sum(len(values) for values, _, _ in parts)
    if num_predictions == 0:
        return np.zeros(num_classes)
    shares = _share(parts, num_threads(num_predictions))
    packed_TR = np.zeros((len(shares), 2 * num_classes), np.uint64)
    key_N = np.empty(num_predictions, parts[0][0].dtype)

    def count(thread: int) -> None:
        for value_N, label_N, hit_N in shares[thread]:
            wide_N = label_N.astype(np.uint32, copy=False)
            ranges.count_labels(value_N, wide_N, hit_N, packed_TR[thread])

    in_threads(count, range(len(shares)))
    size_TR = (packed_TR & np.uint64(0xFFFFFFFF)).astype(np.int64)
    hits_R = (packed_TR >> np.uint64(32)).sum(axis=0).astype(np.int64)
    size_R = size_TR.sum(axis=0)
    start_R = np.concatenate([[0], np.cumsum(size_R)])
    position_TR = start_R[:-1] + np.cumsum(size_TR, axis=0) - size_TR

    def scatter(thread: int) -> None:
        for value_N, label_N, hit_N in shares[thread]:
            wide_N = label_N.astype(np.uint32, copy=False)
            ranges.scatter_labels(value_N, wide_N, hit_N, position_TR[thread], key_N)

    in_threads(scatter, range(len(shares)))
    num_above_R, hits_above_R = np.zeros_like(size_R), np.zeros_like(size_R)
    num_above_R[::2], hits_above_R[::2] = size_R[1::2], hits_R[1::2]
    part_R = sum_keys(key_N, start_R, hits_R, num_above_R, hits_above_R, ties, limit)
    return part_R[::2] + part_R[1::2]


def sum_keys(
    key_N: Values,
    start_R: NDArray[np.int64],
    hits_R: NDArray[np.int64],
    num_above_R: NDArray[np.int64],
    hits_above_R: NDArray[np.int64],
    ties: int,
    limit: int | None = None,
) -> NDArray[np.float64]:
    """The sum of each range: its keys, hits, and what lies above it."""
    from gapkit._kernels.ranges import NO_LIMIT, sum_ranges

    threads = num_threads(len(key_N))
    part_R = np.zeros(len(hits_R))
    cut = np.searchsorted(start_R, len(key_N) * np.arange(1, threads) // threads)
    edges = [0, *cut.tolist(), len(hits_R)]

    def sum_part(part: int) -> None:
        sum_ranges(
            key_N,
            start_R,
            hits_R,
            num_above_R,
            hits_above_R,
            edges[part],
            edges[part + 1],
            ties,
            NO_LIMIT if limit is None else limit,
            part_R,
        )

    in_threads(sum_part, range(threads))
    return part_R


def add_parts(part_R: NDArray[np.float64]) -> float:
    """The parts added from the highest range down, one after another."""
    return float(np.cumsum(part_R[::-1])[-1])


def _share(parts: Sequence[tuple[Any, ...]], threads: int) -> list[list[Any]]:
    """The parts in as many lists of about as many predictions; parts are cut where need be."""
    target = -(-sum(len(part[0]) for part in parts) // threads)
    shares: list[list[Any]] = [[] for _ in range(threads)]
    done = 0
    for part in parts:
        start = 0
        while start < len(part[0]):
            thread = done // target
            stop = min(len(part[0]), start + (thread + 1) * target - done)
            shares[thread].append(tuple(array[start:stop] for array in part))
            done += stop - start
            start = stop
    return shares
