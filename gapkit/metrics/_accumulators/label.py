"""Metrics of single labels, and the curve, over many updates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from gapkit import _checks
from gapkit.metrics._accumulators.base import Accumulator
from gapkit.metrics._measures.by_label import MOST_RANKS, divide_by_positives, mean_by_label
from gapkit.metrics._measures.curve import PrecisionRecallCurve, curve_of_hits
from gapkit.metrics._ranking.join import rank
from gapkit.metrics._ranking.ranges import sums_by_label
from gapkit.metrics._ranking.ties import ties_code
from gapkit.metrics._ranking.values import check_confidences, to_values

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from gapkit.predictions import Labels, Predictions


class LabelAccumulator(Accumulator):
    """A metric of single labels over many updates, exact in any order.

    The value is that of the metric's function on all videos at once, to the bit. It keeps 7 bytes
    a prediction (9 where there are over 65,535 labels; 4 more of float64), 140 bytes a video of 20
    predictions: memory grows with each update.

    Parameters
    ----------
    metric : str
        'average_precision', 'mean_average_precision', 'label_map_at_k' or
        'precision_recall_curve'.
    top_k, ties, k
        Those of the metric's function.

    Raises
    ------
    UsageError
        A setting is out of its range.

    Examples
    --------
    >>> accumulator = LabelAccumulator("average_precision")
    >>> accumulator.update([[0.9, 0.1]], [[True, False]])
    >>> accumulator.update([[0.6, 0.8]], [[False, True]])
    >>> accumulator.compute()
    array([1., 1.])
    """

    def __init__(
        self,
        metric: str,
        /,
        *,
        top_k: int | None = 20,
        ties: str = "expected",
        k: int = MOST_RANKS,
    ) -> None:
        self._metric = metric
        self._top_k = None if top_k is None else _checks.check_top_k(top_k)
        self._code = ties_code(ties)
        self._ties = ties
        self._k = min(_checks.check_top_k(k, "k"), MOST_RANKS)
        self.reset()

    @property
    def settings(self) -> dict[str, Any]:
        """What must be equal for two accumulators to merge."""
        return {
            "metric": self._metric,
            "top_k": self._top_k,
            "ties": self._ties,
            "k": self._k,
        }

    def reset(self) -> None:
        """Forget all videos, and free what they took."""
        self._parts: list[tuple[NDArray[Any], NDArray[Any], NDArray[np.bool_]]] = []
        self._positives_C = np.zeros(0, np.int64)

    def update(
        self,
        predictions: Predictions | ArrayLike,
        labels: Labels | ArrayLike,
        *,
        rated: Labels | ArrayLike | None = None,
    ) -> None:
        """Add videos, given as the metric's function takes them; each row of `labels` counts once.

        Raises
        ------
        DataError
            As the metric's function; nothing of the update is kept then.
        """
        ranking = rank(predictions, labels, self._top_k, rated)
        confidence_N = check_confidences(ranking.flatten(ranking.confidences))
        label_N = ranking.flatten(ranking.labels)
        dtype = _checks.label_dtype(len(ranking.positives_by_label))
        self._parts.append(
            (confidence_N.copy(), label_N.astype(dtype), ranking.flatten(ranking.hits).copy())
        )
        self._count(ranking.positives_by_label)

    def _count(self, positives_C: NDArray[np.int64]) -> None:
        """Add positives; of the two there may be more labels here or there."""
        few, many = sorted((self._positives_C, positives_C), key=len)
        self._positives_C = many.copy()
        self._positives_C[: len(few)] += few

    def _add(self, other: Self) -> None:
        self._parts += other._parts
        self._count(other._positives_C)

    def compute(self) -> float | NDArray[np.float64] | PrecisionRecallCurve:
        """The metric of all videos so far, as its function returns it."""
        if self._metric == "precision_recall_curve":
            return self._curve()
        values = to_values([confidence_N for confidence_N, _, _ in self._parts])
        sum_C = sums_by_label(
            [
                (value_N, label_N.astype(np.uint32), hit_N)
                for value_N, (_, label_N, hit_N) in zip(values, self._parts, strict=True)
            ],
            len(self._positives_C),
            self._code,
            self._k,
        )
        if self._metric == "average_precision":
            return divide_by_positives(sum_C, self._positives_C)
        return mean_by_label(sum_C, self._positives_C, self._k)

    def _curve(self) -> PrecisionRecallCurve:
        nothing = np.zeros(0, np.float32)
        return curve_of_hits(
            np.concatenate([nothing, *(confidence_N for confidence_N, _, _ in self._parts)]),
            np.concatenate([nothing.astype(np.bool_), *(hit_N for _, _, hit_N in self._parts)]),
            int(self._positives_C.sum()),
        )
