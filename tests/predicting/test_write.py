import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from linear import NUM_VIDEOS, Linear, Returning, expect, poke, to_dict

from gapkit.data import FrameStore
from gapkit.errors import PredictorError, UsageError
from gapkit.io import read_predictions
from gapkit.predicting import _pieces, fingerprint_of, write_split


def test_a_split_is_written_with_what_made_it(store, frames, tmp_path):
    path = tmp_path / "p.parquet"
    made = {"predictor": "linear"}
    assert write_split(Linear(), store, path, starts=[0, 2], provenance=made) == [path]
    table = read_predictions(path)
    assert to_dict(table) == expect(frames, [0, 2])
    assert table.provenance == {"predictor": "linear", "split": str(store.path), "starts": [0, 2]}


@pytest.mark.parametrize("name", ["p.{}parquet", "p.{}csv.gz"])
def test_separate_starts_are_written_one_a_file(store, frames, tmp_path, name):
    written = write_split(Linear(), store, tmp_path / name.format(""), starts=[0, 3], separate=True)
    assert written == [tmp_path / name.format(f"start{start}.") for start in (0, 3)]
    assert sorted(tmp_path.iterdir()) == sorted(written)
    for start, path in zip((0, 3), written, strict=True):
        assert to_dict(read_predictions(path)) == expect(frames, [start])


@pytest.mark.parametrize("separate", [False, True])
def test_a_failing_predictor_leaves_what_was_there(store, tmp_path, separate):
    path = tmp_path / "p.parquet"
    write_split(Linear(), store, path, starts=[0], separate=separate)
    before = {file: file.read_bytes() for file in tmp_path.iterdir()}
    with pytest.raises(PredictorError):
        write_split(Returning(poke(7, row=0)), store, path, separate=separate, batch_size=5)
    assert {file: file.read_bytes() for file in tmp_path.iterdir()} == before


@pytest.mark.parametrize("starts", [[], [-1]])
@pytest.mark.parametrize("separate", [False, True])
def test_wrong_starts_write_nothing(store, tmp_path, starts, separate):
    with pytest.raises(UsageError, match="starts are"):
        write_split(Linear(), store, tmp_path / "p.parquet", starts=starts, separate=separate)
    assert not list(tmp_path.iterdir())


def test_separate_files_appear_all_or_none(store, tmp_path):
    class FailsAtTheSecondStart(Linear):
        def predict(self, batch):
            if len(self.batch_sizes) == 1:
                raise RuntimeError("second start")
            return super().predict(batch)

    path = tmp_path / "p.parquet"
    with pytest.raises(PredictorError, match="second start"):
        write_split(
            FailsAtTheSecondStart(),
            store,
            path,
            starts=[0, 1],
            separate=True,
            batch_size=NUM_VIDEOS,
        )
    assert not list(tmp_path.iterdir())


def test_checkpoints_are_averaged_or_written_one_a_file(store, tmp_path):
    both = {c: Returning(lambda fine, c=c: fine * float(c)) for c in ("0.5", "1")}
    (path,) = write_split(both, store, tmp_path / "p.parquet")
    table = read_predictions(path)
    assert set(table.confidences.ravel()) == {np.float32(0.375)}
    assert table.provenance["checkpoints"] == ["0.5", "1"]
    written = write_split(both, store, tmp_path / "s.csv.gz", starts=[0, 7], separate=True)
    assert [path.name for path in written] == [
        f"s.{checkpoint}.start{start}.csv.gz" for checkpoint in both for start in (0, 7)
    ]
    assert set(read_predictions(written[3]).confidences.ravel()) == {np.float32(0.5)}
    (path,) = write_split({"1": both["1"]}, store, tmp_path / "q.parquet", separate=True)
    assert path.name == "q.start0.parquet"
    assert read_predictions(path).provenance["checkpoint"] == "1"
    with pytest.raises(UsageError, match="checkpoints are"):
        write_split({}, store, path)


class FailsAfter(Linear):
    """Predicts so many batches, and then none."""

    def __init__(self, num_batches):
        super().__init__()
        self.num_batches = num_batches

    def predict(self, batch):
        if len(self.batch_sizes) == self.num_batches:
            raise ValueError("no more")
        return super().predict(batch)


@pytest.fixture
def small_pieces(monkeypatch):
    monkeypatch.setattr(_pieces, "PIECE_VIDEOS", 6)


@pytest.mark.parametrize("separate", [False, True])
@pytest.mark.parametrize("num_batches", [0, 3, 4, 8, 10])
def test_a_broken_prediction_goes_on_where_it_was(
    store, tmp_path, small_pieces, separate, num_batches
):
    options = {"starts": [0, 2], "batch_size": 3, "fingerprint": "a", "separate": separate}
    whole = write_split(Linear(), store, tmp_path / "w" / "p.parquet", **options)
    path, said = tmp_path / "p.parquet", []
    with pytest.raises(PredictorError, match="no more"):
        write_split(FailsAfter(num_batches), store, path, tell=said.append, **options)
    assert not [file for file in tmp_path.glob("p.*") if file.is_file()]
    again = Linear()
    written = write_split(again, store, path, tell=said.append, **options)
    # A piece is two batches; averaged, a batch takes two calls. A file takes six batches.
    saved = num_batches // 2 * 2 if separate else num_batches // 4 * 4
    assert len(again.batch_sizes) == 12 - saved
    for ours, theirs in zip(written, whole, strict=True):
        assert ours.read_bytes() == theirs.read_bytes()
    assert sorted(tmp_path.iterdir()) == sorted([tmp_path / "w", *written])
    assert any("predicted before" in line for line in said) == (saved > 0)


def test_rows_that_come_in_other_pieces_give_the_same_file(store, tmp_path, monkeypatch):
    files = []
    for size in (1, 4, 1000):
        monkeypatch.setattr(_pieces, "PIECE_VIDEOS", size)
        monkeypatch.setattr(_pieces, "PIECE_SECONDS", 0.0 if size == 4 else 60.0)
        path = tmp_path / f"{size}.parquet"
        files += write_split(Linear(), store, path, batch_size=3, fingerprint="a")
    assert len({file.read_bytes() for file in files}) == 1
    assert sorted(tmp_path.iterdir()) == sorted(files)


@pytest.mark.parametrize(
    "change",
    [{"fingerprint": "b"}, {"starts": [1]}, {"top_k": 3}, {"batch_size": 2}, {"full": True}],
)
def test_other_options_start_anew_and_leave_nothing(store, tmp_path, small_pieces, change):
    options = {"batch_size": 3, "fingerprint": "a"}
    path = tmp_path / "p.parquet"
    with pytest.raises(PredictorError):
        write_split(FailsAfter(4), store, path, **options)
    assert len(list(tmp_path.iterdir())) == 1
    again = Linear()
    write_split(again, store, path, **{**options, **change})
    assert sum(again.batch_sizes) == NUM_VIDEOS
    assert list(tmp_path.iterdir()) == [path]


def test_a_damaged_piece_is_predicted_again(store, frames, tmp_path, small_pieces):
    options = {"batch_size": 3, "fingerprint": "a"}
    path = tmp_path / "p.parquet"
    for damage in (
        lambda pieces: pieces[1].write_bytes(b"no Arrow"),
        lambda pieces: pieces[1].unlink(),
        lambda pieces: pieces[1].write_bytes(pieces[0].read_bytes()),
    ):
        with pytest.raises(PredictorError):
            write_split(FailsAfter(5), store, path, **options)
        (folder,) = (entry for entry in tmp_path.iterdir() if entry != path)
        pieces = sorted(folder.iterdir())
        assert len(pieces) == 2
        damage(pieces)
        again = Linear()
        write_split(again, store, path, **options)
        assert sum(again.batch_sizes) == NUM_VIDEOS - 6
        assert to_dict(read_predictions(path)) == expect(frames, [0])
        assert list(tmp_path.iterdir()) == [path]


def test_without_a_fingerprint_nothing_is_kept(store, tmp_path, small_pieces):
    with pytest.raises(PredictorError):
        write_split(FailsAfter(5), store, tmp_path / "p.parquet", batch_size=3)
    assert not list(tmp_path.iterdir())


SLOW = """\
import sys, time
from linear import Linear
from gapkit.data import FrameStore
from gapkit.predicting import _pieces, write_split
class Slow(Linear):
    def predict(self, batch):
        time.sleep(float(sys.argv[3]))
        return super().predict(batch)
_pieces.PIECE_VIDEOS = 4
write_split(Slow(), FrameStore(sys.argv[1]), sys.argv[2], batch_size=2, fingerprint="a",
            tell=lambda line: print(line, flush=True))
"""


def test_a_killed_prediction_goes_on(store, tmp_path):
    (whole,) = write_split(
        Linear(), FrameStore(store.path), tmp_path / "w.parquet", batch_size=2, fingerprint="a"
    )
    path = tmp_path / "p.parquet"
    command = [sys.executable, "-c", SLOW, store.path, path]
    tests = {"cwd": Path(__file__).parents[1], "text": True}
    process = subprocess.Popen([*command, "0.3"], stdout=subprocess.PIPE, **tests)
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob(".p.parquet.*.parts/*.arrow")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.kill()
    process.communicate()
    assert not path.exists()
    said = subprocess.run([*command, "0"], capture_output=True, check=True, **tests).stdout
    assert "videos were predicted before" in said
    assert path.read_bytes() == whole.read_bytes()
    assert sorted(tmp_path.iterdir()) == [path, whole]


def test_throughput_is_told(store, tmp_path):
    said = []
    write_split(Linear(), store, tmp_path / "p.parquet", starts=[0, 1], tell=said.append)
    assert len(said) == 1
    assert said[0].startswith("17 videos in 0.")
    assert said[0].endswith(" videos/s, 2 crops each")


def test_progress_counts_all_files(store, tmp_path):
    steps = []
    write_split(
        Linear(),
        store,
        tmp_path / "p.parquet",
        starts=[0, 1],
        separate=True,
        batch_size=10,
        progress=lambda *step: steps.append(step),
    )
    assert steps == [(10, 34), (17, 34), (27, 34), (34, 34)]


def test_fingerprints_differ_where_files_or_words_do(tmp_path):
    file = tmp_path / "a"
    file.write_bytes(b"1")
    first = fingerprint_of([file], {"a": 1})
    assert first == fingerprint_of([file], {"a": 1})
    assert len(first) == 16
    file.write_bytes(b"2")
    others = [
        fingerprint_of([file], {"a": 1}),
        fingerprint_of([file], {"a": 2}),
        fingerprint_of([], {"a": 1}),
        fingerprint_of([tmp_path / "none"], {"a": 1}),
    ]
    assert len({first, *others}) == 5
