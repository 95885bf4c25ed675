"""Splits that grow."""

import numpy as np
import pytest
import records
from import_cases import SIZES, contents, draw, write_files

from gapkit.data import FrameStore, check_split, hold_out, import_embeddings, import_tfrecords
from gapkit.errors import DataError, UsageError


def check_holds(path, videos):
    """The split holds these videos, in this order."""
    store = FrameStore(path)
    assert store.ids.tolist() == list(videos)
    labels = [row.tolist() for row in store.labels.labels]
    assert labels == [labels for labels, _ in videos.values()]
    for row, (_, frames) in enumerate(videos.values()):
        batch = store.crops(row, stride=1)
        for name in SIZES:
            np.testing.assert_array_equal(batch.features[name][0], frames[name])
    assert check_split(path).is_ok


def drawn(*numbers, **options):
    """The videos of files that `write_files` made."""
    files = [draw(5, prefix=f"f{n}v", seed=n, **options) for n in numbers]
    return {id_: video for videos in files for id_, video in videos.items()}


@pytest.mark.parametrize("workers", [1, 2])
def test_a_split_grows_file_by_file(tmp_path, workers):
    files = write_files(tmp_path, 4)
    import_tfrecords(files[:1], tmp_path / "val", num_classes=7)
    before = contents(tmp_path / "val")
    grown = import_tfrecords(files[2:], tmp_path / "val", append=True, workers=workers)
    assert (grown.num_added, grown.num_known_files, grown.was_complete) == (10, 0, False)
    check_holds(tmp_path / "val", drawn(0, 2, 3))
    after = contents(tmp_path / "val")
    assert after["features-00000.arrow"] == before["features-00000.arrow"]
    again = import_tfrecords(files, tmp_path / "val", append=True)
    assert (again.num_added, again.num_known_files) == (5, 3)
    check_holds(tmp_path / "val", drawn(0, 2, 3, 1))
    assert grown.meta.num_classes == again.meta.num_classes == 7


def test_files_that_are_in_it_change_nothing(tmp_path):
    files = write_files(tmp_path, 2)
    import_tfrecords(files, tmp_path / "val", num_classes=7)
    before = contents(tmp_path / "val")
    moved = files[1].rename(tmp_path / "another name")
    for paths in ([files[0]], [moved, files[0]]):
        result = import_tfrecords(paths, tmp_path / "val", append=True)
        assert (result.was_complete, result.num_known_files) == (True, len(paths))
        assert contents(tmp_path / "val") == before


def test_append_to_nothing_is_an_import(tmp_path):
    files = write_files(tmp_path, 2)
    import_tfrecords(files, tmp_path / "val", num_classes=7, append=True)
    import_tfrecords(files, tmp_path / "other", num_classes=7)
    assert contents(tmp_path / "val") == contents(tmp_path / "other")


def other_size(folder):
    return [records.write_frames(folder / "b", draw(2, prefix="w", sizes={"rgb": 4, "audio": 2}))]


def other_feature(folder):
    return [records.write_frames(folder / "b", draw(2, prefix="w", sizes={"rgb": 3}))]


def other_level(folder):
    return [records.write_means(folder / "b", {"w": ([1], {"mean_rgb": np.ones(3)})})]


def known_id(folder):
    return [records.write_frames(folder / "b", {"w": draw(1)["v0"], "f0v3": draw(1)["v0"]})]


def large_label(folder):
    return [records.write_frames(folder / "b", {"w": ([7], draw(1)["v0"][1])})]


def cut_short(folder):
    file = records.write_frames(folder / "b", draw(2, prefix="w"))
    file.write_bytes(file.read_bytes()[:-3])
    return [file]


@pytest.mark.parametrize(
    ("make", "options", "words"),
    [
        (
            other_size,
            {},
            ["b: frame-level features", "'rgb': 4", "val has", "'rgb': 3", "one kind"],
        ),
        (other_feature, {}, ["b: frame-level features {'rgb': 3}", "'audio': 2", "one kind"]),
        (other_level, {}, ["b: video-level features {'mean_rgb': 3}", "frame-level", "one kind"]),
        (known_id, {}, ["b: video 'f0v3' is in", "val already", "Import each video once"]),
        (
            large_label,
            {},
            ["b: record 0 at byte 0: video 'w': label 7 is out of range for num_classes=7"],
        ),
        (cut_short, {}, ["b: record 1 at byte", "cut short", "again"]),
        (lambda folder: [folder / "b"], {}, ["b: no such file. Check the path"]),
        (known_id, {"num_classes": 8}, ["val: --num-classes is 7 there, not 8", "--overwrite"]),
        (known_id, {"stride": 3}, ["val: --stride is 1 there, not 3. Leave the option out"]),
        (
            known_id,
            {"vocabulary": "names.csv"},
            ["names.csv: no such file"],
        ),
    ],
)
def test_what_does_not_fit_leaves_the_split_as_it_was(tmp_path, make, options, words):
    import_tfrecords(write_files(tmp_path, 1), tmp_path / "val", num_classes=7)
    files = make(tmp_path)
    before = contents(tmp_path)
    with pytest.raises(DataError) as error:
        import_tfrecords(files, tmp_path / "val", append=True, **options)
    assert [word for word in words if word not in str(error.value)] == [], str(error.value)
    assert contents(tmp_path) == before


def test_two_new_files_of_one_id_are_refused(tmp_path):
    files = write_files(tmp_path, 1)
    import_tfrecords(files, tmp_path / "val", num_classes=7)
    twins = [records.write_frames(tmp_path / name, draw(2, prefix=name[0])) for name in ("w", "wx")]
    with pytest.raises(DataError, match=r"wx: video 'w0' is in .*w already\. Import each video"):
        import_tfrecords(twins, tmp_path / "val", append=True)
    check_holds(tmp_path / "val", drawn(0))


def test_videos_that_were_cut_stay_cut_alike(tmp_path):
    files = write_files(tmp_path, 2, num_frames=9)
    import_tfrecords(files[:1], tmp_path / "val", num_classes=7, max_frames=6)
    with pytest.raises(DataError, match=r"val: was imported with --max-frames 6, and 300 "):
        import_tfrecords(files[1:], tmp_path / "val", append=True)
    result = import_tfrecords(files[1:], tmp_path / "val", append=True, max_frames=6)
    assert (result.num_cut, result.meta.num_cut) == (5, 10)
    assert FrameStore(tmp_path / "val").num_frames.tolist() == [6] * 10


@pytest.mark.parametrize(("before", "after"), [(300, 6), (None, 6), (6, None), (7, 8)])
def test_videos_are_not_cut_at_two_limits(tmp_path, before, after):
    files = write_files(tmp_path, 2, num_frames=9)
    import_tfrecords(files[:1], tmp_path / "val", num_classes=7, max_frames=before)
    old = contents(tmp_path)
    with pytest.raises(
        DataError, match=rf"--max-frames {before or 0}, and {after or 0} would.*--overwrite"
    ):
        import_tfrecords(files[1:], tmp_path / "val", append=True, max_frames=after)
    assert contents(tmp_path) == old


@pytest.mark.parametrize(("before", "after"), [(300, None), (None, 9), (9, 10), (20, 9)])
def test_a_limit_that_cuts_nothing_may_change(tmp_path, before, after):
    files = write_files(tmp_path, 2, num_frames=9)
    import_tfrecords(files[:1], tmp_path / "val", num_classes=7, max_frames=before)
    import_tfrecords(files[1:], tmp_path / "val", append=True, max_frames=after)
    check_holds(tmp_path / "val", drawn(0, 1, num_frames=9))


def test_the_vocabulary_of_the_split_may_be_named_again(tmp_path):
    files = write_files(tmp_path, 2)
    for name in "ab":
        rows = "".join(f"{label},{name}{label}\n" for label in range(7))
        (tmp_path / f"{name}.csv").write_text(f"index,name\n{rows}")
    import_tfrecords(files[:1], tmp_path / "val", vocabulary=tmp_path / "a.csv")
    options = {"vocabulary": tmp_path / "a.csv", "append": True}
    assert import_tfrecords(files[:1], tmp_path / "val", **options).was_complete
    assert import_tfrecords(files, tmp_path / "val", **options).num_added == 5
    assert FrameStore(tmp_path / "val").labels.label_names == [f"a{label}" for label in range(7)]
    options["vocabulary"] = tmp_path / "b.csv"
    with pytest.raises(
        DataError, match=r"val: its labels are not named as in .*b\.csv.*data names"
    ):
        import_tfrecords(files, tmp_path / "val", **options)


def test_a_holdout_and_its_source_do_not_grow(tmp_path):
    files = write_files(tmp_path, 3)
    import_tfrecords(files[:2], tmp_path / "train", num_classes=7)
    hold_out(tmp_path, source="train", target="val", num_videos=4)
    before = contents(tmp_path)
    for name in ("train", "val"):
        with pytest.raises(DataError, match=rf"{name}: is part of a holdout, and can't grow"):
            import_tfrecords(files[2:], tmp_path / name, append=True)
    assert contents(tmp_path) == before


def test_append_and_overwrite_are_not_for_one_call(tmp_path):
    with pytest.raises(UsageError, match="--append and --overwrite"):
        import_tfrecords(write_files(tmp_path, 1), tmp_path / "x", append=True, overwrite=True)


def test_a_table_grows_a_split_of_records(tmp_path):
    rng = np.random.default_rng(0)
    first = records.write_means(tmp_path / "a", {"a": ([1], {"mean_rgb": np.ones(3)})})
    import_tfrecords([first], tmp_path / "val", num_classes=7)
    values = rng.random((2, 3), np.float32)
    np.savez(tmp_path / "b.npz", id=["b", "c"], labels=np.eye(2, 7), mean_rgb=values)
    import_embeddings([tmp_path / "b.npz"], tmp_path / "val", append=True)
    store = FrameStore(tmp_path / "val")
    assert store.ids.tolist() == ["a", "b", "c"]
    np.testing.assert_array_equal(store.crops([1, 2]).features["mean_rgb"], values)
