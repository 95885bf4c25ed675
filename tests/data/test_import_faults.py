"""Imports of what is too long or damaged, onto disks that are too small."""

import resource
import shutil
import signal
import subprocess

import numpy as np
import pytest
import records
from import_cases import draw

from gapkit.data import FrameStore, check_split, describe, import_tfrecords, synthesize
from gapkit.errors import DataError, UsageError


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Six files of about 40 videos."""
    folder = tmp_path_factory.mktemp("records")
    for number in range(6):
        synthesize(
            folder / str(number), num_videos=50, num_classes=9, seed=number, rgb_size=48,
            audio_size=8, max_frames=120,
        )  # fmt: skip
    paths = []
    for number in range(6):
        path = folder / f"part{number}.tfrecord"
        (folder / str(number) / "train-00000.tfrecord").rename(path)
        paths.append(path)
    return unique(paths)


def unique(paths):
    """Ids of each file made its own: those of one seed would be those of another."""
    from gapkit.data._tfrecord import messages, read_records, write_records

    for number, path in enumerate(paths):
        records = []
        for data in list(read_records(path)):
            message = messages().SequenceExample.FromString(data)
            key = "video_id" if "video_id" in message.context.feature else "id"
            value = message.context.feature[key].bytes_list.value
            value[0] = f"{number}-".encode() + value[0]
            records.append(message.SerializeToString())
        write_records(path, records)
    return paths


@pytest.fixture(scope="module")
def undisturbed(files, tmp_path_factory):
    path = tmp_path_factory.mktemp("undisturbed") / "split"
    import_tfrecords(files, path, num_classes=9)
    return path


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_frames_beyond_the_most_are_cut_and_counted(files, undisturbed, tmp_path):
    result = import_tfrecords(files, tmp_path / "split", num_classes=9, max_frames=70)
    whole, cut = FrameStore(undisturbed), FrameStore(tmp_path / "split")
    lost = np.maximum(whole.num_frames - 70, 0)
    assert result.num_cut == (lost > 0).sum() > 5
    np.testing.assert_array_equal(cut.num_frames, np.minimum(whole.num_frames, 70))
    rows = np.arange(len(whole))
    ours = cut.crops(rows, 0, stride=1).features["rgb"]
    theirs = whole.crops(rows, 0, stride=1, max_frames=70).features["rgb"]
    np.testing.assert_array_equal(ours, theirs)


def offsets(path):
    data, found, at = path.read_bytes(), [], 0
    while at < len(data):
        found.append(at)
        at += 16 + int.from_bytes(data[at : at + 8], "little")
    return found


@pytest.mark.parametrize("part", ["data", "length"])
def test_what_is_corrupt_is_left_out_and_told(files, tmp_path, part):
    bad = tmp_path / "bad.tfrecord"
    data, starts = bytearray(files[1].read_bytes()), offsets(files[1])
    data[starts[5] + (100 if part == "data" else 2)] ^= 1
    bad.write_bytes(data)
    paths = [files[0], bad]
    with pytest.raises(DataError, match=rf"bad\.tfrecord: record 5 at byte {starts[5]}"):
        import_tfrecords(paths, tmp_path / "split", num_classes=9)
    assert {path.name for path in tmp_path.iterdir()} == {"bad.tfrecord"}
    result = import_tfrecords(paths, tmp_path / "split", num_classes=9, skip_corrupt=True)
    (message,) = result.faults
    assert f"record 5 at byte {starts[5]}" in message
    lost = 1 if part == "data" else len(starts) - 5
    assert len(FrameStore(tmp_path / "split")) == len(offsets(files[0])) + len(starts) - lost
    assert ("The rest of the file is lost" in message) == (part == "length")


UNFIT = {
    "twice": ([3, 3], ("rgb", "audio"), 3),
    "beyond": ([1, 7], ("rgb", "audio"), 3),
    "below": ([-1], ("rgb", "audio"), 3),
    "one": ([1], ("rgb",), 3),
    "large": ([1], ("rgb", "audio"), 4),
    "": ([1], ("rgb", "audio"), 3),
}


def write_unfit(path, *, first=False):
    """Seven videos that fit, and after them (or before) one for each fault."""
    rng = np.random.default_rng(0)
    unfit = {
        id_: (labels, records.draw_frames(rng, 9, dict.fromkeys(names, size)))
        for id_, (labels, names, size) in UNFIT.items()
    }
    fit = {f"v{n}": ([n], records.draw_frames(rng, 9, {"rgb": 3, "audio": 3})) for n in range(7)}
    return records.write_frames(path, unfit | fit if first else fit | unfit)


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("workers", [1, 2])
def test_what_does_not_fit_is_left_out_and_told(tmp_path, first, workers):
    paths = [
        write_unfit(tmp_path / "a", first=first),
        records.write_frames(tmp_path / "b", draw(3, prefix="w", sizes={"rgb": 3, "audio": 3})),
    ]
    result = import_tfrecords(
        paths, tmp_path / "split", num_classes=7, skip_corrupt=True, workers=workers
    )
    starts = offsets(paths[0])
    places = [
        f"{paths[0]}: record {record} at byte {starts[record]}: "
        for record in range(0 if first else 7, 6 if first else 13)
    ]
    assert len(result.faults) == len(places) == len(UNFIT)
    assert all(map(str.startswith, result.faults, places))
    store = FrameStore(tmp_path / "split")
    assert store.ids.tolist() == [*(f"v{n}" for n in range(7)), "w0", "w1", "w2"]
    assert store.meta.num_faults == len(UNFIT)
    assert check_split(tmp_path / "split").is_ok


def test_what_was_left_out_or_cut_is_told_again(tmp_path, cli):
    file = write_unfit(tmp_path / "a")
    options = ("--num-classes", 7, "--skip-corrupt", "--max-frames", 5)
    command = ("data", "import", file, "-o", tmp_path / "split", *options)
    told = cli(*command).succeeds().stderr
    assert "left out: " in told
    for words in ("7 videos cut to 5 frames", f"{len(UNFIT)} faults left out"):
        assert words in told
        assert words in cli(*command).succeeds().stderr
        assert f"split: {words}" in cli("data", "info", tmp_path / "split").succeeds().stdout
    (figures,) = describe(tmp_path / "split")
    assert (figures.num_cut, figures.max_frames, figures.num_faults) == (7, 5, len(UNFIT))


def test_where_nothing_fits_there_is_no_split(tmp_path):
    file = records.write_frames(tmp_path / "a", {"v": ([7], draw(1)["v0"][1])})
    with pytest.raises(DataError, match=r"a: record 0 at byte 0: video 'v': label 7 .* No other"):
        import_tfrecords([file], tmp_path / "split", num_classes=7, skip_corrupt=True)
    assert list(tmp_path.iterdir()) == [file]


def test_a_file_that_is_no_tfrecord_is_told_as_a_fault(files, tmp_path):
    (tmp_path / "text.txt").write_text("not a record " * 50)
    paths = [files[0], tmp_path / "text.txt"]
    with pytest.raises(DataError, match=r"text\.txt: record 0"):
        import_tfrecords(paths, tmp_path / "split", num_classes=9)
    result = import_tfrecords(paths, tmp_path / "split", num_classes=9, skip_corrupt=True)
    (message,) = result.faults
    assert "text.txt: record 0" in message
    assert len(FrameStore(tmp_path / "split")) == len(offsets(files[0]))


def test_a_full_disk_is_an_error_and_leaves_what_was_there(script, files, tmp_path, snapshot):
    import_tfrecords(files[:1], tmp_path / "split", num_classes=9)
    before = snapshot(tmp_path)
    command = [script, "data", "import", *files, "-o", tmp_path / "split", "--overwrite"]
    command += ["--num-classes", "9"]

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a write beyond it fails with EFBIG
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))

    done = subprocess.run(list(map(str, command)), preexec_fn=limit, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "File too large" in done.stderr
    assert snapshot(tmp_path) == before
    assert len(FrameStore(tmp_path / "split")) > 0


def test_what_the_disk_has_no_room_for_is_refused_at_once(files, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(9, 9, 9))
    with pytest.raises(DataError, match=r"needs about .* MB and the disk has"):
        import_tfrecords(files, tmp_path / "split", num_classes=9)
    assert list(tmp_path.iterdir()) == []


def test_every_flipped_byte_of_a_shard_is_found(undisturbed, tmp_path, cli):
    path = tmp_path / "split"
    shutil.copytree(undisturbed, path)
    assert check_split(path).is_ok
    cli("check", path).succeeds()
    rng = np.random.default_rng(0)
    shard = path / "features-00003.arrow"
    good = shard.read_bytes()
    for place in rng.integers(0, len(good), 25).tolist():
        data = bytearray(good)
        data[place] ^= 4
        shard.write_bytes(data)
        (problem,) = check_split(path).problems
        assert "features-00003.arrow" in problem.message
    result = cli("check", path)
    assert result.rc == 1
    assert "features-00003.arrow" in result.stderr
    shard.unlink()
    (problem,) = check_split(path).problems
    assert "features-00003.arrow" in problem.message


@pytest.mark.parametrize("wrong", [{"max_frames": 0}, {"workers": 0}])
def test_numbers_below_one_are_refused(files, tmp_path, wrong):
    ((name, _),) = wrong.items()
    with pytest.raises(UsageError, match=f"{name} is 0"):
        import_tfrecords(files, tmp_path / "split", num_classes=9, **wrong)
