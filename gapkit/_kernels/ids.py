"""Ids, found by hash among others: Arrow's strings as offsets and bytes.

Shape letters: N ids, M ids to find, S slots of the table.
"""

import numba
import numpy as np

from gapkit._kernels._compile import int32, int64, kernel, readable, uint8, writable


@numba.njit(nogil=True)
def _hash(byte_B, start, stop):
    """FNV-1a of 32 bits, folded so that the low bits know of all."""
    value = np.uint64(2166136261)
    for i in range(start, stop):
        value = ((value ^ np.uint64(byte_B[i])) * np.uint64(16777619)) & np.uint64(0xFFFFFFFF)
    return value ^ (value >> np.uint64(15))


@numba.njit(nogil=True)
def _are_equal(a_B, a_start, a_stop, b_B, b_start, b_stop):
    if a_stop - a_start != b_stop - b_start:
        return False
    for i in range(a_stop - a_start):  # noqa: SIM110
        if a_B[a_start + i] != b_B[b_start + i]:
            return False
    return True


@kernel(int64(readable(int32), readable(uint8), writable(int32)))
def build_table(offset_N, byte_B, row_S):
    """Fill the slots, a power of two and all -1, with rows; the first row that stood before, or -1.

    Slots are probed one after another; at least half of them must stay free.
    """
    mask = np.uint64(row_S.size - 1)
    for n in range(offset_N.size - 1):
        slot = _hash(byte_B, offset_N[n], offset_N[n + 1]) & mask
        while row_S[slot] >= 0:
            other = row_S[slot]
            if _are_equal(
                byte_B, offset_N[n], offset_N[n + 1], byte_B, offset_N[other], offset_N[other + 1]
            ):
                return n
            slot = (slot + np.uint64(1)) & mask
        row_S[slot] = n
    return -1


@kernel(
    (
        readable(int32),
        readable(uint8),
        readable(int32),
        readable(int32),
        readable(uint8),
        writable(int64),
    )
)
def find(offset_N, byte_B, row_S, wanted_offset_M, wanted_byte_B, row_M):
    """Fill the row of each wanted id in the table that `build_table` has filled, or -1."""
    mask = np.uint64(row_S.size - 1)
    for m in range(row_M.size):
        start, stop = wanted_offset_M[m], wanted_offset_M[m + 1]
        slot = _hash(wanted_byte_B, start, stop) & mask
        row = row_S[slot]
        while row >= 0 and not _are_equal(
            wanted_byte_B, start, stop, byte_B, offset_N[row], offset_N[row + 1]
        ):
            slot = (slot + np.uint64(1)) & mask
            row = row_S[slot]
        row_M[m] = row
