import json

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gapkit.errors import DataError
from gapkit.io import read_labels, write_labels
from gapkit.predictions import Labels

LABELS = Labels(["é,1", "b", "c"], [[3, 1], [], [0]], num_classes=4, label_names=list("wxyé"))
COLUMNS = {"id": ["é,1", "b", "c"], "labels": [[3, 1], [], [0]]}
ANONYMOUS = Labels(**{"ids": COLUMNS["id"], "labels": COLUMNS["labels"]})


@pytest.mark.parametrize(
    "labels",
    [
        LABELS,
        ANONYMOUS,
        Labels([], []),
        Labels(["a", "b"], [[], []], num_classes=3),
        Labels(["a"], [[69_999, 0]], num_classes=70_000),
        Labels(["a"], [[69_999]]),
    ],
)
def test_what_is_written_is_read_back(tmp_path, labels):
    path = tmp_path / "labels.parquet"
    write_labels(path, labels)
    back = read_labels(str(path))
    assert back == labels
    assert back.label_names == labels.label_names
    assert list(tmp_path.iterdir()) == [path]


def test_the_file_holds_ids_lists_and_names(tmp_path):
    path = tmp_path / "labels.parquet"
    write_labels(path, LABELS)
    schema = pq.read_schema(path)
    assert schema.names == ["id", "labels"]
    assert schema.types == [pa.string(), pa.list_(pa.uint16())]
    about = json.loads(schema.metadata[b"gapkit"])
    assert about == {"version": 1, "num_classes": 4, "label_names": ["w", "x", "y", "é"]}
    assert pl.read_parquet(path).to_dict(as_series=False) == COLUMNS


def test_parquet_and_arrow_of_other_engines_are_read(tmp_path):
    path = tmp_path / "labels"
    for kind in (pa.list_(pa.int64()), pa.large_list(pa.int32())):
        table = pa.table({"more": [1, 2, 3], "labels": pa.array(COLUMNS["labels"], kind)})
        table = table.append_column("id", pa.array(COLUMNS["id"]).dictionary_encode())
        pq.write_table(table, path, row_group_size=1)
        assert read_labels(path) == ANONYMOUS
        with pa.ipc.new_file(str(path), table.schema) as writer:
            writer.write_table(table, max_chunksize=2)
        assert read_labels(path) == ANONYMOUS
    pl.DataFrame(COLUMNS).write_parquet(path)
    assert read_labels(path) == ANONYMOUS
    pl.DataFrame(COLUMNS).write_ipc(path)
    assert read_labels(path) == ANONYMOUS


@pytest.mark.parametrize(
    "text",
    [
        'id,labels\n"é,1",3 1\nb,\nc,0\n',
        'id,labels\r\n"é,1",3 1\r\nb,""\r\nc,"0"\r\n',
        '\ufeffid,labels\n"é,1",  3  1 \nb, \nc,0\n',
    ],
)
def test_csv_with_labels_separated_by_spaces_is_read(tmp_path, text):
    path = tmp_path / "labels.csv"
    path.write_text(text, encoding="utf-8", newline="")
    assert read_labels(path) == ANONYMOUS


def test_csv_of_no_videos_is_read(tmp_path):
    (tmp_path / "labels.csv").write_text("id,labels\n")
    assert len(read_labels(tmp_path / "labels.csv")) == 0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["empty"]),
        ("video,labels\na,1\n", ["'video,labels'", "'id,labels'"]),
        ("id,labels\na,1\nb,x\n", ["row 1", "'b'", "'x'"]),
        ("id,labels\na,1\nb,2 2\n", ["row 1", "'b'", "label 2", "twice"]),
        ("id,labels\na,1\nb,-2\n", ["row 1", "'b'", "label -2"]),
        ("id,labels\na,1\na,2\n", ["row 1", "'a'", "row 0"]),
        ("id,labels\na,1,2\n", ["2 columns, got 3"]),
    ],
)
def test_wrong_csv_labels_are_refused_by_row_id_and_value(tmp_path, text, words):
    path = tmp_path / "labels.csv"
    path.write_text(text)
    with pytest.raises(DataError) as error:
        read_labels(path)
    assert str(error.value).startswith(str(path))
    assert all(word in str(error.value) for word in words), str(error.value)


@pytest.mark.parametrize(
    ("metadata", "labels", "words"),
    [
        (None, [1, 2], ["'labels' is int64"]),
        (None, [[1], None], ["row 1", "missing"]),
        (None, [[1], [0.5]], ["float64", "whole numbers"]),
        ({"num_classes": 2}, [[1], [2]], ["row 1", "'b'", "label 2", "num_classes=2"]),
        ({"version": 2}, [[1], [2]], ["version 2"]),
        ({"num_classes": 3, "label_names": ["x"]}, [[1], [2]], ["1 label names"]),
        ({"num_classes": 3, "label_names": 3}, [[1], [2]], ["label_names"]),
    ],
)
def test_wrong_labels_columns_are_refused(tmp_path, metadata, labels, words):
    path = tmp_path / "labels.parquet"
    table = pa.table({"id": ["a", "b"], "labels": labels})
    if metadata is not None:
        table = table.replace_schema_metadata({b"gapkit": json.dumps(metadata)})
    pq.write_table(table, path)
    with pytest.raises(DataError) as error:
        read_labels(path)
    assert str(error.value).startswith(str(path))
    assert all(word in str(error.value) for word in words), str(error.value)
