"""GAP over many updates in fixed memory, with an interval that holds the exact value."""

from __future__ import annotations

import math
from numbers import Integral
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from gapkit.errors import UsageError
from gapkit.metrics._accumulators.gap import PooledAccumulator
from gapkit.metrics._measures.gap import check_positives

if TYPE_CHECKING:
    from numpy.typing import NDArray

# A tied group's sum is wrong by less than 128 units in the last place of its hits (64 terms added
# one by one, the rest by a series), so that all of them are by less than this share of positives.
_ROUNDING = 128 * 2.0**-53

_MAX_BINS = 1 << 28


class GapSketch(PooledAccumulator):
    """Global Average Precision over many updates, in fixed memory, between two bounds.

    Predictions are counted in bins of confidence, equal in the square root of the confidence
    between 0 and 1; what lies outside is counted in the first and the last. GAP can't be outside
    `bounds`: the predictions of each bin ranked best and worst. It keeps 16 bytes a bin, 32 MB by
    default, whatever comes.

    The interval is as wide as the bins are full: with 14 million predictions spread over [0, 1]
    under 1e-5; of logits most fall in two bins, so put them through a sigmoid first.

    Parameters
    ----------
    num_bins : int
        At least 1.
    top_k : int, optional
        Most confident labels to keep of each video, at least 1; None keeps all.
    ties : {'expected', 'optimistic', 'pessimistic'}
        The rule of the exact value: `bounds` holds it under each of them.

    Raises
    ------
    UsageError
        A setting is out of its range.

    Examples
    --------
    >>> sketch = GapSketch()
    >>> sketch.update([[0.9, 0.1], [0.6, 0.8]], [[True, False], [True, False]])
    >>> round(sketch.compute(), 12)
    0.833333333333
    >>> low, high = sketch.bounds()
    >>> low <= 5 / 6 <= high
    True
    """

    def __init__(
        self, num_bins: int = 1 << 21, *, top_k: int | None = 20, ties: str = "expected"
    ) -> None:
        super().__init__(top_k=top_k, ties=ties)
        if isinstance(num_bins, bool) or not isinstance(num_bins, Integral):
            raise UsageError(f"num_bins is {num_bins!r}. It must be a whole number.")
        if not 1 <= num_bins <= _MAX_BINS:
            raise UsageError(f"num_bins is {num_bins}. It must be from 1 to {_MAX_BINS:,}.")
        self._num_bins: int = int(num_bins)
        self.reset()

    @property
    def settings(self) -> dict[str, Any]:
        """What must be equal for two sketches to merge."""
        return {"num_bins": self._num_bins, **super().settings}

    def reset(self) -> None:
        """Forget all videos."""
        self._count_B2 = np.zeros((self._num_bins, 2), np.int64)
        self._num_positives = 0

    def _take(
        self,
        confidence_N: NDArray[np.floating[Any]],
        hit_N: NDArray[np.bool_],
        num_positives: int,
    ) -> None:
        from gapkit._kernels.sketch import add_to_bins

        add_to_bins(confidence_N, hit_N, self._count_B2)
        self._num_positives += num_positives

    def _add(self, other: Self) -> None:
        self._count_B2 += other._count_B2
        self._num_positives += other._num_positives

    def compute(self) -> float:
        """GAP with the predictions of each bin tied, 0.0 without positives; within `bounds`.

        Raises
        ------
        DataError
            There are more hits than positives.
        """
        return self._values()[1]

    def bounds(self) -> tuple[float, float]:
        """The interval that holds the exact GAP, rounding included; (0.0, 0.0) without positives.

        Raises
        ------
        DataError
            There are more hits than positives.
        """
        low, _, high = self._values()
        return low, high

    def _values(self) -> tuple[float, float, float]:
        from gapkit._kernels.sketch import sum_bins

        num_hits = int(self._count_B2[:, 1].sum())
        check_positives(num_hits, self._num_positives)
        if num_hits == 0:
            return 0.0, 0.0, 0.0
        sum_3 = np.empty(3)
        sum_bins(self._count_B2, sum_3)
        expected, best, worst = (sum_3 / self._num_positives).tolist()
        low = max(math.nextafter(worst * (1 - _ROUNDING) - _ROUNDING, -1.0), 0.0)
        high = min(math.nextafter(best * (1 + _ROUNDING) + _ROUNDING, 2.0), 1.0)
        return low, expected, high
