"""Long tables, TREC files, URIs, and what other engines write and read."""

import gzip

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gapkit.errors import DataError, UsageError
from gapkit.io import (
    holds_labels,
    read_labels,
    read_predictions,
    scan_predictions,
    write_labels,
    write_predictions,
)
from gapkit.predictions import Labels, Predictions

ROWS = {"b": {3: 0.25, 1: 0.5, 7: 0.125}, "a": {0: 1.0}, "é": {2: 0.75, 9: 0.5}}
TRUTH = {"b": [1, 3], "a": [], "é": [9]}


@pytest.fixture
def table():
    return Predictions.from_dict(ROWS, num_classes=10)


@pytest.fixture
def truth():
    return Labels.from_dict(TRUTH, num_classes=10)


LONG = [(id_, label, confidence) for id_, row in ROWS.items() for label, confidence in row.items()]
SHUFFLED = [LONG[n] for n in (4, 0, 3, 1, 5, 2)]


def long_csv(rows=LONG, header="id,label,confidence"):
    return "\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n"


# Long tables


@pytest.mark.parametrize("rows", [LONG, SHUFFLED])
def test_a_long_csv_is_read(tmp_path, rows):
    (tmp_path / "l.csv").write_text(long_csv(rows), encoding="utf-8")
    with gzip.open(tmp_path / "l.csv.gz", "wt", encoding="utf-8") as file:
        file.write(long_csv(rows))
    for name in ("l.csv", "l.csv.gz"):
        assert read_predictions(tmp_path / name).to_dict() == ROWS


def test_columns_of_a_long_csv_may_stand_in_any_order_with_others(tmp_path):
    text = "x,confidence,label,id\n1,0.5,3,v\n2,0.25,1,v\n"
    (tmp_path / "l.csv").write_text(text)
    assert read_predictions(tmp_path / "l.csv").to_dict() == {"v": {3: 0.5, 1: 0.25}}


@pytest.mark.parametrize("rows", [LONG, SHUFFLED])
@pytest.mark.parametrize("suffix", ["parquet", "arrow"])
def test_long_tables_of_columns_are_read(tmp_path, rows, suffix):
    ids, labels, confidences = zip(*rows, strict=True)
    table = pa.table({"id": ids, "label": labels, "confidence": confidences})
    path = tmp_path / f"l.{suffix}"
    if suffix == "parquet":
        pq.write_table(table, path)
    else:
        with pa.ipc.new_file(str(path), table.schema) as writer:
            writer.write_table(table)
    assert read_predictions(path).to_dict() == ROWS
    blocks = list(scan_predictions(path, rows_per_block=2))
    assert [len(block) for block in blocks] == [2, 1]
    assert {k: v for block in blocks for k, v in block.to_dict().items()} == ROWS


def test_long_labels_are_read(tmp_path):
    (tmp_path / "l.csv").write_text("id,label\nb,1\nc,9\nb,3\n")
    assert read_labels(tmp_path / "l.csv").to_dict() == {"b": [1, 3], "c": [9]}
    pq.write_table(pa.table({"id": ["b", "c"], "label": [1, 9]}), tmp_path / "l.parquet")
    assert read_labels(tmp_path / "l.parquet").to_dict() == {"b": [1], "c": [9]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,label,confidence\nv,x,0.5\n", "'x' is not a label"),
        ("id,label,confidence\nv,1,x\n", "'x' is not a confidence"),
        ("id,label,confidence\nv,1,0.5\nv,1,0.25\n", r"row 0 \(id 'v'\): label 1 stands twice"),
        ("id,label,confidence\nv,-1,0.5\n", "label -1 is out of range"),
        ("id,label,confidence\nv,1\n", "row 0: expected 3 columns, got 2"),
        ("id,label\nv,1\n", "column 'confidence' is missing"),
        ("id,name\nv,1\n", "its header is 'id,name'"),
    ],
)
def test_a_wrong_long_csv_is_named(tmp_path, text, message):
    (tmp_path / "l.csv").write_text(text)
    with pytest.raises(DataError, match=message) as caught:
        read_predictions(tmp_path / "l.csv")
    assert str(caught.value).startswith(f"{tmp_path / 'l.csv'}: ")


# TREC


def test_a_run_comes_back(tmp_path, table):
    write_predictions(tmp_path / "r.run", table)
    lines = (tmp_path / "r.run").read_text(encoding="utf-8").splitlines()
    assert lines[:2] == ["b Q0 1 1 0.5 gapkit", "b Q0 3 2 0.25 gapkit"]
    assert len(lines) == 6
    assert read_predictions(tmp_path / "r.run").to_dict() == ROWS


def test_a_run_of_any_blanks_and_order_is_read(tmp_path):
    text = "v\tQ0  3\t9 0.25 mine\nw Q0 1 1 1e-3 mine\n\nv Q0 5 1   0.5 mine\n"
    (tmp_path / "r.txt").write_text(text)
    found = read_predictions(tmp_path / "r.txt").to_dict()
    assert {id_: list(row) for id_, row in found.items()} == {"v": [5, 3], "w": [1]}


def test_qrels_come_back_with_videos_without_labels(tmp_path, truth):
    write_labels(tmp_path / "t.qrels", truth)
    assert read_labels(tmp_path / "t.qrels").to_dict() == TRUTH


def test_only_what_is_relevant_is_true(tmp_path):
    (tmp_path / "t.qrels").write_text("v 0 3 1\nv 0 4 0\nw 0 5 -1\nw 0 6 2\n")
    assert read_labels(tmp_path / "t.qrels").to_dict() == {"v": [3], "w": [6]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("v Q0 3 1 0.5 t\nv Q0 doc7 2 0.25 t\n", "line 2: 'doc7' is not a label"),
        ("v Q0 3 1 0.5 t\nv Q0 4 2 high t\n", "line 2: 'high' is not a score"),
        ("v Q0 3 1 0.5 t\nv Q0 4 2 0.25\n", "line 2: 5 words where 6 were expected"),
    ],
)
def test_wrong_lines_of_a_run_are_named(tmp_path, text, message):
    (tmp_path / "r.run").write_text(text)
    with pytest.raises(DataError, match=message):
        read_predictions(tmp_path / "r.run")


def test_ids_with_blanks_have_no_place_in_a_run(tmp_path):
    with pytest.raises(DataError, match="'a b'"):
        write_predictions(tmp_path / "r.run", Predictions.from_dict({"a b": {1: 0.5}}))
    assert not (tmp_path / "r.run").exists()


# Labels


@pytest.mark.parametrize("suffix", ["parquet", "arrow", "csv", "csv.gz", "qrels"])
def test_labels_come_back_in_every_format(tmp_path, truth, suffix):
    write_labels(tmp_path / f"t.{suffix}", truth)
    found = read_labels(tmp_path / f"t.{suffix}")
    assert {id_: sorted(row) for id_, row in found.to_dict().items()} == TRUTH
    assert holds_labels(tmp_path / f"t.{suffix}")


def test_labels_of_another_suffix_are_refused(tmp_path, truth):
    with pytest.raises(UsageError, match=r"t\.run: the suffix chooses the format"):
        write_labels(tmp_path / "t.run", truth)


@pytest.mark.parametrize("suffix", ["parquet", "arrow", "csv", "csv.gz", "run"])
def test_submissions_hold_no_labels(tmp_path, table, suffix):
    write_predictions(tmp_path / f"p.{suffix}", table)
    assert not holds_labels(tmp_path / f"p.{suffix}")


# Other engines


def spark(table):
    """As Spark writes: large lists, wide numbers, several row groups, dictionary ids."""
    return pa.table(
        {
            "id": table["id"].dictionary_encode(),
            "labels": table["labels"].cast(pa.large_list(pa.int64())),
            "confidences": table["confidences"].cast(pa.large_list(pa.float64())),
        }
    )


def test_wide_columns_in_several_row_groups_are_read(tmp_path, table):
    pq.write_table(spark(table.to_arrow()), tmp_path / "s.parquet", row_group_size=1)
    found = read_predictions(tmp_path / "s.parquet")
    assert found.to_dict() == ROWS
    assert found.labels.dtype == np.uint16


def test_rows_that_are_not_sorted_are_sorted(tmp_path):
    lists = {"id": ["v"], "labels": [[4, 2, 9]], "confidences": [[0.25, 0.5, 0.25]]}
    pq.write_table(pa.table(lists), tmp_path / "u.parquet")
    assert read_predictions(tmp_path / "u.parquet").labels.tolist() == [[2, 4, 9]]


def test_polars_reads_ours_and_we_read_polars(tmp_path, table, truth):
    write_predictions(tmp_path / "ours.parquet", table)
    frame = pl.read_parquet(tmp_path / "ours.parquet")
    assert frame["labels"].to_list() == [list(row) for row in table.to_dict().values()]
    frame.write_parquet(tmp_path / "theirs.parquet")
    assert read_predictions(tmp_path / "theirs.parquet").to_dict() == ROWS
    frame.write_ipc(tmp_path / "theirs.arrow", compat_level=pl.CompatLevel.oldest())
    assert read_predictions(tmp_path / "theirs.arrow").to_dict() == ROWS
    truth.to_polars().write_parquet(tmp_path / "truth.parquet")
    assert read_labels(tmp_path / "truth.parquet").to_dict() == TRUTH


def test_duckdb_reads_ours_and_we_read_duckdb(tmp_path, table):
    duckdb = pytest.importorskip("duckdb")
    write_predictions(tmp_path / "ours.parquet", table)
    source = f"read_parquet('{tmp_path / 'ours.parquet'}')"
    ((total,),) = duckdb.sql(f"select sum(list_sum(confidences)) from {source}").fetchall()
    assert total == sum(value for row in ROWS.values() for value in row.values())
    duckdb.sql(
        f"copy (select id, labels::bigint[] as labels, confidences::double[] as confidences "
        f"from {source}) to '{tmp_path / 'theirs.parquet'}' (format parquet)"
    )
    assert read_predictions(tmp_path / "theirs.parquet").to_dict() == ROWS


# URIs


def test_file_uris_are_paths(tmp_path, table):
    write_predictions(f"file://{tmp_path}/p.parquet", table)
    assert read_predictions(f"file://{tmp_path}/p.parquet") == table
    assert [path.name for path in tmp_path.iterdir()] == ["p.parquet"]


@pytest.mark.parametrize("suffix", ["parquet", "arrow", "csv", "csv.gz", "run"])
def test_filesystems_of_fsspec_are_read_and_written(table, truth, suffix):
    fsspec = pytest.importorskip("fsspec")
    write_predictions(f"memory://bucket/p.{suffix}", table)
    assert read_predictions(f"memory://bucket/p.{suffix}").to_dict() == ROWS
    write_labels("memory://bucket/t.parquet", truth)
    assert read_labels("memory://bucket/t.parquet") == truth
    names = {path.rpartition("/")[2] for path in fsspec.filesystem("memory").find("/bucket")}
    assert names <= {"p.parquet", "p.arrow", "p.csv", "p.csv.gz", "p.run", "t.parquet"}


def test_what_is_not_there_is_named():
    pytest.importorskip("fsspec")
    with pytest.raises(DataError, match=r"memory://bucket/absent\.parquet"):
        read_predictions("memory://bucket/absent.parquet")
    with pytest.raises(DataError, match=r"nowhere://x/p\.parquet: can't be reached"):
        read_predictions("nowhere://x/p.parquet")
