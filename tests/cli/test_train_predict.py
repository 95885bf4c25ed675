"""Validation, `predict` and `score` are one code path; and what the two commands offer."""

import json
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest

from gapkit.data import FrameStore

# Ten lines: a trainable predictor that no package offers.
PLUGIN = """\
from gapkit.training import LogisticHead, TorchPredictor, concatenate_features, mean_over_frames

class Audio(TorchPredictor):
    def __init__(self, num_classes, feature_sizes, config):
        super().__init__(num_classes, feature_sizes, config)
        self.head = LogisticHead(feature_sizes["audio"], num_classes)
    def forward(self, features, num_frames):
        return self.head(mean_over_frames(concatenate_features(features, ["audio"]), num_frames))

predictor = Audio
"""


def last_record(run):
    return json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])


def score(cli, data, *files):
    result = cli("score", *files, "--labels", "val", "--data", data, "--json").succeeds()
    return json.loads(result.stdout)


def dense(path, num_classes=12):
    """A submission as {id: (num_classes,) confidences}; the top 20 hold all 12 labels."""
    rows = pq.read_table(path).to_pydict()
    result = {}
    for name, labels, confidences in zip(*rows.values(), strict=True):
        result[name] = np.zeros(num_classes, np.float32)
        result[name][labels] = confidences
    return result


@pytest.fixture(scope="module")
def lstm_run(cli, data, tmp_path_factory):
    run = tmp_path_factory.mktemp("runs") / "lstm"
    options = ("--epochs", 2, "--batch-size", 64, "--lr", 0.01, "--device", "cpu")
    settings = ("--set", "hidden_size=8", "--set", "num_layers=1", "--set", "max_frames=7")
    cli("train", "lstm_ln", "--data", data, "-o", run, *options, *settings).succeeds()
    return run


@pytest.mark.parametrize("fixture", ["mean_run", "lstm_run"])
def test_logged_gap_is_the_one_that_score_prints(cli, data, tmp_path, request, fixture):
    run = request.getfixturevalue(fixture)
    logged = last_record(run)
    for size in (None, 1, 7, 60):
        options = () if size is None else ("--batch-size", size)
        path = tmp_path / f"{size}.parquet"
        cli("predict", run, "--data", data, "-o", path, *options, "--device", "cpu").succeeds()
    default, *others = score(cli, data, *(tmp_path / f"{s}.parquet" for s in (None, 1, 7, 60)))
    for field in ("gap", "hit_at_1", "perr", "map", "num_positives", "missing", "ignored"):
        assert default[field] == logged[field]
    for other in others:
        assert other["gap"] == pytest.approx(logged["gap"], rel=0, abs=1e-5)


def test_logged_gap_is_the_one_of_another_process(cli, run_cli, data, mean_run, tmp_path):
    path = tmp_path / "p.parquet"
    command = ("predict", mean_run, "--data", data, "-o", path, "--device", "cpu")
    run_cli(*command).succeeds()
    assert score(cli, data, path)[0]["gap"] == last_record(mean_run)["gap"]


def test_predict_writes_to_submissions_by_default(cli, data, mean_run, tmp_path, submission):
    (tmp_path / "runs").mkdir()
    shutil.copytree(mean_run, tmp_path / "runs" / "mine")
    where = {"cwd": tmp_path, "env": {"GAPKIT_DATA": str(data)}}
    result = cli("predict", "runs/mine", **where).succeeds()
    assert result.stdout == "submissions/mine.parquet: 60 videos\n"
    assert dense(tmp_path / "submissions" / "mine.parquet").keys() == dense(submission).keys()


def test_a_dot_in_the_name_of_a_run_stays(cli, data, mean_run, tmp_path):
    shutil.copytree(mean_run, tmp_path / "lr0.01")
    cli("predict", "lr0.01", "--data", data, cwd=tmp_path).succeeds()
    assert (tmp_path / "submissions" / "lr0.01.parquet").is_file()


def test_train_writes_to_runs_by_default_and_names_the_next_command(cli, data, tmp_path):
    options = ("--data", data, "--epochs", 2, "--seed", 5, "--set", "features=rgb")
    result = cli("train", "mean_lr", *options, cwd=tmp_path).succeeds()
    config = json.loads((tmp_path / "runs" / "mean_lr" / "config.json").read_text())
    assert (config["training"]["epochs"], config["training"]["seed"]) == (2, 5)
    assert config["config"]["features"] == "rgb"
    first, second, summary, advice = result.stdout.splitlines()
    record = last_record(tmp_path / "runs" / "mean_lr")
    assert first.startswith("epoch 1  loss ")
    assert f"gap {record['gap']:.5f}" in second
    assert summary.startswith(f"runs/mean_lr: GAP {record['gap']:.5f} with the last weights, ")
    words = advice.removeprefix("next: gapkit ").split()
    assert cli(*words, cwd=tmp_path).succeeds().stdout.startswith("submissions/mean_lr.parquet")


def test_starts_are_averaged_dense_before_the_cut(cli, data, lstm_run, tmp_path):
    command = ("predict", lstm_run, "--data", data, "--device", "cpu", "--starts")
    for starts in ("0", "2", "9", "0,2,9"):
        cli(*command, starts, "-o", tmp_path / f"{starts}.parquet").succeeds()
    singles = [dense(tmp_path / f"{start}.parquet") for start in "029"]
    for video, row in dense(tmp_path / "0,2,9.parquet").items():
        # a fresh float64 mean of float32 values, rounded once
        expected = sum(single[video].astype(np.float64) for single in singles) / 3
        np.testing.assert_array_equal(row, expected.astype(np.float32))
    cli(*command, "0,2,9", "--top-k", 2, "-o", tmp_path / "cut.parquet").succeeds()
    table = pq.read_table(tmp_path / "cut.parquet").to_pydict()
    whole = pq.read_table(tmp_path / "0,2,9.parquet").to_pydict()
    assert table["labels"] == [row[:2] for row in whole["labels"]]
    assert table["confidences"] == [row[:2] for row in whole["confidences"]]


@pytest.mark.parametrize("suffix", ["parquet", "csv.gz"])
def test_separate_writes_one_file_a_start(cli, data, tmp_path, suffix):
    command = ("predict", "stranger_prior", "--data", data, "--starts")
    output = ("-o", tmp_path / f"a.b.{suffix}")
    result = cli(*command, "0,3", "--separate", *output).succeeds()
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {f"a.b.start0.{suffix}", f"a.b.start3.{suffix}"}
    assert result.stdout.splitlines() == [
        f"{tmp_path}/a.b.start{start}.{suffix}: 60 videos" for start in (0, 3)
    ]
    cli(*command, "3", "-o", tmp_path / f"alone.{suffix}").succeeds()
    alone, apart = (
        json.dumps(score(cli, data, tmp_path / name)[0] | {"file": ""})
        for name in (f"alone.{suffix}", f"a.b.start3.{suffix}")
    )
    assert alone == apart


def test_best_checkpoint_has_the_best_gap(cli, data, tmp_path):
    run = tmp_path / "run"
    options = ("--epochs", 4, "--batch-size", 240, "--lr", 3, "--seed", 1, "--device", "cpu")
    cli("train", "mean_lr", "--data", data, "-o", run, *options).succeeds()
    gaps = [json.loads(line)["gap"] for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert gaps[-1] < max(gaps), "this seed must not end with its best epoch"
    for checkpoint in ("last", "best"):
        options = ("--checkpoint", checkpoint, "-o", tmp_path / f"{checkpoint}.csv")
        cli("predict", run, "--data", data, *options, "--device", "cpu").succeeds()
    last, best = score(cli, data, tmp_path / "last.csv", tmp_path / "best.csv")
    assert (last["gap"], best["gap"]) == (gaps[-1], max(gaps))


def test_every_video_of_the_split_is_predicted_in_order(submission, data):
    assert list(dense(submission)) == list(FrameStore(data / "val").ids)


def test_submission_says_what_made_it(submission, mean_run):
    about = json.loads(pq.read_schema(submission).metadata[b"gapkit"])
    assert (about["predictor"], about["run"]) == ("mean_lr", str(mean_run))
    assert (about["starts"], about["checkpoint"], about["num_classes"]) == ([0], "last", 12)


def test_a_run_from_a_path_needs_its_predictor_again(cli, data, tmp_path):
    (tmp_path / "audio.py").write_text(PLUGIN)
    where = {"cwd": tmp_path, "env": {"GAPKIT_DATA": str(data)}}
    cli("train", "audio.py", "--epochs", 1, **where).succeeds()
    run = tmp_path / "runs" / "audio"
    assert json.loads((run / "config.json").read_text())["predictor"] is None
    cli("predict", "runs/audio", **where).fails("runs/audio", "--predictor audio.py")
    cli("predict", "runs/audio", "--predictor", "audio.py", **where).succeeds()
    submission = tmp_path / "submissions" / "audio.parquet"
    assert score(cli, data, submission)[0]["gap"] == last_record(run)["gap"]


def test_an_installed_plugin_trains_and_its_run_opens_by_name(cli, data, tmp_path):
    where = {"cwd": tmp_path, "env": {"GAPKIT_DATA": str(data)}}
    cli("train", "stranger_linear", "--epochs", 1, **where).succeeds()
    cli("predict", "runs/stranger_linear", **where).succeeds()
    submission = tmp_path / "submissions" / "stranger_linear.parquet"
    gap = last_record(tmp_path / "runs" / "stranger_linear")["gap"]
    assert score(cli, data, submission)[0]["gap"] == gap > 0
