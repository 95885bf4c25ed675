"""Where the sum of precision comes from, over tied groups from the highest confidence down.

Shape letters: N predictions in falling order, G tied groups, K kept labels of a video.
"""

import numpy as np

from gapkit._kernels._compile import boolean, float64, int64, kernel, readable, writable
from gapkit._kernels.ranges import NO_LIMIT
from gapkit._kernels.ties import linear_over_rank, tied_sum


@kernel((readable(int64), readable(int64), int64, writable(float64)))
def group_sums(size_G, hits_G, ties, sum_G):
    """Fill the sum of the precision at the hits of each group."""
    num_above = np.int64(0)
    hits_above = np.int64(0)
    for g in range(size_G.size):
        sum_G[g] = tied_sum(num_above, hits_above, size_G[g], hits_G[g], ties, NO_LIMIT)
        num_above += size_G[g]
        hits_above += hits_G[g]


@kernel(float64(readable(int64), readable(int64), int64))
def mean_sum_with_added_hits(size_G, hits_G, num_added):
    """Mean sum over all subsets of `num_added` misses that turn into hits, and all tied orders."""
    num_misses = np.sum(size_G) - np.sum(hits_G)
    turned = num_added / max(num_misses, 1)  # chance of a miss
    turned_too = (num_added - 1) / max(num_misses - 1, 1)  # chance of another one, given the first
    pair = turned * max(turned_too, 0.0)
    num_above = np.int64(0)
    hits_above = np.int64(0)
    total = 0.0
    for g in range(size_G.size):
        n = np.float64(size_G[g])
        t = np.float64(hits_G[g])
        f = n - t
        misses_above = np.float64(num_above - hits_above)
        own = (t + f * turned) / n
        above = t / n * (hits_above + misses_above * turned)
        above += f / n * (hits_above * turned + misses_above * pair)
        both = 0.0
        if size_G[g] > 1:
            both = (t * (t - 1) + 2 * t * f * turned + f * (f - 1) * pair) / (n * (n - 1))
        total += linear_over_rank(own + above, both, num_above, size_G[g])
        num_above += size_G[g]
        hits_above += hits_G[g]
    return total


@kernel((readable(int64), readable(boolean), readable(int64), int64, writable(float64)))
def sums_by_k(column_N, hit_N, size_G, ties, sum_K):
    """Fill the sums of precision when the first 1, 2, ... K labels of each video are kept.

    column_N is each prediction's place among its video's.
    """
    top_k = sum_K.size
    above_K = np.zeros(top_k, np.int64)
    hits_above_K = np.zeros(top_k, np.int64)
    size_K = np.zeros(top_k, np.int64)
    hits_K = np.zeros(top_k, np.int64)
    start = np.int64(0)
    for g in range(size_G.size):
        stop = start + size_G[g]
        first = top_k
        size_K[:] = 0
        hits_K[:] = 0
        for i in range(start, stop):
            column = column_N[i]
            first = min(first, column)
            size_K[column] += 1
            hits_K[column] += hit_N[i]
        size = np.int64(0)
        hits = np.int64(0)
        for k in range(first, top_k):
            size += size_K[k]
            hits += hits_K[k]
            sum_K[k] += tied_sum(above_K[k], hits_above_K[k], size, hits, ties, NO_LIMIT)
            above_K[k] += size
            hits_above_K[k] += hits
        start = stop
