"""Ids, found by hash among others: Arrow's strings as offsets and bytes.

A slot of the table is 0, or the hash of an id above 32 bits of its row, which count from 1. Ids are
taken a batch at a time, each step for all of a batch: reads that wait for memory then overlap,
which makes it three times as fast.

Shape letters: N ids, M ids to find, S slots of the table, I ids of a batch.
"""

import numba
import numpy as np

from gapkit._kernels._compile import int32, int64, kernel, readable, uint8, uint64, writable

_BATCH = 256
_ONE = np.uint64(1)
_LOW = np.uint64(0xFFFFFFFF)
_HIGH = np.uint64(32)


@numba.njit(nogil=True)
def hash_id(byte_B, start, stop):
    """FNV-1a of 32 bits, folded so that the low bits know of all."""
    value = np.uint64(2166136261)
    for i in range(start, stop):
        value = ((value ^ np.uint64(byte_B[i])) * np.uint64(16777619)) & _LOW
    return value ^ (value >> np.uint64(15))


@numba.njit(nogil=True)
def are_equal(a_B, a_start, a_stop, b_B, b_start, b_stop):
    if a_stop - a_start != b_stop - b_start:
        return False
    for i in range(a_stop - a_start):  # noqa: SIM110
        if a_B[a_start + i] != b_B[b_start + i]:
            return False
    return True


@numba.njit(nogil=True)
def _hash_batch(offset_N, byte_B, first, slot_S, hash_I, slot_I):
    """How many ids the batch holds; fills their hashes, and the slots where each begins to look."""
    count = min(_BATCH, offset_N.size - 1 - first)
    mask = np.uint64(slot_S.size - 1)
    for i in range(count):
        hash_I[i] = hash_id(byte_B, offset_N[first + i], offset_N[first + i + 1])
    for i in range(count):
        slot_I[i] = slot_S[hash_I[i] & mask]
    return count


@kernel(int64(readable(int32), readable(uint8), writable(uint64)))
def build_table(offset_N, byte_B, slot_S):
    """Fill the slots, a power of two and all 0, with rows; the first row that stood before, or -1.

    Slots are probed one after another; at least half of them must stay free.
    """
    hash_I, slot_I = np.empty(_BATCH, np.uint64), np.empty(_BATCH, np.uint64)
    mask = np.uint64(slot_S.size - 1)
    for first in range(0, offset_N.size - 1, _BATCH):
        count = _hash_batch(offset_N, byte_B, first, slot_S, hash_I, slot_I)
        for i in range(count):
            n = first + i
            place = hash_I[i] & mask
            while slot_S[place] > 0:
                if slot_S[place] >> _HIGH == hash_I[i]:
                    other = np.int64(slot_S[place] & _LOW) - 1
                    if are_equal(
                        byte_B,
                        offset_N[n],
                        offset_N[n + 1],
                        byte_B,
                        offset_N[other],
                        offset_N[other + 1],
                    ):
                        return n
                place = (place + _ONE) & mask
            slot_S[place] = hash_I[i] << _HIGH | np.uint64(n + 1)
    return -1


@numba.njit(nogil=True)
def _find_one(offset_N, byte_B, slot_S, hashed, wanted_B, start, stop):
    mask = np.uint64(slot_S.size - 1)
    place = hashed & mask
    while slot_S[place] > 0:
        if slot_S[place] >> _HIGH == hashed:
            row = np.int64(slot_S[place] & _LOW) - 1
            if are_equal(wanted_B, start, stop, byte_B, offset_N[row], offset_N[row + 1]):
                return row
        place = (place + _ONE) & mask
    return -1


@kernel(
    (
        readable(int32),
        readable(uint8),
        readable(uint64),
        readable(int32),
        readable(uint8),
        writable(int64),
    )
)
def find(offset_N, byte_B, slot_S, wanted_offset_M, wanted_B, row_M):
    """Fill the row of each wanted id in the table that `build_table` has filled, or -1."""
    hash_I, slot_I = np.empty(_BATCH, np.uint64), np.empty(_BATCH, np.uint64)
    start_I, stop_I = np.empty(_BATCH, np.int64), np.empty(_BATCH, np.int64)
    mask = np.uint64(slot_S.size - 1)
    if offset_N.size == 1:
        row_M[:] = -1
        return
    for first in range(0, row_M.size, _BATCH):
        count = _hash_batch(wanted_offset_M, wanted_B, first, slot_S, hash_I, slot_I)
        for i in range(count):
            place = hash_I[i] & mask
            while slot_I[i] > 0 and slot_I[i] >> _HIGH != hash_I[i]:
                place = (place + _ONE) & mask
                slot_I[i] = slot_S[place]
        for i in range(count):
            row = max(np.int64(slot_I[i] & _LOW) - 1, 0)
            start_I[i], stop_I[i] = offset_N[row], offset_N[row + 1]
        for i in range(count):
            m = first + i
            start, stop = wanted_offset_M[m], wanted_offset_M[m + 1]
            row = np.int64(slot_I[i] & _LOW) - 1
            if row >= 0 and not are_equal(
                wanted_B, start, stop, byte_B, start_I[i], stop_I[i]
            ):  # another id of the same hash
                row = _find_one(offset_N, byte_B, slot_S, hash_I[i], wanted_B, start, stop)
            row_M[m] = row
