"""The top-k cut of dense rows.

Shape letters: N videos, C labels, K kept labels.
"""

import numpy as np

from gapkit._kernels._compile import float32, float64, int64, kernel, readable, uint32, writable


@kernel(
    [
        int64(readable(dtype, 2), writable(uint32, 2), writable(dtype, 2))
        for dtype in (float32, float64)
    ]
)
def top_k(dense_NC, label_NK, confidence_NK):
    """Fill the K largest of each row, equal ones by rising label.

    The first row that is not finite throughout, or -1.
    """
    num_classes, k = dense_NC.shape[1], label_NK.shape[1]
    for n in range(dense_NC.shape[0]):
        kept = 0
        is_finite = True
        for c in range(num_classes):
            confidence = dense_NC[n, c]
            is_finite &= np.isfinite(confidence)
            if kept == k and not confidence > confidence_NK[n, k - 1]:
                continue
            j = min(kept, k - 1)
            while j > 0 and confidence_NK[n, j - 1] < confidence:
                label_NK[n, j] = label_NK[n, j - 1]
                confidence_NK[n, j] = confidence_NK[n, j - 1]
                j -= 1
            label_NK[n, j], confidence_NK[n, j] = c, confidence
            kept = min(kept + 1, k)
        if not is_finite:
            return n
    return -1
