"""What tied predictions add to a sum of precisions, in closed form.

A group of `size` predictions of equal confidence, `hits` of them true, stands below `num_above`
predictions with `hits_above` hits. Its terms are linear in the place over the rank, so that their
sum needs harmonic numbers alone: all ties of a ranking cost no more than its distinct values.
"""

import math

import numba

EXPECTED, OPTIMISTIC, PESSIMISTIC = 0, 1, 2

_FEW = 64  # from this rank on the series below is exact to the last bit: its rest is 1e-17


@numba.njit(nogil=True)
def linear_over_rank(first, slope, num_above, count):
    """Sum of (first + slope * j) / (num_above + 1 + j) over j = 0 .. count - 1."""
    total = 0.0
    j = 0
    while j < count and (count < _FEW or num_above + j < _FEW):
        total += (first + slope * j) / (num_above + 1 + j)
        j += 1
    if j < count:
        a, b = float(num_above + j), float(num_above + count)
        total += slope * (count - j)
        total += (first - slope * (num_above + 1)) * _harmonic_difference(a, b)
    return total


@numba.njit(nogil=True)
def _harmonic_difference(a, b):
    """1 / (a + 1) + ... + 1 / b, by the asymptotic series of the harmonic numbers."""
    tails = 0.0
    for n, sign in ((b, 1.0), (a, -1.0)):
        square = n * n
        tail = 1 / (2 * n) - (1 / 12 - (1 / 120 - 1 / (252 * square)) / square) / square
        tails += sign * tail
    return math.log1p((b - a) / a) + tails


@numba.njit(nogil=True)
def tied_sum(num_above, hits_above, size, hits, ties, limit):
    """Sum of the precision at the group's hits whose rank is at most `limit`."""
    if hits == 0 or num_above >= limit:
        return 0.0
    if size == 1:
        return (hits_above + 1) / (num_above + 1)
    first = hits_above + 1.0
    if ties == EXPECTED:
        slope = (hits - 1) / (size - 1)
        count = min(size, limit - num_above)
        return linear_over_rank(first, slope, num_above, count) * (hits / size)
    if ties == PESSIMISTIC:
        num_above += size - hits
    return linear_over_rank(first, 1.0, num_above, max(min(hits, limit - num_above), 0))
