"""GAP of a pooled ranking: gapkit beside what people use instead.

Each contender is compiled or warmed before the clock and takes the same float32 confidences and
Boolean hits; pytest-benchmark prints minimum, median and maximum side by side. DuckDB takes part
where it is installed.
"""

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
    ranking = pa.table({"c": confidences, "hit": hits})  # noqa: F841 - found by its name
    (row,) = duckdb.sql(
        "select sum(hits / rank) from (select hit, row_number() over w as rank, "
        "count(*) filter (hit) over w as hits from ranking window w as "
        "(order by c desc rows unbounded preceding)) where hit"
    ).fetchall()
    return row[0] / num_positives


CONTENDERS = {
    "gapkit": gap_from_hits,
    "copy": plain_copy,
    "numpy": numpy_argsort,
    "scikit-learn": scikit_learn,
    "polars": polars_sort,
    **({"duckdb": duckdb_window} if duckdb else {}),
}

SIZES = [1_000, 100_000, 1_000_000, 14_012_800]


@pytest.fixture(scope="module", params=SIZES, ids="{:,}".format)
def ranking(request):
    rng = np.random.default_rng(0)
    confidences = rng.random(request.param, dtype=np.float32)
    hits = rng.random(request.param) < 0.15
    return confidences, hits, int(hits.sum() * 1.3)


@pytest.mark.parametrize("contender", CONTENDERS)
def test_gap_from_hits(benchmark, ranking, contender):
    benchmark.group = f"gap of {len(ranking[0]):,} predictions"
    value = benchmark.pedantic(
        CONTENDERS[contender], args=ranking, rounds=5, iterations=1, warmup_rounds=1
    )
    if value is not None:
        assert value == pytest.approx(gap_from_hits(*ranking), abs=1e-5)
