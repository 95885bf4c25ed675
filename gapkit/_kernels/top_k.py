"""The top-k cut of dense rows.

Shape letters: N videos, C labels, K kept labels.
"""

import numpy as np

from gapkit._kernels._compile import (
    boolean,
    float32,
    float64,
    int64,
    kernel,
    readable,
    uint32,
    writable,
)

_BLOCK = 64  # labels that are compared with the smallest kept confidence at once


@kernel(
    [
        int64(readable(dtype, 2), boolean, writable(uint32, 2), writable(dtype, 2))
        for dtype in (float32, float64)
    ]
)
def top_k(dense_NC, may_be_low, label_NK, confidence_NK):
    """Fill the K largest of each row, equal ones by rising label.

    The first row that is not finite throughout, or -1; -inf passes where it `may_be_low`.
    """
    num_classes, k = dense_NC.shape[1], label_NK.shape[1]
    low = dense_NC.dtype.type(-np.inf)
    for n in range(dense_NC.shape[0]):
        kept = 0
        for start in range(0, num_classes, _BLOCK):
            stop = min(start + _BLOCK, num_classes)
            num_wrong = num_above = 0
            smallest = confidence_NK[n, k - 1] if kept == k else low
            for c in range(start, stop):  # two sums: the compiler takes many labels at a time
                confidence = dense_NC[n, c]
                is_low = may_be_low and confidence == low
                num_wrong += confidence - confidence != 0 and not is_low
                num_above += confidence > smallest
            if num_wrong:
                return n
            if kept == k and num_above == 0:
                continue
            for c in range(start, stop):
                confidence = dense_NC[n, c]
                if kept == k and not confidence > confidence_NK[n, k - 1]:
                    continue
                j = min(kept, k - 1)
                while j > 0 and confidence_NK[n, j - 1] < confidence:
                    label_NK[n, j] = label_NK[n, j - 1]
                    confidence_NK[n, j] = confidence_NK[n, j - 1]
                    j -= 1
                label_NK[n, j], confidence_NK[n, j] = c, confidence
                kept = min(kept + 1, k)
    return -1
