"""Long tables, one entry a row: which video each belongs to, and which of its entries it is.

Shape letters: N entries, G videos.
"""

import numba
import numpy as np

from gapkit._kernels._compile import int32, int64, kernel, readable, uint8, writable
from gapkit._kernels.ids import are_equal, hash_id

_FIRST_SLOTS = 1 << 12
_ONE = np.uint64(1)
_LOW = np.uint64(0xFFFFFFFF)
_HIGH = np.uint64(32)


@numba.njit(nogil=True)
def _double(slot_S):
    """A table of twice as many slots with the same videos."""
    new_S = np.zeros(2 * slot_S.size, np.uint64)
    mask = np.uint64(new_S.size - 1)
    for slot in slot_S:
        if slot > 0:
            place = (slot >> _HIGH) & mask
            while new_S[place] > 0:
                place = (place + _ONE) & mask
            new_S[place] = slot
    return new_S


@kernel(int64(readable(int32), readable(uint8), writable(int64), writable(int64)))
def number_ids(offset_N, byte_B, number_N, first_N):
    """How many videos there are, in the order in which they are first met.

    Fills each entry's video, and for each video its first entry. A slot is 0, or the hash of an id
    above its video, which count from 1; most entries have the id of the one before.
    """
    slot_S = np.zeros(_FIRST_SLOTS, np.uint64)
    mask = np.uint64(slot_S.size - 1)
    count = 0
    for n in range(number_N.size):
        start, stop = offset_N[n], offset_N[n + 1]
        if n > 0 and are_equal(byte_B, start, stop, byte_B, offset_N[n - 1], start):
            number_N[n] = number_N[n - 1]
            continue
        hashed = hash_id(byte_B, start, stop)
        place = hashed & mask
        video = -1
        while slot_S[place] > 0:
            if slot_S[place] >> _HIGH == hashed:
                other = np.int64(slot_S[place] & _LOW) - 1
                first = first_N[other]
                if are_equal(byte_B, start, stop, byte_B, offset_N[first], offset_N[first + 1]):
                    video = other
                    break
            place = (place + _ONE) & mask
        if video < 0:
            video = count
            first_N[count] = n
            count += 1
            slot_S[place] = hashed << _HIGH | np.uint64(count)
            if 2 * count > slot_S.size:
                slot_S = _double(slot_S)
                mask = np.uint64(slot_S.size - 1)
        number_N[n] = video
    return count


@kernel((readable(int64), writable(int64), writable(int64)))
def number_entries(number_N, length_G, column_N):
    """Fill which of its video's entries each is; length_G, all 0, ends as how many these are."""
    for n in range(number_N.size):
        column_N[n] = length_G[number_N[n]]
        length_G[number_N[n]] += 1
