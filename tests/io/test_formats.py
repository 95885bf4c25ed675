import gzip
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gapkit.errors import DataError, UsageError
from gapkit.io import read_labels, read_predictions, write_labels, write_predictions
from gapkit.predictions import Labels, Predictions

SUFFIXES = ("parquet", "arrow", "csv", "csv.gz")
HEADER = "VideoId,LabelConfidencePairs\n"
TABLE = Predictions(
    ["a", "b", "c"],
    [[3, 1], [0, 2], [1, 0]],
    [[0.9, 0.2], [0.5, 0.5], [0.25, 0]],
    [2, 2, 1],
    num_classes=4,
    provenance={"run": "r"},
)

# Reads a damaged copy for each damage; anything but a DataError that names the path, or a table
# of sound shape, ends it. Its own process: what Arrow reads unchecked may crash.
FLIP = """
import sys
from pathlib import Path
from gapkit.errors import DataError
from gapkit.io import read_predictions
from gapkit.predictions import Predictions

path = Path(sys.argv[1])
whole = path.read_bytes()
for position in range(len(whole)):
    for bit in (0x01, 0x80):
        print(position, bit, flush=True)
        damaged = bytearray(whole)
        damaged[position] ^= bit
        path.write_bytes(damaged)
        try:
            table = read_predictions(path)
        except DataError as error:
            assert str(error).startswith(str(path)), error
            continue
        Predictions(table.ids, table.labels, table.confidences, table.lengths)
        if path.suffix == ".parquet":
            path.write_bytes(whole)
            assert table == read_predictions(path), "another table, and no error"
"""


def refusal(path, read=read_predictions):
    """The message of the DataError that reading a file ends in; it is one line, with the path."""
    with pytest.raises(DataError) as error:
        read(path)
    message = str(error.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    return message


def write_columns(path, columns, metadata=None):
    fine = {"id": ["a", "b"], "labels": [[1], [2]], "confidences": [[0.5], [0.5]]}
    table = pa.table({name: col for name, col in (fine | columns).items() if col is not None})
    if metadata is not None:
        table = table.replace_schema_metadata({b"gapkit": metadata})
    if path.suffix == ".parquet":
        pq.write_table(table, path)
    else:
        with pa.ipc.new_file(str(path), table.schema) as writer:
            writer.write_table(table)


def test_absent_files_and_folders_are_refused_by_name(tmp_path):
    for read in (read_predictions, read_labels):
        assert "no such file" in refusal(tmp_path / "absent.parquet", read)
        assert "folder" in refusal(tmp_path, read)


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "empty"),
        (b"P", "neither Parquet nor Arrow"),
        (b"PAR1", "cut short"),
        (b"PAR1" + b"\0" * 20 + b"PAR1", "damaged"),
        (b"ARROW1\0\0", "damaged"),
        (b"hello world\n", "neither Parquet nor Arrow"),
        (b"hello, world\n", "hello, world"),
        (bytes(range(256)) * 4, "neither Parquet nor Arrow"),
        (gzip.compress(b""), "damaged"),
        (gzip.compress(b"hello, world\n1,2\n"), "hello, world"),
        (gzip.compress(HEADER.encode())[:-6], "damaged"),
        (HEADER.encode() + b"\xe9,1 0.5\n", "UTF8"),
    ],
)
def test_what_is_no_submission_is_refused(tmp_path, content, word):
    path = tmp_path / "p.parquet"
    path.write_bytes(content)
    assert word in refusal(path)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_half_a_file_is_refused(tmp_path, suffix):
    path = tmp_path / f"p.{suffix}"
    rng = np.random.default_rng(0)
    ids = [f"v{n}" for n in range(200)]
    write_predictions(path, Predictions(ids, np.tile([1, 2], (200, 1)), rng.random((200, 2))))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    refusal(path)


@pytest.mark.parametrize("suffix", ["parquet", "arrow", "csv.gz"])
def test_every_truncation_is_refused(tmp_path, suffix):
    path = tmp_path / f"p.{suffix}"
    write_predictions(path, TABLE)
    whole = path.read_bytes()
    for size_bytes in range(len(whole)):
        path.write_bytes(whole[:size_bytes])
        refusal(path)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_flipped_byte_is_refused_or_harmless(tmp_path, suffix):
    path = tmp_path / f"p.{suffix}"
    write_predictions(path, TABLE)
    command = [sys.executable, "-c", FLIP, str(path)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    where = result.stdout.split("\n")[-2:]
    assert result.returncode == 0, (result.returncode, where, result.stderr[-500:])


@pytest.mark.parametrize("suffix", ["parquet", "arrow"])
@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"confidences": None}, ["'confidences' is missing", "id, labels"]),
        ({"id": None}, ["'id' is missing"]),
        ({"labels": [1, 2]}, ["'labels' is int64"]),
        ({"labels": [["1"], ["2"]]}, ["labels", "whole numbers"]),
        ({"confidences": [[1], [2]]}, ["int64", "swapped"]),
        ({"id": [1, 2]}, ["int64", "strings"]),
        ({"id": ["a", None]}, ["row 1", "id is missing"]),
        ({"id": ["b", "b"]}, ["row 1", "'b'", "row 0"]),
        ({"labels": [[1], None]}, ["row 1", "labels are missing"]),
        ({"labels": [[1], [None]]}, ["row 1", "labels is missing"]),
        ({"confidences": [[0.5], [None]]}, ["row 1", "confidences"]),
        ({"confidences": [[0.5], [float("nan")]]}, ["row 1", "'b'", "label 2", "nan"]),
        ({"confidences": [[0.5], [0.5, 0.25]]}, ["row 1", "'b'", "1 labels", "2 confidences"]),
        ({"labels": [[1], [-2]]}, ["row 1", "'b'", "label -2"]),
        ({"labels": [[1], [2**40]]}, ["row 1", "'b'", f"label {2**40}"]),
        (
            {"labels": [[1], [2, 2]], "confidences": [[1.0], [1.0, 0.5]]},
            ["'b'", "label 2", "twice"],
        ),
    ],
)
def test_wrong_columns_are_refused_by_row_id_and_value(tmp_path, columns, words, suffix):
    path = tmp_path / f"p.{suffix}"
    write_columns(path, columns)
    message = refusal(path)
    assert all(word in message for word in words), message


@pytest.mark.parametrize("suffix", ["parquet", "arrow"])
def test_a_column_twice_is_refused(tmp_path, suffix):
    path = tmp_path / f"p.{suffix}"
    table = pa.table({"id": ["a"], "labels": [[1]], "confidences": [[0.5]], "more": [[0.5]]})
    table = table.rename_columns(["id", "labels", "confidences", "confidences"])
    if suffix == "parquet":
        pq.write_table(table, path)
    else:
        with pa.ipc.new_file(str(path), table.schema) as writer:
            writer.write_table(table)
    assert "confidences" in refusal(path)


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        ("nonsense", ["not a JSON object"]),
        ("[1]", ["not a JSON object"]),
        ('{"version": 2}', ["version 2", "Upgrade"]),
        ('{"version": "2"}', ["version"]),
        ('{"version": null}', ["version"]),
        ('{"num_classes": 2}', ["row 1", "'b'", "label 2", "num_classes=2"]),
        ('{"num_classes": 0}', ["num_classes is 0"]),
        ('{"num_classes": "many"}', ["num_classes"]),
        ('{"num_classes": 3.5}', ["num_classes"]),
    ],
)
def test_wrong_metadata_is_refused(tmp_path, metadata, words):
    write_columns(tmp_path / "p.parquet", {}, metadata)
    message = refusal(tmp_path / "p.parquet")
    assert all(word in message for word in words), message


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("b,2 0.5 3", ["row 1", "'b'", "3 words"]),
        ("b,x 0.5", ["row 1", "'b'", "'x'", "label"]),
        ("b,1.0 0.5", ["row 1", "'b'", "'1.0'", "label"]),
        ("b,1 high", ["row 1", "'b'", "'high'", "confidence"]),
        ("b,1 nan", ["row 1", "'b'", "label 1", "nan"]),
        ("b,1 inf", ["row 1", "'b'", "label 1", "inf"]),
        ("b,-1 0.5", ["row 1", "'b'", "label -1"]),
        ("b,5000000000 0.5", ["row 1", "'b'", "label 5000000000"]),
        ("b,1 0.5 1 0.25", ["row 1", "'b'", "label 1", "twice"]),
        ("a,2 0.5", ["row 1", "'a'", "row 0"]),
        ("b,2 0.5,3 0.5", ["2 columns, got 3"]),
        ("b", ["2 columns, got 1"]),
    ],
)
def test_wrong_csv_lines_are_refused_by_row_id_and_value(tmp_path, line, words):
    path = tmp_path / "p.csv"
    path.write_text(f"{HEADER}a,1 0.5\n{line}\n")
    message = refusal(path)
    assert all(word in message for word in words), message


def test_labels_and_submissions_are_told_apart(tmp_path):
    submission, labels = tmp_path / "p.parquet", tmp_path / "l.parquet"
    write_predictions(submission, TABLE)
    write_labels(labels, Labels(["a"], [[1]]))
    assert "'confidences' is missing" in refusal(labels)
    assert "swapped" in refusal(submission, read_labels)


@pytest.mark.parametrize("name", ["p", "p.txt", "p.parquet.bak", "p.gz", "csv"])
def test_an_unknown_suffix_is_a_usage_error(tmp_path, name):
    with pytest.raises(UsageError, match=r"\.parquet, \.arrow, \.csv, \.csv\.gz"):
        write_predictions(tmp_path / name, TABLE)
    assert not list(tmp_path.iterdir())
