"""Exact metrics of pooled rankings: Global Average Precision and what is reported beside it.

Examples
--------
>>> from gapkit.metrics import gap
>>> round(gap([[0.9, 0.1, 0.4], [0.2, 0.8, 0.3]], [[1, 0, 0], [0, 1, 1]]), 4)
0.9167
"""

from gapkit.metrics._gap import gap, gap_from_hits
from gapkit.metrics._score import Score, score

__all__ = ["Score", "gap", "gap_from_hits", "score"]
