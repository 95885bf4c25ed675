"""Global Average Precision."""

from __future__ import annotations

from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np

from gapkit import _dense
from gapkit.errors import DataError
from gapkit.metrics._ranking.join import Ranking, rank
from gapkit.metrics._ranking.ranges import sum_of_precision
from gapkit.metrics._ranking.ties import ties_code
from gapkit.metrics._ranking.values import check_confidences, to_values

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from gapkit.predictions import Labels, Predictions


def gap(
    predictions: Predictions | ArrayLike,
    labels: Labels | ArrayLike,
    *,
    top_k: int | None = 20,
    ties: str = "expected",
    rated: Labels | ArrayLike | None = None,
) -> float:
    """Return the Global Average Precision of the top_k predictions of each video.

    The kept predictions of all videos are pooled and sorted by falling confidence; GAP is the sum
    of the precision at each hit, over the number of all true labels of all labelled videos.
    A labelled video without predictions counts among these; a predicted id without labels is
    left out. The value does not depend on the order of rows.

    Parameters
    ----------
    predictions : Predictions, or (N, num_classes) array of float
        Dense arrays may come from NumPy, torch (any device) or anything with `__array__`.
    labels : Labels, or (N, num_classes) array of bool or 0/1
    top_k : int, optional
        Most confident labels to keep of each video, at least 1; None keeps all.
    ties : {'expected', 'optimistic', 'pessimistic'}
        The mean over all orders of equal confidences, or hits first, or hits last.
    rated : Labels, or (N, num_classes) array of bool or 0/1, optional
        Pairs of video and label that somebody judged, true ones among them, in the form of
        `labels`. Predictions of other pairs are neither hits nor misses: they are taken out before
        the cut to top_k. By default all pairs are judged.

    Returns
    -------
    float
        In [0, 1]; 0.0 without positives.

    Raises
    ------
    DataError
        Shapes do not fit, a confidence is not finite, labels are neither Boolean nor 0/1, or a
        true label is not rated.
    UsageError
        top_k is below 1, or `ties` names no rule.

    References
    ----------
    Abu-El-Haija et al., YouTube-8M: A Large-Scale Video Classification Benchmark, 2016. On input
    without ties the value is that of its starter code, which breaks ties by a seeded shuffle.

    Examples
    --------
    >>> gap([[0.9, 0.1], [0.6, 0.8]], [[1, 0], [1, 0]], top_k=1)
    0.5
    """
    return gap_of_ranking(rank(predictions, labels, top_k, rated), ties_code(ties))


def gap_of_ranking(ranking: Ranking, ties: int, hit_NK: NDArray[np.bool_] | None = None) -> float:
    """GAP of predictions that are joined with the truth already; of other hits if given."""
    return _gap(
        check_confidences(ranking.flatten(ranking.confidences)),
        np.ascontiguousarray(ranking.flatten(ranking.hits if hit_NK is None else hit_NK)),
        ranking.num_positives,
        ties,
    )


def gap_from_hits(
    confidences: ArrayLike, hits: ArrayLike, num_positives: int, *, ties: str = "expected"
) -> float:
    """Return the GAP of a pooled ranking, given which predictions are true.

    Parameters
    ----------
    confidences : array of float16, float32 or float64
        Finite, of any range; ranked as they are, without rounding.
    hits : array of bool or 0/1, of the same shape
        Which predictions are true.
    num_positives : int
        All true labels, predicted or not; not fewer than the hits.
    ties : {'expected', 'optimistic', 'pessimistic'}
        As in `gap`.

    Returns
    -------
    float
        In [0, 1]; 0.0 without positives.

    Raises
    ------
    DataError
        Shapes do not fit, a confidence is not finite, `hits` are neither Boolean nor 0/1, or
        num_positives is negative or below the number of hits.
    UsageError
        `ties` names no rule.

    Examples
    --------
    >>> gap_from_hits([0.9, 0.8, 0.7], [True, False, True], num_positives=2)
    0.8333333333333333
    """
    confidence_N, hit_N = check_hits(confidences, hits)
    num_positives = check_num_positives(num_positives)
    code = ties_code(ties)
    check_positives(int(np.count_nonzero(hit_N)), num_positives)
    return _gap(confidence_N, hit_N, num_positives, code)


def check_hits(
    confidences: ArrayLike, hits: ArrayLike
) -> tuple[NDArray[np.floating[Any]], NDArray[np.bool_]]:
    """Predictions as two flat arrays: finite float32 or float64, and Boolean."""
    confidence_N = _dense.as_array(confidences, "confidences")
    hit_N = _dense.as_array(hits, "hits")
    if confidence_N.shape != hit_N.shape:
        raise DataError(
            f"confidences of shape {confidence_N.shape} and hits of shape {hit_N.shape} do not "
            f"fit. Give each prediction one confidence and one hit."
        )
    if hit_N.size == 0:
        hit_N = hit_N.astype(np.bool_)
    confidence_N = check_confidences(confidence_N)
    return confidence_N, np.ascontiguousarray(_dense.check_truth(hit_N, "hits")).reshape(-1)


def check_num_positives(num_positives: object) -> int:
    """A whole number, not negative."""
    if isinstance(num_positives, bool) or not isinstance(num_positives, Integral):
        raise DataError(f"num_positives is {num_positives!r}. It must be a whole number.")
    if num_positives < 0:
        raise DataError(f"num_positives is {num_positives}. It can't be negative.")
    return int(num_positives)


def check_positives(num_hits: int, num_positives: int) -> None:
    """Refuse more hits than positives."""
    if num_hits > num_positives:
        raise DataError(
            f"num_positives={num_positives} is below the {num_hits} hits. "
            f"It counts every true label, predicted or not."
        )


def _gap(
    confidence_N: NDArray[np.floating[Any]], hit_N: NDArray[np.bool_], num_positives: int, ties: int
) -> float:
    if num_positives == 0:
        return 0.0
    (value_N,) = to_values([confidence_N])
    return sum_of_precision([(value_N, hit_N)], ties) / num_positives
