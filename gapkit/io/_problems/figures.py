"""The distribution of labels and confidences, block by block in bounded memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gapkit.io._problems.report import QUANTILES, Distribution

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MAX_EXACT = 1 << 22
_LOST_BITS = 11  # a bin is 2**-12 of its values wide
_SIGN = np.uint32(1 << 31)
_NUM_MOST = 5


class RunningQuantiles:
    """Quantiles of float32: exact of few values, of many by a histogram of their top bits."""

    def __init__(self, max_exact: int = _MAX_EXACT) -> None:
        self._max_exact = max_exact
        self._exact: list[NDArray[np.float32]] = []
        self._count_B: NDArray[np.int64] | None = None
        self._num = 0
        self._least, self._most = np.inf, -np.inf

    def add(self, values: NDArray[np.float32]) -> None:
        """Count finite values."""
        if values.size == 0:
            return
        self._num += values.size
        self._least = min(self._least, float(values.min()))
        self._most = max(self._most, float(values.max()))
        self._exact.append(values)
        if self._num > self._max_exact:
            self._fold()

    def _fold(self) -> None:
        if self._count_B is None:
            self._count_B = np.zeros(1 << (32 - _LOST_BITS), np.int64)
        for values in self._exact:
            bits = (values + np.float32(0)).view(np.uint32)  # -0.0 becomes 0.0
            key = np.where(bits & _SIGN, ~bits, bits | _SIGN) >> np.uint32(_LOST_BITS)
            self._count_B += np.bincount(key, minlength=self._count_B.size)
        self._exact = []

    def compute(self) -> tuple[float, ...] | None:
        """The value that a share of all values does not exceed, for each of QUANTILES."""
        if self._num == 0:
            return None
        rank_Q = np.maximum(np.ceil(np.array(QUANTILES) * self._num).astype(np.int64) - 1, 0)
        if self._count_B is None:
            values = np.sort(np.concatenate(self._exact))[rank_Q]
        else:
            bin_Q = np.searchsorted(np.cumsum(self._count_B), rank_Q, side="right")
            key = bin_Q.astype(np.uint32) << np.uint32(_LOST_BITS)
            values = np.where(key & _SIGN, key ^ _SIGN, ~key).astype(np.uint32).view(np.float32)
        inner = (float(np.clip(value, self._least, self._most)) for value in values[1:-1])
        return (self._least, *inner, self._most)


class Figures:
    """What the rows look like."""

    def __init__(self) -> None:
        self._first, self._all = RunningQuantiles(), RunningQuantiles()
        self._rows_of_length = np.zeros(1, np.int64)
        self._videos_of_label = np.zeros(1, np.int64)

    @property
    def rows_of_length(self) -> NDArray[np.int64]:
        """How many rows have 0, 1, 2, ... labels."""
        return self._rows_of_length

    @property
    def longest(self) -> int:
        """Labels of the longest row."""
        return int(np.flatnonzero(self._rows_of_length).max(initial=0))

    def add_labels(self, length_N: NDArray[np.int64], labels: NDArray[Any]) -> None:
        """Count rows by their lengths, and labels that are in range."""
        self._rows_of_length = add_counts(self._rows_of_length, np.bincount(length_N))
        self._videos_of_label = add_counts(self._videos_of_label, np.bincount(labels))

    def add_confidences(self, first: NDArray[np.float32], every: NDArray[np.float32]) -> None:
        """Count the highest of each row, and all."""
        self._first.add(first)
        self._all.add(every)

    def compute(self, top_k: int | None, num_classes: int | None) -> Distribution:
        """The figures of all rows."""
        videos_L = self._videos_of_label
        most = np.argsort(-videos_L, kind="stable")[:_NUM_MOST]
        length_N = np.flatnonzero(self._rows_of_length)
        return Distribution(
            num_videos=int(self._rows_of_length.sum()),
            num_predictions=int(self._rows_of_length @ np.arange(self._rows_of_length.size)),
            top_k=self.longest if top_k is None else top_k,
            num_classes=num_classes,
            labels_per_video=(
                int(length_N.min(initial=self.longest)),
                _median(self._rows_of_length),
                self.longest,
            ),
            first_confidences=self._first.compute(),
            confidences=self._all.compute(),
            most_predicted=tuple(
                (label, int(videos_L[label])) for label in most.tolist() if videos_L[label]
            ),
            num_distinct_labels=int(np.count_nonzero(videos_L)),
        )


def add_counts(sum_L: NDArray[np.int64], count_L: NDArray[np.int64]) -> NDArray[np.int64]:
    """The sum of two arrays of counts; what the shorter lacks is 0."""
    if count_L.size > sum_L.size:
        sum_L, count_L = count_L.copy(), sum_L
    sum_L[: count_L.size] += count_L
    return sum_L


def _median(count_V: NDArray[np.int64]) -> float:
    """The median of 0, 1, 2, ..., of which there are so many."""
    num = int(count_V.sum())
    if num == 0:
        return 0.0
    middle = np.searchsorted(np.cumsum(count_V), [(num - 1) // 2, num // 2], side="right")
    return float(middle.mean())
