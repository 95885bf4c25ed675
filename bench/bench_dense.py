"""GAP of dense (20,000, 4,716) float32: gapkit beside a cut by NumPy's argpartition."""

import numpy as np
import pytest

from gapkit.metrics import gap, gap_from_hits

NUM_VIDEOS, NUM_CLASSES, TOP_K = 20_000, 4716, 20


@pytest.fixture(scope="module")
def arrays():
    rng = np.random.default_rng(0)
    confidences = rng.random((NUM_VIDEOS, NUM_CLASSES), dtype=np.float32) ** 8
    return confidences, rng.random((NUM_VIDEOS, NUM_CLASSES), dtype=np.float32) < 0.0007


def argpartition(confidences, truth):
    kept = np.argpartition(confidences, -TOP_K, axis=1)[:, -TOP_K:]
    hits = np.take_along_axis(truth, kept, axis=1)
    return gap_from_hits(np.take_along_axis(confidences, kept, axis=1), hits, int(truth.sum()))


@pytest.mark.parametrize("contender", [gap, argpartition])
def test_dense(benchmark, arrays, contender):
    benchmark.group = f"GAP of dense ({NUM_VIDEOS:,}, {NUM_CLASSES:,})"
    value = benchmark.pedantic(contender, args=arrays, rounds=5, iterations=1, warmup_rounds=1)
    assert value == pytest.approx(gap(*arrays), abs=1e-9)
