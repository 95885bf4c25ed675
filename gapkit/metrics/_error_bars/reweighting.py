"""Metrics of videos that count as often as they are drawn.

A row is a video, or a video of one of two files: where two files are pooled, the rows of the second
follow those of the first. A draw is a column of weights: how often it takes each row.

Shape letters: N predictions, V videos, R rows, P positives, C rankings, G tied groups, L lanes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np

from gapkit.errors import DataError
from gapkit.metrics._measures.by_label import mean_by_label
from gapkit.metrics._measures.gap import gap_of_ranking
from gapkit.metrics._measures.video_mean import (
    VIDEO_METRICS,
    check_name,
    check_setting_names,
    check_settings,
    divide_sums,
    measure_videos,
)
from gapkit.metrics._ranking.exact_sum import exact_sum
from gapkit.metrics._ranking.join import Ranking, rank
from gapkit.metrics._ranking.ranges import precision_sums_by_label
from gapkit.metrics._ranking.ties import ties_code

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from gapkit.predictions import Labels, Predictions

    Weights = NDArray[np.uint8]  # no video is drawn 256 times: the odds are 1 to 10**500

Result = TypeVar("Result")

_POOLED_SETTINGS = {"top_k": 20, "ties": "expected"}


class Reweighted(Protocol):
    """A metric of weighted rows."""

    @property
    def num_rows(self) -> int:
        """R, as the weights have."""

    @property
    def num_steps(self) -> int:
        """What one draw costs, in predictions."""

    def evaluate(self, weight_RL: Weights, value_L: NDArray[np.float64]) -> None:
        """Fill the metric of each column of weights."""


def reweigh(
    name: str,
    files: Sequence[Predictions | ArrayLike],
    labels: Labels | ArrayLike,
    settings: Mapping[str, Any],
) -> tuple[list[float], list[Reweighted]]:
    """Each file's value; each file's metric, and of two files also that of both pooled."""
    check_name(name, ["gap", "mean_average_precision", *VIDEO_METRICS])
    settings = dict(settings)
    rated = settings.pop("rated", None)
    if name in VIDEO_METRICS:
        settings = check_settings(name, settings)
        ratios = _each(files, lambda file: measure_videos(name, file, labels, rated, settings))
        values = [divide_sums(exact_sum(above), exact_sum(below)) for above, below in ratios]
        return values, [_ratio_of_sums(pooled) for pooled in _alone_and_pooled(ratios)]
    check_setting_names(name, settings, _POOLED_SETTINGS)
    settings = {**_POOLED_SETTINGS, **settings}
    ties = ties_code(settings["ties"])
    rankings = _each(files, lambda file: rank(file, labels, settings["top_k"], rated))
    if name == "gap":
        values = [gap_of_ranking(ranking, ties) for ranking in rankings]
        return values, [_pooled_precision(pooled, ties) for pooled in _alone_and_pooled(rankings)]
    values = [
        mean_by_label(precision_sums_by_label(ranking, ties), ranking.positives_by_label)
        for ranking in rankings
    ]
    return values, [_precision_by_label(pooled, ties) for pooled in _alone_and_pooled(rankings)]


def _each(files: Sequence[Any], measure: Callable[[Any], Result]) -> list[Result]:
    """Of each file; of two, errors say which is wrong."""
    results = []
    for name, file in zip("ab", files, strict=False):
        try:
            results.append(measure(file))
        except DataError as error:
            raise DataError(f"{name}: {error}" if len(files) > 1 else str(error)) from None
    return results


def _alone_and_pooled(files: list[Any]) -> list[list[Any]]:
    return [[file] for file in files] + ([files] if len(files) > 1 else [])


@dataclass(frozen=True, kw_only=True)
class MeanPrecision:
    """The mean of the average precision of C rankings; GAP is that of a single one."""

    num_rows: int
    packed: NDArray[np.uint32]
    """(N,) as `_kernels.reweight` wants them, one ranking after another, each from the top"""
    starts: NDArray[np.int64]
    """(C,) where each ranking starts"""
    stops: NDArray[np.int64]
    """(C,) where its last hit's tied group ends"""
    positive_rows: NDArray[np.int64]
    """(P,)"""
    positive_counts: NDArray[np.int64]
    """(P,) positives of the row in the ranking"""
    positive_starts: NDArray[np.int64]
    """(C + 1,)"""
    ties: int

    @property
    def num_steps(self) -> int:
        return len(self.packed) + len(self.positive_rows)

    def evaluate(self, weight_RL: Weights, value_L: NDArray[np.float64]) -> None:
        from gapkit._kernels.reweight import mean_precision

        mean_precision(
            self.packed,
            self.starts,
            self.stops,
            self.positive_rows,
            self.positive_counts,
            self.positive_starts,
            weight_RL,
            self.ties,
            value_L,
        )


@dataclass(frozen=True, kw_only=True)
class RatioOfSums:
    """A metric that is a mean over videos."""

    numerators: NDArray[np.float64]
    """(R,)"""
    denominators: NDArray[np.float64]
    """(R,)"""

    @property
    def num_rows(self) -> int:
        return len(self.numerators)

    @property
    def num_steps(self) -> int:
        return len(self.numerators)

    def evaluate(self, weight_RL: Weights, value_L: NDArray[np.float64]) -> None:
        from gapkit._kernels.reweight import ratio_of_sums

        ratio_of_sums(self.numerators, self.denominators, weight_RL, value_L)


def _pooled_precision(rankings: Sequence[Ranking], ties: int) -> MeanPrecision:
    """GAP of the pooled predictions of one file or two."""
    true_R = np.concatenate([ranking.true_by_video for ranking in rankings])
    row_N, confidence_N, hit_N = _predictions(rankings)
    order = np.argsort(-confidence_N)
    return _mean_precision(
        (row_N[order], confidence_N[order], hit_N[order], np.zeros(len(order), np.int64)),
        (np.arange(len(true_R)), true_R, np.array([0, len(true_R)])),
        len(true_R),
        ties,
    )


def _precision_by_label(rankings: Sequence[Ranking], ties: int) -> MeanPrecision:
    """Mean average precision of one file, or of two as if their labels were of different videos."""
    num_videos = rankings[0].num_videos
    video_P = np.repeat(np.arange(num_videos), rankings[0].true_by_video)
    present_C, class_P = np.unique(rankings[0].true_labels, return_inverse=True)
    class_P = np.tile(class_P, len(rankings))
    row_P = np.concatenate([video_P + f * num_videos for f in range(len(rankings))])
    row_P = row_P[np.argsort(class_P, kind="stable")]
    row_N, confidence_N, hit_N = _predictions(rankings)
    label_N = np.concatenate([ranking.flatten(ranking.labels) for ranking in rankings])
    class_N = np.searchsorted(present_C, label_N)
    is_present_N = np.append(present_C, -1)[class_N] == label_N  # others are never hit
    order = np.flatnonzero(is_present_N)
    order = order[np.lexsort((-confidence_N[order], class_N[order]))]
    start_C = np.searchsorted(np.sort(class_P), np.arange(len(present_C) + 1))
    return _mean_precision(
        (row_N[order], confidence_N[order], hit_N[order], class_N[order]),
        (row_P, np.ones(len(row_P), np.int64), start_C),
        num_videos * len(rankings),
        ties,
    )


def _ratio_of_sums(
    parts: Sequence[tuple[NDArray[np.float64], NDArray[np.float64]]],
) -> RatioOfSums:
    """The metric whose numerator and denominator each file gives for each video."""
    return RatioOfSums(
        numerators=np.concatenate([numerator_V for numerator_V, _ in parts], dtype=np.float64),
        denominators=np.concatenate(
            [denominator_V for _, denominator_V in parts], dtype=np.float64
        ),
    )


def _predictions(
    rankings: Sequence[Ranking],
) -> tuple[NDArray[np.int64], NDArray[np.floating[Any]], NDArray[np.bool_]]:
    """Row, confidence and hit of each prediction of all files."""
    return (
        np.concatenate(
            [
                np.repeat(ranking.videos + f * ranking.num_videos, ranking.lengths)
                for f, ranking in enumerate(rankings)
            ]
        ),
        np.concatenate([ranking.flatten(ranking.confidences) for ranking in rankings]),
        np.concatenate([ranking.flatten(ranking.hits) for ranking in rankings]),
    )


def _mean_precision(
    predictions: tuple[
        NDArray[np.int64], NDArray[np.floating[Any]], NDArray[np.bool_], NDArray[np.int64]
    ],
    positives: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]],
    num_rows: int,
    ties: int,
) -> MeanPrecision:
    """Pack predictions that are sorted by class, then falling confidence."""
    row_N, confidence_N, hit_N, class_N = predictions
    row_P, count_P, positive_start_C = positives
    num_classes = len(positive_start_C) - 1
    ends_N = np.ones(len(row_N), np.bool_)
    ends_N[:-1] = (confidence_N[1:] != confidence_N[:-1]) | (class_N[1:] != class_N[:-1])
    end_G = np.flatnonzero(ends_N) + 1
    size_G = np.diff(end_G, prepend=0)
    is_hit_G = np.diff(np.cumsum(hit_N)[end_G - 1], prepend=0) > 0
    settles_N = ends_N | ~np.repeat(is_hit_G, size_G)
    start_C = np.searchsorted(class_N, np.arange(num_classes))
    stop_C = start_C.copy()
    np.maximum.at(stop_C, class_N[end_G[is_hit_G] - 1], end_G[is_hit_G])
    packed_N = (row_N.astype(np.uint32) << 2) | (settles_N.astype(np.uint32) << 1) | hit_N
    return MeanPrecision(
        num_rows=num_rows,
        packed=packed_N.astype(np.uint32, copy=False),
        starts=start_C,
        stops=stop_C,
        positive_rows=row_P,
        positive_counts=count_P,
        positive_starts=positive_start_C,
        ties=ties,
    )
