"""The true labels of each video."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from gapkit import _checks, _dense
from gapkit.errors import DataError
from gapkit.predictions._rows import LongTable, find_rows

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import ArrayLike, NDArray


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

    @classmethod
    def from_long(
        cls,
        table: Any,
        *,
        num_classes: int | None = None,
        label_names: Sequence[str] | None = None,
    ) -> Labels:
        """Return labels from a table of one true label a row: `id`, `label`.

        Videos stand in the order in which the table first names them; one without labels can't be
        told.

        Parameters
        ----------
        table : polars or pandas DataFrame, Arrow table, or anything with `__arrow_c_stream__`
            Rows in any order.
        num_classes, label_names
            As of `Labels`.

        Raises
        ------
        DataError
            A column or a value is missing, or what `Labels` refuses.

        Examples
        --------
        >>> Labels.from_long(pa.table({"id": ["a", "b", "a"], "label": [3, 0, 1]})).to_dict()
        {'a': [3, 1], 'b': [0]}
        """
        long = LongTable(table, ("id", "label"))
        return cls(long.ids, long.lists("label"), num_classes=num_classes, label_names=label_names)

    @classmethod
    def from_dict(
        cls,
        rows: Mapping[str, Iterable[int]],
        *,
        num_classes: int | None = None,
        label_names: Sequence[str] | None = None,
    ) -> Labels:
        """Return labels from {id: labels}.

        Raises
        ------
        DataError
            What `Labels` refuses.

        Examples
        --------
        >>> Labels.from_dict({"a": {3}, "b": []})
        Labels(num_videos=2, num_positives=1, num_classes=None)
        """
        lists = [list(row) for row in rows.values()]
        return cls(list(rows), lists, num_classes=num_classes, label_names=label_names)

    @classmethod
    def concat(cls, parts: Sequence[Labels]) -> Labels:
        """Return the rows of all parts, one part after another; at least one part.

        Raises
        ------
        DataError
            No parts, an id that stands in two of them, or parts of different num_classes or names.
        """
        if not parts:
            raise DataError("no parts to put together. Give at least one.")
        known = {part.num_classes for part in parts}
        if len(known) > 1 or any(part.label_names != parts[0].label_names for part in parts):
            raise DataError(
                f"parts of num_classes {', '.join(map(str, known))} or of other label names do "
                f"not go together."
            )
        lengths = np.concatenate([np.diff(part.offsets) for part in parts])
        values = np.concatenate([part.values for part in parts])
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        return cls(
            pa.concat_arrays([part.id_column for part in parts]),
            pa.LargeListArray.from_arrays(offsets, values),
            num_classes=parts[0].num_classes,
            label_names=parts[0].label_names,
        )

    def to_dict(self) -> dict[str, list[int]]:
        """Return {id: labels}."""
        return {
            id_: row.tolist()
            for id_, row in zip(self.id_column.to_pylist(), self.labels, strict=True)
        }

    def to_arrow(self) -> pa.Table:
        """Return an Arrow table of `id` and `labels`: a list a video."""
        dtype = _checks.label_dtype(self.num_classes or 2**24)
        lists = pa.ListArray.from_arrays(
            self.offsets.astype(np.int32), pa.array(self.values.astype(dtype, copy=False))
        )
        return pa.table({"id": self.id_column, "labels": lists})

    def to_polars(self) -> pl.DataFrame:
        """Return a polars DataFrame of `id` and `labels`: a list a video."""
        import polars as pl

        return pl.DataFrame(self.to_arrow())

    def to_dense(self, num_classes: int | None = None) -> NDArray[np.bool_]:
        """Return (N, num_classes) bool.

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
        >>> Labels(["a"], [[2, 0]]).to_dense()
        array([[ True, False,  True]])
        """
        bound = _checks.check_labels(self.values, num_classes or self.num_classes, self._place_of)
        true_NC = np.zeros((len(self), bound), np.bool_)
        true_NC[np.repeat(np.arange(len(self)), np.diff(self.offsets)), self.values] = True
        return true_NC

    def select(self, ids: Sequence[str] | pa.Array) -> Labels:
        """Return the rows of the given ids, in their order.

        Raises
        ------
        DataError
            An id is not in the table, or is given twice.

        Examples
        --------
        >>> Labels(["a", "b"], [[1], [2]]).select(["b"]).labels
        [array([2], dtype=uint32)]
        """
        return self.take(find_rows(self.index, ids))

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
