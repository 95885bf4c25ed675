"""How long a fit of weights takes: 36 members x 20,000 videos x 20 labels, 5 folds.

    python bench/bench_fit.py [--members 36] [--videos 20000]

Members see the same evidence with noise of their own; real members are in bench_fit_audioset.py.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from gapkit.ensemble import ensemble_files, fit_weights
from gapkit.io import read_predictions, write_predictions
from gapkit.metrics import gap
from gapkit.predictions import Labels, Predictions

NUM_CLASSES, NUM_SEEN, TOP_K = 4716, 35, 20


def make_members(num_members, num_videos, rng):
    """Truth of one to five labels a video, and members that rank it among 35 candidates."""
    ids = [f"v{n}" for n in range(num_videos)]
    candidate_NS = np.stack(
        [rng.choice(NUM_CLASSES, NUM_SEEN, replace=False) for _ in range(num_videos)]
    )
    count_N = rng.integers(1, 6, num_videos)
    is_true_NS = np.arange(NUM_SEEN) < count_N[:, None]
    rows = zip(ids, candidate_NS, count_N, strict=True)
    truth = {name: candidate_S[:n].tolist() for name, candidate_S, n in rows}
    shared_NS = 1.5 * is_true_NS - 1 + 0.8 * rng.standard_normal(is_true_NS.shape)
    members = []
    for _ in range(num_members):
        noise_NS = rng.uniform(0.5, 1.5) * rng.standard_normal(is_true_NS.shape)
        value_NS = 1 / (1 + np.exp(-shared_NS - noise_NS))
        kept_NK = np.argsort(-value_NS, axis=1)[:, :TOP_K]
        members.append(
            Predictions(
                ids,
                np.take_along_axis(candidate_NS, kept_NK, axis=1),
                np.take_along_axis(value_NS, kept_NK, axis=1),
                num_classes=NUM_CLASSES,
            )
        )
    return members, Labels.from_dict(truth, num_classes=NUM_CLASSES)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--members", type=int, default=36)
    parser.add_argument("--videos", type=int, default=20_000)
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    members, labels = make_members(arguments.members, arguments.videos, rng)
    print("| method | s | GAP, in sample | out of fold | uniform | file's GAP - reported |")
    print("| --- | --- | --- | --- | --- | --- |")
    for method in ("greedy", "coordinate", "stack"):
        began = time.perf_counter()
        fitted = fit_weights(members, labels, method=method)
        seconds = time.perf_counter() - began
        print(
            f"| {method} | {seconds:.1f} | {fitted.gap:.6f} | {fitted.out_of_fold.value:.6f} "
            f"| {fitted.uniform.value:.6f} | {error_of(fitted, members, labels):.1e} |",
            flush=True,
        )


def error_of(fitted, members, labels):
    """How far the GAP of the file that the weights give is from the one reported."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "ensemble.parquet"
        if fitted.method == "stack":
            write_predictions(output, fitted.apply(members))
        else:
            paths = [Path(folder) / f"{n}.parquet" for n in range(len(members))]
            for path, member in zip(paths, members, strict=True):
                write_predictions(path, member)
            ensemble_files(paths, output, fitted.weights)
        return abs(gap(read_predictions(output), labels) - fitted.gap)


if __name__ == "__main__":
    main()
