"""The paper's Table 2 in small: every row of a sweep file trained, alone and in ensembles.

    python bench/table2.py                                # the synthetic corpus, minutes
    python bench/table2.py --sweep bench/audioset.toml --data as -o table2-as --starts 0 \
        --checkpoints checkpoint-3,checkpoint-4,checkpoint-5,checkpoint-6

It goes on where it was interrupted. Members of the ensembles are the best runs on val, each with
all checkpoints and starts.
"""

import argparse
import json
from pathlib import Path

from gapkit import average, read_predictions
from gapkit.data import FrameStore, import_tfrecords, synthesize
from gapkit.metrics import bootstrap_gap, mean_average_precision
from gapkit.plugins import find_predictor
from gapkit.predicting import write_split
from gapkit.training import Checkpoints, load_run, read_sweep, sweep

CORPUS = {"num_videos": 8000, "num_classes": 80, "rgb_size": 64, "audio_size": 32, "max_frames": 80}
ENSEMBLES = {"ensemble of 16": (16, 0.83477), "ensemble of 36": (36, 0.83670)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sweep", type=Path, default=Path(__file__).with_suffix(".toml"))
    parser.add_argument("--data", type=Path, help="splits train and val; none makes a corpus")
    parser.add_argument("-o", "--output", type=Path, default=Path("table2"))
    parser.add_argument("--starts", default="0,1,2,3")
    parser.add_argument("--checkpoints", default="last")
    arguments = parser.parse_args()
    output = arguments.output
    data = arguments.data or make_corpus(output)
    store = FrameStore(data / "val")
    starts = [int(start) for start in arguments.starts.split(",")]
    members, singles = {}, {}
    for result in sweep(
        read_sweep(arguments.sweep, {}),
        data,
        output / "runs",
        resume=True,
        on_run=lambda run: print(f"{run.name} ...", flush=True),
    ):
        if result.error is not None:
            print(f"{result.run.name}: left out: {result.error}")
            continue
        name = result.run.name
        singles[name] = predict(result.path, store, output, ["last"], [0])[0], result
        checkpoints = arguments.checkpoints.split(",")
        members[name] = predict(result.path, store, output, checkpoints, starts)
    print_table(store, data, singles, members)


def make_corpus(output):
    """A synthetic corpus in its splits, made once."""
    data = output / "data"
    if not (data / "val" / "split.json").exists():
        synthesize(output / "corpus", **CORPUS, overwrite=True)
        for split in ("train", "val"):
            files = sorted((output / "corpus").glob(f"{split}-*.tfrecord"))
            import_tfrecords(files, data / split, overwrite=True)
    return data


def predict(run, store, output, checkpoints, starts):
    """Predictions of a run, one a checkpoint and start; those that are there are read."""
    predictions = []
    for checkpoint in checkpoints:
        for start in starts:
            path = output / "submissions" / f"{run.name}.{checkpoint}.{start}.parquet"
            if not path.exists():
                batch_size = load_run(run, device="cpu").batch_size
                model = Checkpoints(run, [checkpoint], device="cpu")[checkpoint]
                write_split(model, store, path, starts=[start], batch_size=batch_size)
            predictions.append(read_predictions(path))
    return predictions


def print_table(store, data, singles, members):
    truth = store.labels
    rows = []
    for name, (predictions, result) in singles.items():
        weights = load_run(result.path, device="cpu").predictor.parameters()
        target = find_predictor(result.run.predictor).target
        figures = [f"{sum(weight.numel() for weight in weights):,}"]
        figures += [f"{result.epochs[-1].videos_per_second:,.0f}"]
        rows.append((name, predictions, getattr(target, "paper_gap", None), figures))
    # By the mean of its members: what an ensemble takes of it.
    value = {name: bootstrap_gap(average(own), truth).value for name, own in members.items()}
    order = sorted(members, key=lambda name: -value[name])
    for name, (size, paper) in ENSEMBLES.items():
        chosen = [member for run in order for member in members[run]][:size]
        if len(chosen) == size:
            rows.append((name, average(chosen), paper, ["", ""]))
    print(f"\n{len(store):,} videos, {truth.num_positives:,} true labels", end="")
    facts = data.parent / "corpus" / "truth.json"
    if facts.exists():
        best = json.loads(facts.read_text())["best_gap"]["val"]
        print(f"; the best GAP that the noise of the labels allows is {best:.4f}", end="")
    print(".\n\n| predictor | GAP | 95 % | mAP | parameters | videos/s | paper, public GAP |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name, predictions, paper, figures in rows:
        bars = bootstrap_gap(predictions, truth)
        low, high = bars.bca
        mean = mean_average_precision(predictions, truth)
        cells = [name, f"{bars.value:.4f}", f"{low:.4f} to {high:.4f}", f"{mean:.4f}", *figures]
        print(f"| {' | '.join([*cells, '-' if paper is None else f'{paper:.5f}'])} |")
    print(f"\nEnsembles, the best first: {', '.join(order)}")


if __name__ == "__main__":
    main()
