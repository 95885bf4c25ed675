"""A learned stacker of two numbers a label: how far the mean's log odds are scaled and moved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gapkit import _checks
from gapkit.ensemble._fitting.calibrate import fit_logistic, log_odds, sigmoid
from gapkit.predictions import Predictions

if TYPE_CHECKING:
    from numpy.typing import NDArray

SHRINKAGE = 10.0
"""Weight of the squared distance of a label's numbers from those of all labels."""

_NUM_ITERATIONS = 12
_LONGEST_STEP = 1.0


@dataclass(frozen=True, kw_only=True)
class Stacker:
    """Maps a mean confidence of label l to sigmoid(scales[l] * log odds + biases[l])."""

    scales: NDArray[np.float64]
    """(C,) 0 or more"""
    biases: NDArray[np.float64]
    """(C,)"""

    def apply(self, averaged: Predictions, top_k: int) -> Predictions:
        """The mapped predictions, cut to the top_k of each row; a confidence of 0 stays 0.

        `averaged` holds every label that a member named, since the map may lift any into the cut.
        """
        counted_NK = _checks.counted_entries(averaged.lengths, averaged.top_k)
        label_NK = np.where(counted_NK, averaged.labels, 0)
        confidence_NK = np.where(counted_NK, averaged.confidences, 0).astype(np.float64)
        known_NK = np.minimum(label_NK, len(self.scales) - 1)
        mapped_NK = self.map(known_NK, confidence_NK)
        mapped = Predictions(
            averaged.id_column,
            averaged.labels,
            mapped_NK.astype(np.float32),
            averaged.lengths,
            num_classes=averaged.num_classes,
        )
        return Predictions(
            mapped.id_column,
            mapped.labels[:, :top_k],
            mapped.confidences[:, :top_k],
            np.minimum(mapped.lengths, top_k),
            num_classes=mapped.num_classes,
            provenance=averaged.provenance,
        )

    def map(
        self, labels: NDArray[np.integer[Any]], confidences: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Mapped confidences, of the same shape."""
        z = self.scales[labels] * log_odds(confidences) + self.biases[labels]
        return np.where(confidences > 0, sigmoid(z), 0.0)


def fit_stacker(
    labels: NDArray[np.integer[Any]],
    confidences: NDArray[np.float64],
    hits: NDArray[np.bool_],
    num_classes: int,
    *,
    shrinkage: float = SHRINKAGE,
) -> Stacker:
    """Logistic regression of each label, held near that of all labels by an L2 penalty.

    A label without predictions gets the numbers of all. Newton's method, all labels at once.
    """
    used = confidences > 0
    label_N, hit_N = labels[used].astype(np.int64), hits[used]
    z_N = log_odds(confidences[used])
    common_scale, common_bias = fit_logistic(z_N, hit_N) if hit_N.any() else (1.0, 0.0)
    scale_C, bias_C = np.full(num_classes, common_scale), np.full(num_classes, common_bias)

    def sums(weight_N: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.bincount(label_N, weight_N, minlength=num_classes).astype(np.float64)

    for _ in range(_NUM_ITERATIONS):
        p_N = sigmoid(scale_C[label_N] * z_N + bias_C[label_N])
        error_N, weight_N = p_N - hit_N, p_N * (1 - p_N)
        scale_slope_C = sums(error_N * z_N) + shrinkage * (scale_C - common_scale)
        bias_slope_C = sums(error_N) + shrinkage * (bias_C - common_bias)
        a_C = sums(weight_N * z_N**2) + shrinkage
        b_C = sums(weight_N * z_N)
        c_C = sums(weight_N) + shrinkage
        determinant_C = a_C * c_C - b_C**2
        scale_step_C = (c_C * scale_slope_C - b_C * bias_slope_C) / determinant_C
        bias_step_C = (a_C * bias_slope_C - b_C * scale_slope_C) / determinant_C
        longest_C = np.maximum(np.maximum(np.abs(scale_step_C), np.abs(bias_step_C)), _LONGEST_STEP)
        scale_C = np.maximum(scale_C - scale_step_C * _LONGEST_STEP / longest_C, 0.0)
        bias_C = bias_C - bias_step_C * _LONGEST_STEP / longest_C
        if max(np.abs(scale_step_C).max(), np.abs(bias_step_C).max()) < 1e-6:
            break
    return Stacker(scales=scale_C, biases=bias_C)
