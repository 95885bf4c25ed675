import hashlib
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pyarrow.parquet as pq
import pytest
import records

from gapkit.data import FrameStore, Loader, describe, hold_out, import_tfrecords
from gapkit.errors import DataError, UsageError
from gapkit.io import read_labels

SIZES = {"rgb": 3, "audio": 2}


@pytest.fixture(scope="module")
def videos():
    rng = np.random.default_rng(0)
    return {
        f"vidéo{n}": ([n % 4, 4 + n % 3][: n % 3], records.draw_frames(rng, 1 + n % 13, SIZES))
        for n in range(40)
    }


def import_in_parts(videos, folder, cuts):
    """A split of as many shards as there are cuts, and one more."""
    items = list(videos.items())
    files = []
    for n, (begin, end) in enumerate(zip([0, *cuts], [*cuts, len(items)], strict=True)):
        path = folder.parent / f"raw-{folder.name}-{n}.tfrecord"
        files.append(records.write_frames(path, dict(items[begin:end])))
    import_tfrecords(files, folder, num_classes=7)
    return files


@pytest.fixture
def data(videos, tmp_path):
    (tmp_path / "data").mkdir()
    import_in_parts(videos, tmp_path / "data" / "train", (11, 30))
    for raw in (tmp_path / "data").glob("raw-*"):
        raw.rename(tmp_path / raw.name)
    return tmp_path / "data"


def smallest(ids, count):
    return sorted(ids, key=lambda id_: hashlib.sha256(id_.encode()).hexdigest())[:count]


def contents(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def check_split(path, ids, videos):
    """A split holds these videos, in the order of import, with their own labels and frames."""
    store = FrameStore(path)
    expected = [id_ for id_ in videos if id_ in set(ids)]
    assert store.ids.tolist() == expected
    assert len(store) == len(expected)
    assert read_labels(path / "labels.parquet").to_dict() == {
        id_: videos[id_][0] for id_ in expected
    }
    order = np.random.default_rng(1).permutation(len(expected))
    batch = store.crops(order, 1, stride=2)
    for b, n in enumerate(order):
        for name, frames in videos[expected[n]][1].items():
            crop = frames[min(1, len(frames) - 1) :: 2]
            assert np.array_equal(batch.features[name][b, : batch.num_frames[b]], crop)
    drawn = [id_ for crop, _ in Loader(store, batch_size=7).epoch(0) for id_ in crop.ids]
    assert sorted(drawn) == sorted(expected)


def test_the_smallest_hashes_are_held_out_and_the_others_stay(data, videos):
    result = hold_out(data, num_videos=9)
    assert (result.num_held, result.num_left, result.was_complete) == (9, 31, False)
    held = smallest(videos, 9)
    check_split(data / "val", held, videos)
    check_split(data / "train", set(videos) - set(held), videos)
    assert sorted(path.name for path in data.iterdir()) == ["train", "val"]


def test_the_choice_depends_on_neither_order_nor_shards(data, videos, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    import_in_parts(dict(reversed(videos.items())), other / "train", (3, 20, 21))
    for folder in (data, other):
        hold_out(folder, num_videos=9)
    assert set(FrameStore(data / "val").ids) == set(FrameStore(other / "val").ids)


def test_no_frames_are_copied_and_the_source_may_go(data, videos):
    hold_out(data, num_videos=9)
    for shard in (data / "train").glob("features-*"):
        assert shard.samefile(data / "val" / shard.name)
    shutil.rmtree(data / "train")
    check_split(data / "val", smallest(videos, 9), videos)


def test_without_hard_links_symbolic_ones_are_made(data, videos, monkeypatch):
    def refuse(*_):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("pathlib.Path.hardlink_to", refuse)
    hold_out(data, num_videos=9)
    moved = data.rename(data.with_name("moved"))
    check_split(moved / "val", smallest(videos, 9), videos)
    assert all(shard.is_symlink() for shard in (moved / "val").glob("features-*"))


def test_a_second_call_says_so_and_changes_nothing(data):
    hold_out(data, num_videos=9)
    before = contents(data)
    assert hold_out(data, num_videos=9).was_complete
    assert contents(data) == before


@pytest.mark.parametrize(("first", "second"), [(9, 20), (20, 9)])
def test_another_number_draws_anew_from_both(data, videos, first, second):
    hold_out(data, num_videos=first)
    with pytest.raises(DataError, match=rf"val: is a holdout of {first} videos .*--overwrite"):
        hold_out(data, num_videos=second)
    hold_out(data, num_videos=second, overwrite=True)
    held = smallest(videos, second)
    check_split(data / "val", held, videos)
    check_split(data / "train", set(videos) - set(held), videos)


def test_a_source_imported_anew_is_not_taken_for_what_it_was(data, videos, tmp_path):
    hold_out(data, num_videos=9)
    files = sorted(tmp_path.glob("raw-*"))
    import_tfrecords(files, data / "train", num_classes=7, overwrite=True)
    if len(FrameStore(data / "train")) == 40:
        with pytest.raises(DataError, match=r"--overwrite"):
            hold_out(data, num_videos=9)
        hold_out(data, num_videos=9, overwrite=True)
    check_split(data / "train", set(videos) - set(smallest(videos, 9)), videos)


def test_holdouts_of_a_holdout_are_disjoint(data, videos):
    hold_out(data, num_videos=20)
    hold_out(data, source="val", target="test", num_videos=5)
    hold_out(data, source="train", target="more", num_videos=5)
    splits = {path.name: set(FrameStore(path).ids) for path in data.iterdir()}
    assert {name: len(ids) for name, ids in splits.items()} == {
        "train": 15,
        "val": 15,
        "test": 5,
        "more": 5,
    }
    assert set().union(*splits.values()) == set(videos)
    check_split(data / "test", smallest(videos, 5), videos)


def list_all(data):
    """How many videos each split lists; none is in two of them."""
    splits = {path.name: FrameStore(path).ids.tolist() for path in data.iterdir()}
    ids = [id_ for ids in splits.values() for id_ in ids]
    assert len(ids) == len(set(ids))
    return {name: len(ids) for name, ids in splits.items()}


def test_a_holdout_that_gave_videos_itself_is_drawn_anew_and_none_is_lost(data):
    hold_out(data, num_videos=10)
    hold_out(data, source="val", target="test", num_videos=3)
    before = contents(data)
    with pytest.raises(DataError, match=r"val: is a holdout of 7 videos already\. .*--overwrite"):
        hold_out(data, num_videos=10)
    assert contents(data) == before
    assert hold_out(data, num_videos=7).was_complete
    hold_out(data, num_videos=10, overwrite=True)
    assert list_all(data) == {"train": 27, "val": 10, "test": 3}
    hold_out(data, target="test", num_videos=4, overwrite=True)
    assert list_all(data) == {"train": 26, "val": 10, "test": 4}
    hold_out(data, source="val", target="train", num_videos=30, overwrite=True)
    assert list_all(data) == {"train": 30, "val": 6, "test": 4}


def test_a_holdout_keeps_its_origin(data):
    hold_out(data, num_videos=10)
    hold_out(data, source="val", target="test", num_videos=3)
    hold_out(data, source="test", target="tiny", num_videos=1)
    origins = {split.name: split.held_out_of for split in describe(data)}
    assert origins == {"train": None, "val": "train", "test": "val", "tiny": "test"}


def test_holdouts_of_an_older_version_lose_nothing_either(data):
    hold_out(data, num_videos=10)
    hold_out(data, source="val", target="test", num_videos=3)
    for split in data.iterdir():
        path = split / "labels.parquet"
        table = pq.read_table(path)
        metadata = dict(table.schema.metadata)
        metadata.pop(b"gapkit_held_out_of", None)
        pq.write_table(table.replace_schema_metadata(metadata), path)
    hold_out(data, num_videos=10, overwrite=True)
    assert list_all(data) == {"train": 27, "val": 10, "test": 3}


def test_a_holdout_of_another_split_is_not_replaced(data, tmp_path):
    hold_out(data, num_videos=10)
    rng = np.random.default_rng(1)
    more = {f"more{n}": ([0], records.draw_frames(rng, 3, SIZES)) for n in range(9)}
    file = records.write_frames(tmp_path / "more.tfrecord", more)
    import_tfrecords([file], data / "more", num_classes=7)
    before = contents(data)
    for overwrite in (False, True):
        with pytest.raises(DataError, match=r"val: was held out of train, and .*another --to"):
            hold_out(data, source="more", num_videos=2, overwrite=overwrite)
    assert contents(data) == before


def test_an_import_of_the_same_files_tells_what_the_split_lists(data, tmp_path, cli):
    hold_out(data, num_videos=10)
    files = sorted(tmp_path.glob("raw-*"))
    command = ("data", "import", *files, "--num-classes", 7, "-o")
    assert cli(*command, data / "train").succeeds().stdout == (
        f"{data}/train: complete already, 30 of 40 videos, after a holdout, of the same files\n"
    )


def test_label_names_and_further_columns_go_along(data):
    path = data / "train" / "labels.parquet"
    table = pq.read_table(path)
    about = json.loads(table.schema.metadata[b"gapkit"])
    about["label_names"] = list("abcdefg")
    table = table.append_column("note", [[f"n{n}" for n in range(40)]])
    pq.write_table(table.replace_schema_metadata({b"gapkit": json.dumps(about)}), path)
    hold_out(data, num_videos=9)
    for split in ("train", "val"):
        store = FrameStore(data / split)
        assert store.labels.label_names == list("abcdefg")
        notes = pq.read_table(data / split / "labels.parquet")["note"].to_pylist()
        assert notes == [f"n{id_.removeprefix('vidéo')}" for id_ in store.ids]


def test_video_level_splits_are_held_out_too(tmp_path):
    means = {f"v{n}": ([n % 3], {"mean_rgb": np.full(3, n / 8)}) for n in range(8)}
    file = records.write_means(tmp_path / "a.tfrecord", means)
    import_tfrecords([file], tmp_path / "data" / "train", num_classes=3)
    hold_out(tmp_path / "data", num_videos=3)
    for split in ("train", "val"):
        store = FrameStore(tmp_path / "data" / split)
        numbers = [int(id_[1:]) / 8 for id_ in store.ids]
        assert store.crops(np.arange(len(store))).features["mean_rgb"][:, 1].tolist() == numbers


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"num_videos": 0}, UsageError, "--num-videos 0 is too small"),
        ({"num_videos": 40}, UsageError, "--num-videos 40 is too large: .*train has 40"),
        ({"target": "train"}, UsageError, "--from and --to are both train"),
        ({"target": "a/b"}, UsageError, "--to a/b: not the name of a split"),
        ({"source": ".."}, UsageError, r"--from \.\.: not the name of a split"),
        ({"source": "absent"}, DataError, r"absent: no such split\. .* has train"),
        ({"target": "thesis"}, DataError, "thesis: is there already"),
        ({"target": "thesis", "overwrite": True}, DataError, r"thesis: holds 'it\.tex'"),
    ],
)
def test_what_can_t_be_held_out_changes_nothing(data, change, error, words):
    (data / "thesis").mkdir()
    (data / "thesis" / "it.tex").write_text("ten years")
    before = contents(data)
    with pytest.raises(error, match=words):
        hold_out(data, **{"num_videos": 9, **change})
    assert contents(data) == before


def test_a_row_outside_the_shards_is_refused(data):
    hold_out(data, num_videos=9)
    path = data / "val" / "labels.parquet"
    table = pq.read_table(path)
    place = table.column_names.index("row")
    rows = table["row"].to_pylist()
    rows[4] = 40
    pq.write_table(table.set_column(place, "row", [rows]), path)
    with pytest.raises(DataError, match=r"val/labels\.parquet: row 4: lies at 40 .* hold 40"):
        FrameStore(data / "val")


KILLED = """
import os, sys
folder, last, overwrite = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "True"
from gapkit.data import hold_out
seen = 0
def hook(event, arguments):
    global seen
    changes = event in {"os.rename", "os.link", "os.mkdir", "os.rmdir", "os.remove"} or (
        event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR))
    if changes and any(folder in str(argument) for argument in arguments):
        if seen == last:
            os._exit(9)
        seen += 1
sys.addaudithook(hook)
hold_out(folder, num_videos=9, overwrite=overwrite)
"""


@pytest.mark.parametrize("overwrite", [False, True])
def test_killed_at_any_change_of_a_file_it_is_as_before_or_done(data, videos, overwrite):
    if overwrite:
        hold_out(data, num_videos=20)
    old = {20} if overwrite else {40}
    outcomes = []
    for last in range(60):
        copy = data.with_name(f"copy{last}")
        shutil.copytree(data, copy)
        command = [sys.executable, "-c", KILLED, copy, str(last), str(overwrite)]
        done = subprocess.run(list(map(str, command)), env={**os.environ}, timeout=60, check=False)
        assert done.returncode in (0, 9)
        named = {split.name: split.num_videos for split in describe(copy)}
        is_done = named == {"train": 31, "val": 9}
        assert is_done or set(named.values()) == old, named
        outcomes.append(is_done)
        held = set(FrameStore(copy / "val").ids) if "val" in named else set()
        assert held | set(FrameStore(copy / "train").ids) == set(videos)
        hold_out(copy, num_videos=9, overwrite=overwrite)
        check_split(copy / "val", smallest(videos, 9), videos)
        assert sorted(path.name for path in copy.iterdir()) == ["train", "val"]
        if done.returncode == 0:
            break
    assert done.returncode == 0
    assert outcomes == sorted(outcomes)
    assert not outcomes[0]
