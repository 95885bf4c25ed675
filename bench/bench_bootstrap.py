"""The GAP of 100 resamples of 20,000 videos x 20 predictions: gapkit beside repeated rows.

Both score the same drawn videos; the naive way repeats the rows of each draw and ranks them anew.
"""

import numpy as np
import pytest

from gapkit.metrics import bootstrap_gap, gap_from_hits
from gapkit.predictions import Labels, Predictions

NUM_VIDEOS, TOP_K, NUM_CLASSES, NUM_RESAMPLES = 20_000, 20, 4716, 100


@pytest.fixture(scope="module")
def files():
    rng = np.random.default_rng(0)
    ids = [f"video{n:07d}" for n in range(NUM_VIDEOS)]
    labels = (rng.integers(NUM_CLASSES, size=(NUM_VIDEOS, 1)) + np.arange(TOP_K + 1)) % NUM_CLASSES
    confidences = -np.sort(-(rng.random((NUM_VIDEOS, TOP_K), dtype=np.float32) ** 6), axis=1)
    hits = rng.random((NUM_VIDEOS, TOP_K)) < confidences
    true = [[*row[:-1][hit], row[-1]] for row, hit in zip(labels, hits, strict=True)]
    predictions = Predictions(ids, labels[:, :-1], confidences, num_classes=NUM_CLASSES)
    return predictions, Labels(ids, true, num_classes=NUM_CLASSES), hits


def gapkit(predictions, labels, hits, num_resamples=NUM_RESAMPLES):
    return bootstrap_gap(predictions, labels, num_resamples=num_resamples).resamples


def repeated_rows(predictions, labels, hits):
    rng = np.random.default_rng(0)
    num_true = np.diff(labels.offsets)
    values = []
    for _ in range(NUM_RESAMPLES):
        draw = rng.integers(NUM_VIDEOS, size=NUM_VIDEOS)
        confidences = predictions.confidences[draw]
        values.append(gap_from_hits(confidences, hits[draw], int(num_true[draw].sum())))
    return np.array(values)


@pytest.mark.parametrize(("contender", "rounds"), [(gapkit, 5), (repeated_rows, 2)])
def test_resamples(benchmark, files, contender, rounds):
    benchmark.group = f"GAP of {NUM_RESAMPLES} resamples of {NUM_VIDEOS:,} x {TOP_K}"
    values = benchmark.pedantic(contender, args=files, rounds=rounds, iterations=1, warmup_rounds=1)
    assert values == pytest.approx(gapkit(*files), rel=0, abs=1e-12)


def test_a_thousand_resamples(benchmark, files):
    benchmark.group = f"GAP of 1,000 resamples of {NUM_VIDEOS:,} x {TOP_K}"
    values = benchmark.pedantic(
        gapkit, args=(*files, 1000), rounds=5, iterations=1, warmup_rounds=1
    )
    assert len(values) == 1000
