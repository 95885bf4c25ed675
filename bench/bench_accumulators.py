"""Accumulators at sizes beyond memory: what a stream of predictions takes in time and memory.

Run it by itself: `python bench/bench_accumulators.py sketch` (10^9 predictions into a GapSketch)
or `python bench/bench_accumulators.py spill` (10^8 into a GapAccumulator of 200 MB, beside one that
keeps all).
"""

import sys
import time
from pathlib import Path

import numpy as np

from gapkit.metrics import GapAccumulator, GapSketch

BATCH = 2_000_000


def resident_megabytes(key="VmRSS"):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(key))


def batches(size, seed=0):
    """Batches of one block of random numbers, turned about, so that drawing costs little."""
    rng = np.random.default_rng(seed)
    hits = rng.random(BATCH, dtype=np.float32) < 0.15
    for _ in range(size // BATCH):
        yield rng.random(BATCH, dtype=np.float32), np.roll(hits, rng.integers(BATCH))


def stream(accumulator, size):
    seconds = 0.0
    memory = []
    for number, (confidences, hits) in enumerate(batches(size)):
        start = time.perf_counter()
        accumulator.update_hits(confidences, hits, int(hits.sum()))
        seconds += time.perf_counter() - start
        if number % max(1, size // BATCH // 10) == 0:
            memory.append(resident_megabytes())
    start = time.perf_counter()
    value = accumulator.compute()
    print(
        f"{size:,} predictions: updates {seconds:.1f} s, compute "
        f"{time.perf_counter() - start:.1f} s; resident MB on the way: "
        + " ".join(f"{m:.0f}" for m in memory)
        + f", at the end {resident_megabytes():.0f}, peak {resident_megabytes('VmHWM'):.0f}"
    )
    return value


def sketch():
    accumulator = GapSketch()
    stream(accumulator, 10**9)
    low, high = accumulator.bounds()
    print(f"bounds {low:.9f} to {high:.9f}, width {high - low:.2e}")


def spill():
    size = 10**8
    spilled = stream(GapAccumulator(max_memory=200_000_000), size)
    whole = stream(GapAccumulator(), size)
    print(f"spilled {spilled!r}, in memory {whole!r}, the same: {spilled == whole}")


if __name__ == "__main__":
    {"sketch": sketch, "spill": spill}[sys.argv[1]]()
