import pytest

from gapkit.io import read_labels, read_predictions, write_labels, write_predictions
from gapkit.predictions import Labels, Predictions

ROWS = {"b": {3: 0.25, 1: 0.5, 7: 0.125}, "a": {0: 1.0}}


@pytest.fixture
def folder(tmp_path):
    write_predictions(tmp_path / "p.parquet", Predictions.from_dict(ROWS, num_classes=10))
    write_labels(tmp_path / "t.parquet", Labels.from_dict({"b": [1], "a": []}, num_classes=10))
    (tmp_path / "long.csv").write_text("id,label,confidence\nb,3,0.25\na,0,1\nb,1,0.5\n")
    return tmp_path


@pytest.mark.parametrize("suffix", ["parquet", "arrow", "csv", "csv.gz", "run"])
def test_submissions_are_converted_to_every_format(cli, folder, suffix):
    result = cli("convert", "p.parquet", f"q.{suffix}", cwd=folder).succeeds()
    assert f"q.{suffix}: 2 videos, 4 predictions" in result.stdout
    assert read_predictions(folder / f"q.{suffix}").to_dict() == ROWS
    cli("convert", f"q.{suffix}", "r.parquet", "--num-classes", "10", cwd=folder).succeeds()
    assert read_predictions(folder / "r.parquet").num_classes == 10
    assert read_predictions(folder / "r.parquet").to_dict() == ROWS


def test_what_made_a_submission_stays(cli, folder):
    table = Predictions.from_dict(ROWS, num_classes=10)
    made = Predictions(
        table.ids,
        table.labels,
        table.confidences,
        table.lengths,
        num_classes=10,
        provenance={"run": "x"},
    )
    write_predictions(folder / "m.parquet", made)
    cli("convert", "m.parquet", "m.arrow", cwd=folder).succeeds()
    found = read_predictions(folder / "m.arrow")
    assert (found.provenance, found.num_classes) == ({"run": "x"}, 10)


def test_long_tables_become_lists(cli, folder):
    cli("convert", "long.csv", "q.parquet", cwd=folder).succeeds()
    assert read_predictions(folder / "q.parquet").to_dict() == {
        "b": {1: 0.5, 3: 0.25},
        "a": {0: 1.0},
    }


def test_rows_are_cut(cli, folder):
    cli("convert", "p.parquet", "q.parquet", "--top-k", "1", cwd=folder).succeeds()
    assert read_predictions(folder / "q.parquet").to_dict() == {"b": {1: 0.5}, "a": {0: 1.0}}


@pytest.mark.parametrize("suffix", ["parquet", "arrow", "csv", "csv.gz", "qrels"])
def test_labels_are_converted(cli, folder, suffix):
    result = cli("convert", "t.parquet", f"u.{suffix}", cwd=folder).succeeds()
    assert "2 videos, 1 label" in result.stdout
    assert read_labels(folder / f"u.{suffix}").to_dict() == {"b": [1], "a": []}


@pytest.mark.parametrize(
    ("arguments", "words", "status"),
    [
        (["p.parquet", "p.parquet"], ["p.parquet", "Choose another"], 2),
        (["p.parquet", "q.txt"], ["q.txt", "suffix"], 2),
        (["p.parquet", "q.qrels"], ["q.qrels", "suffix"], 2),
        (["t.parquet", "q.run"], ["q.run", "suffix"], 2),
        (["absent.parquet", "q.csv"], ["absent.parquet", "no such file"], 1),
        (["p.parquet", "q.csv", "--num-classes", "9"], ["9", "num_classes=10"], 2),
        (["long.csv", "q.csv", "--num-classes", "3"], ["long.csv", "label 3", "num_classes=3"], 1),
        (["t.parquet", "q.csv", "--top-k", "3"], ["--top-k 3", "labels"], 2),
    ],
)
def test_wrong_conversions_are_named(cli, folder, snapshot, arguments, words, status):
    before = snapshot(folder)
    cli("convert", *arguments, cwd=folder).fails(*words, rc=status)
    assert snapshot(folder) == before
