"""Exact metrics of multi-label rankings: Global Average Precision, and what is read beside it.

Examples
--------
>>> from gapkit.metrics import gap
>>> round(gap([[0.9, 0.1, 0.4], [0.2, 0.8, 0.3]], [[1, 0, 0], [0, 1, 1]]), 4)
0.9167
"""

from gapkit.metrics._bands import GapBands, gap_bands
from gapkit.metrics._gap import gap, gap_from_hits
from gapkit.metrics._gap_accumulator import GapAccumulator
from gapkit.metrics._gap_sketch import GapSketch
from gapkit.metrics._losses import (
    GapContributions,
    GapLosses,
    gap_by_k,
    gap_ceiling,
    gap_contributions,
    gap_losses,
)
from gapkit.metrics._score import Score, score

__all__ = [
    "GapAccumulator",
    "GapBands",
    "GapContributions",
    "GapLosses",
    "GapSketch",
    "Score",
    "gap",
    "gap_bands",
    "gap_by_k",
    "gap_ceiling",
    "gap_contributions",
    "gap_from_hits",
    "gap_losses",
    "score",
]
