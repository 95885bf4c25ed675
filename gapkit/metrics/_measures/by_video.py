"""Metrics of single videos, averaged over them: what ranks well within each video."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gapkit.metrics._measures.video_mean import video_mean

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from gapkit.predictions import Labels, Predictions


def hit_at_k(
    predictions: Predictions | ArrayLike,
    labels: Labels | ArrayLike,
    k: int = 1,
    *,
    rated: Labels | ArrayLike | None = None,
) -> float:
    """Return the share of the labelled videos with a true label among the first k.

    Parameters
    ----------
    predictions : Predictions, or (N, num_classes) array of float
        Equal confidences of one video stand by rising label.
    labels : Labels, or (N, num_classes) array of bool or 0/1
        Every row counts, predicted or not.
    k : int
        Most confident labels of each video that count, at least 1.
    rated : Labels, or (N, num_classes) array of bool or 0/1, optional
        Pairs that somebody judged, all true ones among them; predictions of others are left out
        before the cut.

    Returns
    -------
    float
        In [0, 1]; 0.0 without labelled videos.

    Raises
    ------
    DataError
        Shapes or ids do not fit, a confidence is not finite, labels are neither Boolean nor 0/1,
        or a true one is not rated.
    UsageError
        k is below 1 or not a whole number.

    References
    ----------
    Abu-El-Haija et al., YouTube-8M: A Large-Scale Video Classification Benchmark, 2016.

    Examples
    --------
    >>> hit_at_k([[0.9, 0.1], [0.6, 0.8]], [[1, 0], [1, 0]])
    0.5
    """
    return video_mean("hit_at_k", predictions, labels, rated, k=k)


def precision_at_k(
    predictions: Predictions | ArrayLike,
    labels: Labels | ArrayLike,
    k: int = 5,
    *,
    rated: Labels | ArrayLike | None = None,
) -> float:
    """Return the mean, over the labelled videos, of the share of the first k that is true.

    A video with fewer than k predictions or true labels is divided by k all the same.

    Parameters
    ----------
    predictions : Predictions, or (N, num_classes) array of float
        Equal confidences of one video stand by rising label.
    labels : Labels, or (N, num_classes) array of bool or 0/1
        Every row counts, predicted or not.
    k : int
        Most confident labels of each video that count, at least 1.
    rated : Labels, or (N, num_classes) array of bool or 0/1, optional
        Pairs that somebody judged, all true ones among them; predictions of others are left out
        before the cut.

    Returns
    -------
    float
        In [0, 1]; 0.0 without labelled videos.

    Raises
    ------
    DataError
        Shapes or ids do not fit, a confidence is not finite, labels are neither Boolean nor 0/1,
        or a true one is not rated.
    UsageError
        k is below 1 or not a whole number.

    References
    ----------
    Manning, Raghavan and Schütze, Introduction to Information Retrieval, 2008: chapter 8.4.

    Examples
    --------
    >>> precision_at_k([[0.9, 0.1], [0.6, 0.8]], [[1, 0], [1, 0]], k=2)
    0.5
    """
    return video_mean("precision_at_k", predictions, labels, rated, k=k)


def recall_at_k(
    predictions: Predictions | ArrayLike,
    labels: Labels | ArrayLike,
    k: int = 5,
    *,
    rated: Labels | ArrayLike | None = None,
) -> float:
    """Return the mean, over videos with a true label, of the share of these in the first k.

    Parameters
    ----------
    predictions : Predictions, or (N, num_classes) array of float
        Equal confidences of one video stand by rising label.
    labels : Labels, or (N, num_classes) array of bool or 0/1
        Every row counts, predicted or not.
    k : int
        Most confident labels of each video that count, at least 1.
    rated : Labels, or (N, num_classes) array of bool or 0/1, optional
        Pairs that somebody judged, all true ones among them; predictions of others are left out
        before the cut.

    Returns
    -------
    float
        In [0, 1]; 0.0 without positives.

    Raises
    ------
    DataError
        Shapes or ids do not fit, a confidence is not finite, labels are neither Boolean nor 0/1,
        or a true one is not rated.
    UsageError
        k is below 1 or not a whole number.

    References
    ----------
    Manning, Raghavan and Schütze, Introduction to Information Retrieval, 2008: chapter 8.3.

    Examples
    --------
    >>> recall_at_k([[0.9, 0.1, 0.4], [0.6, 0.8, 0.2]], [[1, 1, 0], [1, 0, 0]], k=2)
    0.75
    """
    return video_mean("recall_at_k", predictions, labels, rated, k=k)


def map_at_k(
    predictions: Predictions | ArrayLike,
    labels: Labels | ArrayLike,
    k: int = 20,
    *,
    rated: Labels | ArrayLike | None = None,
) -> float:
    """Return the mean, over videos with a true label, of average precision at k.

    Average precision at k is the sum of the precision at each hit among the first k, over
    min(k, true labels): 1 is possible for every video. `label_map_at_k` ranks by label.

    Parameters
    ----------
    predictions : Predictions, or (N, num_classes) array of float
        Equal confidences of one video stand by rising label.
    labels : Labels, or (N, num_classes) array of bool or 0/1
        Every row counts, predicted or not.
    k : int
        Most confident labels of each video that count, at least 1.
    rated : Labels, or (N, num_classes) array of bool or 0/1, optional
        Pairs that somebody judged, all true ones among them; predictions of others are left out
        before the cut.

    Returns
    -------
    float
        In [0, 1]; 0.0 without positives.

    Raises
    ------
    DataError
        Shapes or ids do not fit, a confidence is not finite, labels are neither Boolean nor 0/1,
        or a true one is not rated.
    UsageError
        k is below 1 or not a whole number.

    References
    ----------
    Manning, Raghavan and Schütze, Introduction to Information Retrieval, 2008: chapter 8.4. The
    denominator is that of Kaggle's MAP@K.

    Examples
    --------
    >>> map_at_k([[0.9, 0.1, 0.4], [0.6, 0.8, 0.2]], [[1, 0, 1], [1, 0, 0]])
    0.75
    """
    return video_mean("map_at_k", predictions, labels, rated, k=k)


def ndcg_at_k(
    predictions: Predictions | ArrayLike,
    labels: Labels | ArrayLike,
    k: int = 5,
    *,
    rated: Labels | ArrayLike | None = None,
) -> float:
    """Return the normalised discounted cumulative gain of the first k, of videos with a true label.

    A hit at rank r gains 1 / log2(r + 1); a video's gain is divided by that of min(k, true labels)
    hits at the first ranks, and the mean is taken.

    Parameters
    ----------
    predictions : Predictions, or (N, num_classes) array of float
        Equal confidences of one video stand by rising label.
    labels : Labels, or (N, num_classes) array of bool or 0/1
        Every row counts, predicted or not.
    k : int
        Most confident labels of each video that count, at least 1.
    rated : Labels, or (N, num_classes) array of bool or 0/1, optional
        Pairs that somebody judged, all true ones among them; predictions of others are left out
        before the cut.

    Returns
    -------
    float
        In [0, 1]; 0.0 without positives.

    Raises
    ------
    DataError
        Shapes or ids do not fit, a confidence is not finite, labels are neither Boolean nor 0/1,
        or a true one is not rated.
    UsageError
        k is below 1 or not a whole number.

    References
    ----------
    Järvelin and Kekäläinen, Cumulated Gain-Based Evaluation of IR Techniques, 2002. Without ties
    and with a true label in each video the value is scikit-learn's ndcg_score.

    Examples
    --------
    >>> round(ndcg_at_k([[0.9, 0.1], [0.6, 0.8]], [[1, 0], [1, 0]]), 4)
    0.8155
    """
    return video_mean("ndcg_at_k", predictions, labels, rated, k=k)


def perr(
    predictions: Predictions | ArrayLike,
    labels: Labels | ArrayLike,
    *,
    top_k: int | None = 20,
    rated: Labels | ArrayLike | None = None,
) -> float:
    """Return the precision at equal recall rate.

    The mean, over the videos with true labels, of the share of true ones among as many predictions
    as the video has true labels. Those that top_k cuts off count as misses.

    Parameters
    ----------
    predictions : Predictions, or (N, num_classes) array of float
        Equal confidences of one video stand by rising label.
    labels : Labels, or (N, num_classes) array of bool or 0/1
        Every row counts, predicted or not.
    top_k : int, optional
        Most confident labels to keep of each video, at least 1; None keeps all.
    rated : Labels, or (N, num_classes) array of bool or 0/1, optional
        Pairs that somebody judged, all true ones among them; predictions of others are left out
        before the cut.

    Returns
    -------
    float
        In [0, 1]; 0.0 without positives.

    Raises
    ------
    DataError
        Shapes or ids do not fit, a confidence is not finite, labels are neither Boolean nor 0/1,
        or a true one is not rated.
    UsageError
        top_k is below 1 or not a whole number.

    References
    ----------
    Abu-El-Haija et al., YouTube-8M: A Large-Scale Video Classification Benchmark, 2016.

    Examples
    --------
    >>> perr([[0.9, 0.1, 0.4], [0.6, 0.8, 0.2]], [[1, 1, 0], [1, 0, 0]])
    0.25
    """
    return video_mean("perr", predictions, labels, rated, top_k=top_k)


def label_ranking_average_precision(
    predictions: Predictions | ArrayLike,
    labels: Labels | ArrayLike,
    *,
    top_k: int | None = None,
    rated: Labels | ArrayLike | None = None,
) -> float:
    """Return the mean, over the labelled videos, of label ranking average precision.

    Each true label is worth the share of true ones among the labels that are at least as confident,
    0 where it is not predicted; a video is the mean of its true labels, 1.0 if it has none.

    Parameters
    ----------
    predictions : Predictions, or (N, num_classes) array of float
        Equal confidences of one video stand by rising label.
    labels : Labels, or (N, num_classes) array of bool or 0/1
        Every row counts, predicted or not.
    top_k : int, optional
        Most confident labels to keep of each video, at least 1; None keeps all.
    rated : Labels, or (N, num_classes) array of bool or 0/1, optional
        Pairs that somebody judged, all true ones among them; predictions of others are left out
        before the cut.

    Returns
    -------
    float
        In [0, 1]; 0.0 without labelled videos.

    Raises
    ------
    DataError
        Shapes or ids do not fit, a confidence is not finite, labels are neither Boolean nor 0/1,
        or a true one is not rated.
    UsageError
        top_k is below 1 or not a whole number.

    References
    ----------
    Schapire and Singer, BoosTexter: A Boosting-based System for Text Categorization, 2000. On dense
    input the value is scikit-learn's label_ranking_average_precision_score, ties included.

    Examples
    --------
    >>> label_ranking_average_precision([[0.9, 0.1, 0.4], [0.6, 0.8, 0.2]], [[1, 0, 1], [1, 0, 0]])
    0.75
    """
    return video_mean("label_ranking_average_precision", predictions, labels, rated, top_k=top_k)
