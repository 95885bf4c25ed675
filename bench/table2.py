"""The paper's Table 2 in small: every row of a sweep file trained, alone and in ensembles.

    python bench/table2.py                        # the synthetic corpus, as bench/table2.toml says
    python bench/table2.py --audioset FOLDER      # and AudioSet's records, as bench/audioset.toml

It goes on where it was interrupted. Runs that differ in their seeds alone share a row: the first
one's figures, and the GAP of the others. Members of the ensembles are the best runs on val, each
with its last checkpoints and all starts; so val flatters them a little.
"""

import argparse
import json
from pathlib import Path
from typing import NamedTuple

from gapkit import average, read_predictions
from gapkit.data import FrameStore, import_tfrecords, synthesize
from gapkit.errors import GapkitError
from gapkit.metrics import bootstrap_gap, gap, mean_average_precision
from gapkit.plugins import find_predictor
from gapkit.predicting import write_split
from gapkit.training import Checkpoints, load_run, read_sweep, sweep

HERE = Path(__file__).parent
SYNTHETIC = {
    "num_videos": 8000,
    "num_classes": 80,
    "rgb_size": 64,
    "audio_size": 32,
    "max_frames": 80,
}
ENSEMBLES = {"ensemble of 16": (16, 0.83477), "ensemble of 36": (36, 0.83670)}
FIGURES = ["GAP (95 %; more seeds)", "mAP", "parameters", "videos/s"]


class Corpus(NamedTuple):
    """What the rows are trained on, and of what the members of ensembles are made."""

    name: str
    data: Path
    sweep: Path
    num_checkpoints: int
    starts: list[int]


class Single(NamedTuple):
    """A run: what it predicts for val by itself, its members, and what came of it."""

    predictions: object
    members: list
    result: object


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--audioset", type=Path, help="folder of bal_train*.tfrecord, eval*.tfrecord"
    )
    parser.add_argument("-o", "--output", type=Path, default=Path("table2"))
    arguments = parser.parse_args()
    corpora = [synthetic(arguments.output / "synthetic")]
    if arguments.audioset is not None:
        corpora.append(audioset(arguments.audioset, arguments.output / "audioset"))
    columns = [(corpus, summarize(corpus, train_all(corpus))) for corpus in corpora]
    print_table(columns)


def synthetic(folder):
    """A corpus of YouTube-8M's shape in its splits, made once."""
    data = folder / "data"
    if not (data / "val" / "split.json").exists():
        synthesize(folder / "records", **SYNTHETIC, overwrite=True)
        for split in ("train", "val"):
            import_once(sorted((folder / "records").glob(f"{split}-*.tfrecord")), data / split)
    return Corpus("synthetic", data, HERE / "table2.toml", 1, [0, 1, 2, 3])


def audioset(records, folder):
    """AudioSet's balanced clips to train on, its evaluation clips to score."""
    for split, files in (("train", "bal_train*.tfrecord"), ("val", "eval*.tfrecord")):
        import_once(sorted(records.glob(files)), folder / "data" / split)
    return Corpus("AudioSet", folder / "data", HERE / "audioset.toml", 3, [0])


def import_once(files, split):
    if not (split / "split.json").exists():
        import_tfrecords(files, split, overwrite=True)


def train_all(corpus):
    """Runs by name, trained and predicted where they are not yet."""
    store, singles = FrameStore(corpus.data / "val"), {}
    for result in sweep(
        read_sweep(corpus.sweep, {}),
        corpus.data,
        corpus.data.parent / "runs",
        resume=True,
        on_run=lambda run: print(f"{corpus.name}: {run.name} ...", flush=True),
    ):
        if result.error is not None:
            print(f"{result.run.name}: left out: {result.error}")
            continue
        (alone,) = predict(result.path, store, ["last"], [0])
        checkpoints = last_checkpoints(result.path, corpus.num_checkpoints)
        members = predict(result.path, store, checkpoints, corpus.starts)
        singles[result.run.name] = Single(alone, members, result)
    return singles


def last_checkpoints(run, num):
    """The last weights, and those kept before them."""
    kept = [path.stem.removeprefix("checkpoint-") for path in run.glob("checkpoint-*.safetensors")]
    return [*(f"checkpoint-{epoch}" for epoch in sorted(map(int, kept))[-num:-1]), "last"]


def predict(run, store, checkpoints, starts):
    """Predictions of a run, one a checkpoint and start; those that are there are read."""
    predictions = []
    for checkpoint in checkpoints:
        for start in starts:
            name = f"{run.name}.{checkpoint}.{start}.parquet"
            path = run.parent.parent / "submissions" / name
            if not path.exists():
                batch_size = load_run(run, device="cpu").batch_size
                model = Checkpoints(run, [checkpoint], device="cpu")[checkpoint]
                write_split(model, store, path, starts=[start], batch_size=batch_size)
            predictions.append(read_predictions(path))
    return predictions


def summarize(corpus, singles):
    """The cells of each row, by name."""
    truth, cells = FrameStore(corpus.data / "val").labels, {}
    for name, (single, *others) in group_seeds(singles).items():
        run = load_run(single.result.path, device="cpu").predictor
        cells[name] = [
            *measure(single.predictions, truth, [other.predictions for other in others]),
            f"{sum(weight.numel() for weight in run.parameters()):,}",
            f"{single.result.epochs[-1].videos_per_second:,.0f}",
        ]
    # By the mean of its members: what an ensemble takes of it.
    value = {name: gap(average(single.members), truth) for name, single in singles.items()}
    order = sorted(singles, key=lambda name: -value[name])
    ranked = [member for name in order for member in singles[name].members]
    for name, (size, _) in ENSEMBLES.items():
        if len(ranked) >= size:
            cells[name] = [*measure(average(ranked[:size]), truth), "", ""]
    print(f"\n{corpus.name}: {len(truth):,} videos, {truth.num_positives:,} true labels", end="")
    facts = corpus.data.parent / "records" / "truth.json"
    if facts.exists():
        best = json.loads(facts.read_text())["best_gap"]["val"]
        print(f"; the best GAP that the noise of the labels allows is {best:.4f}", end="")
    print(f".\nEnsembles take the best first: {', '.join(order)}.")
    return cells


def group_seeds(singles):
    """By name without the seed, the runs in order."""
    groups = {}
    for name, single in singles.items():
        plain = name.removesuffix(f"-seed{single.result.run.training.get('seed')}")
        groups.setdefault(plain, []).append(single)
    return groups


def measure(predictions, truth, others=()):
    """GAP with its interval, and of more seeds; mAP."""
    bars = bootstrap_gap(predictions, truth)
    low, high = bars.bca
    seeds = "".join(f"; {gap(other, truth):.4f}" for other in others)
    mean = mean_average_precision(predictions, truth)
    return f"{bars.value:.4f} ({low:.4f} to {high:.4f}{seeds})", f"{mean:.4f}"


def print_table(columns):
    names = list(dict.fromkeys(name for _, cells in columns for name in cells))
    names.sort(key=lambda name: name in ENSEMBLES)
    heads = ["predictor", "paper, public GAP"]
    for corpus, _ in columns:
        heads += [f"{corpus.name}: {FIGURES[0]}", *FIGURES[1:]]
    print(f"\n| {' | '.join(heads)} |\n|{' --- |' * len(heads)}")
    for name in names:
        row = [name, paper_gap(name)]
        for _, cells in columns:
            row += cells.get(name, [""] * len(FIGURES))
        print(f"| {' | '.join(row)} |")


def paper_gap(name):
    """What the paper reports of a row; '-' where nothing."""
    if name in ENSEMBLES:
        return f"{ENSEMBLES[name][1]:.5f}"
    try:
        target = find_predictor(name).target
    except GapkitError:  # a row that is named after its settings
        return "-"
    value = getattr(target, "paper_gap", None)
    return "-" if value is None else f"{value:.5f}"


if __name__ == "__main__":
    main()
