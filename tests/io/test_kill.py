"""A writer that is killed with -9 leaves the old file or the new one."""

import random
import subprocess
import sys
import time

import numpy as np
import pytest

from gapkit.io import read_predictions, write_predictions
from gapkit.predictions import Predictions

NUM_KILLS = 40  # of each format
# Forks before it has threads; each child writes until it is killed, after as many seconds as told.
WRITER = """
import os, runpy, signal, sys, time
import pyarrow.parquet
from gapkit.io import write_predictions

table = runpy.run_path(sys.argv[2])["table"]
tables = [table(0), table(1)]
for line in sys.stdin:
    child = os.fork()
    while child == 0:
        for predictions in tables:
            write_predictions(sys.argv[1], predictions)
    time.sleep(float(line))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    print("killed", flush=True)
"""


def table(seed):
    rng = np.random.default_rng(seed)
    return Predictions(
        [f"v{n}" for n in range(1000)],
        np.tile(np.arange(8), (1000, 1)),
        np.sort(rng.random((1000, 8), dtype=np.float32))[:, ::-1],
        num_classes=8,
    )


@pytest.mark.parametrize("suffix", ["parquet", "arrow", "csv.gz"])
def test_a_killed_write_leaves_a_whole_file(tmp_path, suffix):
    path = tmp_path / f"p.{suffix}"
    expected = []
    for seed in (0, 1):
        began = time.perf_counter()
        write_predictions(path, table(seed))
        seconds = time.perf_counter() - began
        expected.append(read_predictions(path))
    chance = random.Random(0)
    num_cut_short, found = 0, []
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, path, __file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as writer:
        for _ in range(NUM_KILLS):
            print(chance.random() * (0.02 + 4 * seconds), file=writer.stdin, flush=True)
            assert writer.stdout.readline() == "killed\n"
            left = [file for file in tmp_path.iterdir() if file != path]
            num_cut_short += len(left)
            for file in left:
                file.unlink()
            found.append(expected.index(read_predictions(path)))
        writer.stdin.close()
    assert set(found) == {0, 1}
    assert num_cut_short > 0  # some died within a write
