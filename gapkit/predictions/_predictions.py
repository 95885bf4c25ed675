"""Sparse top-k predictions: the most confident labels of each video."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from gapkit import _checks, _dense
from gapkit._ids import IdIndex
from gapkit.errors import DataError
from gapkit.predictions._rows import LongTable, find_rows, to_lists, widen

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import ArrayLike, NDArray


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

    @classmethod
    def from_long(cls, table: Any, *, num_classes: int | None = None) -> Predictions:
        """Return predictions from a table of one prediction a row: `id`, `label`, `confidence`.

        Videos stand in the order in which the table first names them.

        Parameters
        ----------
        table : polars or pandas DataFrame, Arrow table, or anything with `__arrow_c_stream__`
            Rows in any order.
        num_classes : int, optional
            Number of labels of the problem.

        Raises
        ------
        DataError
            A column or a value is missing, or what `Predictions` refuses.

        Examples
        --------
        >>> table = {"id": ["a", "b", "a"], "label": [3, 0, 1], "confidence": [0.2, 0.5, 0.9]}
        >>> Predictions.from_long(pa.table(table)).to_dict()
        {'a': {1: 0.8999999761581421, 3: 0.20000000298023224}, 'b': {0: 0.5}}
        """
        long = LongTable(table, ("id", "label", "confidence"))
        return cls(
            long.ids,
            long.rows("label"),
            long.rows("confidence"),
            long.lengths,
            num_classes=num_classes,
        )

    @classmethod
    def from_dict(
        cls, rows: Mapping[str, Mapping[int, float]], *, num_classes: int | None = None
    ) -> Predictions:
        """Return predictions from {id: {label: confidence}}; a row may be empty.

        Raises
        ------
        DataError
            What `Predictions` refuses.

        Examples
        --------
        >>> Predictions.from_dict({"a": {3: 0.25, 1: 0.5}, "b": {}}).labels
        array([[1, 3],
               [0, 0]], dtype=uint16)
        """
        length_N = np.array([len(row) for row in rows.values()], np.int64)
        counted_NK = _checks.counted_entries(length_N, int(length_N.max(initial=0)))
        label_NK = np.zeros(counted_NK.shape, np.int64)
        confidence_NK = np.zeros(counted_NK.shape)
        label_NK[counted_NK] = [label for row in rows.values() for label in row]
        confidence_NK[counted_NK] = [value for row in rows.values() for value in row.values()]
        return cls(list(rows), label_NK, confidence_NK, length_N, num_classes=num_classes)

    def to_dict(self) -> dict[str, dict[int, float]]:
        """Return {id: {label: confidence}}, labels by falling confidence."""
        return {
            id_: dict(zip(labels[:length].tolist(), confidences[:length].tolist(), strict=True))
            for id_, labels, confidences, length in zip(
                self.id_column.to_pylist(), self.labels, self.confidences, self.lengths, strict=True
            )
        }

    def to_arrow(self) -> pa.Table:
        """Return an Arrow table of `id`, `labels`, `confidences`: a list a video."""
        columns = [to_lists(rows, self.lengths) for rows in (self.labels, self.confidences)]
        return pa.table([self.id_column, *columns], names=["id", "labels", "confidences"])

    def to_polars(self) -> pl.DataFrame:
        """Return a polars DataFrame of `id`, `labels`, `confidences`: a list a video."""
        import polars as pl

        return pl.DataFrame(self.to_arrow())

    def to_long(self) -> pa.Table:
        """Return an Arrow table of `id`, `label`, `confidence`: a prediction a row."""
        counted_NK = _checks.counted_entries(self.lengths, self.top_k)
        row_E = np.repeat(np.arange(len(self)), self.lengths)
        return pa.table(
            {
                "id": self.id_column.take(pa.array(row_E)),
                "label": self.labels[counted_NK],
                "confidence": self.confidences[counted_NK],
            }
        )

    def to_dense(self, num_classes: int | None = None) -> NDArray[np.float32]:
        """Return (N, num_classes) float32, 0 where nothing is predicted.

        Parameters
        ----------
        num_classes : int, optional
            The table's by default, or where it does not know it the largest label plus 1.

        Raises
        ------
        DataError
            A label is out of range.

        Examples
        --------
        >>> Predictions(["a"], [[2, 0]], [[0.75, 0.5]]).to_dense(4)
        array([[0.5 , 0.  , 0.75, 0.  ]], dtype=float32)
        """
        k = self.top_k
        counted_NK = _checks.counted_entries(self.lengths, k)
        label_E = self.labels[counted_NK]
        row_E = np.repeat(np.arange(len(self)), self.lengths)
        bound = _checks.check_labels(
            label_E, num_classes or self.num_classes, lambda place: self._place(int(row_E[place]))
        )
        dense_NC = np.zeros((len(self), bound), np.float32)
        dense_NC[row_E, label_E] = self.confidences[counted_NK]
        return dense_NC

    def select(self, ids: Sequence[str] | pa.Array) -> Predictions:
        """Return the rows of the given ids, in their order.

        Raises
        ------
        DataError
            An id is not in the table, or is given twice.

        Examples
        --------
        >>> Predictions(["a", "b"], [[1], [2]], [[0.5], [0.25]]).select(["b"]).labels
        array([[2]], dtype=uint16)
        """
        row_M = find_rows(IdIndex(self.id_column), ids)
        return self._with(self.id_column.take(pa.array(row_M)), row_M)

    def top(self, k: int) -> Predictions:
        """Return the k most confident labels of each row; no copy of the arrays.

        Examples
        --------
        >>> Predictions(["a"], [[3, 1]], [[0.2, 0.9]]).top(1).labels
        array([[1]], dtype=uint16)
        """
        k = _checks.check_top_k(k, "k")
        if k >= self.top_k:
            return self
        return self._with(self.id_column, (slice(None), slice(k)), np.minimum(self.lengths, k))

    def _with(
        self, ids: pa.StringArray, entries: Any, lengths: NDArray[np.int64] | None = None
    ) -> Predictions:
        """A part of the table, which is known to be fine."""
        part = Predictions.__new__(Predictions)
        part.id_column = ids
        part.labels, part.confidences = self.labels[entries], self.confidences[entries]
        part.lengths = self.lengths[entries] if lengths is None else lengths
        part.num_classes, part.provenance = self.num_classes, self.provenance
        return part

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
