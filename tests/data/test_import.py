import contextlib

import numpy as np
import pyarrow.parquet as pq
import pytest
import records
from import_cases import SIZES, contents, draw

from gapkit.data import FrameStore, import_tfrecords
from gapkit.data._tfrecord import write_records
from gapkit.errors import DataError, UsageError
from gapkit.io import read_labels


def check_store(store, videos, names):
    """Ids, labels and frames of a split are those of the videos; names: stored by given."""
    assert store.ids.tolist() == list(videos)
    assert [row.tolist() for row in store.labels.labels] == [
        labels for labels, _ in videos.values()
    ]
    for i, (_, frames) in enumerate(videos.values()):
        batch = store.crops(i, stride=1)
        assert list(batch.features) == list(names.values())
        for given, stored in names.items():
            assert np.array_equal(batch.features[stored][0], frames[given])


@pytest.mark.parametrize("id_key", ["id", "video_id"])
def test_frames_of_two_features_are_imported(tmp_path, id_key):
    first, second = draw(5), draw(3, prefix="w", seed=1)
    files = [
        records.write_frames(tmp_path / "b.tfrecord", first, id_key),
        records.write_frames(tmp_path / "a.tfrecord", second, id_key),
    ]
    steps = []
    result = import_tfrecords(
        files, tmp_path / "train", num_classes=7, progress=lambda *step: steps.append(step)
    )
    store = FrameStore(tmp_path / "train")
    check_store(store, first | second, {"rgb": "rgb", "audio": "audio"})
    assert result.meta == store.meta
    assert list(result.meta.shards.values()) == [5, 3]
    assert (result.was_complete, result.num_unlabelled) == (False, 0)
    total = sum(file.stat().st_size for file in files)
    assert steps[-1] == (total, total)
    assert steps == sorted(steps)


def test_the_labels_of_a_split_are_a_labels_file(tmp_path):
    videos = draw(5)
    file = records.write_frames(tmp_path / "a.tfrecord", videos)
    (tmp_path / "vocabulary.csv").write_text(
        "index,name\n" + "".join(f"{c},n{c}\n" for c in range(7))
    )
    result = import_tfrecords([file], tmp_path / "train")
    labels = read_labels(tmp_path / "train" / "labels.parquet")
    assert labels.ids.tolist() == list(videos)
    assert (labels.num_classes, labels.label_names[6]) == (7, "n6")
    assert result.vocabulary == str(tmp_path / "vocabulary.csv")
    assert pq.read_schema(tmp_path / "train" / "labels.parquet").names[:2] == ["id", "labels"]


def test_audioset_records_are_imported_with_527_labels(tmp_path):
    videos = draw(4, num_frames=10, sizes={"audio_embedding": 128})
    file = records.write_frames(tmp_path / "a.tfrecord", videos, "video_id")
    result = import_tfrecords([file], tmp_path / "val")
    store = FrameStore(tmp_path / "val")
    check_store(store, videos, {"audio_embedding": "audio"})
    assert (store.num_classes, store.stride, store.feature_sizes) == (527, 1, {"audio": 128})
    assert "known release" in result.vocabulary


@pytest.mark.parametrize(("id_key", "num_classes"), [("video_id", 4716), ("id", 3862)])
@pytest.mark.parametrize("level", ["frame", "video"])
def test_releases_of_youtube_8m_are_known_by_size_and_key(tmp_path, id_key, num_classes, level):
    if level == "frame":
        videos = draw(2, num_frames=2, sizes={"rgb": 1024, "audio": 128})
        file = records.write_frames(tmp_path / "a", videos, id_key)
    else:
        means = {"mean_rgb": np.linspace(-1, 1, 1024), "mean_audio": np.ones(128)}
        file = records.write_means(tmp_path / "a", {"v": ([3, 1], means)}, id_key)
    import_tfrecords([file], tmp_path / "val")
    store = FrameStore(tmp_path / "val")
    assert (store.num_classes, store.level) == (num_classes, level)
    if level == "video":
        batch = store.crops(0)
        assert store.labels.labels[0].tolist() == [3, 1]
        assert np.array_equal(batch.features["mean_rgb"][0], np.float32(means["mean_rgb"]))


@pytest.mark.parametrize(("num_frames", "stride"), [(49, 1), (50, 5)])
def test_the_stride_is_1_where_all_videos_are_short(tmp_path, num_frames, stride):
    file = records.write_frames(
        tmp_path / "a", draw(1, prefix="s") | draw(1, num_frames=num_frames)
    )
    assert import_tfrecords([file], tmp_path / "x", num_classes=7).meta.stride == stride
    assert import_tfrecords([file], tmp_path / "y", num_classes=7, stride=3).meta.stride == 3


@pytest.mark.parametrize("labels", [None, []])
def test_unlabelled_records_are_imported_and_counted(tmp_path, labels):
    videos = draw(3)
    videos["v1"] = (labels, videos["v1"][1])
    file = records.write_frames(tmp_path / "a", videos)
    assert import_tfrecords([file], tmp_path / "test", num_classes=7).num_unlabelled == 1
    assert FrameStore(tmp_path / "test").labels.labels[1].tolist() == []


def test_a_second_import_of_the_same_files_does_nothing(tmp_path):
    file = records.write_frames(tmp_path / "a", draw(3) | {"u": ([], draw(1)["v0"][1])})
    first = import_tfrecords([file], tmp_path / "train", num_classes=7)
    stamps = {path: path.stat().st_mtime_ns for path in (tmp_path / "train").iterdir()}
    steps = []
    again = import_tfrecords(
        [file], tmp_path / "train", num_classes=7, progress=lambda *step: steps.append(step)
    )
    assert again.was_complete
    assert again.meta == first.meta
    assert again.num_unlabelled == first.num_unlabelled
    assert steps == []
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "train").iterdir()} == stamps


def test_the_same_files_in_another_order_or_under_other_names_are_the_same(tmp_path):
    files = [records.write_frames(tmp_path / prefix, draw(3, prefix=prefix)) for prefix in "abc"]
    import_tfrecords(files, tmp_path / "train", num_classes=7)
    assert import_tfrecords(files[::-1], tmp_path / "train", num_classes=7).was_complete
    files[1] = files[1].rename(tmp_path / "z")
    assert import_tfrecords(files, tmp_path / "train", num_classes=7).was_complete
    for fewer in (files[:2], [files[0], files[0], files[2]]):
        with pytest.raises(DataError, match="--overwrite"):
            import_tfrecords(fewer, tmp_path / "train", num_classes=7)


@pytest.mark.parametrize("is_named", [False, True])
def test_names_that_the_labels_got_since_change_nothing(tmp_path, cli, is_named):
    file = records.write_frames(tmp_path / "a", draw(3))
    for name in "xy":
        rows = "".join(f"{label},{name}{label}\n" for label in range(7))
        (tmp_path / f"{name}.csv").write_text(f"index,name\n{rows}")
    told = ("--vocabulary", tmp_path / "x.csv") if is_named else ("--num-classes", 7)
    command = ("data", "import", file, "-o", tmp_path / "train", *told)
    cli(*command).succeeds()
    cli("data", "names", tmp_path / "train", "--vocabulary", tmp_path / "y.csv").succeeds()
    again = cli(*command).succeeds()
    assert "complete already, 3 videos of the same files" in again.stdout
    assert ("its labels are not named as in" in again.stderr) == is_named
    assert FrameStore(tmp_path / "train").labels.label_names[0] == "y0"


@pytest.mark.parametrize("change", ["files", "content", "num_classes", "stride"])
def test_a_split_of_other_files_or_settings_stays_unless_told(tmp_path, change):
    old, new = draw(3), draw(3, seed=1)
    file = records.write_frames(tmp_path / "a", old)
    import_tfrecords([file], tmp_path / "train", num_classes=7, stride=2)
    before = contents(tmp_path / "train")
    options = {"num_classes": 7, "stride": 2}
    if change in options:
        options[change] += 1
    if change == "content":
        records.write_frames(file, new)
    if change == "files":
        file = records.write_frames(tmp_path / "b", new)
    with pytest.raises(DataError, match=r"train.*--overwrite"):
        import_tfrecords([file], tmp_path / "train", **options)
    assert contents(tmp_path / "train") == before
    result = import_tfrecords([file], tmp_path / "train", overwrite=True, **options)
    store = FrameStore(tmp_path / "train")
    assert result.meta == store.meta
    check_store(store, new if change in ("content", "files") else old, {n: n for n in SIZES})
    assert {path.name for path in tmp_path.iterdir()} == {"a", "train"} | {file.name}


@pytest.mark.parametrize("name", ["features-00001.arrow", "labels.parquet"])
def test_a_split_that_lost_a_file_is_not_called_complete(tmp_path, name):
    files = [records.write_frames(tmp_path / prefix, draw(2, prefix=prefix)) for prefix in "ab"]
    import_tfrecords(files, tmp_path / "train", num_classes=7)
    (tmp_path / "train" / name).unlink()
    with contextlib.suppress(DataError):  # refused, or made anew
        assert not import_tfrecords(files, tmp_path / "train", num_classes=7).was_complete
    import_tfrecords(files, tmp_path / "train", num_classes=7, overwrite=True)
    assert len(FrameStore(tmp_path / "train")) == 4


def test_a_damaged_split_json_is_replaced_when_told(tmp_path):
    file = records.write_frames(tmp_path / "a", draw(2))
    import_tfrecords([file], tmp_path / "train", num_classes=7)
    (tmp_path / "train" / "split.json").write_text("{")
    with pytest.raises(DataError, match=r"train"):
        import_tfrecords([file], tmp_path / "train", num_classes=7)
    import_tfrecords([file], tmp_path / "train", num_classes=7, overwrite=True)
    assert len(FrameStore(tmp_path / "train")) == 2


def break_file(path, fault):
    """Make a second file that can't be imported beside the one of draw(3)."""
    videos = draw(3, prefix="w", seed=1)
    frames = videos["w1"][1]
    if fault in BAD_VIDEOS:
        bad = BAD_VIDEOS[fault](frames)
        videos |= {bad[0]: bad[1:]}
    records.write_frames(path, videos)
    whole = path.read_bytes()
    if fault == "corrupt":
        path.write_bytes(whole[:-30] + bytes([whole[-30] ^ 1]) + whole[-29:])
    elif fault == "cut":
        path.write_bytes(whole[:-10])
    elif fault == "empty":
        path.write_bytes(b"")
    elif fault == "not protobuf":
        write_records(path, [b"nonsense"])
    elif fault == "video level":
        records.write_means(path, {"w0": ([1], {"mean_rgb": np.ones(3)})})
    elif fault == "absent":
        path.unlink()


BAD_VIDEOS = {
    "duplicate": lambda frames: ("v2", [1], frames),
    "label": lambda frames: ("bad", [1, 7], frames),
    "negative label": lambda frames: ("bad", [-1], frames),
    "label twice": lambda frames: ("bad", [3, 3], frames),
    "empty id": lambda frames: ("", [3], frames),
    "no frames": lambda frames: ("bad", [1], {name: frames[name][:0] for name in frames}),
    "uneven": lambda frames: ("bad", [1], frames | {"rgb": frames["rgb"][:2]}),
    "other size": lambda frames: ("bad", [1], frames | {"rgb": frames["rgb"][:, :2]}),
    "one feature": lambda frames: ("bad", [1], {"rgb": frames["rgb"]}),
    "other names": lambda frames: ("bad", [1], {"depth": frames["rgb"]}),
}
FAULTS = {
    "corrupt": [r"second", "record 2", "checksum"],
    "cut": [r"second", "record 2", "cut short"],
    "empty": [r"second", "empty"],
    "absent": [r"second", "no such file"],
    "not protobuf": [r"second", "record 0", "neither Example"],
    "video level": ["second", "'w0'", "video-level", "frame-level"],
    "duplicate": ["second", "'v2'", "first"],
    "label": ["second: record 3 at byte", "'bad'", "label 7", "num_classes=7"],
    "negative label": ["second: record 3 at byte", "'bad'", "label -1"],
    "label twice": ["second: record 3 at byte", "'bad'", "label twice"],
    "empty id": ["second: record 3 at byte", "its id is empty"],
    "no frames": ["second", "'bad'", "no frames"],
    "uneven": ["second", "'bad'", "different number"],
    "other size": ["second: record 3 at byte", "'bad'", "'rgb': 2"],
    "one feature": ["second: record 3 at byte", "'bad'"],
    "other names": ["second", "'bad'", "depth"],
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("there", [False, True])
def test_a_failing_import_leaves_what_was_there(tmp_path, fault, there):
    first = records.write_frames(tmp_path / "first", draw(3))
    break_file(tmp_path / "second", fault)
    target = tmp_path / "data" / "train"
    target.parent.mkdir()
    if there:
        import_tfrecords([first], target, num_classes=7, stride=2)
    before = contents(tmp_path)
    with pytest.raises(DataError) as error:
        import_tfrecords([first, tmp_path / "second"], target, num_classes=7, overwrite=True)
    assert "\n" not in str(error.value)
    assert all(word in str(error.value) for word in FAULTS[fault]), str(error.value)
    assert contents(tmp_path) == before
    assert [path.name for path in target.parent.iterdir()] == ["train"] * there


def test_an_unknown_number_of_labels_leaves_nothing_behind(tmp_path):
    file = records.write_frames(tmp_path / "first", draw(3))
    with pytest.raises(DataError, match=r"first.*--num-classes N or --vocabulary FILE"):
        import_tfrecords([file], tmp_path / "data" / "train")
    assert [path.name for path in tmp_path.iterdir()] == ["first"]


def test_a_folder_that_holds_other_things_is_never_replaced(tmp_path):
    file = records.write_frames(tmp_path / "first", draw(3))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.md").write_text("mine")
    with pytest.raises(DataError, match=r"notes\.md"):
        import_tfrecords([file], tmp_path / "mine", num_classes=7, overwrite=True)
    assert contents(tmp_path / "mine") == {"notes.md": b"mine"}


def test_no_files_and_stride_0_are_usage_errors(tmp_path):
    with pytest.raises(UsageError, match="no files"):
        import_tfrecords([], tmp_path / "x")
    with pytest.raises(UsageError, match="stride is 0"):
        import_tfrecords([tmp_path / "a"], tmp_path / "x", stride=0)
