"""GAP over many updates, exactly."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from numbers import Integral
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from gapkit import _checks
from gapkit.errors import UsageError
from gapkit.metrics._accumulators.base import Accumulator
from gapkit.metrics._accumulators.spool import Spool
from gapkit.metrics._measures.gap import check_hits, check_num_positives, check_positives
from gapkit.metrics._ranking.join import rank
from gapkit.metrics._ranking.ranges import sum_of_precision
from gapkit.metrics._ranking.ties import ties_code
from gapkit.metrics._ranking.values import to_values

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from gapkit.predictions import Labels, Predictions

_BYTES_WHILE_WRITING = 3.0  # copies, in units of the predictions held, that a run takes to write
_LEAST_HELD_BYTES = 1 << 18


class PooledAccumulator(Accumulator):
    """An accumulator that needs pooled predictions and the number of positives alone."""

    def __init__(self, *, top_k: int | None, ties: str) -> None:
        self._top_k = None if top_k is None else _checks.check_top_k(top_k)
        self._ties = ties
        self._code = ties_code(ties)

    @property
    def settings(self) -> dict[str, Any]:
        """What must be equal for two accumulators to merge."""
        return {"top_k": self._top_k, "ties": self._ties}

    def update(
        self,
        predictions: Predictions | ArrayLike,
        labels: Labels | ArrayLike,
        *,
        rated: Labels | ArrayLike | None = None,
    ) -> None:
        """Add videos, given as `gap` takes them; each row of `labels` counts once."""
        ranking = rank(predictions, labels, self._top_k, rated)
        self.update_hits(
            ranking.flatten(ranking.confidences),
            ranking.flatten(ranking.hits),
            ranking.num_positives,
        )

    def update_hits(self, confidences: ArrayLike, hits: ArrayLike, num_positives: int) -> None:
        """Add pooled predictions and positives; either may be none.

        Parameters
        ----------
        confidences : array of float16, float32 or float64
            Finite.
        hits : array of bool or 0/1, of the same shape
        num_positives : int
            True labels of the videos of this update, or of others; at least 0.

        Raises
        ------
        DataError
            As `gap_from_hits`; nothing of the update is kept then. That hits don't exceed
            positives is checked in `compute`.
        """
        confidence_N, hit_N = check_hits(confidences, hits)
        self._take(confidence_N, hit_N, check_num_positives(num_positives))

    @abstractmethod
    def _take(
        self,
        confidence_N: NDArray[np.floating[Any]],
        hit_N: NDArray[np.bool_],
        num_positives: int,
    ) -> None:
        """Add checked predictions and positives."""


class GapAccumulator(PooledAccumulator):
    """Global Average Precision over many updates, exact in any order.

    The value is that of `gap` on all videos at once, to the bit. It keeps 5 bytes a prediction (9
    of float64), so 100 bytes a video of 20 predictions: memory grows with each update, up to
    `max_memory`; `GapSketch` is of fixed size.

    Parameters
    ----------
    top_k : int, optional
        Most confident labels to keep of each video, at least 1; None keeps all.
    ties : {'expected', 'optimistic', 'pessimistic'}
        As in `gap`.
    max_memory : int, optional
        Bytes to hold before predictions are moved to a temporary file (in the folder that the
        environment's TMPDIR names), 4 bytes each (8 of float64); the value stays exact. About 10
        MB are needed in any case. The file is gone when the accumulator or the process is.

    Raises
    ------
    UsageError
        A setting is out of its range.

    Examples
    --------
    >>> accumulator = GapAccumulator()
    >>> accumulator.update([[0.9, 0.1]], [[True, False]])
    >>> accumulator.update([[0.6, 0.8]], [[True, False]])
    >>> accumulator.compute()
    0.8333333333333333
    """

    def __init__(
        self, *, top_k: int | None = 20, ties: str = "expected", max_memory: int | None = None
    ) -> None:
        super().__init__(top_k=top_k, ties=ties)
        if max_memory is not None and (
            isinstance(max_memory, bool) or not isinstance(max_memory, Integral) or max_memory < 1
        ):
            raise UsageError(f"max_memory is {max_memory!r}. It must be a whole number of bytes.")
        self._max_memory = max_memory
        self.reset()

    def reset(self) -> None:
        """Forget all videos, and free what they took."""
        self._parts: list[tuple[NDArray[np.floating[Any]], NDArray[np.bool_]]] = []
        self._held_bytes = 0
        self._num_hits = 0
        self._num_positives = 0
        self._spool: Spool | None = None

    def _take(
        self,
        confidence_N: NDArray[np.floating[Any]],
        hit_N: NDArray[np.bool_],
        num_positives: int,
    ) -> None:
        self._num_positives += num_positives
        self._num_hits += int(np.count_nonzero(hit_N))
        step = max(self._most_held() // (confidence_N.itemsize + 1), 1)
        for start in range(0, len(hit_N), step):
            part = slice(start, start + step)
            self._hold(confidence_N[part].copy(), hit_N[part].copy())

    def _hold(self, confidence_N: NDArray[np.floating[Any]], hit_N: NDArray[np.bool_]) -> None:
        self._parts.append((confidence_N, hit_N))
        self._held_bytes += confidence_N.nbytes + hit_N.nbytes
        if self._held_bytes >= self._most_held():
            self._spill()

    def _most_held(self) -> int:
        """Bytes to hold in memory: with the copies of a run being written, max_memory."""
        if self._max_memory is None:
            return 1 << 62
        return max(int(self._max_memory / _BYTES_WHILE_WRITING), _LEAST_HELD_BYTES)

    def _spill(self) -> None:
        """Move what is held to the temporary file."""
        itemsize = max((part[0].itemsize for part in self._parts), default=4)
        if self._spool is None:
            self._spool = Spool(itemsize)
        elif self._spool.itemsize < itemsize:
            wider = Spool(itemsize)
            wider.extend(self._spool)
            self._spool = wider
        self._spool.add(self._parts)
        self._parts, self._held_bytes = [], 0

    @property
    def num_positives(self) -> int:
        """Positives of all updates so far."""
        return self._num_positives

    def blocks(self) -> Iterator[tuple[NDArray[np.floating[Any]], NDArray[np.bool_]]]:
        """Yield all predictions so far, as (confidences, hits) of some at a time.

        With `num_positives` they are what `update_hits` takes: what is sent to another process,
        as plain arrays. Their order and sizes mean nothing, and nothing may be added meanwhile.
        """
        if self._spool is not None:
            yield from self._spool.blocks()
        yield from self._parts

    def _add(self, other: Self) -> None:
        self._num_hits += other._num_hits
        self._num_positives += other._num_positives
        parts = list(other._parts)
        if other._spool is not None:
            for confidence_N, hit_N in other._spool.blocks():
                self._hold(confidence_N, hit_N)
        for confidence_N, hit_N in parts:
            self._hold(confidence_N, hit_N)

    def compute(self) -> float:
        """GAP of all videos so far, 0.0 without positives.

        Raises
        ------
        DataError
            There are more hits than positives.
        """
        check_positives(self._num_hits, self._num_positives)
        if self._num_hits == 0:
            return 0.0
        if self._spool is None:
            values = to_values([confidence_N for confidence_N, _ in self._parts])
            hits = [hit_N for _, hit_N in self._parts]
            total = sum_of_precision(list(zip(values, hits, strict=True)), self._code)
        else:
            self._spill()
            total = self._spool.sum_of_precision(self._code, self._most_held())
        return total / self._num_positives

    def __getstate__(self) -> dict[str, Any]:
        """What is on disk goes along, in memory."""
        state = self.__dict__.copy()
        if self._spool is not None:
            state["_spool"] = None
            state["_parts"] = [*self._spool.blocks(), *self._parts]
            state["_held_bytes"] = sum(c.nbytes + h.nbytes for c, h in state["_parts"])
        return state
