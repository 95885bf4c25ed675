"""Counts of predictions in fixed bins of confidence, and what they say about GAP.

Shape letters: N predictions, B bins.
"""

import numpy as np

from gapkit._kernels._compile import (
    boolean,
    float32,
    float64,
    int64,
    kernel,
    readable,
    writable,
)
from gapkit._kernels.ranges import NO_LIMIT
from gapkit._kernels.ties import tied_sum


@kernel(
    [
        (readable(confidence), readable(boolean), writable(int64, 2))
        for confidence in (float32, float64)
    ]
)
def add_to_bins(confidence_N, hit_N, count_B2):
    """Count misses and hits in bins of equal width in the square root of the confidence.

    The first bin takes what is below 0 as well, the last what is above 1.
    """
    num_bins = count_B2.shape[0]
    for i in range(confidence_N.size):
        confidence = min(max(np.float64(confidence_N[i]), 0.0), 1.0)
        b = min(np.int64(np.sqrt(confidence) * num_bins), num_bins - 1)
        count_B2[np.uint64(b), np.uint64(hit_N[i])] += 1


@kernel((readable(int64, 2), writable(float64)))
def sum_bins(count_B2, sum_3):
    """Fill the sums of precision with each bin's predictions tied, by each rule for ties.

    Added with compensation: of the sums' own rounding no more than a unit in the last place stays.
    """
    for ties in range(3):
        num_above = np.int64(0)
        hits_above = np.int64(0)
        total = 0.0
        lost = 0.0
        for s in range(count_B2.shape[0]):
            b = count_B2.shape[0] - 1 - s
            hits = count_B2[b, 1]
            size = count_B2[b, 0] + hits
            if hits > 0:
                part = tied_sum(num_above, hits_above, size, hits, ties, NO_LIMIT) - lost
                new_total = total + part
                lost = (new_total - total) - part
                total = new_total
            num_above += size
            hits_above += hits
        sum_3[ties] = total
