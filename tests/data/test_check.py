"""What `check_split` finds; tests/data/test_import_faults.py flips the bytes of shards."""

import json

import numpy as np
import pytest
import records
from import_cases import change_meta, write_files

from gapkit.data import check_split, hold_out, import_tfrecords


@pytest.fixture
def split(tmp_path):
    """Ten videos of 60 frames in two shards."""
    import_tfrecords(
        write_files(tmp_path, 2, num_frames=60), tmp_path / "data" / "train", num_classes=7
    )
    return tmp_path / "data" / "train"


def test_a_sound_split_is_ok_and_all_its_files_were_compared(split):
    report = check_split(split)
    assert (report.problems, report.notes) == ((), ())
    assert (report.num_videos, report.num_files) == (10, 4)


@pytest.mark.parametrize(
    ("old", "new"), [('"stride": 5', '"stride": 7'), ('"rgb": 3', '"rgb": 1'), ('"a0"', '"b0"')]
)
def test_a_changed_split_json_is_a_problem(split, cli, old, new):
    path = split / "split.json"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    (problem,) = check_split(split).problems
    assert f"{path}: changed since it was written" in problem.message
    cli("check", split).fails("split.json: changed since")


def test_without_a_checksum_the_shards_tell(split):
    change_meta(split)
    report = check_split(split)
    assert report.is_ok
    assert report.num_files == 3
    assert [note.message[:11] for note in report.notes] == ["split.json:"]
    change_meta(split, feature_sizes={"rgb": 1, "audio": 2})
    (problem,) = check_split(split).problems
    assert "hold 180 bytes of 'rgb' of video 0" in problem.message
    assert "split.json it has 60" in problem.message


@pytest.mark.parametrize("changes", [{"feature_sizes": "x"}, {"shards": [1]}])
@pytest.mark.parametrize("command", [("check",), ("data", "info")])
def test_values_of_another_kind_are_one_line(split, cli, changes, command):
    change_meta(split, **changes)
    cli(*command, split).fails(f"{split}/split.json: {next(iter(changes))} is", "Import the split")


def test_frames_are_no_vectors(split):
    change_meta(split, level="video")
    (problem,) = check_split(split).problems
    assert "features-00000.arrow: missing or damaged" in problem.message
    assert "the column 'rgb' is large_binary, and not fixed_size_list" in problem.message


def test_video_level_and_held_out_splits_are_compared_too(tmp_path):
    rng = np.random.default_rng(0)
    means = {f"v{n}": ([n], {"mean_rgb": rng.random(3)}) for n in range(6)}
    file = records.write_means(tmp_path / "a", means)
    import_tfrecords([file], tmp_path / "data" / "train", num_classes=6)
    hold_out(tmp_path / "data", num_videos=2)
    for name in ("train", "val"):
        split = tmp_path / "data" / name
        assert check_split(split).is_ok
        sizes = json.loads((split / "split.json").read_text())["feature_sizes"]
        change_meta(split, feature_sizes={name: size + 1 for name, size in sizes.items()})
        (problem,) = check_split(split).problems
        assert "the column 'mean_rgb' is fixed_size_list" in problem.message
