"""Weights tried out: every label that any member names, laid out once, and sums that move.

An entry is a video and a label that some member names there. A member adds to the entries of its
places alone; the best entries of each video are then found anew.

The entries of a video stand by falling sum over all members. That is near to the order of any mean
of them, so that the first T of a video are mostly its best, and few of the others replace one.

GAP is taken from counts in bins, whose predictions are tied: NUM_BINS of them, 4,096 to each power
of two from 1 down to 2**-16, and what is below in the first. On 36 members of 20,000 videos x 20
that is within 2e-6 of the exact value, where members differ by 1e-4, and one step is tried in 4 to
8 ms instead of 15 to 22 with a sorted ranking.

Shape letters: V videos, N videos of them that count, M members, K labels of a video in a member,
E entries, T kept entries of a video, L entries of one video, B bins.
"""

import numba
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
from gapkit._kernels.ranges import NO_LIMIT
from gapkit._kernels.ties import EXPECTED, tied_sum

NUM_BINS = (1 << 16) + 1

_SHIFT = np.uint64(32 + 11)
_FIRST_BIN = 0x37800000 >> 11  # of 2**-16
_COUNT = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)
_ONE = np.uint64(1)
_LAST_LABEL = (1 << 24) - 1


@kernel(int64(readable(uint32, 3), readable(int64, 2), int64, writable(int64)))
def count_entries(label_MVK, length_MV, num_classes, offset_V):
    """Fill where each video's entries begin, and how many there are; the most of one video."""
    num_members, num_videos = length_MV.shape
    seen_C = np.full(num_classes, -1, np.int64)
    most = 0
    offset_V[0] = 0
    for v in range(num_videos):
        count = 0
        for m in range(num_members):
            for k in range(length_MV[m, v]):
                label = label_MVK[m, v, k]
                count += seen_C[label] != v
                seen_C[label] = v
        offset_V[v + 1] = offset_V[v] + count
        most = max(most, count)
    return most


@kernel(
    (
        writable(uint32, 3),
        readable(float32, 3),
        readable(int64, 2),
        readable(int64),
        readable(int64),
        readable(uint32),
        int64,
        writable(uint32),
        writable(uint32),
    )
)
def lay_out(
    place_MVK,
    value_MVK,
    length_MV,
    offset_V,
    true_offset_V,
    true_P,
    num_classes,
    label_E,
    low_E,
):
    """Fill each entry's label, and put its place in its video for the members' labels.

    low_E is what tells entries of equal sum apart: the smaller label is larger; the lowest bit is
    set for a hit.
    """
    num_members, num_videos = length_MV.shape
    sum_C = np.zeros(num_classes, np.float64)
    place_C = np.full(num_classes, -1, np.int64)
    true_C = np.full(num_classes, -1, np.int64)
    for v in range(num_videos):
        start = offset_V[v]
        count = 0
        for m in range(num_members):
            for k in range(length_MV[m, v]):
                label = place_MVK[m, v, k]
                if place_C[label] < 0:
                    place_C[label] = count
                    label_E[start + count] = label
                    sum_C[label] = 0.0
                    count += 1
                sum_C[label] += value_MVK[m, v, k]
        for p in range(true_offset_V[v], true_offset_V[v + 1]):
            true_C[true_P[p]] = v
        for i in range(1, count):
            label = label_E[start + i]
            j = i
            while j > 0 and sum_C[label_E[start + j - 1]] < sum_C[label]:
                label_E[start + j] = label_E[start + j - 1]
                j -= 1
            label_E[start + j] = label
        for j in range(count):
            label = label_E[start + j]
            place_C[label] = j
            low_E[start + j] = (_LAST_LABEL - label) << 1 | (true_C[label] == v)
        for m in range(num_members):
            for k in range(length_MV[m, v]):
                place_MVK[m, v, k] = place_C[place_MVK[m, v, k]]
        for j in range(count):
            place_C[label_E[start + j]] = -1


@kernel(
    (
        readable(int64),
        readable(int64),
        readable(uint32, 2),
        readable(float32, 2),
        readable(int64),
        float64,
        writable(float64),
    )
)
def move_sums(video_N, offset_V, place_VK, value_VK, length_V, step, sum_E):
    """Add `step` times a member's values to the sums."""
    for v in video_N:
        start = offset_V[v]
        for k in range(length_V[v]):
            sum_E[start + np.int64(place_VK[v, k])] += step * np.float64(value_VK[v, k])


@numba.njit(nogil=True)
def _sum_bins(packed_B):
    """Precision at each hit, summed; a bin holds its predictions, and its hits times 2**32."""
    total = 0.0
    num_above = hits_above = np.int64(0)
    for s in range(packed_B.size):
        packed = packed_B[packed_B.size - 1 - s]
        if packed > 0:
            size, hits = np.int64(packed & _COUNT), np.int64(packed >> _HALF)
            total += tied_sum(num_above, hits_above, size, hits, EXPECTED, NO_LIMIT)
            num_above += size
            hits_above += hits
    return total


@numba.njit(nogil=True)
def _place_of_least(key_T, count):
    at = 0
    for t in range(1, count):
        if key_T[t] < key_T[at]:
            at = t
    return at


@kernel(
    float64(
        readable(int64),
        readable(int64),
        readable(uint32),
        readable(float64),
        readable(float64),
        readable(uint32, 2),
        readable(float32, 2),
        readable(int64),
        readable(float64),
        float64,
        float64,
        int64,
        int64,
    )
)
def try_step(
    video_N,
    offset_V,
    low_E,
    sum_E,
    base_V,
    place_VK,
    value_VK,
    length_V,
    floor_V,
    step,
    scale,
    top_k,
    most,
):
    """Sum of the precision at each hit after a step of one member, by bins.

    `scale` brings the largest sum to 1; `most` is the number of entries that no video passes.
    """
    sum_L = np.empty(most, np.float64)
    mean_L = np.empty(most, np.float32)
    bits_L = mean_L.view(np.uint32)
    key_T = np.empty(top_k, np.uint64)
    packed_B = np.zeros(NUM_BINS, np.uint64)
    for v in video_N:
        start = offset_V[v]
        count = offset_V[v + 1] - start
        base = base_V[v] + step * floor_V[v]
        for j in range(count):
            sum_L[j] = sum_E[start + j] + base
        for k in range(length_V[v]):
            sum_L[np.int64(place_VK[v, k])] += step * np.float64(value_VK[v, k])
        for j in range(count):  # a sum that was taken away again may be just below 0
            mean_L[j] = np.float32(max(sum_L[j] * scale, 0.0))
        kept = min(count, top_k)
        for j in range(kept):
            key_T[j] = np.uint64(bits_L[j]) << _HALF | np.uint64(low_E[start + j])
        if count > kept:
            at = _place_of_least(key_T, kept)
            for j in range(kept, count):
                key = np.uint64(bits_L[j]) << _HALF | np.uint64(low_E[start + j])
                if key > key_T[at]:
                    key_T[at] = key
                    at = _place_of_least(key_T, kept)
        for t in range(kept):
            b = np.int64(key_T[t] >> _SHIFT) - _FIRST_BIN
            b = min(max(b, 0), NUM_BINS - 1)
            packed_B[b] += _ONE + ((key_T[t] & _ONE) << _HALF)
    return _sum_bins(packed_B)


@kernel(
    (
        readable(uint32, 3),
        readable(float32, 3),
        readable(int64, 2),
        int64,
        writable(float64, 3),
    )
)
def add_pairs(place_MVK, value_MVK, length_MV, most, sum_MM6):
    """Add up, for each two members, what both name: how many, a, b, a * a, b * b, a * b."""
    num_members, num_videos = length_MV.shape
    value_L = np.zeros(most, np.float64)
    owner_L = np.full(most, -1, np.int64)
    for v in range(num_videos):
        for m in range(num_members):
            owner = v * num_members + m
            for k in range(length_MV[m, v]):
                place = np.int64(place_MVK[m, v, k])
                value_L[place] = value_MVK[m, v, k]
                owner_L[place] = owner
            for other in range(m, num_members):
                for k in range(length_MV[other, v]):
                    place = np.int64(place_MVK[other, v, k])
                    if owner_L[place] == owner:
                        a, b = value_L[place], np.float64(value_MVK[other, v, k])
                        sum_MM6[m, other, 0] += 1
                        sum_MM6[m, other, 1] += a
                        sum_MM6[m, other, 2] += b
                        sum_MM6[m, other, 3] += a * a
                        sum_MM6[m, other, 4] += b * b
                        sum_MM6[m, other, 5] += a * b
