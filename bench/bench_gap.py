"""GAP of a pooled ranking: gapkit beside what people use instead.

Each contender is compiled or warmed before the clock and takes the same float32 confidences and
Boolean hits; pytest-benchmark prints minimum, median and maximum side by side.
"""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from gapkit.metrics import gap_from_hits


def numpy_argsort(confidences, hits, num_positives):
    ranked = hits[np.argsort(-confidences, kind="stable")]
    precision = np.cumsum(ranked) / np.arange(1, len(ranked) + 1)
    return float(precision[ranked].sum() / num_positives)


def scikit_learn(confidences, hits, num_positives):
    return average_precision_score(hits, confidences) * hits.sum() / num_positives


CONTENDERS = {"gapkit": gap_from_hits, "numpy": numpy_argsort, "scikit-learn": scikit_learn}


@pytest.fixture(scope="module", params=[10_000, 400_000, 4_000_000], ids="{:,}".format)
def ranking(request):
    rng = np.random.default_rng(0)
    confidences = rng.random(request.param, dtype=np.float32) ** 6
    hits = rng.random(request.param) < confidences
    return confidences, hits, int(hits.sum() * 1.3)


@pytest.mark.parametrize("contender", CONTENDERS)
def test_gap_from_hits(benchmark, ranking, contender):
    benchmark.group = f"gap of {len(ranking[0]):,} predictions"
    value = benchmark.pedantic(
        CONTENDERS[contender], args=ranking, rounds=5, iterations=1, warmup_rounds=1
    )
    assert value == pytest.approx(gap_from_hits(*ranking), abs=1e-5)
