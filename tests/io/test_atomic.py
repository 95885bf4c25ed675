import os

import pytest

from gapkit.errors import DataError
from gapkit.io import (
    open_submission,
    read_predictions,
    remove_leftovers,
    replacing_folder,
    write_labels,
    write_predictions,
)
from gapkit.predictions import Labels, Predictions

SUFFIXES = ("parquet", "arrow", "csv", "csv.gz")
TABLE = Predictions(["a", "b"], [[3, 1], [0, 2]], [[0.9, 0.2], [0.5, 0.5]])
FAILURES = (ZeroDivisionError, KeyboardInterrupt, SystemExit, MemoryError)


def contents(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def fail_in_submission(path, failure, num_blocks):
    with open_submission(path, num_classes=9, top_k=1) as write:
        for n in range(num_blocks):
            write(Predictions([str(n)], [[1]], [[0.5]]))
        raise failure


def fail_in_folder(path, failure):
    with replacing_folder(path, ours=("*.txt",), overwrite=True) as folder:
        (folder / "b.txt").write_text("new")
        raise failure


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("num_blocks", [0, 2])
def test_a_failing_write_leaves_what_was_there(tmp_path, suffix, failure, num_blocks):
    path = tmp_path / f"p.{suffix}"
    with pytest.raises(failure):
        fail_in_submission(path, failure, num_blocks)
    assert not list(tmp_path.iterdir())
    write_predictions(path, TABLE)
    before = contents(tmp_path)
    with pytest.raises(failure):
        fail_in_submission(path, failure, num_blocks)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_is_not_there_before_the_end_of_the_block(tmp_path, suffix):
    path = tmp_path / f"p.{suffix}"
    with open_submission(path, num_classes=9, top_k=2) as write:
        write(TABLE)
        assert not path.exists()
    assert list(tmp_path.iterdir()) == [path]
    assert read_predictions(path) == TABLE


def test_a_full_disk_names_the_file_and_leaves_what_was_there(tmp_path):
    path = tmp_path / "p.parquet"
    write_predictions(path, TABLE)
    before = contents(tmp_path)
    full = OSError(28, os.strerror(28))
    with pytest.raises(DataError, match=r"p\.parquet: can't be written: No space left"):
        fail_in_submission(path, full, 1)
    assert contents(tmp_path) == before


def test_outputs_that_can_not_be_written_are_refused(tmp_path):
    (tmp_path / "file").write_text("text")
    (tmp_path / "folder.parquet").mkdir()
    for path in (tmp_path / "file" / "p.parquet", tmp_path / "folder.parquet"):
        for write in (lambda path: write_predictions(path, TABLE), write_a_label):
            with pytest.raises(DataError, match=path.name):
                write(path)
    assert contents(tmp_path) == {"file": b"text"}


def write_a_label(path):
    write_labels(path, Labels(["a"], [[1]]))


def test_folders_on_the_way_are_made(tmp_path):
    write_predictions(tmp_path / "new" / "er" / "p.parquet", TABLE)
    assert read_predictions(tmp_path / "new" / "er" / "p.parquet") == TABLE


@pytest.mark.parametrize("failure", FAILURES)
def test_a_failing_folder_leaves_what_was_there(tmp_path, failure):
    path = tmp_path / "split"
    with replacing_folder(path, ours=("*.txt",)) as folder:
        (folder / "a.txt").write_text("old")
    with pytest.raises(failure):
        fail_in_folder(path, failure)
    assert contents(tmp_path) == {"split/a.txt": b"old"}
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_is_replaced_as_a_whole_and_only_when_told(tmp_path):
    path = tmp_path / "split"
    with replacing_folder(path, ours=("*.txt",)) as folder:
        (folder / "a.txt").write_text("old")
    with (
        pytest.raises(DataError, match=r"split.*--overwrite"),
        replacing_folder(path, ours=("*.txt",)),
    ):
        raise AssertionError
    with replacing_folder(path, ours=("*.txt",), overwrite=True) as folder:
        (folder / "b.txt").write_text("new")
    assert contents(tmp_path) == {"split/b.txt": b"new"}
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_with_other_files_is_never_replaced(tmp_path):
    (tmp_path / "notes.md").write_text("mine")
    with (
        pytest.raises(DataError, match=r"notes\.md"),
        replacing_folder(tmp_path, ours=("*.txt",), overwrite=True),
    ):
        raise AssertionError
    assert contents(tmp_path) == {"notes.md": b"mine"}


def test_a_linked_folder_is_replaced_where_it_lies(tmp_path):
    real, link = tmp_path / "big" / "val", tmp_path / "data"
    real.mkdir(parents=True)
    (real / "a.txt").write_text("old")
    link.symlink_to(real)
    with replacing_folder(link, ours=["*.txt"], overwrite=True) as folder:
        (folder / "a.txt").write_text("new")
    assert link.is_symlink()
    assert (real / "a.txt").read_text() == "new"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["big", "data"]
    assert [path.name for path in real.parent.iterdir()] == ["val"]


def test_leftovers_of_a_kill_are_told_by_their_names(tmp_path):
    left = [".a.txt.0123abcd.tmp", ".b.txt.00000000.tmp"]
    others = ["a.txt", ".a.txt.tmp", ".a.txt.0123abcg.tmp", ".c.csv.0123abcd.tmp"]
    for name in (*left, *others):
        (tmp_path / name).write_text("x")
    for name in (".d.txt.0123abcd.tmp", ".d.txt.0123abcd.tmp.old"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "e").write_text("x")
    remove_leftovers(tmp_path, ["*.txt"])
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(others)


def test_leftovers_of_a_kill_stop_no_overwriting(tmp_path):
    path = tmp_path / "split"
    path.mkdir()
    for name in ("a.txt", ".a.txt.0123abcd.tmp"):
        (path / name).write_text("old")
    with replacing_folder(path, ours=("*.txt",), overwrite=True) as folder:
        (folder / "b.txt").write_text("new")
    assert contents(tmp_path) == {"split/b.txt": b"new"}
    (path / ".notes.md.0123abcd.tmp").write_text("mine")
    with (
        pytest.raises(DataError, match=r"notes\.md"),
        replacing_folder(path, ours=("*.txt",), overwrite=True),
    ):
        raise AssertionError
