"""Imports in workers, and after whatever ended an earlier one: the same bytes."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import records
from import_cases import contents, draw, write_files

from gapkit.data import FrameStore, check_split, import_tfrecords
from gapkit.data._importing import staging, workers
from gapkit.data._importing.task import Task
from gapkit.errors import DataError, GapkitError

SCRIPT = """\
import sys
from gapkit.data import import_tfrecords
result = import_tfrecords(sys.argv[3:], sys.argv[1], num_classes=7, workers=int(sys.argv[2]))
print(result.num_shards_found)
"""


def start(files, output, workers=2, **options):
    """An import in a process of its own: a script without a guard around its call."""
    command = [sys.executable, "-c", SCRIPT, output, str(workers), *files]
    return subprocess.Popen(
        list(map(str, command)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


@pytest.mark.parametrize("workers", [2, 3, 9])
def test_workers_make_the_same_bytes(tmp_path, workers):
    files = write_files(tmp_path, 5, num_frames=70)
    import_tfrecords(files, tmp_path / "one", num_classes=7, workers=1)
    steps = []
    import_tfrecords(files, tmp_path / "many", num_classes=7, workers=workers, watch=steps.append)
    assert contents(tmp_path / "many") == contents(tmp_path / "one")
    total = sum(file.stat().st_size for file in files)
    assert (steps[-1].done_bytes, steps[-1].total_bytes, steps[-1].num_videos) == (total, total, 25)


def test_a_fault_in_a_worker_is_the_same_error(tmp_path):
    files = write_files(tmp_path, 3)
    whole = files[2].read_bytes()
    files[2].write_bytes(whole[:-30] + bytes([whole[-30] ^ 1]) + whole[-29:])
    with pytest.raises(DataError, match=r"a2: record 4 at byte \d+: wrong checksum"):
        import_tfrecords(files, tmp_path / "train", num_classes=7, workers=2)
    assert {path.name for path in tmp_path.iterdir()} == {"a0", "a1", "a2"}


def test_a_worker_that_dies_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "gapkit.data._importing.workers._COMMAND", "import os, signal; os.kill(os.getpid(), 9)"
    )
    with pytest.raises(GapkitError, match=r"a\d: the worker .* status -9"):
        import_tfrecords(write_files(tmp_path, 2), tmp_path / "x", num_classes=7, workers=2)


def test_a_worker_whose_parent_was_killed_is_quiet(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", workers._COMMAND],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    process.stdout.close()
    task = Task(
        reader="tfrecord", path=str(tmp_path / "absent"), shard="features-00000.arrow",
        level="frame", feature_sizes={"rgb": 3}, num_classes=7, stride=1, max_frames=None,
        skip_corrupt=False, size_bytes=1, read_bytes=1, expected_bytes=1,
    )  # fmt: skip
    process.stdin.write(f"{json.dumps([str(tmp_path), str(tmp_path)])}\n{task.to_json()}\n")
    process.stdin.flush()
    assert process.stderr.read() == ""
    assert process.wait(60) == 1
    process.stdin.close()
    process.stderr.close()


def kill_at_random(tmp_path, num_kills, number):
    """Kill imports at moments spread over their time; the next one makes what one alone makes."""
    files = write_files(tmp_path, 12, num_videos=20, num_frames=60, sizes={"rgb": 512})
    began = time.monotonic()
    process = start(files, tmp_path / "whole")
    assert process.communicate()[0] == "0\n"
    took = time.monotonic() - began
    whole = contents(tmp_path / "whole")
    rng = np.random.default_rng(number)
    num_found = 0
    for kill in range(num_kills):
        folder = tmp_path / f"k{kill}"
        process = start(files, folder / "val")
        time.sleep(rng.uniform(0.3, 1.1) * took)
        process.send_signal(number)
        process.communicate()
        if (folder / "val").exists():
            assert contents(folder / "val") == whole
        result = import_tfrecords(files, folder / "val", num_classes=7, workers=1)
        num_found += result.num_shards_found
        assert contents(folder) == {f"val/{name}": content for name, content in whole.items()}
    return num_found


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_an_import_killed_anywhere_goes_on_to_the_same_bytes(tmp_path, number):
    kill_at_random(tmp_path, 3, number)


@pytest.mark.slow
def test_an_import_killed_at_fifty_moments_goes_on_to_the_same_bytes(tmp_path):
    assert kill_at_random(tmp_path, 50, signal.SIGKILL) > 0


def stop_after(monkeypatch, num_parts):
    """The import is interrupted when it has finished so many shards."""
    real, accepted = staging.Staging.accept, []

    def accept(self, part):
        real(self, part)
        accepted.append(part)
        if len(accepted) == num_parts:
            raise KeyboardInterrupt

    monkeypatch.setattr(staging.Staging, "accept", accept)


@pytest.fixture
def interrupted(tmp_path, monkeypatch):
    """Four files, of which an interrupted import has finished two; and the whole split."""
    files = write_files(tmp_path, 4)
    import_tfrecords(files, tmp_path / "whole", num_classes=7)
    with monkeypatch.context() as patch:
        stop_after(patch, 2)
        with pytest.raises(KeyboardInterrupt):
            import_tfrecords(files, tmp_path / "data" / "val", num_classes=7)
    assert [path.name for path in (tmp_path / "data").iterdir()] == [".val.import"]
    return files, tmp_path / "data" / "val", contents(tmp_path / "whole")


def test_finished_shards_are_used_again(interrupted):
    files, output, whole = interrupted
    stamp = next(output.parent.rglob("features-00001.arrow")).stat().st_mtime_ns
    result = import_tfrecords(files, output, num_classes=7)
    assert result.num_shards_found == 2
    assert contents(output.parent) == {f"val/{name}": content for name, content in whole.items()}
    assert (output / "features-00001.arrow").stat().st_mtime_ns == stamp


@pytest.mark.parametrize("change", ["source", "shard", "labels", "json", "stride", "order"])
def test_finished_shards_of_other_content_are_not(interrupted, tmp_path, change):
    files, output, _ = interrupted
    options = {"num_classes": 7}
    staged = output.with_name(".val.import")
    if change == "source":
        records.write_frames(files[1], draw(5, prefix="g1v", seed=1))
    elif change in ("shard", "labels", "json"):
        name = {
            "shard": "split/features-00001.arrow",
            "labels": "parts/features-00001.arrow.parquet",
            "json": "parts/features-00001.arrow.json",
        }[change]
        broken = bytearray((staged / name).read_bytes())
        broken[len(broken) // 2] ^= 1
        (staged / name).write_bytes(broken)
    elif change == "stride":
        options["stride"] = 2
    else:
        files = [files[0], files[2], files[1], files[3]]
    import_tfrecords(files, tmp_path / "new", **options)
    result = import_tfrecords(files, output, **options)
    assert result.num_shards_found in (
        ({0} if change == "stride" else {1})
        | (
            {2} if change == "json" else set()  # a byte that says nothing
        )
    )
    assert contents(output) == contents(tmp_path / "new")


def test_finished_shards_of_labels_beyond_are_read_again(interrupted):
    files, output, whole = interrupted
    with pytest.raises(DataError, match=r"a0: record \d+ at byte \d+: video .* num_classes=2"):
        import_tfrecords(files, output, num_classes=2)
    import_tfrecords(files, output, num_classes=7)
    assert contents(output) == whole


def test_what_fitted_fewer_labels_is_not_used_for_more(tmp_path, monkeypatch):
    files = write_files(tmp_path, 3)
    with monkeypatch.context() as patch:
        stop_after(patch, 2)
        with pytest.raises(KeyboardInterrupt):
            import_tfrecords(files, tmp_path / "val", num_classes=4, skip_corrupt=True)
    result = import_tfrecords(files, tmp_path / "val", num_classes=7, skip_corrupt=True)
    assert (result.num_shards_found, result.num_added, result.faults) == (0, 15, [])


def test_two_imports_to_one_place_at_once_are_refused(tmp_path):
    files = write_files(tmp_path, 1)
    with (
        staging.Staging(tmp_path / "val"),
        pytest.raises(DataError, match=r"val: another import to it is at work"),
    ):
        import_tfrecords(files, tmp_path / "val", num_classes=7)
    import_tfrecords(files, tmp_path / "val", num_classes=7)


def test_killed_between_the_two_renames_the_new_split_opens(tmp_path, monkeypatch):
    files = write_files(tmp_path, 2)
    import_tfrecords(files[:1], tmp_path / "val", num_classes=7)
    real = os.rename

    def kill(self, target):
        real(self, target)
        os._exit(9)

    pid = os.fork()
    if pid == 0:
        staging.Path.rename = kill
        import_tfrecords(files, tmp_path / "val", num_classes=7, overwrite=True)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 9
    assert not (tmp_path / "val").exists()
    assert len(FrameStore(tmp_path / "val")) == 10
    assert check_split(tmp_path / "val").is_ok
    assert import_tfrecords(files, tmp_path / "val", num_classes=7).was_complete
    assert {path.name for path in tmp_path.iterdir()} == {"a0", "a1", "val"}


def test_an_error_keeps_the_finished_shards_that_took_a_while(tmp_path, monkeypatch):
    monkeypatch.setattr(staging, "WORTH_KEEPING_BYTES", 1)
    files = write_files(tmp_path, 2)
    whole = files[1].read_bytes()
    files[1].write_bytes(whole[:-10])
    with pytest.raises(DataError, match=r"a1: record 4 .*cut short"):
        import_tfrecords(files, tmp_path / "val", num_classes=7)
    files[1].write_bytes(whole)
    assert import_tfrecords(files, tmp_path / "val", num_classes=7).num_shards_found == 1
    split = json.loads((tmp_path / "val" / "split.json").read_text())
    assert set(split["checksums"]) == {*split["shards"], "labels.parquet"}
