"""Exact metrics of multi-label rankings: Global Average Precision, and what is read beside it.

Examples
--------
>>> from gapkit.metrics import gap
>>> round(gap([[0.9, 0.1, 0.4], [0.2, 0.8, 0.3]], [[1, 0, 0], [0, 1, 1]]), 4)
0.9167
"""

# ruff: noqa: I001 - the names stand by group: metrics, accumulators, error bars, diagnosis

# The metrics
from gapkit.metrics._measures.by_label import (
    average_precision,
    label_map_at_k,
    mean_average_precision,
)
from gapkit.metrics._measures.by_video import (
    hit_at_k,
    label_ranking_average_precision,
    map_at_k,
    ndcg_at_k,
    perr,
    precision_at_k,
    recall_at_k,
)
from gapkit.metrics._measures.curve import PrecisionRecallCurve, precision_recall_curve
from gapkit.metrics._measures.gap import gap, gap_from_hits
from gapkit.metrics._measures.propensity import label_propensities
from gapkit.metrics._measures.psp import psp_at_k
from gapkit.metrics._measures.score import Score, score
from gapkit.metrics._table import METRICS, Metric, compute_metrics, make_accumulator

# Over many updates
from gapkit.metrics._accumulators.base import Accumulator
from gapkit.metrics._accumulators.gap import GapAccumulator
from gapkit.metrics._accumulators.sketch import GapSketch
from gapkit.metrics._accumulators.label import LabelAccumulator
from gapkit.metrics._accumulators.video_mean import VideoMeanAccumulator
from gapkit.metrics._accumulators.stream import StreamedScore, score_blocks

# Error bars
from gapkit.metrics._error_bars.bootstrap import Bootstrap, bootstrap, bootstrap_gap
from gapkit.metrics._error_bars.compare import Comparison, compare, compare_gap

# Where GAP is lost
from gapkit.metrics._diagnosis.bands import GapBands, gap_bands
from gapkit.metrics._diagnosis.losses import (
    GapContributions,
    GapLosses,
    gap_by_k,
    gap_ceiling,
    gap_contributions,
    gap_losses,
)

__all__ = [  # noqa: RUF022 - by group, as above
    "METRICS",
    "Metric",
    "PrecisionRecallCurve",
    "Score",
    "average_precision",
    "compute_metrics",
    "gap",
    "gap_from_hits",
    "hit_at_k",
    "label_map_at_k",
    "label_propensities",
    "label_ranking_average_precision",
    "map_at_k",
    "mean_average_precision",
    "ndcg_at_k",
    "perr",
    "precision_at_k",
    "precision_recall_curve",
    "psp_at_k",
    "recall_at_k",
    "score",
    #
    "Accumulator",
    "GapAccumulator",
    "GapSketch",
    "LabelAccumulator",
    "StreamedScore",
    "VideoMeanAccumulator",
    "make_accumulator",
    "score_blocks",
    #
    "Bootstrap",
    "Comparison",
    "bootstrap",
    "bootstrap_gap",
    "compare",
    "compare_gap",
    #
    "GapBands",
    "GapContributions",
    "GapLosses",
    "gap_bands",
    "gap_by_k",
    "gap_ceiling",
    "gap_contributions",
    "gap_losses",
]
