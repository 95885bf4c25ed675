"""Averages of submissions: gapkit beside polars, DuckDB and plain reading.

    python bench/bench_ensemble.py kernel                   36 x 50,000 x 20 in memory
    python bench/bench_ensemble.py files --members 12       Parquet to Parquet, whole processes
    python bench/bench_ensemble.py files --members 36 --shuffled

`files` writes its members into a temporary folder (85 MB each at 700,640 videos) and takes turns:
gapkit, then a process that reads all members with pyarrow, one after another, and writes one; and
with --duckdb DuckDB. It prints times, ratios with their spread, and peak memory.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

NUM_CLASSES, TOP_K = 4716, 20
PYARROW = """
import sys, pyarrow.parquet as pq
for path in sys.argv[2:]:
    table = pq.read_table(path)
pq.write_table(table, sys.argv[1])
"""
# A child counts what its parent holds when it is forked: this process is a small one.
LAUNCH = """
import json, os, subprocess, sys, time
began = time.perf_counter()
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(process.pid, 0)
process.returncode = status
print(json.dumps([status, time.perf_counter() - began, usage.ru_maxrss / 1024]))
"""
DUCKDB = """
import sys, duckdb
files = ", ".join(f"'{path}'" for path in sys.argv[2:])
duckdb.sql(f'''copy (
    with entries as (
        select id, unnest(labels) as label, unnest(confidences) as confidence
        from read_parquet([{files}])),
    means as (
        select id, label, (sum(confidence::double) / {len(sys.argv) - 2})::float as confidence
        from entries group by id, label),
    ranked as (
        select *, row_number() over (partition by id order by confidence desc, label) as rank
        from means)
    select id, list(label order by rank) as labels, list(confidence order by rank) as confidences
    from ranked where rank <= 20 group by id
) to '{sys.argv[1]}' (format parquet)''')
"""


def make_members(num_members, num_videos, seed=0):
    """Labels and confidences of each member: each video has 40 likely labels of its own."""
    rng = np.random.default_rng(seed)
    base = rng.integers(NUM_CLASSES, size=(num_videos, 1))
    for _ in range(num_members):
        rank = rng.random((num_videos, 40), np.float32).argpartition(TOP_K, axis=1)[:, :TOP_K]
        confidence = rng.random((num_videos, TOP_K), np.float32) ** 6
        confidence = -np.sort(-confidence, axis=1)
        yield ((base + 7 * rank) % NUM_CLASSES).astype(np.uint16), confidence


def bench_kernel(num_members, num_videos, rounds):
    import polars as pl

    from gapkit._kernels.average import average_rows

    members = list(make_members(num_members, num_videos))
    label_NMK = np.stack([label for label, _ in members], axis=1)
    confidence_NMK = np.stack([confidence for _, confidence in members], axis=1)
    length_NM = np.full(label_NMK.shape[:2], TOP_K)
    out = (
        np.zeros((num_videos, TOP_K), np.uint16),
        np.zeros((num_videos, TOP_K), np.float32),
        np.zeros(num_videos, np.int64),
    )
    num_threads = len(os.sched_getaffinity(0))

    def run(part):
        average_rows(
            *(array[part] for array in (label_NMK, confidence_NMK, length_NM)),
            np.ones(num_members),
            np.zeros(num_members, np.int64),
            float(num_members),
            NUM_CLASSES,
            0,
            0,
            *(array[part] for array in out),
        )

    cuts = [num_videos * t // num_threads for t in range(num_threads + 1)]
    parts = [slice(a, b) for a, b in pairwise(cuts)]
    long = pl.DataFrame(
        {
            "id": np.tile(np.repeat(np.arange(num_videos), TOP_K), num_members),
            "label": np.concatenate([label.reshape(-1) for label, _ in members]),
            "confidence": np.concatenate([c.reshape(-1) for _, c in members]).astype(np.float64),
        }
    )

    def by_polars():
        means = long.group_by("id", "label").agg(pl.col("confidence").sum() / num_members)
        ordered = means.sort("id", "confidence", "label", descending=[False, True, False])
        return ordered.group_by("id", maintain_order=True).head(TOP_K)

    contenders = {"polars": by_polars}
    try:
        import duckdb
    except ImportError:
        pass
    else:
        query = f"""
            with means as (select id, label, sum(confidence) / {num_members} as confidence
                           from entries group by id, label)
            select * from means
            qualify row_number() over (partition by id order by confidence desc, label) <= {TOP_K}
        """
        connection = duckdb.connect()
        connection.register("entries", long.to_arrow())
        contenders["duckdb"] = lambda: connection.sql(query).to_arrow_table()
    run(slice(0, 1))
    with ThreadPoolExecutor(num_threads) as pool:
        contenders = {"gapkit": lambda: list(pool.map(run, parts)), **contenders}
        times = {name: [] for name in contenders}
        for _ in range(rounds):
            for name, function in contenders.items():
                began = time.perf_counter()
                function()
                times[name].append(time.perf_counter() - began)
    print(f"{num_members} x {num_videos:,} x {TOP_K}, {num_threads} threads")
    report(times, {})


def bench_files(num_members, num_videos, shuffled, with_duckdb, rounds):
    rng = np.random.default_rng(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = []
        ids = pa.array([f"{n:08x}" for n in rng.permutation(3 * num_videos)[:num_videos]])
        offsets = np.arange(0, num_videos * TOP_K + 1, TOP_K, dtype=np.int32)
        for number, (label, confidence) in enumerate(make_members(num_members, num_videos)):
            order = rng.permutation(num_videos) if shuffled else np.arange(num_videos)
            columns = {
                "id": ids.take(pa.array(order)),
                "labels": pa.ListArray.from_arrays(offsets, label[order].reshape(-1)),
                "confidences": pa.ListArray.from_arrays(offsets, confidence[order].reshape(-1)),
            }
            paths.append(str(folder / f"{number}.parquet"))
            pq.write_table(pa.table(columns), paths[-1])
        gapkit = [sys.executable, "-m", "gapkit"]
        commands = {
            "gapkit": [*gapkit, "ensemble", *paths, "-o", folder / "gapkit.parquet"],
            "pyarrow reads": [sys.executable, "-c", PYARROW, folder / "pyarrow.parquet", *paths],
        }
        if with_duckdb:
            commands["duckdb"] = [sys.executable, "-c", DUCKDB, folder / "duckdb.parquet", *paths]
        times = {name: [] for name in commands}
        peaks = dict.fromkeys(commands, 0.0)
        for _ in range(rounds):
            for name, command in commands.items():
                launch = [sys.executable, "-c", LAUNCH, *command]
                done = subprocess.run(launch, stdout=subprocess.PIPE, check=True)
                status, seconds, peak = json.loads(done.stdout)
                assert status == 0, name
                times[name].append(seconds)
                peaks[name] = max(peaks[name], peak)
    order = ", rows shuffled" if shuffled else ""
    print(f"{num_members} files of {num_videos:,} x {TOP_K}{order}, whole processes")
    report(times, peaks)


def report(times, peaks):
    """Median time, the ratio to gapkit's of the same round (median, and from to), peak memory."""
    for name, seconds in times.items():
        ratios = [a / b for a, b in zip(seconds, times["gapkit"], strict=True)]
        peak = f", peak {peaks[name]:,.0f} MB" if peaks else ""
        print(
            f"{name:14s} {statistics.median(seconds):8.3f} s, {statistics.median(ratios):6.2f} x "
            f"({min(ratios):.2f} to {max(ratios):.2f}){peak}"
        )
    print("load average", " ".join(f"{load:.1f}" for load in os.getloadavg()))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["kernel", "files"])
    parser.add_argument("--members", type=int, default=36)
    parser.add_argument("--videos", type=int)
    parser.add_argument("--shuffled", action="store_true")
    parser.add_argument("--duckdb", action="store_true")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    if options.what == "kernel":
        bench_kernel(options.members, options.videos or 50_000, options.rounds)
    else:
        bench_files(
            options.members,
            options.videos or 700_640,
            options.shuffled,
            options.duckdb,
            options.rounds,
        )


if __name__ == "__main__":
    main()
