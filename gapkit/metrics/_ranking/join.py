"""Predictions joined with the truth: what every metric starts from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gapkit import _checks, _dense
from gapkit._threads import in_threads, row_slices
from gapkit.errors import DataError
from gapkit.predictions import Labels, Predictions

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """The kept predictions of the labelled videos, N rows by at most K, and the truth's counts."""

    labels: NDArray[np.unsignedinteger[Any]]
    """(N, K)"""
    confidences: NDArray[np.floating[Any]]
    """(N, K), falling in each row"""
    hits: NDArray[np.bool_]
    """(N, K), False past a row's length"""
    lengths: NDArray[np.int64]
    """(N,)"""
    videos: NDArray[np.int64]
    """(N,) each row's place among the labelled videos"""
    true_by_video: NDArray[np.int64]
    """(V,) how many labels of each labelled video are true, predicted or not"""
    true_labels: NDArray[np.integer[Any]]
    """(P,) these labels, one labelled video after another"""
    positives_by_label: NDArray[np.int64]
    """(C,) labelled videos in which each label is true"""
    ignored: int
    """Predicted ids without labels"""

    @property
    def num_positives(self) -> int:
        """Every true label of every labelled video."""
        return len(self.true_labels)

    @property
    def num_videos(self) -> int:
        """Labelled videos, predicted or not."""
        return len(self.true_by_video)

    @property
    def num_true(self) -> NDArray[np.int64]:
        """(N,) true labels of each row's video."""
        return self.true_by_video[self.videos]

    @property
    def missing(self) -> int:
        """Labelled videos that the predictions lack."""
        return len(self.true_by_video) - len(self.videos)

    def cut(self, top_k: int | None) -> Ranking:
        """The first top_k of each row."""
        if top_k is None or top_k >= self.labels.shape[1]:
            return self
        return replace(
            self,
            labels=self.labels[:, :top_k],
            confidences=self.confidences[:, :top_k],
            hits=self.hits[:, :top_k],
            lengths=np.minimum(self.lengths, top_k),
        )

    def flatten(self, values_NK: NDArray[Any]) -> NDArray[Any]:
        """The entries of an (N, K) array that count, one row after another."""
        k = values_NK.shape[1]
        if (self.lengths == k).all():
            return values_NK.reshape(-1)
        return values_NK[_checks.counted_entries(self.lengths, k)]


def rank(
    predictions: Predictions | ArrayLike | Ranking,
    labels: Labels | ArrayLike,
    top_k: int | None,
    rated: Labels | ArrayLike | None = None,
) -> Ranking:
    """Join predictions with labels: two tables by id, or two dense arrays row by row.

    `rated` names the pairs that somebody judged, in the form of the labels; predictions of others
    are taken out before the cut. What is joined already is only cut.
    """
    if top_k is not None:
        _checks.check_top_k(top_k)
    if isinstance(predictions, Ranking):
        return predictions.cut(top_k)
    if isinstance(predictions, Predictions) and isinstance(labels, Labels):
        return _rank_tables(predictions, labels, top_k, rated)
    if isinstance(predictions, Predictions | Labels) or isinstance(labels, Labels | Predictions):
        raise DataError(
            f"{type(predictions).__name__} and {type(labels).__name__} do not go together. "
            f"Pass Predictions and Labels, in this order, or two dense arrays."
        )
    return _rank_dense(predictions, labels, top_k, rated)


def _rank_tables(
    predictions: Predictions, labels: Labels, top_k: int | None, rated: object
) -> Ranking:
    if None not in (predictions.num_classes, labels.num_classes) and (
        predictions.num_classes != labels.num_classes
    ):
        raise DataError(
            f"predictions of num_classes={predictions.num_classes} and labels of "
            f"num_classes={labels.num_classes} do not go together. Are they of one data set?"
        )
    if predictions.num_classes is None and labels.num_classes is not None:
        _check_range(predictions, labels.num_classes)
    truth_N = labels.index.find(predictions.id_column)
    label_NK, confidence_NK = predictions.labels, predictions.confidences
    length_N = predictions.lengths
    is_known_N = truth_N >= 0
    ignored = len(truth_N) - int(np.count_nonzero(is_known_N))
    if ignored:
        truth_N, length_N = truth_N[is_known_N], length_N[is_known_N]
        label_NK, confidence_NK = label_NK[is_known_N], confidence_NK[is_known_N]
    if rated is not None:
        if not isinstance(rated, Labels):
            raise DataError("rated must be Labels where the labels are: the judged ones by id.")
        place_V = rated.index.find(labels.id_column)
        _check_true_is_rated(labels, rated, place_V)
        is_rated_NK = _find(label_NK, length_N, place_V[truth_N], rated.offsets, rated.values)
        label_NK, confidence_NK, length_N = _keep(is_rated_NK, label_NK, confidence_NK)
    kept = label_NK.shape[1] if top_k is None else min(top_k, label_NK.shape[1])
    label_NK, confidence_NK = label_NK[:, :kept], confidence_NK[:, :kept]
    length_N = np.minimum(length_N, kept)
    bound = max(
        predictions.num_classes or int(label_NK.max(initial=0)) + 1,
        labels.num_classes or int(labels.values.max(initial=0)) + 1,
    )
    return Ranking(
        labels=label_NK,
        confidences=confidence_NK,
        hits=_find(label_NK, length_N, truth_N, labels.offsets, labels.values),
        lengths=length_N,
        videos=truth_N,
        true_by_video=np.diff(labels.offsets),
        true_labels=labels.values,
        positives_by_label=np.bincount(labels.values, minlength=bound),
        ignored=ignored,
    )


def _find(
    label_NK: NDArray[Any],
    length_N: NDArray[np.int64],
    row_N: NDArray[np.int64],
    offsets: NDArray[np.int64],
    values: NDArray[np.uint32],
) -> NDArray[np.bool_]:
    """Which predicted labels stand in each one's row of ragged ones; none where the row is -1."""
    from gapkit._kernels.rows import mark_hits

    found_NK = np.zeros(label_NK.shape, np.bool_)
    label_NK = np.ascontiguousarray(label_NK)

    def mark(rows: slice) -> None:
        mark_hits(
            label_NK[rows],
            length_N[rows],
            row_N[rows],
            offsets,
            values,
            found_NK[rows],
        )

    in_threads(mark, row_slices(len(label_NK), label_NK.size))
    return found_NK


def _keep(
    is_kept_NK: NDArray[np.bool_], label_NK: NDArray[Any], confidence_NK: NDArray[Any]
) -> tuple[NDArray[Any], NDArray[Any], NDArray[np.int64]]:
    """The kept entries of each row, moved up in order, and how many they are."""
    order_NK = np.argsort(~is_kept_NK, axis=1, kind="stable")
    return (
        np.take_along_axis(label_NK, order_NK, axis=1),
        np.take_along_axis(confidence_NK, order_NK, axis=1),
        np.count_nonzero(is_kept_NK, axis=1),
    )


def _check_true_is_rated(labels: Labels, rated: Labels, place_V: NDArray[np.int64]) -> None:
    bound = int(max(labels.values.max(initial=0), rated.values.max(initial=0))) + 1
    row_P = np.repeat(place_V, np.diff(labels.offsets))
    rated_row_Q = np.repeat(np.arange(len(rated)), np.diff(rated.offsets))
    is_rated_P = np.isin(row_P * bound + labels.values, rated_row_Q * bound + rated.values)
    wrong = np.flatnonzero((row_P < 0) | ~is_rated_P)
    if wrong.size:
        row = int(np.searchsorted(labels.offsets, wrong[0], side="right")) - 1
        raise DataError(
            f"{_checks.row_place(labels.id_column, row)}: label {labels.values[wrong[0]]} is true "
            f"and not rated. Rate every true label."
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


def _rank_dense(
    predictions: ArrayLike, labels: ArrayLike, top_k: int | None, rated: Any
) -> Ranking:
    confidence_NC = _dense.as_confidences(predictions, "predictions")
    (num_videos, num_classes), true_P = _dense.true_places(labels, "labels")
    if tuple(confidence_NC.shape) != (num_videos, num_classes):
        raise DataError(
            f"predictions of shape {tuple(confidence_NC.shape)} and labels of shape "
            f"{(num_videos, num_classes)} do not fit. Both must be (num_videos, num_classes)."
        )
    rated_NC = None
    if rated is not None:
        rated_NC = _dense.check_truth(_dense.as_dense(rated, "rated"), "rated")
        if rated_NC.shape != (num_videos, num_classes):
            raise DataError(
                f"rated of shape {rated_NC.shape} and labels of shape "
                f"{(num_videos, num_classes)} do not fit."
            )
        wrong = true_P[~rated_NC.reshape(-1)[true_P]]
        if len(wrong):
            row, label = divmod(int(wrong[0]), num_classes)
            raise DataError(f"row {row}: label {label} is true and not rated. Rate every true one.")
    label_NK, confidence_NK, length_N = _dense.cut_dense(
        confidence_NC, top_k or num_classes, lambda row: f"row {row}", rated_NC
    )
    row_P, label_P = np.divmod(true_P, max(num_classes, 1))
    true_by_video = np.bincount(row_P, minlength=num_videos)
    offset_N = np.concatenate([[0], np.cumsum(true_by_video)])
    video_N = np.arange(num_videos)
    return Ranking(
        labels=label_NK,
        confidences=confidence_NK,
        hits=_find(label_NK, length_N, video_N, offset_N, label_P.astype(np.uint32)),
        lengths=length_N,
        videos=video_N,
        true_by_video=true_by_video,
        true_labels=label_P,
        positives_by_label=np.bincount(label_P, minlength=num_classes),
        ignored=0,
    )
