"""Confidences of a member as probabilities: a rising map, fitted on a holdout.

GAP pools all videos, so it matters whether 0.7 means the same in each member before they are
averaged. A map is piecewise linear and is kept by its knots; what a member lacks stays at 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from gapkit.errors import DataError, UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gapkit.ensemble._weights import Knots

CALIBRATIONS = ("temperature", "isotonic")

_EPSILON = 1e-6  # log odds are those of confidences in [_EPSILON, 1 - _EPSILON]
_NUM_KNOTS = 129  # of a curve: between them it is off by 1e-3 of the value at most
_LEAST_GROUP, _MAX_GROUPS = (
    20,
    2_000,
)  # neighbours that are averaged before isotonic steps are sought
_RIDGE = 1e-3  # holds a scale in place where hits and misses are told apart without a fault


def check_calibration(name: str | None) -> str | None:
    """None or one of CALIBRATIONS."""
    if name is not None and name not in CALIBRATIONS:
        raise UsageError(f"calibrate is {name!r}. It must be None, {' or '.join(CALIBRATIONS)}.")
    return name


def fit_calibration(
    confidences: NDArray[np.float32], hits: NDArray[np.bool_], kind: str, name: str
) -> Knots:
    """The map from a member's confidences to the share of hits among such."""
    wrong = np.flatnonzero((confidences < 0) | (confidences > 1))
    if wrong.size:
        raise DataError(
            f"{name}: a confidence is {confidences[wrong[0]]:g}. Only confidences from 0 to 1 can "
            f"be calibrated."
        )
    if len(hits) == 0 or not hits.any():
        return ((0.0, 0.0), (1.0, 1.0))
    knot_N2 = (_temperature if kind == "temperature" else _isotonic)(
        confidences.astype(np.float64), hits
    )
    return tuple((float(x), float(y)) for x, y in knot_N2)


def log_odds(confidence_N: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of confidences clipped to [1e-6, 1 - 1e-6]."""
    clipped_N = np.clip(confidence_N, _EPSILON, 1 - _EPSILON)
    return np.asarray(np.log(clipped_N / (1 - clipped_N)), np.float64)


def sigmoid(z_N: NDArray[np.float64]) -> NDArray[np.float64]:
    """The inverse of the log odds."""
    return np.asarray(1 / (1 + np.exp(-np.clip(z_N, -500, 500))), np.float64)


def fit_logistic(z_N: NDArray[np.float64], hits: NDArray[np.bool_]) -> tuple[float, float]:
    """Scale and bias of log odds by Newton's method; the scale is not below 0."""
    scale, bias = 1.0, 0.0
    for _ in range(50):
        p_N = sigmoid(scale * z_N + bias)
        error_N, weight_N = p_N - hits, p_N * (1 - p_N)
        gradient = np.array([error_N @ z_N + _RIDGE * (scale - 1), error_N.sum() + _RIDGE * bias])
        cross = weight_N @ z_N
        hessian = np.array([[weight_N @ z_N**2, cross], [cross, weight_N.sum()]])
        step = np.linalg.solve(hessian + _RIDGE * np.eye(2), gradient)
        step /= max(1.0, float(np.abs(step).max()) / 2)  # far out the curve is flat
        scale, bias = scale - float(step[0]), bias - float(step[1])
        if np.abs(step).max() < 1e-8:
            break
    return max(scale, 0.0), bias


def _temperature(confidence_N: NDArray[np.float64], hits: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The logistic curve of scaled and moved log odds, by points."""
    scale, bias = fit_logistic(log_odds(confidence_N), hits)
    limit = float(log_odds(np.ones(1))[0])
    x_K = sigmoid(np.linspace(-limit, limit, _NUM_KNOTS))
    y_K = sigmoid(scale * log_odds(x_K) + bias)
    return np.concatenate([[[0.0, 0.0]], np.column_stack([x_K, y_K]), [[1.0, float(y_K[-1])]]])


def _isotonic(confidence_N: NDArray[np.float64], hits: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Lines between the centres of the steps of least squares, so that few become equal."""
    order_N = np.argsort(confidence_N, kind="stable")
    x_N, y_N = confidence_N[order_N], hits[order_N].astype(np.float64)
    start_G = np.arange(0, len(x_N), max(_LEAST_GROUP, -(-len(x_N) // _MAX_GROUPS)))
    size_G = np.diff(start_G, append=len(x_N))
    total_x_G, total_y_G = np.add.reduceat(x_N, start_G), np.add.reduceat(y_N, start_G)
    sums: list[tuple[float, float, float]] = []  # of x, of y, size
    for x, y, size in zip(total_x_G, total_y_G, size_G, strict=True):
        sums.append((float(x), float(y), float(size)))
        while len(sums) > 1 and sums[-2][1] * sums[-1][2] >= sums[-1][1] * sums[-2][2]:
            right, left = sums.pop(), sums.pop()
            sums.append((left[0] + right[0], left[1] + right[1], left[2] + right[2]))
    step_S3 = np.array(sums)
    x_S, y_S = step_S3[:, 0] / step_S3[:, 2], step_S3[:, 1] / step_S3[:, 2]
    inside_S = (x_S > 0) & (x_S < 1) & np.append(np.diff(x_S) > 0, True)
    top = max(float(y_S[-1]), float(y_S[inside_S].max(initial=0.0)))
    return np.concatenate(
        [[[0.0, 0.0]], np.column_stack([x_S[inside_S], y_S[inside_S]]), [[1.0, top]]]
    )


def fit_members(
    members: Sequence[tuple[NDArray[np.float32], NDArray[np.bool_]]],
    kind: str,
    names: Sequence[str],
) -> tuple[Knots, ...]:
    """A map a member, from its confidences and hits."""
    return tuple(
        fit_calibration(confidences, hits, kind, name)
        for (confidences, hits), name in zip(members, names, strict=True)
    )
