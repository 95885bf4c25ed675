"""Rows of a sparse top-k table: put in order, checked, joined with the truth.

Shape letters: N videos, K kept labels of a video, C labels, P true labels of all videos.
"""

import numpy as np

from gapkit._kernels._compile import (
    boolean,
    float32,
    int64,
    kernel,
    readable,
    uint32,
    writable,
)

FINE, NOT_FINITE, TWICE = 0, 1, 2


@kernel(boolean(writable(uint32, 2), writable(float32, 2), readable(int64), int64, writable(int64)))
def settle_rows(label_NK, confidence_NK, length_N, num_classes, fault):
    """Sort each row in place by falling confidence, then rising label; whether any moved.

    The first fault is left in `fault`: its kind, row and column (a row's columns as given).
    """
    num_rows = length_N.size
    changed = False
    seen_C = np.full(num_classes, -1, np.int64)
    for n in range(num_rows):
        length = length_N[n]
        for k in range(length):
            label = label_NK[n, k]
            kind = FINE
            if not np.isfinite(confidence_NK[n, k]):
                kind = NOT_FINITE
            elif seen_C[label] == n:
                kind = TWICE
            if kind != FINE:
                fault[0], fault[1], fault[2] = kind, n, k
                return changed
            seen_C[label] = n
        for k in range(1, length):
            label, confidence = label_NK[n, k], confidence_NK[n, k]
            j = k
            while j > 0 and (
                confidence_NK[n, j - 1] < confidence
                or (confidence_NK[n, j - 1] == confidence and label_NK[n, j - 1] > label)
            ):
                label_NK[n, j] = label_NK[n, j - 1]
                confidence_NK[n, j] = confidence_NK[n, j - 1]
                j -= 1
            if j != k:
                label_NK[n, j], confidence_NK[n, j] = label, confidence
                changed = True
    return changed


@kernel(
    (
        readable(uint32, 2),
        readable(int64),
        readable(int64),
        readable(int64),
        readable(uint32),
        writable(boolean, 2),
    )
)
def mark_hits(label_NK, length_N, truth_N, offset, true_P, hit_NK):
    """Mark what stands in each row's truth; truth_N is its place there, -1 for none."""
    for n in range(length_N.size):
        if truth_N[n] < 0:
            continue
        for k in range(length_N[n]):
            for p in range(offset[truth_N[n]], offset[truth_N[n] + 1]):
                if true_P[p] == label_NK[n, k]:
                    hit_NK[n, k] = True
