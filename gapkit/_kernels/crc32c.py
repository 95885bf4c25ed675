"""CRC32C, eight bytes a step.

Shape letters: N bytes, 8 tables of 256 entries: what a byte adds, by how many follow in its step.
"""

import numpy as np

from gapkit._kernels._compile import kernel, readable, uint8, uint32


@kernel(uint32(readable(uint8), uint32, readable(uint32, 2)))
def update_crc32c(byte_N, crc, table_8x256):
    """The checksum of what came before and these bytes."""
    value = ~np.uint32(crc)
    whole = byte_N.size - byte_N.size % 8
    for i in range(0, whole, 8):
        low = (
            np.uint32(byte_N[i])
            | np.uint32(byte_N[i + 1]) << np.uint32(8)
            | np.uint32(byte_N[i + 2]) << np.uint32(16)
            | np.uint32(byte_N[i + 3]) << np.uint32(24)
        ) ^ value
        value = (
            table_8x256[7, low & np.uint32(0xFF)]
            ^ table_8x256[6, (low >> np.uint32(8)) & np.uint32(0xFF)]
            ^ table_8x256[5, (low >> np.uint32(16)) & np.uint32(0xFF)]
            ^ table_8x256[4, (low >> np.uint32(24)) & np.uint32(0xFF)]
            ^ table_8x256[3, byte_N[i + 4]]
            ^ table_8x256[2, byte_N[i + 5]]
            ^ table_8x256[1, byte_N[i + 6]]
            ^ table_8x256[0, byte_N[i + 7]]
        )
    for i in range(whole, byte_N.size):
        value = (value >> np.uint32(8)) ^ table_8x256[0, (value ^ byte_N[i]) & np.uint32(0xFF)]
    return np.uint32(~value)
