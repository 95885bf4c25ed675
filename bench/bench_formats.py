"""Files of submissions: layouts and options of Parquet, and reading each format beside its peers.

    python bench/bench_formats.py options          layout, encoding, codec, row groups
    python bench/bench_formats.py readers          gapkit beside pyarrow and polars, same files

700,640 videos x 20 labels, rounds that alternate between the contenders: median (least, most).
"""

import argparse
import gzip
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from gapkit.io import read_predictions, write_predictions
from gapkit.predictions import Predictions

TOP_K, NUM_CLASSES = 20, 4716
LABEL, CONFIDENCE = "labels.list.element", "confidences.list.element"
OPTIONS = {
    "pyarrow's own": {},
    "snappy, labels as dictionary": {"compression": "snappy", "use_dictionary": [LABEL]},
    "the same, checksums (ours)": {
        "compression": "snappy",
        "use_dictionary": [LABEL],
        "write_page_checksum": True,
    },
    "uncompressed": {"compression": "none", "use_dictionary": [LABEL]},
    "lz4": {"compression": "lz4", "use_dictionary": [LABEL]},
    "zstd": {"compression": "zstd", "use_dictionary": [LABEL]},
    "plain labels": {"compression": "snappy", "use_dictionary": False},
    "byte stream split": {
        "compression": "snappy",
        "use_dictionary": [LABEL],
        "column_encoding": {CONFIDENCE: "BYTE_STREAM_SPLIT"},
    },
    "zstd, byte stream split": {
        "compression": "zstd",
        "use_dictionary": [LABEL],
        "column_encoding": {CONFIDENCE: "BYTE_STREAM_SPLIT"},
    },
    "row groups of 16,384": {"use_dictionary": [LABEL], "row_group_size": 1 << 14},
    "row groups of 65,536": {"use_dictionary": [LABEL], "row_group_size": 1 << 16},
    "row groups of 262,144": {"use_dictionary": [LABEL], "row_group_size": 1 << 18},
}


def make_predictions(num_videos):
    rng = np.random.default_rng(0)
    confidence_NK = np.sort(rng.random((num_videos, TOP_K), dtype=np.float32) ** 6)[:, ::-1]
    first_N = rng.zipf(1.3, num_videos) % NUM_CLASSES
    step_NK = np.cumsum(rng.integers(1, 200, (num_videos, TOP_K)), axis=1)
    label_NK = (first_N[:, None] + step_NK) % NUM_CLASSES  # steps of less than C in all: distinct
    ids = [f"{n:08x}" for n in rng.permutation(num_videos)]
    return Predictions(ids, label_NK, confidence_NK, num_classes=NUM_CLASSES)


def alternate(contenders, num_rounds):
    """Seconds of each, round by round."""
    seconds = {name: [] for name in contenders}
    for _ in range(num_rounds):
        for name, run in contenders.items():
            began = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - began)
    return seconds


def describe(seconds):
    return f"{statistics.median(seconds):.3f} s ({min(seconds):.3f} to {max(seconds):.3f})"


def layouts(predictions):
    lists = predictions.to_arrow()
    fixed = {
        name: pa.FixedSizeListArray.from_arrays(lists[name].combine_chunks().flatten(), TOP_K)
        for name in ("labels", "confidences")
    }
    return {
        "lists": lists,
        "lists of fixed size": pa.table({"id": lists["id"], **fixed}),
        "long": predictions.to_long(),
    }


def compare_options(predictions, folder, num_rounds):
    tables = layouts(predictions)
    cases = {f"lists, {name}": (tables["lists"], options) for name, options in OPTIONS.items()}
    cases["lists of fixed size"] = (tables["lists of fixed size"], {})
    cases["long"] = (tables["long"], {})
    paths = {name: folder / f"{n}.parquet" for n, name in enumerate(cases)}
    writers = {
        name: lambda path=paths[name], case=case: pq.write_table(case[0], path, **case[1])
        for name, case in cases.items()
    }
    readers = {
        name: lambda path=path, case=cases[name]: pq.read_table(
            path, page_checksum_verification="write_page_checksum" in case[1]
        )
        for name, path in paths.items()
    }
    write_seconds = alternate(writers, num_rounds)
    read_seconds = alternate(readers, num_rounds)
    print("| Parquet | write | read | MB |\n| --- | --- | --- | --- |")
    for name, path in paths.items():
        size = path.stat().st_size / 1e6
        print(
            f"| {name} | {describe(write_seconds[name])} | {describe(read_seconds[name])} "
            f"| {size:.1f} |"
        )


def polars_kaggle(path):
    """The same rows as lists: the id, then labels and confidences in turn."""
    words = pl.col("LabelConfidencePairs").str.split(" ")
    return pl.read_csv(path).select(
        "VideoId",
        labels=words.list.gather_every(2).list.eval(pl.element().cast(pl.UInt16)),
        confidences=words.list.gather_every(2, 1).list.eval(pl.element().cast(pl.Float32)),
    )


def polars_long(frame):
    """Rows of a video together, falling confidence."""
    ordered = frame.sort("id", "confidence", descending=[False, True])
    return ordered.group_by("id", maintain_order=True).agg("label", "confidence")


def compare_readers(predictions, folder, num_rounds):
    parquet, arrow, kaggle = (folder / f"p.{suffix}" for suffix in ("parquet", "arrow", "csv"))
    for path in (parquet, arrow, kaggle):
        write_predictions(path, predictions)
    packed = folder / "p.csv.gz"
    packed.write_bytes(gzip.compress(kaggle.read_bytes(), 1))
    plain = folder / "plain.parquet"
    pq.write_table(predictions.to_arrow().replace_schema_metadata(), plain)
    long, long_text = folder / "long.parquet", folder / "long.csv"
    pq.write_table(predictions.to_long(), long)
    pl.read_parquet(long).write_csv(long_text)
    cases = {
        "Parquet, ours": (
            parquet,
            "pyarrow, checksums verified",
            lambda: pq.read_table(parquet, page_checksum_verification=True),
        ),
        "Parquet as pyarrow writes it": (plain, "pyarrow", lambda: pq.read_table(plain)),
        "Arrow IPC": (
            arrow,
            "pyarrow, mapped and every page touched",
            lambda: touch(pa.ipc.open_file(pa.memory_map(str(arrow))).read_all()),
        ),
        "Kaggle CSV": (kaggle, "polars", lambda: polars_kaggle(kaggle)),
        "Kaggle CSV, gzipped": (packed, "polars", lambda: polars_kaggle(packed)),
        "long Parquet": (long, "polars", lambda: polars_long(pl.read_parquet(long))),
        "long CSV": (long_text, "polars", lambda: polars_long(pl.read_csv(long_text))),
    }
    print("| file | MB | gapkit | peer | ratio (least to most) |\n| --- | --- | --- | --- | --- |")
    for name, (path, peer, read) in cases.items():
        seconds = alternate({"gapkit": lambda p=path: read_predictions(p), peer: read}, num_rounds)
        ratios = [a / b for a, b in zip(seconds["gapkit"], seconds[peer], strict=True)]
        print(
            f"| {name} | {path.stat().st_size / 1e6:.0f} | {describe(seconds['gapkit'])} "
            f"| {peer} {describe(seconds[peer])} "
            f"| {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}) |",
            flush=True,
        )


def touch(table):
    """Read what a mapping promises."""
    for column in ("labels", "confidences"):
        for chunk in table[column].chunks:
            chunk.flatten().to_numpy().sum()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=["options", "readers"])
    parser.add_argument("--videos", type=int, default=700_640)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    predictions = make_predictions(arguments.videos)
    compare = {"options": compare_options, "readers": compare_readers}[arguments.what]
    with tempfile.TemporaryDirectory() as folder:
        compare(predictions, Path(folder), arguments.rounds)


if __name__ == "__main__":
    main()
