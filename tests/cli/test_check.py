"""`gapkit check`: what it prints, and its exit status; tests/io/test_problems.py has the kinds."""

import json

from gapkit import Labels
from gapkit.io import write_labels

HEADER = "VideoId,LabelConfidencePairs\n"


def test_a_good_file_is_described(cli, submission):
    result = cli("check", submission).succeeds()
    first, counts, head, *_ = result.stdout.splitlines()
    assert first == f"{submission}: ok, submission (parquet)"
    assert counts.startswith("  60 videos, 720 predictions, top ")
    assert counts.endswith("num_classes 12, 12 distinct labels")
    assert head.split() == ["min", "1", "%", "median", "99", "%", "max"]
    assert "(100.0%)" in result.stdout


def test_short_rows_and_odd_confidences_are_notes(cli, tmp_path):
    (tmp_path / "odd.csv").write_text(HEADER + "a,0 1.5 3 0.25\nb,1 0.5\n")
    result = cli("check", "odd.csv", cwd=tmp_path).succeeds()
    text = result.stdout
    assert "2 videos, 3 predictions, top 2, num_classes unknown" in text
    assert "1 video has fewer than 2 labels" in text
    assert "outside [0, 1]" in text


def test_every_file_is_checked_and_each_wrong_one_named(cli, submission, tmp_path):
    (tmp_path / "nan.csv").write_text(HEADER + "a,0 nan\nb,3 0.5 3 0.25\n")
    (tmp_path / "empty.csv").write_text("")
    result = cli("check", "nan.csv", submission, "empty.csv", cwd=tmp_path)
    assert result.rc == 1
    nan, twice, empty = result.errors
    assert nan.startswith("error: nan.csv: row 0 (id 'a'), line 2")
    assert twice.startswith("error: nan.csv: row 1 (id 'b'), line 3: label 3 stands twice")
    assert empty.startswith("error: empty.csv: the file is empty")
    assert "nan.csv: 2 problems, submission (kaggle)" in result.stdout
    assert f"{submission}: ok" in result.stdout


def test_labels_tell_what_a_file_lacks(cli, submission, data, tmp_path):
    first = 'id,labels\n"nobody",0 3\n'
    (tmp_path / "labels.csv").write_text(first)
    text = cli("check", submission, "--labels", "val", "--data", data).succeeds().stdout
    assert "of 60 labelled videos it lacks 0; of its own 0 have no labels" in text
    text = cli("check", submission, "--labels", tmp_path / "labels.csv").succeeds().stdout
    assert "of 1 labelled video it lacks 1; of its own 60 have no labels" in text


def test_a_labels_file_is_checked_as_one(cli, data):
    text = cli("check", data / "val" / "labels.parquet").succeeds().stdout
    assert "ok, labels (parquet)" in text
    assert "60 videos" in text


def test_labels_are_told_by_the_names_that_their_file_holds(cli, tmp_path):
    labels = Labels(["a", "b"], [[0, 2], [2]], num_classes=3, label_names=["one", "two", "three"])
    write_labels(tmp_path / "labels.parquet", labels)
    text = cli("check", tmp_path / "labels.parquet").succeeds().stdout
    assert "2 three (100.0%), 0 one (50.0%)" in text


def test_machines_read_it(cli, tmp_path):
    (tmp_path / "nan.csv").write_text(HEADER + "a,0 nan\nb,1 0.5\n")
    result = cli("check", "nan.csv", "none.csv", "--json", cwd=tmp_path)
    assert result.rc == 1
    wrong, absent = json.loads(result.stdout)
    assert (wrong["is_ok"], wrong["format"]) == (False, "kaggle")
    assert wrong["problems"][0]["kind"] == "confidence_not_finite"
    assert wrong["problems"][0]["spots"][0] == {
        "row": 0,
        "id": "a",
        "line": 2,
        "what": wrong["problems"][0]["spots"][0]["what"],
    }
    assert absent["problems"][0]["kind"] == "unreadable"
    assert absent["format"] is None


def test_an_empty_submission_is_fine(cli, tmp_path):
    (tmp_path / "none.csv").write_text(HEADER)
    assert "0 videos, 0 predictions" in cli("check", tmp_path / "none.csv").succeeds().stdout
