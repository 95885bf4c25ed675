"""Global Average Precision."""

from __future__ import annotations

from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np

from gapkit import _checks
from gapkit.errors import DataError
from gapkit.metrics._keys import prediction_keys, ties_code
from gapkit.metrics._ranking import Ranking, rank

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from gapkit.predictions import Labels, Predictions


def gap(
    predictions: Predictions | ArrayLike,
    labels: Labels | ArrayLike,
    *,
    top_k: int = 20,
    ties: str = "expected",
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
    top_k : int
        Most confident labels to keep of each video, at least 1.
    ties : {'expected', 'optimistic', 'pessimistic'}
        The mean over all orders of equal confidences, or hits first, or hits last.

    Returns
    -------
    float
        In [0, 1]; 0.0 without positives.

    Raises
    ------
    DataError
        Shapes do not fit, a confidence is not finite, or labels are neither Boolean nor 0/1.
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
    return gap_of_ranking(rank(predictions, labels, top_k), ties_code(ties))


def gap_of_ranking(ranking: Ranking, ties: int) -> float:
    """GAP of predictions that are joined with the truth already."""
    return _gap(
        ranking.flatten(ranking.confidences),
        ranking.flatten(ranking.hits),
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
    confidence_N = _checks.as_array(confidences, "confidences")
    hit_N = _checks.as_array(hits, "hits")
    if confidence_N.shape != hit_N.shape:
        raise DataError(
            f"confidences of shape {confidence_N.shape} and hits of shape {hit_N.shape} do not "
            f"fit. Give each prediction one confidence and one hit."
        )
    if confidence_N.size == 0:
        confidence_N, hit_N = np.zeros(0, np.float32), np.zeros(0, np.bool_)
    if confidence_N.dtype.kind != "f" or confidence_N.dtype.itemsize > 8:
        raise DataError(
            f"confidences of type {confidence_N.dtype} are not float16, float32 or float64. "
            f"Are confidences and hits swapped?"
        )
    confidence_N, hit_N = confidence_N.reshape(-1), hit_N.reshape(-1)
    hit_N = _checks.check_truth(hit_N, "hits")
    _check_finite(confidence_N)
    if isinstance(num_positives, bool) or not isinstance(num_positives, Integral):
        raise DataError(f"num_positives is {num_positives!r}. It must be a whole number.")
    num_hits = int(np.count_nonzero(hit_N))
    if num_positives < num_hits:
        raise DataError(
            f"num_positives={num_positives} is below the {num_hits} hits. "
            f"It counts every true label, predicted or not."
        )
    return _gap(confidence_N, hit_N, int(num_positives), ties_code(ties))


def _check_finite(confidence_N: NDArray[np.floating[Any]]) -> None:
    wrong = np.flatnonzero(~np.isfinite(confidence_N))
    if wrong.size:
        raise DataError(
            f"prediction {wrong[0]}: its confidence is {confidence_N[wrong[0]]}. "
            f"Confidences must be finite numbers."
        )


def _gap(
    confidence_N: NDArray[np.floating[Any]],
    hit_N: NDArray[np.bool_],
    num_positives: int,
    ties: int,
) -> float:
    from gapkit._kernels.gap import precision_sum

    if num_positives == 0 or confidence_N.size == 0:
        return 0.0
    return float(precision_sum(prediction_keys(confidence_N, hit_N), ties)) / num_positives
