"""The two tables of gapkit: sparse top-k predictions, and the true labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from gapkit import _checks, _dense
from gapkit.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["Labels", "Predictions"]


class Predictions:
    """The most confident labels of each video, sparse: a table of N videos by at most k labels.

    Rows that are not sorted are sorted: falling confidence, equal ones by rising label. Arrays of
    the right type and order are kept without a copy; they must not be changed afterwards.

    Parameters
    ----------
    ids : (N,) sequence of str
        Video ids, each once. An Arrow string array is kept as it is.
    labels : (N, k) array of int
        Predicted labels, each at most once a row, in [0, num_classes).
    confidences : (N, k) array of float
        Their confidences; finite. Rounded to float32.
    lengths : (N,) array of int, optional
        How many entries of each row count; nothing past them is read. All k by default.
    num_classes : int, optional
        Number of labels of the problem; None where it is not known.
    provenance : mapping, optional
        What made the table (predictor, run, starts, members, weights); goes into the file.

    Attributes
    ----------
    labels : (N, k) uint16 or uint32
        uint16 up to 65,535 classes.
    confidences : (N, k) float32
    lengths : (N,) int64

    Raises
    ------
    DataError
        An id stands twice, a confidence is not finite, a label is out of range or stands twice
        in its row (each names the first offender), or shapes do not fit.

    Examples
    --------
    >>> Predictions(["a", "b"], [[3, 1], [0, 2]], [[0.2, 0.9], [0.5, 0.5]], num_classes=4)
    Predictions(num_videos=2, top_k=2, num_classes=4)
    """

    def __init__(
        self,
        ids: Sequence[str] | pa.Array,
        labels: ArrayLike,
        confidences: ArrayLike,
        lengths: ArrayLike | None = None,
        *,
        num_classes: int | None = None,
        provenance: Mapping[str, Any] | None = None,
    ) -> None:
        self.id_column = _checks.check_ids(ids).ids
        label_NK = _checks.as_rows(labels, "labels")
        confidence_NK = _checks.as_rows(confidences, "confidences")
        num_videos = len(self.id_column)
        if label_NK.size == confidence_NK.size == 0:  # NumPy takes [] and [[], []] for floats
            label_NK = np.zeros((num_videos, 0), np.uint16)
            confidence_NK = np.zeros((num_videos, 0), np.float32)
        if label_NK.ndim != 2 or label_NK.shape != confidence_NK.shape:
            raise DataError(
                f"labels of shape {label_NK.shape} and confidences of shape "
                f"{confidence_NK.shape} do not fit. Both must be (num_videos, k)."
            )
        if len(label_NK) != num_videos:
            raise DataError(f"{num_videos} ids but {len(label_NK)} rows. Give each row its id.")
        self.lengths = _checks.check_lengths(lengths, *label_NK.shape)
        self.num_classes = _checks.check_num_classes(num_classes)
        self.provenance: dict[str, Any] = dict(provenance or {})
        self.labels, self.confidences = self._settle(label_NK, confidence_NK)

    def _settle(
        self, label_NK: NDArray[Any], confidence_NK: NDArray[Any]
    ) -> tuple[NDArray[np.unsignedinteger[Any]], NDArray[np.float32]]:
        from gapkit._kernels import rows

        k = label_NK.shape[1]
        is_full = bool((self.lengths == k).all())
        counted_NK = None if is_full else _checks.counted_entries(self.lengths, k)
        num_classes = _checks.check_labels(
            label_NK.reshape(-1) if counted_NK is None else label_NK[counted_NK],
            self.num_classes,
            lambda position: self._place(
                position // k if counted_NK is None else int(np.nonzero(counted_NK)[0][position])
            ),
        )
        if confidence_NK.dtype.kind != "f":
            raise DataError(
                f"confidences of type {confidence_NK.dtype} are not floating-point numbers. "
                f"Are labels and confidences swapped?"
            )
        with np.errstate(over="ignore", invalid="ignore"):  # the kernel finds what is not finite
            own_NK = np.ascontiguousarray(confidence_NK, np.float32)
            own_label_NK = np.ascontiguousarray(label_NK, _checks.label_dtype(num_classes))
        fault = np.zeros(3, np.int64)
        is_sorted = rows.check_rows(own_label_NK, own_NK, self.lengths, num_classes, fault)
        kind, row, column = (int(x) for x in fault)
        if kind == rows.NOT_FINITE:
            raise DataError(
                f"{self._place(row)}: the confidence of label {label_NK[row, column]} is "
                f"{confidence_NK[row, column]}. Confidences must be finite numbers."
            )
        if kind == rows.TWICE:
            raise DataError(
                f"{self._place(row)}: label {label_NK[row, column]} stands twice. "
                f"Keep one confidence a label."
            )
        if not is_sorted:
            own_label_NK, own_NK = own_label_NK.copy(), own_NK.copy()
            rows.sort_rows(own_label_NK, own_NK, self.lengths)
        return own_label_NK, own_NK

    def _place(self, row: int) -> str:
        return _checks.row_place(self.id_column, row)

    @classmethod
    def from_dense(
        cls,
        confidences: ArrayLike,
        ids: Sequence[str] | pa.Array | None = None,
        *,
        top_k: int = 20,
    ) -> Predictions:
        """Return the top_k of each row of a dense array.

        Equal confidences stand by rising label before the cut.

        Parameters
        ----------
        confidences : (N, num_classes) array of float
            Finite; rounded to float32 before order and cut.
        ids : (N,) sequence of str, optional
            '0', '1', ... by default.
        top_k : int
            Labels to keep of each row, at least 1.

        Returns
        -------
        Predictions
            With num_classes set.

        Raises
        ------
        DataError
            The array is not two-dimensional, or a row is not finite.

        Examples
        --------
        >>> Predictions.from_dense([[0.1, 0.7, 0.2]], ["a"], top_k=2).labels
        array([[1, 2]], dtype=uint16)
        """
        dense_NC = _dense.as_float32(_dense.as_confidences(confidences, "confidences"))
        id_column = (
            _checks.numbered_ids(len(dense_NC)) if ids is None else _checks.check_ids(ids).ids
        )
        if len(id_column) != len(dense_NC):
            raise DataError(f"{len(id_column)} ids but {len(dense_NC)} rows. Give each row its id.")
        label_NK, confidence_NK, _ = _dense.cut_dense(
            dense_NC, top_k, lambda row: _checks.row_place(id_column, row)
        )
        return cls(id_column, label_NK, confidence_NK, num_classes=dense_NC.shape[1])

    @classmethod
    def concat(cls, parts: Sequence[Predictions]) -> Predictions:
        """Return the rows of all parts, one part after another; at least one part.

        Raises
        ------
        DataError
            No parts, an id that stands in two of them, or parts of different num_classes.
        """
        if not parts:
            raise DataError("no parts to put together. Give at least one.")
        known = {part.num_classes for part in parts if part.num_classes is not None}
        if len(known) > 1:
            raise DataError(f"parts of num_classes {sorted(known)} do not go together.")
        k = max(part.top_k for part in parts)
        return cls(
            pa.concat_arrays([part.id_column for part in parts]),
            np.concatenate([widen(part.labels, k) for part in parts]),
            np.concatenate([widen(part.confidences, k) for part in parts]),
            np.concatenate([part.lengths for part in parts]),
            num_classes=next(iter(known), None),
            provenance=parts[0].provenance,
        )

    @property
    def ids(self) -> NDArray[np.object_]:
        """Video ids as Python strings, (N,); `id_column` holds them as Arrow does."""
        return np.asarray(self.id_column.to_numpy(zero_copy_only=False), dtype=object)

    @property
    def top_k(self) -> int:
        """Most labels that a row can hold: k."""
        return int(self.labels.shape[1])

    def __len__(self) -> int:
        return len(self.id_column)

    def __eq__(self, other: object) -> bool:
        """Whether ids, order and every counted entry are the same."""
        if not isinstance(other, Predictions):
            return NotImplemented
        if not self.id_column.equals(other.id_column):
            return False
        if not np.array_equal(self.lengths, other.lengths):
            return False
        k = int(self.lengths.max(initial=0))
        counted_NK = _checks.counted_entries(self.lengths, k)
        return all(
            np.array_equal(a[:, :k][counted_NK], b[:, :k][counted_NK])
            for a, b in ((self.labels, other.labels), (self.confidences, other.confidences))
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return (
            f"Predictions(num_videos={len(self)}, top_k={self.top_k}, "
            f"num_classes={self.num_classes})"
        )


def widen(values_NK: NDArray[Any], k: int) -> NDArray[Any]:
    """The rows with zeros behind, up to k entries."""
    return np.pad(values_NK, ((0, 0), (0, k - values_NK.shape[1])))


class Labels:
    """The true labels of each video: a ragged table of N videos.

    Parameters
    ----------
    ids : (N,) sequence of str
        Video ids, each once.
    labels : (N,) sequence of sequences of int
        True labels of each video, each once, in [0, num_classes); may be empty. An Arrow list
        array is read without a detour through Python.
    num_classes : int, optional
        Number of labels of the problem; None where it is not known.
    label_names : sequence of str, optional
        A name for each of the num_classes labels.

    Attributes
    ----------
    values : (P,) uint32
        All true labels, one video after another.
    offsets : (N + 1,) int64
        Where each video's labels begin in `values`.

    Raises
    ------
    DataError
        An id stands twice, or a label is out of range or stands twice in its row.

    Examples
    --------
    >>> Labels(["a", "b"], [[3, 1], []], num_classes=4)
    Labels(num_videos=2, num_positives=2, num_classes=4)
    """

    def __init__(
        self,
        ids: Sequence[str] | pa.Array,
        labels: Sequence[ArrayLike] | pa.Array,
        *,
        num_classes: int | None = None,
        label_names: Sequence[str] | None = None,
    ) -> None:
        from gapkit._kernels.rows import first_label_twice

        self.index = _checks.check_ids(ids)
        self.id_column = self.index.ids
        values, self.offsets = _checks.flatten_ragged(labels)
        if len(self.offsets) - 1 != len(self.id_column):
            raise DataError(
                f"{len(self.id_column)} ids but {len(self.offsets) - 1} rows of labels. "
                f"Give each row its id."
            )
        self.num_classes = _checks.check_num_classes(num_classes)
        if label_names is not None and len(label_names) != num_classes:
            raise DataError(
                f"{len(label_names)} label names for num_classes={num_classes}. "
                f"Give each label one name."
            )
        self.label_names = None if label_names is None else list(label_names)
        bound = _checks.check_labels(values, self.num_classes, self._place_of)
        self.values: NDArray[np.uint32] = values.astype(np.uint32)
        twice = first_label_twice(self.offsets, self.values, bound)
        if twice >= 0:
            raise DataError(
                f"{self._place_of(twice)}: label {values[twice]} stands twice. Keep it once."
            )

    def _place(self, row: int) -> str:
        return _checks.row_place(self.id_column, row)

    def _place_of(self, position: int) -> str:
        return self._place(int(np.searchsorted(self.offsets, position, side="right")) - 1)

    @classmethod
    def from_dense(cls, labels: ArrayLike, ids: Sequence[str] | pa.Array | None = None) -> Labels:
        """Return the true labels of a dense Boolean (or 0/1) array.

        Parameters
        ----------
        labels : (N, num_classes) array
            Boolean, or numbers that are all 0 or 1.
        ids : (N,) sequence of str, optional
            '0', '1', ... by default.

        Raises
        ------
        DataError
            A value is neither 0 nor 1 (are the arguments swapped?).

        Examples
        --------
        >>> Labels.from_dense([[0, 1, 1]], ["a"]).values
        array([1, 2], dtype=uint32)
        """
        (num_videos, num_classes), true_P = _dense.true_places(labels, "labels")
        row_P, label_P = np.divmod(true_P, max(num_classes, 1))
        offsets = np.searchsorted(row_P, np.arange(num_videos + 1))
        ragged = pa.LargeListArray.from_arrays(offsets, label_P)
        id_column = _checks.numbered_ids(num_videos) if ids is None else ids
        return cls(id_column, ragged, num_classes=num_classes)

    @property
    def ids(self) -> NDArray[np.object_]:
        """Video ids as Python strings, (N,); `id_column` holds them as Arrow does."""
        return np.asarray(self.id_column.to_numpy(zero_copy_only=False), dtype=object)

    def take(self, rows: NDArray[np.integer[Any]]) -> Labels:
        """Return the given rows, in their order; each at most once.

        Raises
        ------
        DataError
            A row is given twice.

        Examples
        --------
        >>> Labels(["a", "b", "c"], [[3], [], [1, 2]]).take(np.array([2, 0])).labels
        [array([1, 2], dtype=uint32), array([3], dtype=uint32)]
        """
        row_N = np.asarray(rows, np.int64)
        length_N = self.offsets[row_N + 1] - self.offsets[row_N]
        offsets = np.concatenate([[0], np.cumsum(length_N)])
        place_P = np.arange(offsets[-1]) + np.repeat(self.offsets[row_N] - offsets[:-1], length_N)
        ragged = pa.LargeListArray.from_arrays(offsets, self.values[place_P])
        return Labels(
            self.id_column.take(pa.array(row_N)),
            ragged,
            num_classes=self.num_classes,
            label_names=self.label_names,
        )

    @property
    def labels(self) -> list[NDArray[np.uint32]]:
        """The true labels of each video, one array a video."""
        return np.split(self.values, self.offsets[1:-1]) if len(self) else []

    @property
    def num_positives(self) -> int:
        """Every true label of every video: M of the GAP formula."""
        return len(self.values)

    def __len__(self) -> int:
        return len(self.id_column)

    def __eq__(self, other: object) -> bool:
        """Whether ids, order and labels are the same."""
        if not isinstance(other, Labels):
            return NotImplemented
        return (
            self.id_column.equals(other.id_column)
            and np.array_equal(self.offsets, other.offsets)
            and np.array_equal(self.values, other.values)
            and self.num_classes == other.num_classes
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return (
            f"Labels(num_videos={len(self)}, num_positives={self.num_positives}, "
            f"num_classes={self.num_classes})"
        )
