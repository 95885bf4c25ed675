"""Weighted averages of sparse rows.

Shape letters: M members, N videos, K kept labels of a video in a member, C labels, T kept labels
of the average.
"""

import numpy as np

from gapkit._kernels._compile import (
    float32,
    float64,
    int64,
    kernel,
    readable,
    uint32,
    writable,
)


@kernel(
    int64(
        readable(uint32, 3),
        readable(float32, 3),
        readable(int64, 2),
        readable(float64),
        int64,
        writable(uint32, 2),
        writable(float32, 2),
        writable(int64),
    )
)
def average_rows(
    label_MNK, confidence_MNK, length_MN, weight_M, num_classes, label_NT, confidence_NT, length_N
):
    """Fill the averaged rows, cut to T; a member's length 0 counts as confidence 0 throughout.

    Sums are float64 and are rounded to float32 before order and cut, so that neither depends on
    the order of the members.
    """
    num_members, num_videos = length_MN.shape
    top_k = label_NT.shape[1]
    sum_C = np.zeros(num_classes, np.float64)
    is_touched_C = np.zeros(num_classes, np.bool_)
    touched_C = np.empty(num_classes, np.int64)
    total_weight = weight_M.sum()
    for n in range(num_videos):
        num_touched = 0
        for m in range(num_members):
            for k in range(length_MN[m, n]):
                label = label_MNK[m, n, k]
                if not is_touched_C[label]:
                    is_touched_C[label] = True
                    touched_C[num_touched] = label
                    num_touched += 1
                sum_C[label] += weight_M[m] * np.float64(confidence_MNK[m, n, k])
        kept = 0
        for t in range(num_touched):
            label = touched_C[t]
            confidence = np.float32(sum_C[label] / total_weight)
            sum_C[label] = 0.0
            is_touched_C[label] = False
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
    return num_videos
