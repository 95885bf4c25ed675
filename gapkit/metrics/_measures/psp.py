"""Precision within each video, weighted by how rarely a label is marked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gapkit.metrics._measures.video_mean import video_mean

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from gapkit.predictions import Labels, Predictions


def psp_at_k(
    predictions: Predictions | ArrayLike,
    labels: Labels | ArrayLike,
    k: int = 5,
    *,
    propensities: ArrayLike | None = None,
    rated: Labels | ArrayLike | None = None,
) -> float:
    """Return the propensity-scored precision of the first k, normalised by the best possible.

    A hit is worth 1 / propensity, so that rare labels weigh more. The sum over the hits of all
    videos is divided by that of the k true labels of smallest propensity of each.

    Parameters
    ----------
    predictions : Predictions, or (N, num_classes) array of float
        Equal confidences of one video stand by rising label.
    labels : Labels, or (N, num_classes) array of bool or 0/1
        Every row counts, predicted or not.
    k : int
        Most confident labels of each video that count, at least 1.
    propensities : (num_classes,) array of float, optional
        From 1e-200 to 1; `label_propensities` of these labels by default.
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
        As the other metrics do; or a propensity is out of range, or a true label has none.
    UsageError
        k is below 1 or not a whole number.

    References
    ----------
    Jain, Prabhu and Varma, Extreme Multi-label Loss Functions for Recommendation, Tagging, Ranking
    and Other Missing Label Applications, 2016.

    Examples
    --------
    >>> psp_at_k([[0.9, 0.1], [0.6, 0.8]], [[1, 0], [1, 0]], k=1, propensities=[0.5, 1.0])
    0.5
    """
    return video_mean("psp_at_k", predictions, labels, rated, k=k, propensities=propensities)
