"""Weighted averages of sparse rows.

Shape letters: N videos, M members, K kept labels of a video in a member, C labels, T kept labels
of the average. The rows of a video lie side by side, so that memory is read from front to back:
with a member after another 36 x 50,000 x 20 took 0.155 s instead of 0.09.
"""

import numba
import numpy as np

from gapkit._kernels._compile import (
    float32,
    float64,
    int64,
    kernel,
    readable,
    uint16,
    uint32,
    writable,
)

MEAN, LOGIT, RANK, RRF, MAX = 0, 1, 2, 3, 4
ALONE, SHARED, LAST = 0, 1, 2
"""Whether a member has its weight for itself, with the next member, or as the last of these."""

EPSILON = 1e-6
"""Log odds are those of confidences in [EPSILON, 1 - EPSILON]."""
RRF_OFFSET = 60.0


@numba.njit(nogil=True)
def _log_odds(confidence):
    clipped = min(max(confidence, EPSILON), 1.0 - EPSILON)
    return np.log(clipped / (1.0 - clipped))


@numba.njit(nogil=True)
def _value(confidence, rank, length, mode):
    """What is averaged, of an entry at a place of its row, from 0."""
    value = np.float64(confidence)
    if mode == LOGIT:
        value = _log_odds(value)
    elif mode == RANK:
        value = 1.0 - rank / length
    elif mode == RRF:
        value = 1.0 / (RRF_OFFSET + 1.0 + rank)
    return value


@numba.njit(nogil=True)
def _finish(value, mode):
    if mode == LOGIT:
        value = 1.0 / (1.0 + np.exp(-value))
    return np.float32(value)


@numba.njit(nogil=True)
def _add_plainly(label_MK, confidence_MK, length_M, weight_M, sum_C, count_C, touched_C):
    """Add confidences times weights; how many labels were touched."""
    num_touched = 0
    for m in range(length_M.size):
        weight = weight_M[m]
        for k in range(length_M[m]):
            label = label_MK[m, k]
            if count_C[label] == 0:
                count_C[label] = 1
                touched_C[num_touched] = label
                num_touched += 1
            sum_C[label] += weight * np.float64(confidence_MK[m, k])
    return num_touched


@numba.njit(nogil=True)
def _add(
    label_MK,
    confidence_MK,
    length_M,
    weight_M,
    group_M,
    mode,
    fills_minimum,
    sum_C,
    count_C,
    touched_C,
    part_C,
):
    """The same in any mode: how many labels were touched, and the value of one in no row.

    A sum holds what lies above that value. Members that share a weight are added before they are
    weighed: of float32 numbers of like size that sum is exact, whatever their order.
    """
    absent = _log_odds(0.0) if mode == LOGIT else 0.0
    num_touched = 0
    base, part = 0.0, 0.0
    for m in range(length_M.size):
        length, weight = length_M[m], weight_M[m]
        floor = absent
        if fills_minimum and length > 0:
            floor = _value(confidence_MK[m, length - 1], length - 1, length, mode)
        part += floor
        if mode == MAX:
            base = floor if m == 0 else max(base, floor)
        elif group_M[m] != SHARED:
            base += weight * part
            part = 0.0
        for k in range(length):
            label = label_MK[m, k]
            value = _value(confidence_MK[m, k], k, length, mode)
            if count_C[label] == 0:
                touched_C[num_touched] = label
                num_touched += 1
            if mode == MAX:
                sum_C[label] = value if count_C[label] == 0 else max(sum_C[label], value)
            elif group_M[m] == ALONE:
                sum_C[label] += weight * (value - floor)
            else:
                part_C[label] += value - floor
            count_C[label] += 1
        if group_M[m] == LAST:
            for t in range(num_touched):
                sum_C[touched_C[t]] += weight * part_C[touched_C[t]]
                part_C[touched_C[t]] = 0.0
    return num_touched, base


@kernel(
    [
        (
            readable(label, 3),
            readable(float32, 3),
            readable(int64, 2),
            readable(float64),
            readable(int64),
            float64,
            int64,
            int64,
            int64,
            writable(label, 2),
            writable(float32, 2),
            writable(int64),
        )
        for label in (uint16, uint32)
    ]
)
def average_rows(
    label_NMK,
    confidence_NMK,
    length_NM,
    weight_M,
    group_M,
    total_weight,
    num_classes,
    mode,
    fills_minimum,
    label_NT,
    confidence_NT,
    length_N,
):
    """Fill the averaged rows, cut to T.

    Sums are float64 and are rounded to float32 before order and cut.
    """
    num_members = length_NM.shape[1]
    top_k = label_NT.shape[1]
    sum_C = np.zeros(num_classes, np.float64)
    part_C = np.zeros(num_classes, np.float64)
    count_C = np.zeros(num_classes, np.int64)
    touched_C = np.empty(num_classes, label_NT.dtype)
    is_plain = mode == MEAN and not fills_minimum and (group_M == ALONE).all()
    for n in range(length_N.size):
        base = 0.0
        if is_plain:
            num_touched = _add_plainly(
                label_NMK[n],
                confidence_NMK[n],
                length_NM[n],
                weight_M,
                sum_C,
                count_C,
                touched_C,
            )
        else:
            num_touched, base = _add(
                label_NMK[n],
                confidence_NMK[n],
                length_NM[n],
                weight_M,
                group_M,
                mode,
                fills_minimum,
                sum_C,
                count_C,
                touched_C,
                part_C,
            )
        kept = 0
        for t in range(num_touched):
            label = touched_C[t]
            value = sum_C[label]
            if mode != MAX:
                value = (base + value) / total_weight
            elif count_C[label] < num_members:
                value = max(base, value)
            confidence = _finish(value, mode)
            sum_C[label] = 0.0
            count_C[label] = 0
            j = min(kept, top_k - 1)
            if kept == top_k and (
                confidence < confidence_NT[n, j]
                or (confidence == confidence_NT[n, j] and label > label_NT[n, j])
            ):
                continue
            while j > 0 and (
                confidence_NT[n, j - 1] < confidence
                or (confidence_NT[n, j - 1] == confidence and label_NT[n, j - 1] > label)
            ):
                label_NT[n, j] = label_NT[n, j - 1]
                confidence_NT[n, j] = confidence_NT[n, j - 1]
                j -= 1
            label_NT[n, j], confidence_NT[n, j] = label, confidence
            kept = min(kept + 1, top_k)
        length_N[n] = kept
