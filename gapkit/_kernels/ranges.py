"""The one scheme of every pooled ranking: count, plan ranges, sum each range alone.

A prediction is a value, an unsigned integer ordered like its confidence, and whether it is a hit.
A bin is what shares the 16 top bits of a value; a range is a run of consecutive bins. A range that
knows how many predictions and hits lie above it needs nothing else, and its part of the sum depends
on the set of its predictions alone: not on their order, nor on threads, nor on where they lay.

In a range a prediction is one key, the value shifted left by one, the hit in the lowest bit. The
bit that falls off is the same throughout: no range holds values of both halves.

Shape letters: N predictions, B bins, R ranges, T tallies.
"""

import numba
import numpy as np

from gapkit._kernels._compile import (
    boolean,
    float64,
    int64,
    kernel,
    readable,
    uint32,
    uint64,
    writable,
)
from gapkit._kernels.ties import tied_sum

NUM_BINS = 1 << 16
NO_LIMIT = np.iinfo(np.int64).max
FEW = 1 << 15  # so few are one range a half

_MAX_TALLIES = 1 << 16  # 512 KB, a core's second cache
_ONE_HIT = np.uint64(1) << np.uint64(32)
_COUNT = _ONE_HIT - np.uint64(1)
_SPREAD = np.uint64(1) << np.uint64(63)
_ONE = np.uint64(1)


@kernel(
    [
        (readable(value), readable(boolean), writable(uint64), writable(int64))
        for value in (uint32, uint64)
    ]
)
def count_bins(value_N, hit_N, packed_B, bound):
    """Add each prediction to its bin: 1, and 2**32 for a hit; for fewer than 2**32 of them.

    `bound`, the first bin that is taken and the first behind the last, is widened.
    """
    hit_byte_N = hit_N.view(np.uint8)
    shift = np.uint64(8 * value_N.itemsize - 16)
    lowest = highest = value_N[0]
    for i in range(value_N.size):
        value = value_N[i]
        lowest = min(lowest, value)
        highest = max(highest, value)
        packed_B[np.uint64(value) >> shift] += _ONE + (np.uint64(hit_byte_N[i]) << np.uint64(32))
    bound[0] = min(bound[0], np.int64(np.uint64(lowest) >> shift))
    bound[1] = max(bound[1], np.int64(np.uint64(highest) >> shift) + 1)


@kernel(
    int64(
        readable(uint64, 2),
        int64,
        int64,
        int64,
        writable(uint32),
        writable(int64, 2),
        writable(int64),
    )
)
def plan_ranges(packed_PB, begin, end, target, range_B, size_PR, hits_R):
    """Cut the bins begin to end into ranges of at most `target` predictions, or of a single bin.

    packed_PB holds each part's bins, as `count_bins` leaves them. Fills each bin's range, and how
    many predictions of each part and how many hits lie in each range; how many ranges. The halves
    of the bins share none.
    """
    num_parts = packed_PB.shape[0]
    r = 0
    size = 0
    for b in range(begin, end):
        more = np.uint64(0)
        for p in range(num_parts):
            more += packed_PB[p, b] & _COUNT
        if size > 0 and (b == NUM_BINS // 2 or size + np.int64(more) > target):
            r += 1
            size = 0
        size += np.int64(more)
        range_B[b] = r
        for p in range(num_parts):
            size_PR[p, r] += np.int64(packed_PB[p, b] & _COUNT)
            hits_R[r] += np.int64(packed_PB[p, b] >> np.uint64(32))
    return r + 1


@kernel(
    [
        (readable(value), readable(boolean), readable(uint32), writable(int64), writable(value))
        for value in (uint32, uint64)
    ]
)
def scatter(value_N, hit_N, range_B, position_R, key_N):
    """Put each prediction's key to its range; position_R moves on."""
    hit_byte_N = hit_N.view(np.uint8)
    shift = np.uint64(8 * value_N.itemsize - 16)
    to_key = value_N.dtype.type
    for i in range(value_N.size):
        value = value_N[i]
        r = range_B[np.uint64(value) >> shift]
        position = position_R[r]
        position_R[r] = position + 1
        key_N[np.uint64(position)] = to_key(value << to_key(1)) | to_key(hit_byte_N[i])


@numba.njit(nogil=True)
def _sort(key_N, start, stop):
    """Upwards: a handful by insertion; many of one value are left as they are."""
    if stop - start > 24:
        one = key_N.dtype.type(1)
        differ = False
        for i in range(start + 1, stop):
            differ |= key_N[i] >> one != key_N[start] >> one
        if differ:
            key_N[start:stop].sort()
        return
    for i in range(start + 1, stop):
        key = key_N[i]
        j = i
        while j > start and key_N[j - 1] > key:
            key_N[j] = key_N[j - 1]
            j -= 1
        key_N[j] = key


@numba.njit(nogil=True)
def _sum_sorted(key_N, start, stop, num_above, hits_above, ties, limit):
    """Precision at the hits of key_N[start:stop], sorted upwards, read from the top."""
    one = key_N.dtype.type(1)
    total = 0.0
    i = stop
    while i > start:
        value = key_N[i - 1] >> one
        j = i
        hits = 0
        while j > start and key_N[j - 1] >> one == value:
            hits += np.int64(key_N[j - 1] & one)
            j -= 1
        total += tied_sum(num_above, hits_above, i - j, hits, ties, limit)
        num_above += i - j
        hits_above += hits
        i = j
    return total


@numba.njit(nogil=True)
def _sum_range(key_N, num_above, hits_above, ties, limit, tally_T, above_T, at_T, spread_N):
    """Precision at the hits of one range, unsorted; the other arrays are scratch.

    Tallies by the leading bits that the keys don't share; what has a tally to itself needs no
    sorting, nor does what lies in a tally without hits.
    """
    to_key = key_N.dtype.type
    one = to_key(1)
    num_keys = key_N.size
    lowest = highest = key_N[0]
    for key in key_N:
        lowest = min(lowest, key)
        highest = max(highest, key)
    lowest = to_key(lowest >> one << one)
    span = np.uint64(to_key(highest - lowest))
    shift = np.uint64(1)
    most = np.uint64(min(tally_T.size, 4 * num_keys + 64))
    while span >> shift >= most:
        shift += _ONE
    is_exact = shift == _ONE  # a tally is a single value
    num_tallies = np.int64(span >> shift) + 1

    tally_T[:num_tallies] = 0
    for key in key_N:
        offset = np.uint64(to_key(key - lowest))
        tally_T[offset >> shift] += _ONE + (np.uint64(key & one) << np.uint64(32))

    above = np.uint64(0)  # packed as a tally is
    num_hit = np.uint64(0)  # tallies that hold hits, from the highest value down
    t = np.uint64(num_tallies)
    while t > 0:
        t -= _ONE
        tally = tally_T[t]
        at_T[num_hit] = t
        above_T[num_hit] = above
        num_hit += np.uint64(tally >= _ONE_HIT)
        above += tally

    total = 0.0
    num_spread = np.uint64(0)
    for j in range(num_hit):
        above = num_above + np.int64(above_T[j] & _COUNT)
        hits = hits_above + np.int64(above_T[j] >> np.uint64(32))
        tally = tally_T[np.uint64(at_T[j])]
        size = tally & _COUNT
        if size == 1:
            if above < limit:
                total += (hits + 1) / (above + 1)
        elif is_exact:
            new_hits = np.int64(tally >> np.uint64(32))
            total += tied_sum(above, hits, np.int64(size), new_hits, ties, limit)
        else:
            tally_T[np.uint64(at_T[j])] = _SPREAD | num_spread
            num_spread += size
    if num_spread == 0:
        return total

    for key in key_N:
        offset = np.uint64(to_key(key - lowest))
        tally = tally_T[offset >> shift]
        if tally >= _SPREAD:
            spread_N[tally & ~_SPREAD] = key
            tally_T[offset >> shift] = tally + _ONE
    start = np.int64(0)
    for j in range(num_hit):
        tally = tally_T[np.uint64(at_T[j])]
        if tally >= _SPREAD:
            stop = np.int64(tally & ~_SPREAD)
            _sort(spread_N, start, stop)
            above = num_above + np.int64(above_T[j] & _COUNT)
            hits = hits_above + np.int64(above_T[j] >> np.uint64(32))
            total += _sum_sorted(spread_N, start, stop, above, hits, ties, limit)
            start = stop
    return total


@numba.njit(nogil=True)
def _scratch(num_keys):
    """Tallies, what lies above them, where they are."""
    size = min(_MAX_TALLIES, 4 * num_keys + 64) + 1
    return (
        np.empty(size - 1, np.uint64),
        np.empty(size, np.uint64),
        np.empty(size, np.uint32),
    )


@kernel(
    [
        (
            readable(value),
            readable(int64),
            readable(int64),
            readable(int64),
            readable(int64),
            int64,
            int64,
            int64,
            int64,
            writable(float64),
        )
        for value in (uint32, uint64)
    ]
)
def sum_ranges(key_N, start_R, hits_R, num_above_R, hits_above_R, first, last, ties, limit, part_R):
    """Fill part_R[first:last]: the precision at each hit of the range, summed."""
    longest = np.int64(0)
    for r in range(first, last):
        if hits_R[r] > 0:
            longest = max(longest, start_R[r + 1] - start_R[r])
    tally_T, above_T, at_T = _scratch(longest)
    spread_N = np.empty(longest, key_N.dtype)
    for r in range(first, last):
        part_R[r] = 0.0
        if hits_R[r] > 0 and num_above_R[r] < limit:  # misses alone need counting only
            part_R[r] = _sum_range(
                key_N[start_R[r] : start_R[r + 1]],
                num_above_R[r],
                hits_above_R[r],
                ties,
                limit,
                tally_T,
                above_T,
                at_T,
                spread_N,
            )


@kernel(
    [
        float64(readable(value), readable(boolean), int64, writable(value))
        for value in (uint32, uint64)
    ]
)
def sum_few(value_N, hit_N, ties, key_N):
    """Precision at each hit of a ranking, summed, with one range a half; key_N is scratch."""
    one = value_N.dtype.type(1)
    half = np.uint64(8 * value_N.itemsize - 1)
    num_low = 0
    num_high = 0
    high_hits = 0
    for i in range(value_N.size):
        key = value_N.dtype.type(value_N[i] << one) | value_N.dtype.type(hit_N[i])
        if np.uint64(value_N[i]) >> half:
            num_high += 1
            high_hits += hit_N[i]
            key_N[value_N.size - num_high] = key
        else:
            key_N[num_low] = key
            num_low += 1
    tally_T, above_T, at_T = _scratch(value_N.size)
    spread_N = np.empty(value_N.size, value_N.dtype)
    total = 0.0
    if num_high > 0:
        total += _sum_range(key_N[num_low:], 0, 0, ties, NO_LIMIT, tally_T, above_T, at_T, spread_N)
    if num_low > 0:
        total += _sum_range(
            key_N[:num_low], num_high, high_hits, ties, NO_LIMIT, tally_T, above_T, at_T, spread_N
        )
    return total


@kernel(
    [
        (readable(value), readable(uint32), readable(boolean), writable(uint64))
        for value in (uint32, uint64)
    ]
)
def count_labels(value_N, label_N, hit_N, packed_R):
    """As `count_bins`, for the two ranges of each label: lower half of the values, upper half."""
    half = np.uint64(8 * value_N.itemsize - 1)
    for i in range(value_N.size):
        r = np.uint64(label_N[i]) << _ONE | np.uint64(value_N[i]) >> half
        packed_R[r] += _ONE + (np.uint64(hit_N[i]) << np.uint64(32))


@kernel(
    [
        (
            readable(value),
            readable(uint32),
            readable(boolean),
            writable(int64),
            writable(value),
        )
        for value in (uint32, uint64)
    ]
)
def scatter_labels(value_N, label_N, hit_N, position_R, key_N):
    """As `scatter`, for the two ranges of each label."""
    half = np.uint64(8 * value_N.itemsize - 1)
    to_key = value_N.dtype.type
    for i in range(value_N.size):
        r = np.uint64(label_N[i]) << _ONE | np.uint64(value_N[i]) >> half
        position = position_R[r]
        position_R[r] = position + 1
        key_N[np.uint64(position)] = to_key(value_N[i] << to_key(1)) | to_key(hit_N[i])


@kernel((readable(uint32), writable(int64), writable(int64)))
def add_tallies(key_N, size_T, hits_T):
    """Tally the keys of a single bin of 32-bit values by value: 2**16 of them."""
    for key in key_N:
        value = np.uint64(key >> np.uint32(1)) & np.uint64(0xFFFF)
        size_T[value] += 1
        hits_T[value] += np.int64(key & np.uint32(1))


@kernel(float64(readable(int64), readable(int64), int64, int64, int64))
def sum_tallies(size_T, hits_T, num_above, hits_above, ties):
    """Precision at the hits of tallied values, summed: what `sum_ranges` gives for their keys."""
    total = 0.0
    for s in range(size_T.size):
        t = size_T.size - 1 - s
        total += tied_sum(num_above, hits_above, size_T[t], hits_T[t], ties, NO_LIMIT)
        num_above += size_T[t]
        hits_above += hits_T[t]
    return total
