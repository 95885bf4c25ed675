"""What the rankings of single videos need a loop for: labels of equal confidence.

Shape letters: N videos, K kept labels of a video.
"""

from gapkit._kernels._compile import (
    boolean,
    float32,
    float64,
    int64,
    kernel,
    readable,
    writable,
)


@kernel(
    [
        (readable(dtype, 2), readable(boolean, 2), readable(int64), writable(float64))
        for dtype in (float32, float64)
    ]
)
def sum_tied_precision(confidence_NK, hit_NK, length_N, sum_N):
    """Fill each row's sum, over its hits, of the share of hits among what is as confident."""
    for n in range(length_N.size):
        hits = 0
        total = 0.0
        stop = 0
        while stop < length_N[n]:
            start, hits_above = stop, hits
            while stop < length_N[n] and confidence_NK[n, stop] == confidence_NK[n, start]:
                hits += hit_NK[n, stop]
                stop += 1
            total += (hits - hits_above) * (hits / stop)
        sum_N[n] = total
