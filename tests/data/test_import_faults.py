"""Imports that are killed, cut, damaged, or done by several at once."""

import random
import resource
import shutil
import signal
import subprocess
import time

import numpy as np
import pytest

from gapkit.data import FrameStore, check_split, import_tfrecords, synthesize
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


def test_workers_write_what_one_process_writes(files, undisturbed, tmp_path):
    told = []
    import_tfrecords(
        files, tmp_path / "split", num_classes=9, workers=3, progress=lambda *p: told.append(p)
    )
    assert contents(tmp_path / "split") == contents(undisturbed)
    assert told[-1][0] == told[-1][1]
    assert [path.name for path in tmp_path.iterdir()] == ["split"]


def kill_and_import_again(script, files, folder, undisturbed, delays):
    command = [script, "data", "import", *files, "-o", folder / "split", "--num-classes", "9"]
    command = list(map(str, command))
    for delay in delays:
        shutil.rmtree(folder / "split", ignore_errors=True)
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.wait()
        if (folder / "split").exists():
            FrameStore(folder / "split")
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert contents(folder / "split") == contents(undisturbed)
        assert [path.name for path in folder.iterdir()] == ["split"]


def test_killed_and_called_again_it_is_as_undisturbed(script, files, undisturbed, tmp_path):
    rng = random.Random(0)
    delays = [rng.uniform(0.3, 1.0) for _ in range(6)]
    kill_and_import_again(script, files, tmp_path, undisturbed, delays)


@pytest.mark.slow
def test_killed_50_times(script, files, undisturbed, tmp_path):
    rng = random.Random(1)
    delays = [rng.uniform(0.2, 1.2) for _ in range(50)]
    kill_and_import_again(script, files, tmp_path, undisturbed, delays)


def test_whole_shards_of_an_interrupted_import_are_taken(files, undisturbed, tmp_path):
    class StopError(Exception):
        pass

    def stop(done, total):
        if done > total / 2:
            raise StopError

    with pytest.raises(StopError):
        import_tfrecords(files, tmp_path / "split", num_classes=9, progress=stop)
    left = tmp_path / ".split.importing"
    whole = sorted(left.glob("features-*.json"))
    assert 2 <= len(whole) <= 4
    before = {path: path.with_suffix(".arrow").stat().st_mtime_ns for path in whole}
    seen = []

    def watch(done, total):
        seen.append({path: path.with_suffix(".arrow").stat().st_mtime_ns for path in whole})
        if len(seen) == 3:
            raise StopError

    with pytest.raises(StopError):
        import_tfrecords(files, tmp_path / "split", num_classes=9, progress=watch)
    assert all(times == before for times in seen)
    import_tfrecords(files, tmp_path / "split", num_classes=9)
    assert contents(tmp_path / "split") == contents(undisturbed)


def test_frames_beyond_the_most_are_cut_and_counted(files, undisturbed, tmp_path):
    result = import_tfrecords(files, tmp_path / "split", num_classes=9, max_frames=70)
    whole, cut = FrameStore(undisturbed), FrameStore(tmp_path / "split")
    lost = np.maximum(whole.num_frames - 70, 0)
    assert (result.num_cut_videos, result.num_cut_frames) == ((lost > 0).sum(), lost.sum())
    assert result.num_cut_videos > 5
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
    (message,) = result.skipped
    assert f"record 5 at byte {starts[5]}" in message
    lost = 1 if part == "data" else len(starts) - 5
    assert len(FrameStore(tmp_path / "split")) == len(offsets(files[0])) + len(starts) - lost
    if part == "length":
        assert f"{len(data) - starts[5]:,} bytes from there on are left out" in message


def test_a_file_that_is_no_tfrecord_is_not_skipped(files, tmp_path):
    (tmp_path / "text.txt").write_text("not a record " * 50)
    paths = [files[0], tmp_path / "text.txt"]
    with pytest.raises(DataError, match=r"text\.txt: record 0"):
        import_tfrecords(paths, tmp_path / "split", num_classes=9, skip_corrupt=True)


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
    with pytest.raises(DataError, match=r"needs about .* GB, and the disk has"):
        import_tfrecords(files, tmp_path / "split", num_classes=9)
    assert list(tmp_path.iterdir()) == []


def test_every_flipped_byte_of_a_shard_is_found(undisturbed, tmp_path, cli):
    path = tmp_path / "split"
    shutil.copytree(undisturbed, path)
    assert check_split(path) == []
    cli("check", path).succeeds()
    rng = np.random.default_rng(0)
    shard = path / "features-00003.arrow"
    good = shard.read_bytes()
    for place in rng.integers(0, len(good), 25).tolist():
        data = bytearray(good)
        data[place] ^= 4
        shard.write_bytes(data)
        (problem,) = check_split(path)
        assert "features-00003.arrow: its checksum" in problem
    result = cli("check", path)
    assert result.rc == 1
    assert "features-00003.arrow" in result.stderr
    shard.unlink()
    assert "features-00003.arrow: can't be read" in check_split(path)[0]


@pytest.mark.parametrize("wrong", [{"max_frames": 0}, {"workers": 0}])
def test_numbers_below_one_are_refused(files, tmp_path, wrong):
    ((name, _),) = wrong.items()
    with pytest.raises(UsageError, match=f"{name} is 0"):
        import_tfrecords(files, tmp_path / "split", num_classes=9, **wrong)
