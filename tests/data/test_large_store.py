"""Stores of thousands of shards: made-up ones, whose index is all that is large."""

import json
import os
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
import records
from import_cases import SIZES, draw

from gapkit.data import FrameStore, import_tfrecords
from gapkit.data._importing.assemble import write_split
from gapkit.data._split import Source, SplitMeta
from gapkit.data._vocabulary import Vocabulary
from gapkit.errors import DataError

NUM_SHARDS = 3844  # of the paper's release


def make_index(folder, num_videos, num_shards, num_frames_N, feature_sizes=SIZES):
    """labels.parquet and split.json of shards that are elsewhere."""
    names = [f"features-{number:05d}.arrow" for number in range(num_shards)]
    share, rest = divmod(num_videos, num_shards)
    label_N = np.arange(num_videos) % 7
    # A little at a time: a list of all ids would be most of the memory.
    ids = [
        pa.array([f"v{n}" for n in range(first, min(first + 10**6, num_videos))], pa.string())
        for first in range(0, num_videos, 10**6)
    ]
    table = pa.table(
        {
            "id": pa.concat_arrays(ids),
            "labels": pa.LargeListArray.from_arrays(np.arange(num_videos + 1), label_N),
            "num_frames": num_frames_N.astype(np.int32),
        }
    )
    meta = SplitMeta(
        level="frame",
        feature_sizes=feature_sizes,
        num_classes=7,
        stride=5,
        num_videos=num_videos,
        shards={name: share + (number < rest) for number, name in enumerate(names)},
        sources=[Source(name=name, size_bytes=1, crc32c=1) for name in names],
        checksums=dict.fromkeys(names, 1),
    )
    vocabulary = Vocabulary(num_classes=7, names=None, verticals=None, source="made up")
    write_split(folder, table, meta, vocabulary)
    return names


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """The same three videos in each of 3,844 shards, and their frames."""
    folder = tmp_path_factory.mktemp("many")
    videos = draw(3, num_frames=13)
    file = records.write_frames(folder / "a.tfrecord", videos)
    import_tfrecords([file], folder / "one", num_classes=7, stride=5)
    (folder / "val").mkdir()
    for name in make_index(folder / "val", 3 * NUM_SHARDS, NUM_SHARDS, np.full(3 * NUM_SHARDS, 13)):
        os.link(folder / "one" / "features-00000.arrow", folder / "val" / name)
    return folder / "val", [frames["rgb"] for _, frames in videos.values()]


READ_ALL = """\
import os, resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
from gapkit.data import FrameStore
store = FrameStore(sys.argv[1])
before = len(os.listdir("/proc/self/fd"))
batch = store.crops(range(len(store)), 0, stride=1)
print(len(batch), len(os.listdir("/proc/self/fd")) - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="counts in /proc")
def test_more_shards_than_descriptors_are_read(many):
    folder, _ = many
    done = subprocess.run(
        [sys.executable, "-c", READ_ALL, str(folder)], capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    assert done.stdout.split() == [str(3 * NUM_SHARDS), "0"]


def test_each_shard_is_opened_when_it_is_asked_for(many):
    folder, frames = many
    store = FrameStore(folder)
    opened = store._shards._maps
    assert opened == [None] * NUM_SHARDS
    rows = [3 * 3000 + 2, 5, 3 * 3000]
    batch = store.crops(rows, 1, stride=1)
    assert [number for number, shard in enumerate(opened) if shard] == [1, 3000]
    for row, crop_TD in zip(rows, batch.features["rgb"], strict=True):
        np.testing.assert_array_equal(crop_TD, frames[row % 3][1:])


def test_an_absent_shard_of_thousands_is_named_at_once(many, tmp_path):
    folder, _ = many
    for path in folder.iterdir():
        if path.name != "features-02000.arrow":
            os.link(path, tmp_path / path.name)
    with pytest.raises(DataError, match=r"features-02000\.arrow: missing\. Import the split again"):
        FrameStore(tmp_path)


def test_a_damaged_shard_shows_when_it_is_asked_for(many, tmp_path):
    folder, frames = many
    for path in folder.iterdir():
        os.link(path, tmp_path / path.name)
    (tmp_path / "features-00007.arrow").unlink()
    (tmp_path / "features-00007.arrow").write_bytes(b"nonsense")
    store = FrameStore(tmp_path)
    np.testing.assert_array_equal(store.crops(4, stride=1).features["rgb"][0], frames[1])
    with pytest.raises(DataError, match=r"features-00007\.arrow: missing or damaged"):
        store.crops([3, 21])
    with pytest.raises(DataError, match=r"features-00007\.arrow: missing or damaged"):
        store.open_shards()


def test_shards_of_no_videos_are_passed_over(many, tmp_path):
    folder, frames = many
    meta = SplitMeta.read(folder)
    names = list(meta.shards)[:4]
    for name in names:
        os.link(folder / name, tmp_path / name)
    make_index(tmp_path, 6, 4, np.full(6, 13))
    counts = dict(zip(names, (0, 3, 0, 3), strict=True))
    replace(SplitMeta.read(tmp_path), shards=counts).write(tmp_path)
    batch = FrameStore(tmp_path).crops([0, 2, 3, 5], stride=1)
    for row, crop_TD in zip((0, 2, 0, 2), batch.features["rgb"], strict=True):
        np.testing.assert_array_equal(crop_TD, frames[row])


@pytest.mark.slow
def test_seven_million_videos_open_in_under_a_second(tmp_path):
    num_frames_N = np.random.default_rng(0).integers(120, 301, 7_000_000)
    sizes = {"rgb": 1024, "audio": 128}
    for name in make_index(tmp_path, 7_000_000, NUM_SHARDS, num_frames_N, sizes):
        (tmp_path / name).touch()
        os.truncate(tmp_path / name, 480_000_000)  # of holes
    assert len(json.loads((tmp_path / "split.json").read_text())["shards"]) == NUM_SHARDS
    seconds = []
    for _ in range(3):
        began = time.perf_counter()
        store = FrameStore(tmp_path)
        seconds.append(time.perf_counter() - began)
    assert min(seconds) < 1
    np.testing.assert_array_equal(store.num_frames, num_frames_N)
    assert store.ids[[0, 6_999_999]].tolist() == ["v0", "v6999999"]
    assert store.truth([6_999_999]).nonzero()[1].tolist() == [6_999_999 % 7]
