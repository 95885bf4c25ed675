"""`gapkit score` of 700,640 x 20 as a whole process, beside DuckDB from the same files.

The files are as pyarrow writes them, the labels in another order than the predictions; the two take
turns. Run it by itself: `python bench/bench_score.py [rounds]`. DuckDB computes GAP alone.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

NUM_VIDEOS, TOP_K, NUM_CLASSES = 700_640, 20, 4716

DUCKDB = """
import duckdb
print(duckdb.sql(\"\"\"
    with truth as (select id, unnest(labels) as label from 'labels.parquet'),
    found as (
        select id, unnest(labels) as label, unnest(confidences) as confidence
        from 'predictions.parquet' semi join 'labels.parquet' using (id)),
    joined as (
        select found.confidence, (truth.id is not null)::int as hit
        from found left join truth on truth.id = found.id and truth.label = found.label),
    ranked as (
        select hit, row_number() over (order by confidence desc) as rank,
            sum(hit) over (order by confidence desc rows unbounded preceding) as hits
        from joined)
    select sum(hits / rank) / (select count(*) from truth) from ranked where hit = 1
\"\"\").fetchall()[0][0])
"""


def write_files(folder):
    rng = np.random.default_rng(0)
    ids = np.array([f"{n:08x}" for n in rng.permutation(NUM_VIDEOS) * 3 + 7])
    confidences = -np.sort(-(rng.random((NUM_VIDEOS, TOP_K), dtype=np.float32) ** 6), axis=1)
    first = rng.integers(0, NUM_CLASSES, (NUM_VIDEOS, 1))
    step = 211 * rng.integers(1, 3, (NUM_VIDEOS, 1))
    labels = ((first + np.arange(TOP_K) * step) % NUM_CLASSES).astype(np.uint16)
    hits = rng.random((NUM_VIDEOS, TOP_K)) < 0.8 * confidences
    offsets = np.arange(0, NUM_VIDEOS * TOP_K + 1, TOP_K, dtype=np.int32)
    predictions = {
        "id": ids,
        "labels": pa.ListArray.from_arrays(offsets, labels.ravel()),
        "confidences": pa.ListArray.from_arrays(offsets, confidences.ravel()),
    }
    pq.write_table(pa.table(predictions), folder / "predictions.parquet")
    order = rng.permutation(NUM_VIDEOS)
    true_offsets = np.concatenate([[0], np.cumsum(hits[order].sum(axis=1))]).astype(np.int32)
    true = pa.ListArray.from_arrays(true_offsets, labels[order][hits[order]])
    pq.write_table(pa.table({"id": ids[order], "labels": true}), folder / "labels.parquet")


def run(command, folder):
    """Seconds and peak megabytes of a process, and what it prints."""
    start = time.perf_counter()
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True)
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    assert status == 0, output
    return seconds, usage.ru_maxrss * 1024 / 1e6, output


def main(rounds):
    commands = {
        "gapkit score": [
            *(sys.executable, "-m", "gapkit", "score", "predictions.parquet"),
            *("--labels", "./labels.parquet"),
        ],
        "DuckDB": [sys.executable, "-c", DUCKDB],
    }
    with tempfile.TemporaryDirectory() as folder:
        write_files(Path(folder))
        results = {name: [] for name in commands}
        for number in range(rounds + 1):
            for name, command in commands.items():
                result = run(command, folder)
                if number:  # the first warms the caches of files and kernels
                    results[name].append(result)
    for name, measured in results.items():
        seconds, megabytes, outputs = zip(*measured, strict=True)
        print(
            f"{name:13} {statistics.median(seconds):.2f} s ({min(seconds):.2f} to "
            f"{max(seconds):.2f}), peak {max(megabytes):.0f} MB"
        )
        print("   ", outputs[0].strip().splitlines()[-1])
    ratios = [b[0] / a[0] for a, b in zip(*results.values(), strict=True)]
    print(f"ratio {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 7)
