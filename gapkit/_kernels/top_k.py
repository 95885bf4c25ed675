"""The top-k cut of dense rows.

The largest of each block of labels come first: what is below the K-th of these can't be among the
K largest, so that all but some twenty blocks of a row are looked at once, many labels at a time.

Shape letters: N videos, C labels, K kept labels, B blocks.
"""

import numba
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

_BLOCK = 32


@numba.njit(nogil=True)
def _count_wrong(row_C, may_be_low):
    low = row_C.dtype.type(-np.inf)
    count = 0
    for c in range(row_C.size):  # over the entries themselves it takes three times as long
        confidence = row_C[c]
        count += (confidence - confidence != 0) and not (may_be_low and confidence == low)
    return count


@numba.njit(nogil=True, fastmath={"nnan", "nsz", "reassoc"})
def _largest(row_C, start, stop):
    """Of a row without NaN: the flags let the compiler take many labels at a time."""
    largest = row_C[start]
    for c in range(start, stop):
        largest = max(largest, row_C[c])
    return largest


@numba.njit(nogil=True)
def _least_kept(row_C, largest_B, best_K):
    """A bound that none of the K largest is below; fills the largest of each block."""
    kept = 0
    for b in range(largest_B.size):
        largest = _largest(row_C, b * _BLOCK, min((b + 1) * _BLOCK, row_C.size))
        largest_B[b] = largest
        j = min(kept, best_K.size - 1)
        if kept == best_K.size and not largest > best_K[j]:
            continue
        while j > 0 and best_K[j - 1] < largest:
            best_K[j] = best_K[j - 1]
            j -= 1
        best_K[j] = largest
        kept = min(kept + 1, best_K.size)
    return best_K[-1] if kept == best_K.size else row_C.dtype.type(-np.inf)


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
    largest_B = np.empty((num_classes + _BLOCK - 1) // _BLOCK, dense_NC.dtype)
    best_K = np.empty(k, dense_NC.dtype)
    for n in range(dense_NC.shape[0]):
        row_C = dense_NC[n]
        if _count_wrong(row_C, may_be_low):
            return n
        least = _least_kept(row_C, largest_B, best_K)
        kept = 0
        for b in range(largest_B.size):
            if largest_B[b] < least:
                continue
            for c in range(b * _BLOCK, min((b + 1) * _BLOCK, num_classes)):
                confidence = row_C[c]
                j = min(kept, k - 1)
                if confidence < least or (kept == k and not confidence > confidence_NK[n, j]):
                    continue
                while j > 0 and confidence_NK[n, j - 1] < confidence:
                    label_NK[n, j] = label_NK[n, j - 1]
                    confidence_NK[n, j] = confidence_NK[n, j - 1]
                    j -= 1
                label_NK[n, j], confidence_NK[n, j] = c, confidence
                kept = min(kept + 1, k)
    return -1
