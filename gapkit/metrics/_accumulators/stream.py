"""Scores of predictions that come block by block, in fixed memory."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from gapkit import _checks
from gapkit.errors import DataError
from gapkit.metrics._accumulators.sketch import GapSketch
from gapkit.metrics._accumulators.video_mean import VideoMeanAccumulator
from gapkit.predictions import Labels, Predictions


@dataclass(frozen=True, kw_only=True)
class StreamedScore:
    """What can be told of predictions that are seen once, block by block."""

    gap: float
    """By a sketch, between the bounds"""
    gap_bounds: tuple[float, float]
    """The exact GAP lies between them, rounding included"""
    hit_at_1: float
    """Exact, as in `Score`"""
    perr: float
    """Exact, as in `Score`"""
    num_videos: int
    """Labelled videos"""
    num_positives: int
    """True labels of the labelled videos, predicted or not"""
    missing: int
    """Labelled videos without a prediction"""
    ignored: int
    """Predicted ids without labels"""


def score_blocks(
    blocks: Iterable[Predictions], labels: Labels, *, top_k: int = 20, ties: str = "expected"
) -> StreamedScore:
    """Return metrics of predictions that come block by block, in fixed memory.

    Beside the labels and a block it takes 32 MB, however many blocks come. Each video belongs to
    one block.

    Parameters
    ----------
    blocks : iterable of Predictions
        For instance `gapkit.io.scan_predictions` of a file that does not fit into memory.
    labels : Labels
    top_k : int
        Most confident labels to keep of each video, at least 1.
    ties : {'expected', 'optimistic', 'pessimistic'}
        As in `gap`.

    Returns
    -------
    StreamedScore

    Raises
    ------
    DataError
        A labelled video stands in two blocks; or as `score` does.
    UsageError
        As `score` does.

    Examples
    --------
    >>> blocks = [Predictions(["a"], [[0, 1]], [[0.9, 0.1]]), Predictions(["b"], [[1]], [[0.8]])]
    >>> score_blocks(blocks, Labels(["a", "b"], [[0], [0]])).hit_at_1
    0.5
    """
    sketch = GapSketch(top_k=top_k, ties=ties)
    hits = VideoMeanAccumulator("hit_at_k", k=1)
    perr = VideoMeanAccumulator("perr", top_k=top_k)
    accumulators = (sketch, hits, perr)
    is_seen_V = np.zeros(len(labels), np.bool_)
    ignored = 0
    for block in blocks:
        row_N = labels.index.find(block.id_column)
        known_N = row_N[row_N >= 0]
        twice = np.flatnonzero(is_seen_V[known_N])
        if twice.size:
            place = _checks.row_place(labels.id_column, int(known_N[twice[0]]))
            raise DataError(f"{place} of the labels is predicted twice. Keep one row a video.")
        is_seen_V[known_N] = True
        ignored += len(row_N) - len(known_N)
        of_block = labels.take(known_N)
        for accumulator in accumulators:
            accumulator.update(block, of_block)
    rest = labels.take(np.flatnonzero(~is_seen_V))
    nothing = Predictions([], [], [], num_classes=labels.num_classes)
    for accumulator in accumulators:
        accumulator.update(nothing, rest)
    return StreamedScore(
        gap=sketch.compute(),
        gap_bounds=sketch.bounds(),
        hit_at_1=hits.compute(),
        perr=perr.compute(),
        num_videos=len(labels),
        num_positives=labels.num_positives,
        missing=len(rest),
        ignored=ignored,
    )
