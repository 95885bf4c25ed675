"""Epochs from a cold disk, each crop for itself or in runs; and how well the runs are shuffled.

    python bench/bench_runs.py [--videos 2000] [--copies 8] [--rounds 3]

A store of `copies` times the same videos of up to 300 frames of 1024 + 128 values, whose pages
are given up before each epoch; crops of 45 frames at stride 5, batches of 128.
"""

import argparse
import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gapkit.data import FrameStore, Loader, import_tfrecords, synthesize
from gapkit.data._order import draw_runs
from gapkit.data._split import SplitMeta

BATCH_SIZE, MAX_FRAMES = 128, 45


def make_store(folder, num_videos, num_copies):
    """The same shard again and again, under other ids."""
    synthesize(
        folder / "records", num_videos=num_videos, num_classes=500, rgb_size=1024, audio_size=128,
        max_frames=300,
    )  # fmt: skip
    files = sorted((folder / "records").glob("train-*.tfrecord"))
    import_tfrecords(files, folder / "train", stride=5)
    shutil.rmtree(folder / "records")
    meta = SplitMeta.read(folder / "train")
    table = pq.read_table(folder / "train" / "labels.parquet")
    shards, parts = {}, []
    for copy in range(num_copies):
        ids = pa.array([f"{copy}-{id_}" for id_ in table["id"].to_pylist()])
        parts.append(table.set_column(0, "id", ids))
        for name, count in meta.shards.items():
            shards[f"features-{len(shards):05d}.arrow"] = count
            if copy:
                target = folder / "train" / list(shards)[-1]
                with (folder / "train" / name).open("rb") as source, target.open("wb") as out:
                    shutil.copyfileobj(source, out, 16 << 20)
    joined = pa.concat_tables(parts).replace_schema_metadata(table.schema.metadata)
    pq.write_table(joined, folder / "train" / "labels.parquet", write_page_checksum=True)
    about = {**vars(meta), "shards": shards, "num_videos": len(joined), "checksums": {}}
    SplitMeta(**about).write(folder / "train")
    return folder / "train"


def give_up_pages(folder):
    for path in folder.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def read_bytes():
    lines = Path("/proc/self/io").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("read_bytes")).split()[1])


def cold_epoch(folder, number, **options):
    """Videos a second, and bytes read from disk for each."""
    store = FrameStore(folder)
    _ = store.labels
    del store
    give_up_pages(folder)
    store = FrameStore(folder)
    _ = store.labels
    loader = Loader(store, batch_size=BATCH_SIZE, max_frames=MAX_FRAMES, **options)
    before, began = read_bytes(), time.perf_counter()
    for _ in loader.epoch(number):
        pass
    seconds = time.perf_counter() - began
    return len(store) / seconds, (read_bytes() - before) / len(store)


def shuffle_quality(num_videos, run_length, num_runs):
    """How far the order of an epoch is from that of the disk, and what a batch sees of it."""
    rng = np.random.default_rng(0)
    if run_length is None:
        order_N = rng.permutation(num_videos)
    else:
        order_N, _ = draw_runs(rng, num_videos, run_length, run_length * num_runs)
    place_N = np.arange(num_videos)
    correlation = np.corrcoef(place_N, order_N)[0, 1]
    neighbours = np.abs(np.diff(order_N)).mean() / num_videos
    batches = order_N[: num_videos // BATCH_SIZE * BATCH_SIZE].reshape(-1, BATCH_SIZE)
    # Of something that changes along the disk alone (a sorted store): spread of batch means, as
    # the number of independent videos that would have it.
    spread = (batches / num_videos).mean(axis=1).var()
    return correlation, neighbours, (1 / 12) / spread


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--videos", type=int, default=2000)
    parser.add_argument("--copies", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    print("| runs | place and disk correlate | distance of neighbours | a sorted store's batch |")
    for run_length, num_runs in ((None, 1), (256, 64), (256, 16), (1024, 16), (1024, 4), (4096, 1)):
        numbers = shuffle_quality(7_000_000, run_length, num_runs)
        print(f"| {run_length} x {num_runs} | {numbers[0]:+.4f} | {numbers[1]:.3f} of the store "
              f"| is worth {numbers[2]:.0f} of {BATCH_SIZE} |")  # fmt: skip
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as folder:
        path = make_store(Path(folder), arguments.videos, arguments.copies)
        store = FrameStore(path)
        size = sum(file.stat().st_size for file in path.iterdir()) / len(store)
        print(f"{len(store):,} videos of {size / 1e3:.0f} KB")
        contenders = {
            "each crop for itself": {},
            "runs of 256 x 16": {"run_length": 256, "num_runs": 16},
            "runs of 64 x 64": {"run_length": 64, "num_runs": 64},
        }
        found = {name: [] for name in contenders}
        for number in range(arguments.rounds):
            for name, options in contenders.items():
                found[name].append(cold_epoch(path, number, **options))
        for name, pairs in found.items():
            rates, read = zip(*pairs, strict=True)
            print(
                f"| {name} | {statistics.median(rates):,.0f} videos/s ({min(rates):,.0f} to "
                f"{max(rates):,.0f}) | {statistics.median(read) / 1e3:.0f} KB read a crop |"
            )


if __name__ == "__main__":
    main()
