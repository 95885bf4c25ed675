"""Which weights `gapkit predict` takes, what it writes, and how it goes on."""

import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import load_file, save_file

from gapkit.io import read_predictions


@pytest.fixture
def run(mean_run, tmp_path):
    """A run with three numbered checkpoints, each of other weights, and an average."""
    run = tmp_path / "run"
    shutil.copytree(mean_run, run)
    weights = load_file(run / "last.safetensors")
    for name, factor in (
        ("checkpoint-000100", 0.1),
        ("checkpoint-000020", 1.0),
        ("checkpoint-1000000", 2.0),
        ("average", 0.5),
    ):
        save_file(
            {key: value * np.float32(factor) for key, value in weights.items()},
            run / f"{name}.safetensors",
        )
    return run


@pytest.fixture
def predict(cli, data, tmp_path):
    def predict(name, *options, output="p.parquet"):
        return cli(
            "predict", name, "--data", data, "-o", tmp_path / output, "--device", "cpu", *options
        )

    return predict


def dense(path):
    return read_predictions(path).to_dense(12)


def test_any_weights_of_a_run_are_named_by_their_stem(predict, run, tmp_path):
    for name in ("last", "checkpoint-000020", "checkpoint-000100", "average"):
        predict(run, "--checkpoints", name, output=f"{name}.parquet").succeeds()
    last, same, other, average = (
        dense(tmp_path / f"{name}.parquet")
        for name in ("last", "checkpoint-000020", "checkpoint-000100", "average")
    )
    np.testing.assert_array_equal(last, same)
    assert not np.array_equal(last, other)
    assert not np.array_equal(other, average)


def test_checkpoints_and_starts_are_averaged_dense(predict, run, tmp_path):
    names = ("checkpoint-000100", "best")
    for name in names:
        for start in ("0", "3"):
            options = ("--checkpoint", name, "--starts", start)
            predict(run, *options, output=f"{name}{start}.parquet").succeeds()
    predict(run, "--checkpoints", ",".join(names), "--starts", "0,3").succeeds()
    members = [dense(tmp_path / f"{name}{start}.parquet") for start in "03" for name in names]
    expected = sum(member.astype(np.float64) for member in members) / 4
    np.testing.assert_array_equal(dense(tmp_path / "p.parquet"), expected.astype(np.float32))
    about = read_predictions(tmp_path / "p.parquet").provenance
    assert (about["checkpoints"], about["starts"]) == (list(names), [0, 3])


def test_all_takes_the_numbered_ones_in_order(predict, run, mean_run, tmp_path):
    predict(run, "--checkpoints", "all").succeeds()
    assert read_predictions(tmp_path / "p.parquet").provenance["checkpoints"] == [
        "checkpoint-000020",
        "checkpoint-000100",
        "checkpoint-1000000",
    ]
    predict(mean_run, "--checkpoints", "all").fails("holds no checkpoint-NUMBER", "last,best")


def test_separate_members_are_ready_for_ensemble(cli, predict, run, tmp_path):
    options = ("--checkpoints", "last,average", "--starts", "0,3")
    result = predict(run, *options, "--separate").succeeds()
    files = [
        tmp_path / f"p.{name}.start{start}.parquet"
        for name in ("last", "average")
        for start in "03"
    ]
    assert result.stdout.splitlines() == [f"{file}: 60 videos" for file in files]
    cli("ensemble", *files, "-o", tmp_path / "e.parquet").succeeds()
    predict(run, *options).succeeds()
    np.testing.assert_allclose(
        dense(tmp_path / "e.parquet"), dense(tmp_path / "p.parquet"), rtol=1e-6
    )


def test_throughput_is_a_note(predict, run):
    result = predict(run).succeeds()
    (line,) = result.stderr.splitlines()
    assert line.startswith("note: 60 videos in ")
    assert line.endswith(" videos/s")


def test_full_reads_all_frames(cli, predict, data, tmp_path):
    lstm = tmp_path / "lstm"
    options = ("--epochs", 1, "--device", "cpu", "--set", "hidden_size=8", "--set", "max_frames=3")
    cli("train", "lstm_ln", "--data", data, "-o", lstm, *options).succeeds()
    predict(lstm).succeeds()
    predict(lstm, "--full", output="full.parquet").succeeds()
    assert not np.array_equal(dense(tmp_path / "p.parquet"), dense(tmp_path / "full.parquet"))


@pytest.mark.parametrize(
    ("options", "words", "rc"),
    [
        (("--checkpoints", "last,,best"), ["--checkpoints last,,best", "commas"], 2),
        (("--checkpoints", "last,last"), ["'last' is named twice"], 2),
        (("--checkpoints", "../run/last"), ["'../run/last' is not one of", "average"], 2),
        (("--checkpoints", "checkpoint-000021"), ["checkpoint-000020"], 2),
        (("--checkpoints", "last,nothing"), ["'nothing' is not one of last, best"], 2),
    ],
)
def test_wrong_checkpoints_are_named(predict, run, options, words, rc):
    predict(run, *options).fails(*words, rc=rc)


def test_weights_that_are_foreign_or_no_longer_finite_are_named(predict, run):
    weights = load_file(run / "last.safetensors")
    save_file({"moment": weights["head.linear.bias"]}, run / "optimizer.safetensors")
    predict(run, "--checkpoints", "last,optimizer").fails("optimizer.safetensors: does not fit")
    weights["head.linear.bias"] = weights["head.linear.bias"] * np.float32(np.nan)
    save_file(weights, run / "last.safetensors")
    predict(run).fails("returned nan for label 0 of video")


def test_a_checkpoint_of_no_run_is_bad_usage(predict):
    predict("stranger_prior", "--checkpoints", "best").fails("stranger_prior", "'best'", rc=2)


def test_a_prediction_of_a_run_goes_on_with_the_same_weights_alone(
    predict, run, tmp_path, monkeypatch
):
    from gapkit.predicting import _pieces
    from gapkit.training import TorchPredictor

    monkeypatch.setattr(_pieces, "PIECE_VIDEOS", 20)
    predict(run, "--batch-size", 10, output="whole.parquet").succeeds()
    whole, calls = (tmp_path / "whole.parquet").read_bytes(), []
    genuine = TorchPredictor.predict

    def breaks(self, batch):
        calls.append(len(batch))
        if len(calls) == 4:
            raise ValueError("broken")
        return genuine(self, batch)

    def keep():
        monkeypatch.setattr(TorchPredictor, "predict", breaks)
        calls.clear()
        result = predict(run, "--batch-size", 10)
        result.fails("ValueError: broken")
        assert "20 videos are kept" in result.stderr
        monkeypatch.setattr(TorchPredictor, "predict", genuine)

    keep()
    result = predict(run, "--batch-size", 10).succeeds()
    assert "p.parquet: 20 videos were predicted before" in result.stderr
    assert (tmp_path / "p.parquet").read_bytes() == whole
    keep()
    shutil.copy(run / "average.safetensors", run / "last.safetensors")
    result = predict(run, "--batch-size", 10).succeeds()
    assert "before" not in result.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["p.parquet", "run", "whole.parquet"]


def test_row_groups_do_not_follow_the_batches(predict, run, tmp_path):
    predict(run, "--batch-size", 7).succeeds()
    assert pq.ParquetFile(tmp_path / "p.parquet").num_row_groups == 1
