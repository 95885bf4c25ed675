import json
import multiprocessing
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import oracles
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import records
from import_cases import change_meta

from gapkit.batch import Batch
from gapkit.data import FrameStore, import_tfrecords
from gapkit.errors import DataError, UsageError

SIZES = {"rgb": 3, "audio": 2}
LENGTHS = (1, 2, 4, 5, 6, 11, 13, 60, 1, 7)


@pytest.fixture(scope="module")
def videos():
    rng = np.random.default_rng(0)
    return {
        f"v{n}": ([n % 4, 4 + n % 3][: n % 3], records.draw_frames(rng, T, SIZES))
        for n, T in enumerate(LENGTHS)
    }


@pytest.fixture(scope="module", params=[1, 3, 5, 20])
def store(request, videos, tmp_path_factory):
    """The videos in two shards, laid out for each stride."""
    folder = tmp_path_factory.mktemp("store")
    items = list(videos.items())
    files = [
        records.write_frames(folder / f"{part}.tfrecord", dict(half))
        for part, half in (("a", items[:6]), ("b", items[6:]))
    ]
    import_tfrecords(files, folder / "val", num_classes=7, stride=request.param)
    return FrameStore(folder / "val")


def test_a_store_tells_what_was_imported(store, videos):
    assert store.ids.tolist() == list(videos)
    assert len(store) == len(videos)
    assert [row.tolist() for row in store.labels.labels] == [
        labels for labels, _ in videos.values()
    ]
    assert store.num_frames.tolist() == list(LENGTHS)
    assert (store.num_classes, store.feature_sizes, store.level) == (7, SIZES, "frame")


@pytest.mark.parametrize("stride", [None, 1, 2, 3, 5, 6, 10, 15, 40])
@pytest.mark.parametrize("max_frames", [None, 1, 2, 45])
def test_crops_equal_those_of_the_records(store, videos, stride, max_frames):
    rng = np.random.default_rng(0)
    step = store.stride if stride is None else stride
    for first in (0, 1, 4, 12, 500, None):
        index_B = rng.integers(0, len(store), 12)
        start_B = rng.integers(0, 15, 12) if first is None else np.full(12, first)
        batch = store.crops(
            index_B,
            start_B if first is None else first,
            stride=stride,
            max_frames=max_frames,
        )
        check_batch(batch, index_B, start_B, list(videos.items()), step, max_frames)


def check_batch(batch, index_B, start_B, videos, stride, max_frames):
    assert isinstance(batch, Batch)
    assert batch.ids.tolist() == [videos[i][0] for i in index_B]
    assert batch.num_frames.dtype == np.int64
    for name in SIZES:
        stacked = batch.features[name]
        assert stacked.dtype == np.uint8
        assert stacked.shape == (len(index_B), batch.num_frames.max(), SIZES[name])
        for b, (i, start) in enumerate(zip(index_B, start_B, strict=True)):
            expected = oracles.crop(videos[i][1][1][name], start, stride, max_frames)
            assert batch.num_frames[b] == len(expected)
            assert np.array_equal(stacked[b, : len(expected)], expected)
            assert not stacked[b, len(expected) :].any()


def test_crops_are_copies_that_may_be_changed(store):
    before = store.crops([6, 7])
    changed = store.crops([6, 7])
    for array in changed.features.values():
        array[:] = 7
    after = store.crops([6, 7])
    assert all(np.array_equal(before.features[name], after.features[name]) for name in SIZES)


def test_a_batch_of_one_and_of_none(store):
    assert store.crops(3).ids.tolist() == ["v3"]
    batch = store.crops([])
    assert len(batch) == 0
    assert batch.features["rgb"].shape == (0, 0, 3)


def test_truth_is_the_dense_labels(store, videos):
    index_B = [7, 0, 7, 2]
    true_BC = store.truth(index_B)
    assert true_BC.dtype == np.bool_
    assert true_BC.shape == (4, 7)
    for row, i in zip(true_BC, index_B, strict=True):
        assert np.flatnonzero(row).tolist() == sorted(videos[f"v{i}"][0])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"indices": [0, 10]}, "no video 10: there are 10"),
        ({"indices": [-1]}, "no video -1"),
        ({"indices": [0], "starts": -2}, "start is -2"),
        ({"indices": [0], "stride": 0}, "stride is 0"),
        ({"indices": [0], "max_frames": 0}, "max_frames is 0"),
        ({"indices": [True, False]}, "indices is of bool"),
        ({"indices": [0.7]}, "indices is of float64, as .*0.7"),
        ({"indices": ["a"]}, "indices is of <U1"),
        ({"indices": [0], "starts": 0.9}, "starts is of float64"),
        ({"indices": [0], "starts": 10**20}, "starts is of object, as 1000"),
        ({"indices": [0], "starts": 10**19}, "starts is of uint64"),
        ({"indices": [0], "stride": 2.5}, "stride is of float64"),
        ({"indices": [0], "max_frames": 1.5}, "max_frames is of float64"),
    ],
)
def test_wrong_arguments_are_usage_errors(store, arguments, words):
    with pytest.raises(UsageError, match=words):
        store.crops(**arguments)


def test_a_store_at_a_relative_path_is_read_from_any_folder(store, monkeypatch, tmp_path):
    expected = store.crops([3]).features["rgb"]
    monkeypatch.chdir(store.path.parent)
    opened = FrameStore(store.path.name)
    monkeypatch.chdir(tmp_path)
    np.testing.assert_array_equal(opened.crops([3]).features["rgb"], expected)


def test_videos_of_many_record_batches_are_found(videos, tmp_path, monkeypatch):
    monkeypatch.setattr("gapkit.data._importing.shard.BATCH_BYTES", 30)
    file = records.write_frames(tmp_path / "a.tfrecord", videos)
    import_tfrecords([file], tmp_path / "val", num_classes=7)
    store = FrameStore(tmp_path / "val")
    index_B = np.arange(len(videos))[::-1]
    batch = store.crops(index_B, 1, stride=2)
    check_batch(batch, index_B, np.ones_like(index_B), list(videos.items()), 2, None)


def test_video_level_features_are_read_back(tmp_path):
    rng = np.random.default_rng(0)
    means = {
        f"v{n}": ([n], {"mean_rgb": rng.random(3), "mean_audio": rng.random(2)}) for n in range(5)
    }
    file = records.write_means(tmp_path / "a.tfrecord", means)
    import_tfrecords([file], tmp_path / "val", num_classes=5)
    store = FrameStore(tmp_path / "val")
    assert (store.level, store.num_frames.tolist()) == ("video", [1] * 5)
    batch = store.crops([4, 1], 99, stride=3, max_frames=1)
    assert batch.num_frames.tolist() == [1, 1]
    for name, array in batch.features.items():
        assert array.dtype == np.float32
        assert np.array_equal(array, [np.float32(means[v][1][name]) for v in ("v4", "v1")])
    store.read_ahead([4, 1])
    assert store.crops([]).features["mean_rgb"].shape == (0, 3)


@pytest.mark.parametrize("name", ["split.json", "labels.parquet", "features-00001.arrow"])
@pytest.mark.parametrize("damage", ["absent", "empty", "half", "nonsense"])
def test_a_damaged_split_is_refused_by_file(videos, tmp_path, name, damage):
    files = [
        records.write_frames(tmp_path / f"{id_}.tfrecord", {id_: videos[id_]})
        for id_ in ("v6", "v7")
    ]
    import_tfrecords(files, tmp_path / "val", num_classes=7)
    path = tmp_path / "val" / name
    whole = path.read_bytes()
    if damage == "absent":
        path.unlink()
    else:
        path.write_bytes({"empty": b"", "half": whole[: len(whole) // 2]}.get(damage, b"nonsense"))
    with pytest.raises(DataError, match=str(tmp_path / "val")) as error:
        FrameStore(tmp_path / "val").open_shards()
    assert name in str(error.value) or (name, damage) == ("split.json", "absent")


@pytest.mark.parametrize(
    "changes",
    [
        {"version": 2},
        {"num_videos": 3},
        {"shards": {"features-00000.arrow": 3}},
        {"feature_sizes": {"rgb": 3, "depth": 2}},
        {"sources": [{}]},
        {"more": 1},
        {"num_classes": 3},
        {"num_classes": "7"},
        {"stride": 0},
        {"stride": 1.0},
        {"stride": True},
        {"level": "video"},
        {"level": ["frame"]},
        {"feature_sizes": "x"},
        {"feature_sizes": {}},
        {"feature_sizes": {"rgb": "3"}},
        {"feature_sizes": {"rgb": 0}},
        {"shards": [1]},
        {"shards": {"features-00000.arrow": "2"}},
        {"sources": [1]},
        {"sources": [{"name": "a", "size_bytes": "1", "crc32c": None}]},
        {"sources": 3},
        {"max_frames": "all"},
        {"num_cut": -1},
        {"checksums": [1]},
    ],
)
def test_a_split_json_that_does_not_fit_is_refused(videos, tmp_path, changes):
    file = records.write_frames(tmp_path / "a.tfrecord", {id_: videos[id_] for id_ in ("v6", "v7")})
    import_tfrecords([file], tmp_path / "val", num_classes=7)
    change_meta(tmp_path / "val", **changes)
    with pytest.raises(DataError, match=str(tmp_path / "val")):  # noqa: PT012
        store = FrameStore(tmp_path / "val")
        store.open_shards()
        _ = store.labels


def test_a_split_json_that_was_changed_is_refused(videos, tmp_path):
    file = records.write_frames(tmp_path / "a.tfrecord", videos)
    import_tfrecords([file], tmp_path / "val", num_classes=7, stride=5)
    path = tmp_path / "val" / "split.json"
    text = path.read_text()
    path.write_text(json.dumps(json.loads(text)))  # the same in another layout
    assert FrameStore(tmp_path / "val").stride == 5
    path.write_text(text.replace('"stride": 5', '"stride": 7'))
    with pytest.raises(DataError, match=r"val/split\.json: changed since .* Import the split"):
        FrameStore(tmp_path / "val")


def test_a_split_json_of_an_older_version_opens(videos, tmp_path):
    file = records.write_frames(tmp_path / "a.tfrecord", videos)
    import_tfrecords([file], tmp_path / "val", num_classes=7)
    change_meta(tmp_path / "val")
    assert FrameStore(tmp_path / "val").ids.tolist() == list(videos)


@pytest.mark.parametrize("shard", ["features-00000.arrow", "features-00001.arrow"])
@pytest.mark.parametrize("ids", [["v1", "v2"], ["v1", "v2", "v3", "v4"]])
def test_a_shard_of_more_or_fewer_videos_is_refused(videos, tmp_path, shard, ids):
    files = []
    for name, part in (("a", ["v1", "v2", "v3"]), ("b", ["v5", "v6", "v7"]), ("c", ids)):
        part = {id_: videos[id_] for id_ in part}
        files.append(records.write_frames(tmp_path / f"{name}.tfrecord", part))
    import_tfrecords(files[:2], tmp_path / "val", num_classes=7)
    import_tfrecords(files[2:], tmp_path / "other", num_classes=7)
    (tmp_path / "other" / "features-00000.arrow").replace(tmp_path / "val" / shard)
    store = FrameStore(tmp_path / "val")
    with pytest.raises(DataError, match=shard):
        store.open_shards()
    with pytest.raises(DataError, match=shard):
        store.crops(range(6))


def test_an_absent_split_names_those_that_are_there(videos, tmp_path):
    with pytest.raises(DataError, match=r"no such split, and .* has none.*gapkit data import"):
        FrameStore(tmp_path / "val")
    file = records.write_frames(tmp_path / "a.tfrecord", {"v1": videos["v1"]})
    import_tfrecords([file], tmp_path / "train", num_classes=7)
    with pytest.raises(DataError, match=r"no such split\. .* has train"):
        FrameStore(tmp_path / "val")


def test_a_store_goes_to_spawned_workers(store):
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context) as pool:
        batch = pool.submit(store.crops, [3, 0], [1, 0]).result(60)
    expected = store.crops([3, 0], [1, 0])
    assert batch.ids.tolist() == expected.ids.tolist()
    for name in SIZES:
        np.testing.assert_array_equal(batch.features[name], expected.features[name])


def test_threads_cut_the_same_crops(store):
    rng = np.random.default_rng(5)
    asked = [(rng.integers(len(store), size=6), rng.integers(9, size=6)) for _ in range(40)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda pair: store.crops(*pair), asked))
    for batch, pair in zip(found, asked, strict=True):
        expected = store.crops(*pair)
        for name in SIZES:
            np.testing.assert_array_equal(batch.features[name], expected.features[name])


def test_what_lies_on_disk_alone_is_read(store, monkeypatch):
    expected = store.crops(range(len(store)), 2)
    monkeypatch.setattr(
        "gapkit.data._shards._count_disk_reads", iter(range(0, 10**6, 100)).__next__
    )
    for _ in range(3):
        again = store.crops(range(len(store)), 2)
        for name in SIZES:
            np.testing.assert_array_equal(again.features[name], expected.features[name])


def test_reading_ahead_changes_nothing_and_refuses_what_crops_does(store):
    index_B = np.random.default_rng(0).permutation(len(store))
    store.read_ahead(index_B, 3, max_frames=2)
    store.read_ahead([])
    store.read_ahead(index_B, np.arange(len(store)))
    assert store.crops(index_B, 3).ids.tolist() == store.ids[index_B].tolist()
    with pytest.raises(UsageError, match="no video 10: there are 10"):
        store.read_ahead([10])
    with pytest.raises(UsageError, match="start is -1"):
        store.read_ahead([0], -1)


@pytest.mark.parametrize("change", [-1, 1])
def test_frames_that_labels_do_not_tell_of_are_refused(tmp_path, videos, change):
    file = records.write_frames(tmp_path / "a.tfrecord", videos)
    import_tfrecords([file], tmp_path / "val", num_classes=7)
    path = tmp_path / "val" / "labels.parquet"
    table = pq.read_table(path)
    counts = table["num_frames"].to_pylist()
    counts[4] += change
    column = pa.array(counts, pa.int32())
    pq.write_table(
        table.set_column(table.schema.get_field_index("num_frames"), "num_frames", column), path
    )
    store = FrameStore(tmp_path / "val")
    store.crops([3, 5])
    for stride in (None, 3):
        with pytest.raises(DataError, match=r"val: the shards hold \d+ bytes of 'rgb' of video 4"):
            store.crops([3, 4], stride=stride)


def test_a_video_without_frames_is_refused(tmp_path, videos):
    file = records.write_frames(tmp_path / "a.tfrecord", videos)
    import_tfrecords([file], tmp_path / "val", num_classes=7)
    path = tmp_path / "val" / "labels.parquet"
    table = pq.read_table(path)
    place = table.schema.get_field_index("num_frames")
    for wrong in (0, -1, None):
        counts = table["num_frames"].to_pylist()
        counts[4] = wrong
        pq.write_table(table.set_column(place, "num_frames", pa.array(counts, pa.int32())), path)
        with pytest.raises(DataError, match="row 4: num_frames is"):
            FrameStore(tmp_path / "val")
