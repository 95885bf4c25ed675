"""The pooled predictions in falling order, in tied groups."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gapkit.metrics._ranking.values import check_confidences, to_values

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gapkit.metrics._ranking.join import Ranking


@dataclass(frozen=True, kw_only=True)
class Pool:
    """N predictions of all videos by falling confidence, in G groups of equal confidence."""

    order: NDArray[np.int64]
    """(N,) places among the ranking's counted entries"""
    hits: NDArray[np.bool_]
    """(N,) in that order"""
    sizes: NDArray[np.int64]
    """(G,) predictions of each group"""
    hits_of_group: NDArray[np.int64]
    """(G,)"""

    def spread(self, per_group: NDArray[np.float64]) -> NDArray[np.float64]:
        """Each group's value for each of its predictions, in the order of the pool: (N,)."""
        return np.repeat(per_group, self.sizes)


def pool(ranking: Ranking) -> Pool:
    """Sort the kept predictions of all videos."""
    (value_N,) = to_values([check_confidences(ranking.flatten(ranking.confidences))])
    order_N = np.argsort(~value_N, kind="stable")
    value_N = value_N[order_N]
    hit_N = ranking.flatten(ranking.hits)[order_N]
    start_G = np.flatnonzero(np.diff(value_N, prepend=~value_N[:1]))
    return Pool(
        order=order_N,
        hits=hit_N,
        sizes=np.diff(start_G, append=len(value_N)),
        hits_of_group=np.add.reduceat(hit_N, start_G, dtype=np.int64)
        if len(value_N)
        else np.zeros(0, np.int64),
    )
