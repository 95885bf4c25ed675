"""A submission as teacher: its confidences are a part of what a predictor learns.

Shape letters: B videos, N videos of the split, K predictions, C labels.
"""

from __future__ import annotations

import os
import zlib
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from gapkit._ids import IdIndex
from gapkit.errors import DataError
from gapkit.io import read_predictions

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gapkit.data import FrameStore


class Teacher:
    """A submission of the training split, sparse as it is: dense are the rows of a batch alone.

    Its rows are those of the split, in its order; those of other videos are left out.

    Parameters
    ----------
    path : path
        Of the submission, in any format that gapkit reads.
    store : FrameStore
        The training split.

    Raises
    ------
    DataError
        The file can't be read, lacks a video of the split, is of other labels, or holds a
        confidence outside [0, 1].
    """

    def __init__(self, path: str | os.PathLike[str], store: FrameStore) -> None:
        found = read_predictions(path)
        if found.num_classes not in (None, store.num_classes):
            raise DataError(
                f"{path}: num_classes is {found.num_classes}, and {store.num_classes} in "
                f"{store.path}. Predict the split with predictors of its labels."
            )
        row_N = IdIndex(found.id_column).find(store.labels.id_column)
        missing = np.flatnonzero(row_N < 0)
        if len(missing):
            raise DataError(
                f"{path}: lacks {len(missing):,} of the {len(store):,} videos of {store.path}, "
                f"{store.ids[missing[0]]!r} among them. Predict that split: "
                f"gapkit predict RUN --split {store.path.name}"
            )
        self.path = str(path)
        self._index = IdIndex(store.labels.id_column)
        self._label_NK = found.labels[row_N]
        self._confidence_NK = found.confidences[row_N]
        self._is_there_NK = np.arange(found.top_k) < found.lengths[row_N, None]
        self._label_NK[~self._is_there_NK] = 0
        self._confidence_NK[~self._is_there_NK] = 0
        self._check(store)

    def _check(self, store: FrameStore) -> None:
        wrong = np.argwhere(self._label_NK >= store.num_classes)
        if len(wrong):
            row, column = wrong[0]
            raise DataError(
                f"{self.path}: video {store.ids[row]!r}: label {self._label_NK[row, column]} is "
                f"out of range for num_classes={store.num_classes} of {store.path}."
            )
        wrong = np.argwhere((self._confidence_NK < 0) | (self._confidence_NK > 1))
        if len(wrong):
            row, column = wrong[0]
            raise DataError(
                f"{self.path}: video {store.ids[row]!r}: the confidence of label "
                f"{self._label_NK[row, column]} is {self._confidence_NK[row, column]}. A teacher's "
                f"lie in [0, 1]: ensemble by --mode mean."
            )

    @property
    def fingerprint(self) -> str:
        """A checksum of what it says of the split: the same in any format and order of rows."""
        is_there_NK, crc = self._is_there_NK, 0
        for values in (
            is_there_NK.sum(axis=1),
            self._label_NK[is_there_NK].astype(np.uint32),  # formats may know no num_classes
            self._confidence_NK[is_there_NK],
        ):
            crc = zlib.crc32(values.tobytes(), crc)
        return f"{crc:08x}"

    def blend(
        self, ids_B: NDArray[np.object_], true_BC: NDArray[np.bool_], share: float
    ) -> NDArray[np.float32]:
        """Return the target (1 - share) * truth + share * confidence, (B, C) in [0, 1].

        A label outside a row's top k has confidence 0, as in ensembles: the teacher's own is at
        most the least that the row holds, so the target has no step where the row was cut. To
        leave the truth of such labels as it is would teach a label that the teacher finds hardly
        likely as less true than one that it finds less likely still; and a student of share 1
        would learn from labels after all.

        Parameters
        ----------
        ids_B : (B,) str
            Videos of the split.
        true_BC : (B, num_classes) bool
        share : float
            Of the teacher, in [0, 1].

        References
        ----------
        Hinton, Vinyals, Dean, Distilling the Knowledge in a Neural Network, 2015; with one
        sigmoid unit a label in place of a softmax, and no temperature.
        """
        row_B = self._index.find(pa.array(ids_B, pa.string()))
        target_BC = np.multiply(true_BC, 1 - share, dtype=np.float32)
        video_E, column_E = np.nonzero(self._is_there_NK[row_B])
        row_E = row_B[video_E]
        label_E, confidence_E = (
            self._label_NK[row_E, column_E],
            self._confidence_NK[row_E, column_E],
        )
        target_BC[video_E, label_E] += np.float32(share) * confidence_E  # a label once a row
        return np.minimum(target_BC, 1)  # which rounding may exceed
