"""Metrics of single labels: how well the videos that have a label rank among its predictions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gapkit import _checks
from gapkit.metrics._ranking.join import rank
from gapkit.metrics._ranking.ranges import precision_sums_by_label
from gapkit.metrics._ranking.ties import ties_code

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from gapkit.predictions import Labels, Predictions

MOST_RANKS = 2**62


def average_precision(
    predictions: Predictions | ArrayLike,
    labels: Labels | ArrayLike,
    *,
    top_k: int | None = 20,
    ties: str = "expected",
    rated: Labels | ArrayLike | None = None,
) -> NDArray[np.float64]:
    """Return the average precision of each label over its own predictions.

    The kept predictions of a label are sorted by falling confidence; its average precision is the
    sum of the precision at each hit, over the labelled videos in which it is true, predicted or
    not.

    Parameters
    ----------
    predictions : Predictions, or (N, num_classes) array of float
    labels : Labels, or (N, num_classes) array of bool or 0/1
    top_k : int, optional
        Most confident labels to keep of each video, at least 1; None keeps all.
    ties : {'expected', 'optimistic', 'pessimistic'}
        The mean over all orders of equal confidences, or hits first, or hits last.
    rated : Labels, or (N, num_classes) array of bool or 0/1, optional
        Pairs that somebody judged, all true ones among them; predictions of others are left out
        before the cut.

    Returns
    -------
    (num_classes,) float64
        In [0, 1]; NaN for labels that are true nowhere. Where num_classes is not known it is the
        largest label plus 1.

    Raises
    ------
    DataError
        Shapes or ids do not fit, a confidence is not finite, labels are neither Boolean nor 0/1,
        or a true one is not rated.
    UsageError
        top_k is below 1 or not a whole number, or `ties` names no rule.

    References
    ----------
    Manning, Raghavan and Schütze, Introduction to Information Retrieval, 2008: chapter 8.4. With
    top_k=None and without ties the values are scikit-learn's average_precision_score.

    Examples
    --------
    >>> average_precision([[0.9, 0.1, 0.4], [0.6, 0.8, 0.2]], [[1, 0, 0], [0, 1, 0]])
    array([ 1.,  1., nan])
    """
    code = ties_code(ties)
    ranking = rank(predictions, labels, top_k, rated)
    return divide_by_positives(precision_sums_by_label(ranking, code), ranking.positives_by_label)


def mean_average_precision(
    predictions: Predictions | ArrayLike,
    labels: Labels | ArrayLike,
    *,
    top_k: int | None = 20,
    ties: str = "expected",
    rated: Labels | ArrayLike | None = None,
) -> float:
    """Return the mean of `average_precision` over the labels that are true anywhere.

    Parameters
    ----------
    predictions : Predictions, or (N, num_classes) array of float
    labels : Labels, or (N, num_classes) array of bool or 0/1
    top_k : int, optional
        Most confident labels to keep of each video, at least 1; None keeps all.
    ties : {'expected', 'optimistic', 'pessimistic'}
        The mean over all orders of equal confidences, or hits first, or hits last.
    rated : Labels, or (N, num_classes) array of bool or 0/1, optional
        As in `average_precision`.

    Returns
    -------
    float
        In [0, 1]; 0.0 without positives.

    Raises
    ------
    DataError, UsageError
        As `average_precision` does.

    References
    ----------
    Manning, Raghavan and Schütze, Introduction to Information Retrieval, 2008: chapter 8.4, with a
    label for a query. `map_at_k` ranks by video.

    Examples
    --------
    >>> mean_average_precision([[0.9, 0.1, 0.4], [0.6, 0.8, 0.2]], [[0, 0, 0], [1, 1, 0]])
    0.75
    """
    code = ties_code(ties)
    ranking = rank(predictions, labels, top_k, rated)
    return mean_by_label(precision_sums_by_label(ranking, code), ranking.positives_by_label)


def label_map_at_k(
    predictions: Predictions | ArrayLike,
    labels: Labels | ArrayLike,
    k: int = 100_000,
    *,
    top_k: int | None = None,
    ties: str = "expected",
    rated: Labels | ArrayLike | None = None,
) -> float:
    """Return the mean, over labels that are true anywhere, of average precision at k.

    The first k of each label's predictions count: the sum of the precision at the hits among them,
    over min(k, positives of the label).

    Parameters
    ----------
    predictions : Predictions, or (N, num_classes) array of float
    labels : Labels, or (N, num_classes) array of bool or 0/1
    k : int
        Most confident predictions of each label that count, at least 1.
    top_k : int, optional
        Most confident labels to keep of each video, at least 1; all by default.
    ties : {'expected', 'optimistic', 'pessimistic'}
        The mean over all orders of equal confidences, or hits first, or hits last; also of those
        that the cut at rank k goes through.
    rated : Labels, or (N, num_classes) array of bool or 0/1, optional
        As in `average_precision`.

    Returns
    -------
    float
        In [0, 1]; 0.0 without positives.

    Raises
    ------
    DataError, UsageError
        As `average_precision` does; k is below 1 or not a whole number.

    References
    ----------
    The 3rd YouTube-8M Video Understanding Challenge, 2019: MAP@K with K = 100,000. The denominator
    min(k, positives) is that of the YouTube-8M starter code.

    Examples
    --------
    >>> label_map_at_k([[0.9, 0.1], [0.6, 0.8]], [[0, 0], [1, 1]], k=1)
    0.5
    """
    k = _checks.check_top_k(k, "k")
    code = ties_code(ties)
    ranking = rank(predictions, labels, top_k, rated)
    sum_C = precision_sums_by_label(ranking, code, min(k, MOST_RANKS))
    return mean_by_label(sum_C, ranking.positives_by_label, k)


def divide_by_positives(
    sum_C: NDArray[np.float64], positives_C: NDArray[np.int64], k: int = MOST_RANKS
) -> NDArray[np.float64]:
    """Sums of precision over min(k, positives), NaN where there are none."""
    value_C = np.full(len(sum_C), np.nan)
    possible_C = np.minimum(positives_C, min(k, MOST_RANKS))
    np.divide(sum_C, possible_C, out=value_C, where=positives_C > 0)
    return value_C


def mean_by_label(
    sum_C: NDArray[np.float64], positives_C: NDArray[np.int64], k: int = MOST_RANKS
) -> float:
    """The mean of these over labels with positives, 0.0 of none."""
    value_C = divide_by_positives(sum_C, positives_C, k)[positives_C > 0]
    return float(value_C.mean()) if len(value_C) else 0.0
