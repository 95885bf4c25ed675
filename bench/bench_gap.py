"""GAP of a pooled ranking: gapkit beside what people use instead.

Each contender is compiled or warmed before the clock and takes the same float32 confidences and
Boolean hits; pytest-benchmark prints minimum, median and maximum side by side. DuckDB and
torchmetrics take part where they are installed.
"""

import heapq

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from sklearn.metrics import average_precision_score

from gapkit.metrics import gap_from_hits

try:
    import duckdb
except ImportError:
    duckdb = None
try:
    import torch
    from torchmetrics.functional.classification import binary_average_precision
except ImportError:
    binary_average_precision = None


def plain_copy(confidences, hits, num_positives):
    confidences.copy(), hits.copy()


def numpy_argsort(confidences, hits, num_positives):
    ranked = hits[np.argsort(-confidences, kind="stable")]
    precision = np.cumsum(ranked) / np.arange(1, len(ranked) + 1)
    return float(precision[ranked].sum() / num_positives)


def scikit_learn(confidences, hits, num_positives):
    return average_precision_score(hits, confidences) * hits.sum() / num_positives


def polars_sort(confidences, hits, num_positives):
    ranked = (
        pl.LazyFrame({"c": confidences, "hit": hits})
        .sort("c", descending=True)
        .select(hit="hit", precision=pl.col("hit").cum_sum() / pl.int_range(1, pl.len() + 1))
        .filter("hit")
        .select(pl.col("precision").sum())
    )
    return ranked.collect().item() / num_positives


def duckdb_window(confidences, hits, num_positives):
    # `hit` as a number, since DuckDB's filtered counts over a window take minutes
    ranking = pa.table({"c": confidences, "hit": hits.astype(np.int8)})  # noqa: F841 - by its name
    (row,) = duckdb.sql(
        "select sum(hits / rank) from (select hit, row_number() over w as rank, "
        "sum(hit) over w as hits from ranking window w as "
        "(order by c desc rows unbounded preceding)) where hit = 1"
    ).fetchall()
    return row[0] / num_positives


def torchmetrics(confidences, hits, num_positives):
    found = binary_average_precision(torch.from_numpy(confidences), torch.from_numpy(hits).long())
    return float(found) * hits.sum() / num_positives


def starter_code(confidences, hits, num_positives):
    """As average_precision_calculator.py of the YouTube-8M starter code does: one at a time."""
    heap = []
    for confidence, hit in zip(confidences, hits, strict=True):
        heapq.heappush(heap, (confidence, hit))
    total = num_hits = 0.0
    for rank, (_, hit) in enumerate(sorted(heap, reverse=True), start=1):
        if hit:
            num_hits += 1
            total += num_hits / rank / num_positives
    return total


CONTENDERS = {
    "gapkit": gap_from_hits,
    "copy": plain_copy,
    "numpy": numpy_argsort,
    "scikit-learn": scikit_learn,
    "polars": polars_sort,
    **({"duckdb": duckdb_window} if duckdb else {}),
    **({"torchmetrics": torchmetrics} if binary_average_precision else {}),
    "starter code": starter_code,
}
SIZES = [1_000, 10_000, 100_000, 1_000_000, 14_012_800, 100_000_000]
LARGEST = {"starter code": 100_000, "gapkit": 10**8, "copy": 10**8, "polars": 10**8}
ORDERS = {
    "sorted": lambda confidences: np.sort(confidences)[::-1].copy(),
    "reversed": np.sort,
    "3 digits": lambda confidences: confidences.round(3),
}


def draw(size, order=None):
    rng = np.random.default_rng(0)
    confidences = rng.random(size, dtype=np.float32)
    hits = rng.random(size, dtype=np.float32) < 0.15
    confidences = ORDERS[order](confidences) if order else confidences
    return confidences, hits, int(hits.sum() * 1.3)


def measure(benchmark, contender, ranking):
    size = len(ranking[0])
    value = benchmark.pedantic(
        CONTENDERS[contender],
        args=ranking,
        rounds=5 if size < 10**8 else 3,
        iterations=max(1, 10_000 // size) if contender in ("gapkit", "copy") else 1,
        warmup_rounds=1,
    )
    return value


@pytest.fixture(scope="module", params=SIZES, ids="{:,}".format)
def ranking(request):
    return draw(request.param)


@pytest.mark.parametrize("contender", CONTENDERS)
def test_gap_from_hits(benchmark, ranking, contender):
    size = len(ranking[0])
    if size > LARGEST.get(contender, 14_012_800):
        pytest.skip("would take minutes")
    benchmark.group = f"gap of {size:,} predictions"
    value = measure(benchmark, contender, ranking)
    if value is not None:
        assert value == pytest.approx(gap_from_hits(*ranking), abs=1e-5)


@pytest.fixture(scope="module", params=ORDERS)
def ordered_ranking(request):
    return request.param, draw(14_012_800, request.param)


@pytest.mark.parametrize("contender", ["gapkit", "polars"])
def test_gap_by_order(benchmark, ordered_ranking, contender):
    order, ranking = ordered_ranking
    benchmark.group = f"gap of 14,012,800 predictions, {order}"
    measure(benchmark, contender, ranking)
