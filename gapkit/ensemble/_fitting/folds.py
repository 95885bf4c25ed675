"""Folds of videos: each is scored by what was fitted to the others."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from numbers import Integral
from typing import TYPE_CHECKING

import numpy as np

from gapkit.errors import DataError, UsageError
from gapkit.predictions import Predictions

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gapkit.predictions import Labels


def assign_folds(labels: Labels, num_folds: int, seed: int) -> NDArray[np.int64]:
    """The fold of each labelled video, (V,): equal in size, by a hash of its id and the seed."""
    if isinstance(seed, bool) or not isinstance(seed, Integral) or seed < 0:
        raise UsageError(f"seed is {seed!r}. It must be a whole number from 0.")
    if isinstance(num_folds, bool) or not isinstance(num_folds, Integral) or num_folds < 2:
        raise UsageError(f"num_folds is {num_folds!r}. It must be a whole number from 2.")
    if num_folds > len(labels):
        raise DataError(f"{num_folds} folds of {len(labels)} labelled videos. Choose fewer.")
    salt = int(seed).to_bytes(16, "little")
    hashes = [
        hashlib.blake2b(str(name).encode(), digest_size=8, salt=salt).digest()
        for name in labels.ids
    ]
    fold_V = np.empty(len(labels), np.int64)
    fold_V[np.argsort(np.array(hashes, "S8"), kind="stable")] = np.arange(len(labels)) % num_folds
    return fold_V


def pick_folds(
    parts: Sequence[Predictions], labels: Labels, fold_V: NDArray[np.int64]
) -> Predictions:
    """Each labelled video's row from the part of its fold; all parts have the same rows."""
    row_N = labels.index.find(parts[0].id_column)
    place_N = np.flatnonzero(row_N >= 0)
    fold_N = fold_V[row_N[place_N]]
    k = max(part.top_k for part in parts)
    label_NK = np.zeros((len(place_N), k), np.uint32)
    confidence_NK = np.zeros((len(place_N), k), np.float32)
    length_N = np.zeros(len(place_N), np.int64)
    for fold, part in enumerate(parts):
        rows_N = fold_N == fold
        label_NK[rows_N, : part.top_k] = part.labels[place_N[rows_N]]
        confidence_NK[rows_N, : part.top_k] = part.confidences[place_N[rows_N]]
        length_N[rows_N] = part.lengths[place_N[rows_N]]
    return Predictions(
        parts[0].id_column.take(place_N),
        label_NK,
        confidence_NK,
        length_N,
        num_classes=parts[0].num_classes,
    )
