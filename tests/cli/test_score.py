import json

import numpy as np
import oracles
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

FIELDS = ["gap", "hit_at_1", "perr", "map", "num_videos", "num_positives", "missing", "ignored"]
CLASSES = 12


def make_tables(seed, num_videos=80):
    """Predictions with ties, short rows, an unlabelled and an absent id; and labels."""
    rng = np.random.default_rng(seed)
    labels = {
        f"v{n}": set(rng.choice(CLASSES, rng.integers(4), replace=False).tolist())
        for n in range(num_videos)
    }
    predictions = {}
    for n in rng.permutation(np.arange(3, num_videos + 5)):  # v0 to v2 missing, five ignored
        row = rng.choice(CLASSES, rng.integers(CLASSES + 1), replace=False).tolist()
        confidences = np.float32(rng.integers(8, size=len(row)) / 8).tolist()
        predictions[f"v{n}"] = list(zip(row, confidences, strict=True))
    return predictions, labels


def write_submission(path, table):
    rows = [oracles._ranked(row) for row in table.values()]
    columns = {
        "id": pa.array(table),
        "labels": pa.array([[label for label, _ in row] for row in rows], pa.list_(pa.uint16())),
        "confidences": pa.array([[c for _, c in row] for row in rows], pa.list_(pa.float32())),
    }
    pq.write_table(pa.table(columns), path)
    return path


def write_labels(path, table):
    lines = [f"{name},{' '.join(map(str, sorted(row)))}" for name, row in table.items()]
    path.write_text("\n".join(["id,labels", *lines]) + "\n")
    return path


@pytest.fixture
def files(tmp_path):
    """Two submissions and labels, as tables and as files."""
    predictions, labels = make_tables(0)
    other, _ = make_tables(1)
    write_submission(tmp_path / "one.parquet", predictions)
    write_submission(tmp_path / "two.parquet", other)
    write_labels(tmp_path / "labels.csv", labels)
    return tmp_path, {"one.parquet": predictions, "two.parquet": other}, labels


@pytest.mark.parametrize("ties", oracles.TIES)
@pytest.mark.parametrize("top_k", [20, 3])
def test_json_equals_the_oracle(cli, files, ties, top_k):
    folder, tables, labels = files
    options = ("--labels", "labels.csv", "--json", "--ties", ties, "--top-k", top_k)
    printed = json.loads(cli("score", *tables, *options, cwd=folder).succeeds().stdout)
    assert [row["file"] for row in printed] == list(tables)
    for row, table in zip(printed, tables.values(), strict=True):
        assert list(row) == ["file", *FIELDS]
        expected = oracles.score_tables(table, labels, top_k=top_k, ties=ties)
        assert {name: row[name] for name in FIELDS} == pytest.approx(expected, rel=0, abs=1e-9)
    assert (printed[0]["missing"], printed[0]["ignored"]) == (3, 5)


def test_table_has_a_row_a_file_and_the_counts(cli, files):
    folder, tables, labels = files
    result = cli("score", *tables, "--labels", "labels.csv", cwd=folder).succeeds()
    head, header, *rows = result.stdout.splitlines()
    num_positives = sum(map(len, labels.values()))
    assert head == f"labels.csv: 80 videos, {num_positives} positives"
    assert header.split() == ["file", "gap", "hit@1", "perr", "map", "missing", "ignored"]
    for row, (name, table) in zip(rows, tables.items(), strict=True):
        expected = oracles.score_tables(table, labels)
        figures = [f"{expected[field]:.5f}" for field in FIELDS[:4]]
        assert row.split() == [name, *figures, "3", "5"]


def test_labels_are_a_split_a_path_or_below_gapkit_data(cli, data, submission):
    def gap(*options, **where):
        result = cli("score", submission, "--json", *options, **where).succeeds()
        return json.loads(result.stdout)[0]["gap"]

    by_option = gap("--labels", "val", "--data", data)
    assert 0 < by_option < 1
    assert by_option == gap("--labels", data / "val" / "labels.parquet")
    assert by_option == gap("--labels", data / "val")
    assert by_option == gap("--labels", "labels.parquet", cwd=data / "val")
    assert by_option == gap("--labels", "val", env={"GAPKIT_DATA": str(data)})
    assert by_option == gap("--labels", "val", cwd=data.parent)  # ./data by default
    other = {"GAPKIT_DATA": str(data / "nowhere")}
    assert by_option == gap("--labels", "val", "--data", data, env=other)  # the option wins


def test_json_on_real_output_equals_the_oracle(cli, data, submission):
    table = pq.read_table(submission).to_pydict()
    predictions = {
        name: list(zip(labels, confidences, strict=True))
        for name, labels, confidences in zip(*table.values(), strict=True)
    }
    truth = pq.read_table(data / "val" / "labels.parquet").to_pydict()
    labels = {name: set(row) for name, row in zip(truth["id"], truth["labels"], strict=True)}
    result = cli("score", submission, "--labels", "val", "--data", data, "--json").succeeds()
    expected = oracles.score_tables(predictions, labels, num_classes=CLASSES)
    row = json.loads(result.stdout)[0]
    assert {name: row[name] for name in FIELDS} == pytest.approx(expected, rel=0, abs=1e-9)


def test_another_split_is_noted(cli, data, submission):
    result = cli("score", submission, "--labels", "train", "--data", data).succeeds()
    assert "note: " in result.stderr
    assert "none of the labelled videos" in result.stderr


def test_labels_without_positives_are_noted(cli, files):
    folder, _, labels = files
    write_labels(folder / "none.csv", dict.fromkeys(labels, ()))
    result = cli("score", "one.parquet", "--labels", "none.csv", cwd=folder).succeeds()
    assert "note: none.csv: no video has a label" in result.stderr


def test_installed_script_prints_the_same(run_cli, cli, files):
    folder, tables, _ = files
    arguments = ("score", *tables, "--labels", "labels.csv")
    assert run_cli(*arguments, cwd=folder) == cli(*arguments, cwd=folder).succeeds()


def test_error_bars_hold_the_value(cli, files):
    options = ("--labels", "labels.csv", "--interval", "--json")
    (result,) = json.loads(cli("score", "one.parquet", *options, cwd=files[0]).succeeds().stdout)
    low, high = result["gap_interval"]
    assert low < result["gap"] < high
    assert set(result["standard_errors"]) == {"gap", "hit_at_1", "perr", "map"}
    assert all(0 < error < 0.2 for error in result["standard_errors"].values())
    table = cli("score", "one.parquet", "--labels", "labels.csv", "--interval", cwd=files[0]).stdout
    assert f"±{result['standard_errors']['gap']:.5f}" in table


def test_sketch_bounds_hold_the_value(cli, files):
    exact, sketched = (
        json.loads(
            cli(
                "score", "one.parquet", "--labels", "labels.csv", "--json", *more, cwd=files[0]
            ).stdout
        )[0]
        for more in ((), ("--sketch",))
    )
    low, high = sketched["gap_bounds"]
    assert low <= exact["gap"] <= high
    for field in ("hit_at_1", "perr", "missing", "ignored", "num_positives"):
        assert sketched[field] == exact[field]


def test_losses_by_label_sum_to_the_loss(cli, files):
    options = ("--labels", "labels.csv", "--json", "--by-label", CLASSES)
    (result,) = json.loads(cli("score", "one.parquet", *options, cwd=files[0]).succeeds().stdout)
    lost = [row["lost"] for row in result["worst_labels"]]
    assert sum(lost) == pytest.approx(1 - result["gap"], abs=1e-12)
    assert lost == sorted(lost, reverse=True)
    assert len(result["best_labels"]) == len(lost)


def test_all_metrics_stand_by_name(cli, files):
    options = ("--labels", "labels.csv", "--json", "--all")
    (result,) = json.loads(cli("score", "one.parquet", *options, cwd=files[0]).succeeds().stdout)
    assert result["metrics"]["gap"] == result["gap"]
    assert result["metrics"]["hit_at_1"] == result["hit_at_1"]
    assert result["metrics"]["mean_average_precision"] == result["map"]
    assert {"precision_at_5", "ndcg_at_5", "psp_at_3"} <= set(result["metrics"])
