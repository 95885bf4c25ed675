"""Rows of a ragged table, checked and laid where another order wants them.

Shape letters: N rows to lay, P their entries, C labels, Q entries of the places.
"""

import numba
import numpy as np

from gapkit._kernels._compile import (
    float32,
    int64,
    kernel,
    readable,
    uint16,
    uint32,
    writable,
)

FINE = -1


@numba.njit(nogil=True)
def _sort_row(label_Q, confidence_Q, start, length):
    """Sort by falling confidence, then rising label; False where a NaN stands."""
    for i in range(start, start + length):
        label, confidence = label_Q[i], confidence_Q[i]
        if np.isnan(confidence):
            return False
        j = i
        while j > start and (
            confidence_Q[j - 1] < confidence
            or (confidence_Q[j - 1] == confidence and label_Q[j - 1] > label)
        ):
            label_Q[j], confidence_Q[j] = label_Q[j - 1], confidence_Q[j - 1]
            j -= 1
        label_Q[j], confidence_Q[j] = label, confidence
    return True


@kernel(
    [
        int64(
            readable(label),
            readable(float32),
            readable(int64),
            readable(int64),
            readable(int64),
            int64,
            int64,
            int64,
            writable(label),
            writable(float32),
            writable(int64),
        )
        for label in (uint16, uint32)
    ]
)
def lay_rows(
    label_P,
    confidence_P,
    begin_N,
    length_N,
    place_N,
    num_classes,
    width,
    is_checked,
    label_Q,
    confidence_Q,
    length_R,
):
    """Lay each row, sorted, at `width` times its place; the first row with a fault, or FINE.

    A fault is a confidence that is not finite, or a label twice in its row. With `is_checked` rows
    are only copied.
    """
    seen_C = np.full(num_classes, -1, np.int32)
    for n in range(begin_N.size):
        begin, start, length = begin_N[n], place_N[n] * width, length_N[n]
        length_R[place_N[n]] = length
        if is_checked or length == 0:
            for k in range(length):
                label_Q[start + k] = label_P[begin + k]
                confidence_Q[start + k] = confidence_P[begin + k]
            continue
        is_sorted, is_twice = True, False
        label_before, before = label_P[begin], confidence_P[begin]
        label_Q[start], confidence_Q[start] = label_before, before
        seen_C[label_before] = n
        for k in range(1, length):
            label, confidence = label_P[begin + k], confidence_P[begin + k]
            is_sorted &= (before > confidence) | (
                (before == confidence) & (label_before < label)
            )  # False beside a NaN
            is_twice |= seen_C[label] == n
            seen_C[label] = n
            label_Q[start + k], confidence_Q[start + k] = label, confidence
            label_before, before = label, confidence
        if not is_sorted and not _sort_row(label_Q, confidence_Q, start, length):
            return n
        first, last = confidence_Q[start], confidence_Q[start + length - 1]
        if is_twice or not (np.isfinite(first) and np.isfinite(last)):
            return n
    return FINE
