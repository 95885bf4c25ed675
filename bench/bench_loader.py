"""Crops of a store beside the tfrecord package and a plain copy; an accelerator that waits, or not.

    python bench/bench_loader.py [--videos 2000] [--rounds 5]

Videos of up to 300 frames of 1024 + 128 values, crops of 45 frames at stride 5. The same
videos, as TFRecords, are read by the tfrecord package, whose reader checks no checksums. The
store has its shards ten times, by links: 2,000 videos are 16 batches, whose start would count.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections import deque
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import tfrecord
import torch

from gapkit.data import FrameStore, Loader, import_tfrecords, synthesize
from gapkit.data._split import SplitMeta

BATCH_SIZE, MAX_FRAMES, STRIDE = 128, 45, 5
NUM_LINKS = 10
SIZES = {"rgb": 1024, "audio": 128}
FRAME_BYTES = sum(SIZES.values())
PAGE_BYTES = 4096


def link_shards(folder):
    """The same shards again and again, under other ids, in no more memory."""
    meta, table = SplitMeta.read(folder), pq.read_table(folder / "labels.parquet")
    shards, parts = dict(meta.shards), [table]
    for number in range(1, NUM_LINKS):
        ids = pa.array([f"{number}-{id_}" for id_ in table["id"].to_pylist()])
        parts.append(table.set_column(0, "id", ids))
        for name, num_videos in meta.shards.items():
            link = f"features-{len(shards):05d}.arrow"
            (folder / link).hardlink_to(folder / name)
            shards[link] = num_videos
    joined = pa.concat_tables(parts).replace_schema_metadata(table.schema.metadata)
    pq.write_table(joined, folder / "labels.parquet", write_page_checksum=True)
    about = {**vars(meta), "shards": shards, "num_videos": len(joined), "checksums": {}}
    SplitMeta(**about).write(folder)


def read_tfrecords(files):
    """Crops from TFRecords, a video at a time."""
    description = dict.fromkeys(SIZES, "byte")
    while True:
        for file in files:
            records = tfrecord.tfrecord_loader(
                str(file), None, {"id": "byte"}, sequence_description=description
            )
            for _, frames in records:
                crop = {
                    name: np.stack(frames[name])[::STRIDE][:MAX_FRAMES]
                    if isinstance(frames[name][0], np.ndarray)
                    else np.frombuffer(b"".join(frames[name]), np.uint8).reshape(
                        len(frames[name]), -1
                    )[::STRIDE][:MAX_FRAMES]
                    for name in SIZES
                }
                yield crop


def batches_of(crops):
    """Crops by as many, padded."""
    while True:
        taken = [next(crops) for _ in range(BATCH_SIZE)]
        out = {name: np.zeros((BATCH_SIZE, MAX_FRAMES, SIZES[name]), np.uint8) for name in SIZES}
        for b, crop in enumerate(taken):
            for name, frames_TD in crop.items():
                out[name][b, : len(frames_TD)] = frames_TD
        yield out


def loaded(loader):
    """Epoch after epoch."""
    number = 0
    while True:
        yield from (batch.features for batch, _ in loader.epoch(number))
        number += 1


def videos_per_second(batches, num_batches):
    next(batches)
    began = time.perf_counter()
    for _ in range(num_batches):
        next(batches)
    return num_batches * BATCH_SIZE / (time.perf_counter() - began)


def random_crops(store):
    rng = np.random.default_rng(0)
    while True:
        index_B = rng.integers(len(store), size=BATCH_SIZE)
        yield store.crops(
            index_B, rng.integers(2 * STRIDE, size=BATCH_SIZE), max_frames=MAX_FRAMES
        ).features


def held(batches, num_held):
    """As a loader holds some that nobody has taken yet: what is written is not in the cache."""
    waiting = deque(maxlen=num_held)
    for batch in batches:
        waiting.append(batch)
        yield batch


def plain_copies(num_videos):
    """As many bytes from as large a memory, one copy a crop."""
    rng = np.random.default_rng(0)
    stored = rng.integers(256, size=(num_videos, 300 * FRAME_BYTES), dtype=np.uint8)
    while True:
        out = np.empty((BATCH_SIZE, MAX_FRAMES * FRAME_BYTES), np.uint8)
        for b, n in enumerate(rng.integers(num_videos, size=BATCH_SIZE).tolist()):
            out[b] = stored[n, : MAX_FRAMES * FRAME_BYTES]
        yield out


def tensors(batches):
    for features in batches:
        yield {name: torch.from_numpy(values) for name, values in features.items()}


def share_waited(batches, rate, seconds):
    """Of the time of an accelerator that takes so many videos a second."""
    next(batches)
    step = BATCH_SIZE / rate
    began, waited = time.perf_counter(), 0.0
    while (now := time.perf_counter()) < began + seconds:
        next(batches)
        got = time.perf_counter()
        waited += got - now
        time.sleep(max(0.0, got + step - time.perf_counter()))
    return waited / (time.perf_counter() - began)


def bytes_read_cold(store, num_crops):
    """Bytes from the disk for each crop, after the pages of the store were given up."""
    for path in store.path.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    store = FrameStore(store.path)
    _ = store.labels
    rng = np.random.default_rng(1)
    before = read_bytes()
    for index in rng.permutation(len(store))[:num_crops]:
        store.crops([index], [0], max_frames=MAX_FRAMES)
    return (read_bytes() - before) / num_crops


def read_bytes():
    lines = Path("/proc/self/io").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("read_bytes")).split()[1])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--videos", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5.0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        synthesize(
            Path(folder) / "records",
            num_videos=arguments.videos,
            num_classes=500,
            rgb_size=SIZES["rgb"],
            audio_size=SIZES["audio"],
            max_frames=300,
        )
        files = sorted((Path(folder) / "records").glob("train-*.tfrecord"))
        import_tfrecords(files, Path(folder) / "train", stride=STRIDE)
        link_shards(Path(folder) / "train")
        store = FrameStore(Path(folder) / "train")
        cold = bytes_read_cold(store, 200)
        video = float(store.num_frames.mean()) * FRAME_BYTES
        print(f"cold: {cold / 1e3:.0f} KB read a crop; a video has {video / 1e3:.0f} KB")

        def load():
            return loaded(Loader(store, batch_size=BATCH_SIZE, max_frames=MAX_FRAMES))

        contenders = {
            "tfrecord package": (batches_of(read_tfrecords(files)), 4),
            "FrameStore.crops": (random_crops(store), 300),
            "the same, 5 batches held": (held(random_crops(store), 5), 300),
            "Loader, to tensors": (tensors(load()), 300),
            "plain copy": (plain_copies(arguments.videos), 300),
        }
        rates = {name: [] for name in contenders}
        for _ in range(arguments.rounds):
            for name, (batches, num_batches) in contenders.items():
                rates[name].append(videos_per_second(batches, num_batches))
        crops = rates["FrameStore.crops"]
        kept = [a / b for a, b in zip(rates["Loader, to tensors"], crops, strict=True)]
        copied = [a / b for a, b in zip(rates["plain copy"], crops, strict=True)]
        held_rates = rates["the same, 5 batches held"]
        alike = [a / b for a, b in zip(rates["Loader, to tensors"], held_rates, strict=True)]
        for name, ratios in (
            ("loader / crops", kept),
            ("loader / crops held", alike),
            ("copy / crops", copied),
        ):
            middle = statistics.median(ratios)
            print(f"{name}: {middle:.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
        for name, values in rates.items():
            print(
                f"| {name} | {statistics.median(values):,.0f} videos/s "
                f"({min(values):,.0f} to {max(values):,.0f}) |"
            )
        for rate in (100, 1_000, 10_000):
            ours = share_waited(load(), rate, arguments.seconds)
            theirs = share_waited(batches_of(read_tfrecords(files)), rate, arguments.seconds)
            print(f"| {rate:,} videos/s | waits {ours:.1%} | with TFRecords {theirs:.1%} |")


if __name__ == "__main__":
    main()
