"""How probable it is that a true label is marked: propensities."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gapkit import _dense
from gapkit.errors import DataError, UsageError
from gapkit.predictions import Labels

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

_LEAST = 1e-200  # sums of weights, 1 / propensity, stay finite


def label_propensities(
    labels: Labels | ArrayLike, *, a: float = 0.55, b: float = 1.5
) -> NDArray[np.float64]:
    """Return how probable it is that each label is marked where it is true.

    1 / (1 + c * exp(-a * log(N_l + b))) with c = (log(N) - 1) * (b + 1)**a, for N videos of which
    N_l have the label; 1.0 throughout where N is so small that c is negative.

    Parameters
    ----------
    labels : Labels, or (N, num_classes) array of bool or 0/1
    a, b : float
        Of the data set: a at least 0, b above 0. The paper's 0.55 and 1.5 are for unknown ones; it
        fitted 0.5 and 0.4 to Wikipedia, 0.6 and 2.6 to Amazon.

    Returns
    -------
    (num_classes,) float64
        In (0, 1], rising with the label's frequency. Where num_classes is not known it is the
        largest true label plus 1. Without videos all 1.0.

    Raises
    ------
    DataError
        Labels are neither a table nor a dense array of bool or 0/1.
    UsageError
        a or b is out of range.

    References
    ----------
    Jain, Prabhu and Varma, Extreme Multi-label Loss Functions for Recommendation, Tagging, Ranking
    and Other Missing Label Applications, 2016: its equation 2.

    Examples
    --------
    >>> label_propensities([[1, 0]] * 40 + [[1, 1]] * 10).round(3)
    array([0.645, 0.443])
    """
    if not (np.isfinite(a) and a >= 0):
        raise UsageError(f"a is {a}. It must be a finite number of at least 0.")
    if not (np.isfinite(b) and b > 0):
        raise UsageError(f"b is {b}. It must be a finite number above 0.")
    if isinstance(labels, Labels):
        positives_C = np.bincount(labels.values, minlength=labels.num_classes or 0)
        return estimate_propensities(positives_C, len(labels), a, b)
    true_NC = _dense.check_truth(_dense.as_dense(labels, "labels"), "labels")
    return estimate_propensities(np.count_nonzero(true_NC, axis=0), len(true_NC), a, b)


def estimate_propensities(
    positives_C: NDArray[np.int64], num_videos: int, a: float = 0.55, b: float = 1.5
) -> NDArray[np.float64]:
    """The same from counts: the videos that have each label, and all of them."""
    c = max(np.log(max(num_videos, 1)) - 1, 0.0) * (b + 1) ** a
    propensity_C: NDArray[np.float64] = 1 / (1 + c * np.exp(-a * np.log(positives_C + b)))
    return propensity_C


def check_propensities(propensities: ArrayLike) -> NDArray[np.float64]:
    """A copy of the propensities, each above 0 and at most 1."""
    given = _dense.as_array(propensities, "propensities")
    if given.ndim != 1 or given.dtype.kind not in "iuf":
        raise DataError(
            f"propensities of shape {given.shape} and type {given.dtype} do not fit. "
            f"Give one number a label."
        )
    propensity_C = given.astype(np.float64)
    wrong = np.flatnonzero(~((propensity_C >= _LEAST) & (propensity_C <= 1)))
    if wrong.size:
        raise DataError(
            f"the propensity of label {wrong[0]} is {propensity_C[wrong[0]]}. "
            f"Propensities must be from {_LEAST} to 1."
        )
    return propensity_C
