"""Sums of precision at the hits of a ranking, by ranges of confidence.

A prediction is one uint32 key: a value ordered like its confidence, shifted left by one, with the
hit in the lowest bit. The scheme is DESIGN.md's: count predictions and hits by the top bits of
the key, take running sums as offsets, sort and sum each range alone, add the parts from the
highest range down.

Shape letters: N predictions, or N videos by K kept labels; C labels; R ranges.
"""

import numba
import numpy as np

from gapkit._kernels._compile import float32, float64, int64, kernel, readable, uint32, writable

EXPECTED, OPTIMISTIC, PESSIMISTIC = 0, 1, 2
RANGE_BITS = 11

_BITS_OF_ONE = np.uint32(0x3F800000)


@kernel(int64(readable(float32), readable(numba.boolean), writable(uint32)))
def unit_keys(confidence_N, hit_N, key_N):
    """Fill key_N; the first index whose confidence is not in [0, 1], or -1."""
    bits_N = confidence_N.view(np.uint32)
    for i in range(confidence_N.size):
        bits = bits_N[i]
        if bits == np.uint32(0x80000000):  # -0.0 ranks as 0.0
            bits = np.uint32(0)
        if bits > _BITS_OF_ONE:
            return i
        key_N[i] = (bits << np.uint32(1)) | np.uint32(hit_N[i])
    return -1


@numba.njit(inline="always")
def _tied_sum(num_above, hits_above, size, hits, ties):
    """Precision at the hits of `size` tied predictions, summed; `hits` of them are true."""
    total = 0.0
    if hits == 0:
        return total
    if size == 1:
        return (hits_above + 1) / (num_above + 1)
    if ties == EXPECTED:
        step = (hits - 1) / (size - 1)
        for j in range(size):
            total += (hits_above + 1 + j * step) / (num_above + 1 + j)
        return total * hits / size
    first = num_above + (0 if ties == OPTIMISTIC else size - hits)
    for j in range(hits):
        total += (hits_above + 1 + j) / (first + 1 + j)
    return total


@numba.njit(nogil=True)
def _sum_sorted(key_N, start, stop, num_above, hits_above, ties):
    """Precision at the hits of key_N[start:stop], sorted upwards, read from the top."""
    total = 0.0
    i = stop
    while i > start:
        value = key_N[i - 1] >> np.uint32(1)
        j = i
        hits = 0
        while j > start and key_N[j - 1] >> np.uint32(1) == value:
            hits += key_N[j - 1] & np.uint32(1)
            j -= 1
        total += _tied_sum(num_above, hits_above, i - j, hits, ties)
        num_above += i - j
        hits_above += hits
        i = j
    return total


@kernel(float64(readable(uint32), int64))
def precision_sum(key_N, ties):
    """Sum of the precision at each hit of the pooled ranking."""
    highest = np.uint32(0)
    for key in key_N:
        highest = max(highest, key)
    shift = np.uint32(0)
    while highest >> shift >= np.uint32(1 << RANGE_BITS):
        shift += np.uint32(1)
    shift = max(shift, np.uint32(1))  # the hit's bit never tells ranges apart

    num_ranges = np.int64(highest >> shift) + 1
    stop_R = np.zeros(num_ranges, np.int64)
    hits_R = np.zeros(num_ranges, np.int64)
    for key in key_N:
        stop_R[key >> shift] += 1
        hits_R[key >> shift] += key & np.uint32(1)
    for r in range(1, num_ranges):
        stop_R[r] += stop_R[r - 1]

    ranged_N = np.empty(key_N.size, np.uint32)
    start_R = stop_R.copy()
    for key in key_N:
        start_R[key >> shift] -= 1
        ranged_N[start_R[key >> shift]] = key

    total = 0.0
    hits_above = np.int64(0)
    for r in range(num_ranges - 1, -1, -1):
        if hits_R[r] > 0:  # a range of misses needs counting only
            ranged_N[start_R[r] : stop_R[r]].sort()
            num_above = key_N.size - stop_R[r]
            total += _sum_sorted(ranged_N, start_R[r], stop_R[r], num_above, hits_above, ties)
        hits_above += hits_R[r]
    return total


@kernel(writable(float64)(readable(uint32), readable(uint32), int64, int64))
def precision_sum_by_label(key_N, label_N, num_classes, ties):
    """Sum of the precision at each hit, each label's predictions ranked apart: (C,)."""
    stop_C = np.zeros(num_classes, np.int64)
    hits_C = np.zeros(num_classes, np.int64)
    for i in range(key_N.size):
        stop_C[label_N[i]] += 1
        hits_C[label_N[i]] += key_N[i] & np.uint32(1)
    for c in range(1, num_classes):
        stop_C[c] += stop_C[c - 1]
    grouped_N = np.empty(key_N.size, np.uint32)
    start_C = stop_C.copy()
    for i in range(key_N.size):
        start_C[label_N[i]] -= 1
        grouped_N[start_C[label_N[i]]] = key_N[i]
    total_C = np.zeros(num_classes, np.float64)
    for c in range(num_classes):
        if hits_C[c] > 0:
            grouped_N[start_C[c] : stop_C[c]].sort()
            total_C[c] = _sum_sorted(grouped_N, start_C[c], stop_C[c], 0, 0, ties)
    return total_C
