"""Predictions joined with the truth: what every metric starts from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.compute as pc

from gapkit import _checks
from gapkit.errors import DataError
from gapkit.predictions import Labels, Predictions

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """The kept predictions of the labelled videos, N rows by at most K, and the truth's counts."""

    labels: NDArray[np.uint32]
    """(N, K)"""
    confidences: NDArray[np.floating[Any]]
    """(N, K), falling in each row"""
    hits: NDArray[np.bool_]
    """(N, K), False past a row's length"""
    lengths: NDArray[np.int64]
    """(N,)"""
    num_true: NDArray[np.int64]
    """(N,) true labels of each row's video"""
    positives_by_label: NDArray[np.int64]
    """(C,) labelled videos in which each label is true"""
    num_videos: int
    """Labelled videos, predicted or not"""
    num_videos_with_labels: int
    """Labelled videos with at least one true label"""
    missing: int
    """Labelled videos that the predictions lack"""
    ignored: int
    """Predicted ids without labels"""

    @property
    def num_positives(self) -> int:
        """Every true label of every labelled video."""
        return int(self.positives_by_label.sum())

    def flatten(self, values_NK: NDArray[Any]) -> NDArray[Any]:
        """The entries of an (N, K) array that count, one row after another."""
        k = values_NK.shape[1]
        if (self.lengths == k).all():
            return values_NK.reshape(-1)
        return values_NK[_checks.counted_entries(self.lengths, k)]


def rank(predictions: Predictions | ArrayLike, labels: Labels | ArrayLike, top_k: int) -> Ranking:
    """Join predictions with labels: two tables by id, or two dense arrays row by row."""
    _checks.check_top_k(top_k)
    if isinstance(predictions, Predictions) and isinstance(labels, Labels):
        return _rank_tables(predictions, labels, top_k)
    if isinstance(predictions, Predictions | Labels) or isinstance(labels, Labels | Predictions):
        raise DataError(
            f"{type(predictions).__name__} and {type(labels).__name__} do not go together. "
            f"Pass Predictions and Labels, in this order, or two dense arrays."
        )
    return _rank_dense(predictions, labels, top_k)


def _rank_tables(predictions: Predictions, labels: Labels, top_k: int) -> Ranking:
    from gapkit._kernels.rows import mark_hits

    if None not in (predictions.num_classes, labels.num_classes) and (
        predictions.num_classes != labels.num_classes
    ):
        raise DataError(
            f"predictions of num_classes={predictions.num_classes} and labels of "
            f"num_classes={labels.num_classes} do not go together. Are they of one data set?"
        )
    if predictions.num_classes is None and labels.num_classes is not None:
        _check_range(predictions, labels.num_classes)
    truth = pc.index_in(predictions.id_column, value_set=labels.id_column)
    ignored = truth.null_count
    truth_N = truth.fill_null(-1).to_numpy().astype(np.int64)
    kept_NK = np.s_[:, : min(top_k, predictions.top_k)]
    label_NK = predictions.labels[kept_NK].astype(np.uint32)
    confidence_NK, length_N = predictions.confidences[kept_NK], predictions.lengths
    if ignored:
        known_N = truth_N >= 0
        truth_N, length_N = truth_N[known_N], length_N[known_N]
        label_NK, confidence_NK = label_NK[known_N], confidence_NK[known_N]
    label_NK = np.ascontiguousarray(label_NK)
    length_N = np.minimum(length_N, label_NK.shape[1])
    hit_NK = np.zeros(label_NK.shape, np.bool_)
    mark_hits(label_NK, length_N, truth_N, labels.offsets, labels.values, hit_NK)
    num_true = np.diff(labels.offsets)
    bound = max(
        predictions.num_classes or int(label_NK.max(initial=0)) + 1,
        labels.num_classes or int(labels.values.max(initial=0)) + 1,
    )
    return Ranking(
        labels=label_NK,
        confidences=confidence_NK,
        hits=hit_NK,
        lengths=length_N,
        num_true=num_true[truth_N],
        positives_by_label=np.bincount(labels.values, minlength=bound),
        num_videos=len(labels),
        num_videos_with_labels=int(np.count_nonzero(num_true)),
        missing=len(labels) - len(truth_N),
        ignored=ignored,
    )


def _check_range(predictions: Predictions, num_classes: int) -> None:
    """Refuse labels that the truth does not have, where the predictions could not know."""
    label_NK = predictions.labels
    is_counted_NK = _checks.counted_entries(predictions.lengths, predictions.top_k)
    wrong = np.argwhere((label_NK >= num_classes) & is_counted_NK)
    if len(wrong):
        row, column = (int(i) for i in wrong[0])
        raise DataError(
            f"{_checks.row_place(predictions.id_column, row)}: label "
            f"{label_NK[row, column]} is out of range for the labels' num_classes={num_classes}. "
            f"Are they of one data set?"
        )


def _rank_dense(predictions: ArrayLike, labels: ArrayLike, top_k: int) -> Ranking:
    confidence_NC = _checks.as_dense(predictions, "predictions")
    true_NC = _checks.as_dense(labels, "labels")
    if confidence_NC.shape != true_NC.shape:
        raise DataError(
            f"predictions of shape {confidence_NC.shape} and labels of shape {true_NC.shape} "
            f"do not fit. Both must be (num_videos, num_classes)."
        )
    true_NC = _checks.check_truth(true_NC, "labels")
    label_NK, confidence_NK = _checks.cut_dense(confidence_NC, top_k, lambda row: f"row {row}")
    num_true = np.count_nonzero(true_NC, axis=1)
    return Ranking(
        labels=label_NK,
        confidences=confidence_NK,
        hits=np.take_along_axis(true_NC, label_NK.astype(np.int64), axis=1),
        lengths=np.full(len(label_NK), label_NK.shape[1], np.int64),
        num_true=num_true,
        positives_by_label=np.count_nonzero(true_NC, axis=0),
        num_videos=len(true_NC),
        num_videos_with_labels=int(np.count_nonzero(num_true)),
        missing=0,
        ignored=0,
    )
