"""Rows of a sparse top-k table: checked, put in order, joined with the truth.

Shape letters: N videos, K kept labels of a video, C labels, P true labels of all videos.
"""

import numpy as np

from gapkit._kernels._compile import (
    boolean,
    float32,
    int64,
    kernel,
    readable,
    uint16,
    uint32,
    writable,
)

FINE, NOT_FINITE, TWICE = 0, 1, 2


@kernel(
    [
        boolean(readable(label, 2), readable(float32, 2), readable(int64), int64, writable(int64))
        for label in (uint16, uint32)
    ]
)
def check_rows(label_NK, confidence_NK, length_N, num_classes, fault):
    """Whether all rows stand by falling confidence, then rising label.

    The first fault is left in `fault`: its kind, row and column.
    """
    is_sorted = True
    seen_C = np.full(num_classes, -1, np.int64)
    for n in range(length_N.size):
        for k in range(length_N[n]):
            label, confidence = label_NK[n, k], confidence_NK[n, k]
            kind = FINE
            if not np.isfinite(confidence):
                kind = NOT_FINITE
            elif seen_C[label] == n:
                kind = TWICE
            if kind != FINE:
                fault[0], fault[1], fault[2] = kind, n, k
                return is_sorted
            seen_C[label] = n
            if k > 0:
                before = confidence_NK[n, k - 1]
                is_sorted &= before > confidence or (
                    before == confidence and label_NK[n, k - 1] < label
                )
    return is_sorted


@kernel([(writable(label, 2), writable(float32, 2), readable(int64)) for label in (uint16, uint32)])
def sort_rows(label_NK, confidence_NK, length_N):
    """Sort each row in place by falling confidence, then rising label."""
    for n in range(length_N.size):
        for k in range(1, length_N[n]):
            label, confidence = label_NK[n, k], confidence_NK[n, k]
            j = k
            while j > 0 and (
                confidence_NK[n, j - 1] < confidence
                or (confidence_NK[n, j - 1] == confidence and label_NK[n, j - 1] > label)
            ):
                label_NK[n, j] = label_NK[n, j - 1]
                confidence_NK[n, j] = confidence_NK[n, j - 1]
                j -= 1
            label_NK[n, j], confidence_NK[n, j] = label, confidence


@kernel(int64(readable(int64), readable(uint32), int64))
def first_label_twice(offset, true_P, num_classes):
    """The first true label that stands twice in its row, by its place; or -1."""
    seen_C = np.full(num_classes, -1, np.int64)
    for n in range(offset.size - 1):
        for p in range(offset[n], offset[n + 1]):
            if seen_C[true_P[p]] == n:
                return p
            seen_C[true_P[p]] = n
    return -1


@kernel(
    [
        (
            readable(label, 2),
            readable(int64),
            readable(int64),
            readable(int64),
            readable(uint32),
            writable(boolean, 2),
        )
        for label in (uint16, uint32)
    ]
)
def mark_hits(label_NK, length_N, truth_N, offset, true_P, hit_NK):
    """Mark what stands in each row's truth; truth_N is its place there, -1 for none."""
    for n in range(length_N.size):
        if truth_N[n] < 0:
            continue
        length = length_N[n]
        for p in range(offset[truth_N[n]], offset[truth_N[n] + 1]):
            true = true_P[p]
            for k in range(length):  # many labels at a time
                hit_NK[n, k] |= label_NK[n, k] == true
