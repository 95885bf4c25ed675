"""The mean of 12 submissions of 20,000 videos x 20 labels: gapkit beside polars."""

import numpy as np
import polars as pl
import pytest

from gapkit.ensemble import average
from gapkit.predictions import Predictions

NUM_MEMBERS, NUM_VIDEOS, TOP_K, NUM_CLASSES = 12, 20_000, 20, 4716


@pytest.fixture(scope="module")
def members():
    rng = np.random.default_rng(0)
    ids = [f"video{n:07d}" for n in range(NUM_VIDEOS)]
    base = rng.integers(NUM_CLASSES, size=(NUM_VIDEOS, 1))
    return [
        Predictions(
            ids,
            (base + 7 * rng.permuted(np.tile(np.arange(40), (NUM_VIDEOS, 1)), axis=1)[:, :TOP_K])
            % NUM_CLASSES,
            np.sort(rng.random((NUM_VIDEOS, TOP_K), dtype=np.float32) ** 6, axis=1)[:, ::-1],
            num_classes=NUM_CLASSES,
        )
        for _ in range(NUM_MEMBERS)
    ]


def polars_mean(frames):
    joined = pl.concat(frames).group_by("id", "label").agg(pl.col("confidence").sum() / len(frames))
    return joined.sort(["id", "confidence"], descending=[False, True]).group_by("id").head(TOP_K)


def long_table(predictions):
    return pl.DataFrame(
        {
            "id": np.repeat(np.arange(len(predictions)), predictions.top_k),
            "label": predictions.labels.reshape(-1),
            "confidence": predictions.confidences.reshape(-1).astype(np.float64),
        }
    )


@pytest.mark.parametrize("contender", ["gapkit", "polars"])
def test_mean_of_members(benchmark, members, contender):
    benchmark.group = f"mean of {NUM_MEMBERS} x {NUM_VIDEOS:,} x {TOP_K}"
    if contender == "gapkit":
        function, argument = average, members
    else:
        function, argument = polars_mean, [long_table(member) for member in members]
    result = benchmark.pedantic(function, args=(argument,), rounds=5, iterations=1, warmup_rounds=1)
    assert len(result) == (NUM_VIDEOS if contender == "gapkit" else NUM_VIDEOS * TOP_K)
