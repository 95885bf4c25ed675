"""Confidences as unsigned integers of the same order.

Shape letters: N predictions.
"""

from gapkit._kernels._compile import (
    float32,
    float64,
    int64,
    kernel,
    readable,
    uint32,
    uint64,
    writable,
)


@kernel(
    [
        int64(readable(confidence), writable(value))
        for confidence, value in ((float32, uint32), (float64, uint64))
    ]
)
def ordered_values(confidence_N, value_N):
    """Fill value_N, -0.0 as 0.0; the first index whose confidence is not finite, or -1."""
    bits_N = confidence_N.view(value_N.dtype)
    to_value = value_N.dtype.type
    sign = to_value(to_value(1) << to_value(8 * value_N.itemsize - 1))
    for i in range(confidence_N.size):
        confidence = confidence_N[i]
        if confidence - confidence != 0:
            return i
        bits = bits_N[i] if confidence != 0 else to_value(0)
        value_N[i] = to_value(~bits) if bits & sign else bits | sign
    return -1
