"""Precision and recall of the pooled ranking at each threshold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gapkit._threads import in_threads
from gapkit.metrics._ranking.join import rank

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from gapkit.predictions import Labels, Predictions


class PrecisionRecallCurve(NamedTuple):
    """One point a threshold, from the least on, then precision 1 at recall 0."""

    precision: NDArray[np.float64]
    """(T + 1,) share of hits among the predictions of at least the threshold"""
    recall: NDArray[np.float64]
    """(T + 1,) these hits over all true labels, predicted or not"""
    thresholds: NDArray[np.floating[Any]]
    """(T,) the distinct confidences, rising"""


def precision_recall_curve(
    predictions: Predictions | ArrayLike,
    labels: Labels | ArrayLike,
    *,
    top_k: int | None = 20,
    rated: Labels | ArrayLike | None = None,
) -> PrecisionRecallCurve:
    """Return precision and recall of the pooled predictions at each of their confidences.

    The first recall is below 1 where true labels are not among the kept predictions.

    Parameters
    ----------
    predictions : Predictions, or (N, num_classes) array of float
    labels : Labels, or (N, num_classes) array of bool or 0/1
    top_k : int, optional
        Most confident labels to keep of each video, at least 1; None keeps all.
    rated : Labels, or (N, num_classes) array of bool or 0/1, optional
        Pairs that somebody judged, all true ones among them; predictions of others are left out
        before the cut.

    Returns
    -------
    PrecisionRecallCurve
        precision and recall (T + 1,) float64 in [0, 1], thresholds (T,) float32, or float64 where
        the predictions are. Without predictions precision is [1], recall [0] and thresholds [];
        without positives recall is 0.0 throughout.

    Raises
    ------
    DataError
        Shapes or ids do not fit, a confidence is not finite, labels are neither Boolean nor 0/1,
        or a true one is not rated.
    UsageError
        top_k is below 1 or not a whole number.

    References
    ----------
    Davis and Goadrich, The Relationship Between Precision-Recall and ROC Curves, 2006. Shape and
    order are those of scikit-learn's precision_recall_curve, whose recall without positives is 1.

    Examples
    --------
    >>> curve = precision_recall_curve([[0.9, 0.1], [0.6, 0.8]], [[1, 0], [1, 0]], top_k=1)
    >>> curve.precision, curve.recall, curve.thresholds
    (array([0.5, 1. , 1. ]), array([0.5, 0.5, 0. ]), array([0.8, 0.9]))
    """
    ranking = rank(predictions, labels, top_k, rated)
    return curve_of_hits(
        ranking.flatten(ranking.confidences),
        ranking.flatten(ranking.hits),
        ranking.num_positives,
    )


def curve_of_hits(
    confidence_N: NDArray[np.floating[Any]], hit_N: NDArray[np.bool_], num_positives: int
) -> PrecisionRecallCurve:
    """The curve of a pooled ranking."""
    confidence_N = confidence_N + 0  # -0.0 becomes 0.0
    sorted_N, sorted_H = in_threads(np.sort, [confidence_N, confidence_N[hit_N]])
    is_first_N = np.ones(len(sorted_N), np.bool_)
    np.not_equal(sorted_N[1:], sorted_N[:-1], out=is_first_N[1:])
    start_T = np.flatnonzero(is_first_N)
    threshold_T = sorted_N[start_T]
    hits_T = np.bincount(np.searchsorted(threshold_T, sorted_H), minlength=len(threshold_T))
    hits_at_least_T = len(sorted_H) - np.cumsum(hits_T) + hits_T
    return PrecisionRecallCurve(
        np.append(hits_at_least_T / (len(sorted_N) - start_T), 1.0),
        np.append(hits_at_least_T / max(num_positives, 1), 0.0),
        threshold_T,
    )
