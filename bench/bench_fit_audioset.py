"""Fitted weights on AudioSet: what members that were really trained gain on videos not fitted to.

Trains small networks on the balanced training clips of ../shared/data, two to three minutes, and
averages their predictions of the evaluation clips. Half of these, by a hash of the id, is what
weights are fitted to; the other half is the test. Prints a table; writes a temporary folder only.

    python bench/bench_fit_audioset.py [--dump FOLDER]
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from gapkit.data import FrameStore, import_tfrecords
from gapkit.ensemble import average, explain, fit_weights
from gapkit.ensemble._fitting.folds import assign_folds
from gapkit.io import read_labels, read_predictions, write_labels, write_predictions
from gapkit.metrics import compare_gap, gap
from gapkit.predictions import Labels, Predictions

DATA = Path(__file__).parents[2] / "shared" / "data" / "audioset"
CHECKPOINTS = (2, 6, 14)  # epochs
MODELS = {  # hidden size, dropout, weight decay, features
    "linear": (0, 0.0, 1e-4, "mean"),
    "small": (256, 0.2, 1e-4, "mean"),
    "wide": (1024, 0.5, 1e-4, "moments"),
    "deep": (512, 0.3, 1e-4, "moments"),
}


def read_split(name, folder):
    files = sorted(DATA.glob(f"{name}*.tfrecord"))
    import_tfrecords(files, folder / name)
    store = FrameStore(folder / name)
    moments = []
    for start in range(0, len(store), 2048):
        rows = np.arange(start, min(start + 2048, len(store)))
        batch = store.crops(rows, np.zeros(len(rows), np.int64))
        frames = batch.features["audio"].astype(np.float32) / 255 - 0.5  # (B, T, D)
        is_frame = np.arange(frames.shape[1]) < batch.num_frames[:, None]
        count = batch.num_frames[:, None].astype(np.float32)
        mean = (frames * is_frame[..., None]).sum(axis=1) / count
        spread = ((frames - mean[:, None]) ** 2 * is_frame[..., None]).sum(axis=1) / count
        moments.append(np.concatenate([mean, np.sqrt(spread)], axis=1))
    return np.concatenate(moments), read_labels(folder / name / "labels.parquet")


def make_network(kind, num_features, num_classes):
    hidden, dropout, _, _ = MODELS[kind]
    layers = [torch.nn.BatchNorm1d(num_features)]
    width = num_features
    for _ in range({"linear": 0, "deep": 2}.get(kind, 1)):
        layers += [torch.nn.Linear(width, hidden), torch.nn.ReLU(), torch.nn.Dropout(dropout)]
        width = hidden
    return torch.nn.Sequential(*layers, torch.nn.Linear(width, num_classes))


def train_members(train, val):
    """Predictions of every model at every checkpoint, by name."""
    (train_x, train_labels), (val_x, val_labels) = train, val
    truth = np.zeros((len(train_labels), 527), np.float32)
    truth[np.repeat(np.arange(len(truth)), np.diff(train_labels.offsets)), train_labels.values] = 1
    members = {}
    for seed, kind in enumerate(MODELS):
        torch.manual_seed(seed)
        _, _, decay, features = MODELS[kind]
        size = 128 if features == "mean" else 256
        x, y = torch.from_numpy(train_x[:, :size]), torch.from_numpy(truth)
        network = make_network(kind, size, truth.shape[1])
        optimizer = torch.optim.AdamW(network.parameters(), 2e-3, weight_decay=decay)
        for epoch in range(1, max(CHECKPOINTS) + 1):
            network.train()
            for rows in torch.randperm(len(x)).split(128):
                loss = torch.nn.functional.binary_cross_entropy_with_logits(
                    network(x[rows]), y[rows], reduction="sum"
                ) / len(rows)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            if epoch in CHECKPOINTS:
                network.eval()
                with torch.no_grad():
                    dense = torch.sigmoid(network(torch.from_numpy(val_x[:, :size]))).numpy()
                members[f"{kind}@{epoch}"] = Predictions.from_dense(dense, val_labels.id_column)
    return members


def load_members(folder):
    """The members and the truth, trained unless the folder holds them."""
    if folder is not None and (folder / "labels.parquet").is_file():
        files = sorted(folder.glob("*@*.parquet"))
        members = {file.stem: read_predictions(file) for file in files}
        return members, read_labels(folder / "labels.parquet")
    with tempfile.TemporaryDirectory() as temporary:
        train = read_split("bal_train", Path(temporary))
        val = read_split("eval", Path(temporary))
    members = train_members(train, val)
    if folder is not None:
        folder.mkdir(exist_ok=True)
        for name, member in members.items():
            write_predictions(folder / f"{name}.parquet", member)
        write_labels(folder / "labels.parquet", val[1])
    return members, val[1]


def part_of(labels, rows):
    return Labels(labels.id_column.take(rows), [labels.labels[n] for n in rows], num_classes=527)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dump", type=Path, help="keep the members here, and take them from here")
    torch.set_num_threads(1)
    members, labels = load_members(parser.parse_args().dump)
    half = assign_folds(labels, 2, seed=1)
    fit_labels, test_labels = (part_of(labels, np.flatnonzero(half == h)) for h in (0, 1))
    tables, names = list(members.values()), list(members)

    print(
        f"{len(names)} members, fitted to {len(fit_labels):,} clips, {len(test_labels):,} to test"
    )
    uniform = average(tables)
    gaps = [gap(table, fit_labels) for table in tables]
    best = tables[int(np.argmax(gaps))]
    print("| weights | in sample | out of fold | test | test - uniform (95 %) | p | s |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name, table in ((f"best single ({names[np.argmax(gaps)]})", best), ("uniform", uniform)):
        row = compare_gap(table, uniform, test_labels)
        print(f"| {name} | {gap(table, fit_labels):.5f} | - | {describe(row)} | - |")
    for mode in ("logit", "rank", "rrf"):
        table = average(tables, mode=mode)
        row = compare_gap(table, uniform, test_labels)
        print(f"| uniform, {mode} | {gap(table, fit_labels):.5f} | - | {describe(row)} | - |")
    for calibrate in (None, "temperature", "isotonic"):
        for method in ("greedy", "coordinate", "stack"):
            began = time.perf_counter()
            fitted = fit_weights(
                tables, fit_labels, method=method, calibrate=calibrate, names=names
            )
            seconds = time.perf_counter() - began
            row = compare_gap(fitted.apply(tables), uniform, test_labels)
            name = method if calibrate is None else f"{method}, {calibrate}"
            print(
                f"| {name} | {fitted.gap:.5f} | {fitted.out_of_fold.value:.5f} | {describe(row)} "
                f"| {seconds:.1f} |"
            )
        mapped = average(tables, transforms=fitted.transforms)
        row = compare_gap(mapped, uniform, test_labels)
        print(f"| uniform, {calibrate} | {gap(mapped, fit_labels):.5f} | - | {describe(row)} | - |")
    print()
    print(explain(tables, test_labels, names=names))


def describe(row):
    low, high = row.bca
    return (
        f"{row.value_a:.5f} | {row.difference:+.5f} ({low:+.5f} to {high:+.5f}) "
        f"| {row.p_randomisation:.3f}"
    )


if __name__ == "__main__":
    main()
