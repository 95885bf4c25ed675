"""`gapkit diff` on files whose differences are known."""

import json

import pytest

from gapkit.io import read_labels, read_predictions, write_predictions
from gapkit.metrics import gap
from gapkit.predictions import Predictions


@pytest.fixture
def changed(submission, tmp_path):
    """The submission with the confidences of its first row turned round, and without the last."""
    rows = read_predictions(submission).to_dict()
    first, *_, last = rows
    values = list(rows[first].values())
    rows[first] = dict(zip(rows[first], values[::-1], strict=True))
    del rows[last]
    path = tmp_path / "changed.parquet"
    write_predictions(path, Predictions.from_dict(rows, num_classes=12))
    return path


def test_counts_and_moves(cli, submission, changed, data):
    result = cli("diff", submission, changed, "--labels", "val", "--data", data, "--json")
    found = json.loads(result.succeeds().stdout)
    assert (found["only_before"], found["only_after"]) == (1, 0)
    assert (found["identical"], found["same_labels"], found["other_labels"]) == (58, 1, 0)
    truth = read_labels(data / "val" / "labels.parquet")
    a, b = (gap(read_predictions(path), truth) for path in (submission, changed))
    assert found["gap"]["a"] == pytest.approx(a, abs=1e-12)
    assert found["gap"]["difference"] == pytest.approx(b - a, abs=1e-12)
    last = read_predictions(submission).ids[-1]
    assert last in [row["id"] for row in found["gap"]["videos"]]


def test_a_person_reads_it(cli, submission, changed, data):
    result = cli("diff", submission, changed, "--labels", "val", "--data", data, "--top", "2")
    text = result.succeeds().stdout
    assert "videos only in A                       1" in text
    assert "largest changes of confidence" in text
    assert "95 % interval" in text
    assert len(text.split("videos that moved GAP most\n")[1].split("\n\n")[0].splitlines()) == 3


def test_a_file_is_as_itself(cli, submission):
    text = cli("diff", submission, submission).succeeds().stdout
    assert "videos in both, identical             60" in text
    assert "Spearman's correlation 1.0000, mean absolute change 0" in text
    assert "largest" not in text


def test_files_of_different_splits_are_refused(cli, submission, tmp_path):
    write_predictions(tmp_path / "o.parquet", Predictions.from_dict({"other": {1: 0.5}}))
    result = cli("diff", submission, tmp_path / "o.parquet")
    assert result.rc == 1
    assert "no video in common" in result.errors[0]
