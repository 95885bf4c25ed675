"""`find_problems`: every wrong row of every format by its kind, place and values."""

import gzip
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gapkit.errors import DataError
from gapkit.io import find_problems, read_predictions
from gapkit.predictions import Labels

NAN, INF = float("nan"), float("inf")
# id, labels, confidences, and what is wrong
ROWS = [
    ("fine", [3, 1, 7], [0.9, 0.5, 0.25], ()),
    ("nan", [3, 1], [0.9, NAN], ("confidence_not_finite",)),
    ("far", [3, 12], [0.9, 0.5], ("label_out_of_range",)),
    ("twice", [3, 3], [0.9, 0.5], ("label_twice",)),
    ("fine too", [0], [0.9], ()),
    ("inf", [3, 1], [INF, 0.5], ("confidence_not_finite",)),
    ("both", [5, 5], [NAN, 0.5], ("label_twice", "confidence_not_finite")),
    ("fine", [4], [0.5], ("id_twice",)),
]
EXPECTED = {}
for _number, (*_, _kinds) in enumerate(ROWS):
    for _kind in _kinds:
        EXPECTED.setdefault(_kind, []).append(_number)


def list_table(rows=ROWS, num_classes=12):
    metadata = {"gapkit": json.dumps({"version": 1, "top_k": 3, "num_classes": num_classes})}
    return pa.table(
        {
            "id": pa.array([row[0] for row in rows], pa.string()),
            "labels": pa.array([row[1] for row in rows], pa.list_(pa.int32())),
            "confidences": pa.array([row[2] for row in rows], pa.list_(pa.float32())),
        }
    ).replace_schema_metadata(metadata)


def write_parquet(path, table, **options):
    pq.write_table(table, path, **options)
    return path


def write_arrow(path, table, rows_per_batch=3):
    with pa.ipc.new_file(path, table.schema) as writer:
        writer.write_table(table, max_chunksize=rows_per_batch)
    return path


def write_kaggle(path, rows=ROWS):
    lines = ["VideoId,LabelConfidencePairs"]
    for name, labels, confidences, *_ in rows:
        pairs = " ".join(f"{c} {v}" for c, v in zip(labels, confidences, strict=True))
        lines.append(f"{name},{pairs}")
    content = ("\n".join(lines) + "\n").encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def found(report):
    return {problem.kind: [spot.row for spot in problem.spots] for problem in report.problems}


@pytest.mark.parametrize("name", ["p.parquet", "small.parquet", "a.arrow"])
def test_every_wrong_row_is_told(name, tmp_path):
    path = tmp_path / name
    if path.suffix == ".arrow":
        write_arrow(path, list_table())
    else:
        write_parquet(path, list_table(), row_group_size=2 if "small" in name else None)
    report = find_problems(path)
    assert {kind: sorted(rows) for kind, rows in found(report).items()} == EXPECTED
    message = {problem.kind: problem.message for problem in report.problems}
    assert message["label_out_of_range"].startswith("row 2 (id 'far'): label 12 is out of range")
    assert "its id stands in row 0 already" in message["id_twice"]
    assert report.distribution.num_videos == len(ROWS)


@pytest.mark.parametrize("name", ["k.csv", "k.csv.gz"])
def test_a_text_tells_lines(name, tmp_path):
    report = find_problems(write_kaggle(tmp_path / name))
    expected = {kind: rows for kind, rows in EXPECTED.items() if kind != "label_out_of_range"}
    assert {kind: sorted(rows) for kind, rows in found(report).items()} == expected
    for problem in report.problems:
        assert all(spot.line == spot.row + 2 for spot in problem.spots)


def test_lines_that_are_no_rows_are_told_and_the_others_checked(tmp_path):
    path = tmp_path / "k.csv"
    path.write_text(
        "VideoId,LabelConfidencePairs\n"
        "a,1 0.5\nb,1 0.5 2\nc,1 half\nd,one 0.5\ne,1 0.5,2 0.25\nf,1 nan\ng,2 0.5 2 0.25\n"
    )
    report = find_problems(path)
    lines = {
        problem.kind: sorted(spot.line for spot in problem.spots) for problem in report.problems
    }
    assert lines == {
        "odd_words": [3],
        "no_number": [4, 5],
        "columns": [6],
        "confidence_not_finite": [7],
        "label_twice": [8],
    }
    text = " ".join(problem.message for problem in report.problems)
    assert "row 2 (id 'c'), line 4: 'half' is not a confidence" in text
    assert [problem.kind for problem in report.problems[:2]] == ["odd_words", "no_number"]


def test_a_long_table_is_checked_by_video(tmp_path):
    table = pa.table(
        {
            "id": ["a", "b", "a", None, "b", "c"],
            "label": [1, 2, 1, 4, 3, 5],
            "confidence": [0.5, 0.5, 0.25, 0.5, NAN, 0.5],
        }
    )
    report = find_problems(write_parquet(tmp_path / "l.parquet", table))
    assert found(report) == {
        "id_missing": [3],
        "label_twice": [0],
        "confidence_not_finite": [1],
    }


@pytest.mark.parametrize("suffix", ["parquet", "arrow"])
def test_missing_values_are_told(tmp_path, suffix):
    rows = [("a", [1], [0.5]), (None, [1], [0.5]), ("c", None, [0.5]), ("d", [1], None)]
    rows += [("e", [1, None], [0.5, 0.25]), ("f", [1, 2], [0.5]), ("g", [1], [None])]
    path = tmp_path / f"m.{suffix}"
    (write_arrow if suffix == "arrow" else write_parquet)(path, list_table(rows))
    report = find_problems(path)
    places = found(report)
    assert places["id_missing"] == [1]
    assert places["labels_missing"] == [2]
    assert places["confidences_missing"] == [3]
    assert places["label_missing"] == [4]
    assert places["confidence_missing"] == [6]
    assert [5] in places.values()  # of unequal length


def test_what_is_around_damaged_pages_is_checked(tmp_path):
    rows = [(f"v{n}", [1, 2], [0.5, NAN if n in (5, 95) else 0.25]) for n in range(100)]
    path = write_parquet(
        tmp_path / "d.parquet", list_table(rows), row_group_size=10, write_page_checksum=True
    )
    metadata = pq.read_metadata(path)
    column = metadata.row_group(4).column(2)
    content = bytearray(path.read_bytes())
    content[column.dictionary_page_offset + column.total_compressed_size - 3] ^= 4
    path.write_bytes(content)
    report = find_problems(path)
    assert found(report) == {"confidence_not_finite": [5, 95], "damaged": [40]}
    assert "row group 4 (rows 40 to 49)" in report.problems[1].message
    assert report.distribution.num_videos == 90


def test_what_is_before_the_cut_is_checked(tmp_path):
    rows = [(f"v{n}", [1, 2], [0.5, NAN if n == 5 else 0.25]) for n in range(100)]
    path = write_arrow(tmp_path / "c.arrow", list_table(rows), rows_per_batch=10)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    report = find_problems(path)
    kinds = found(report)
    assert kinds["confidence_not_finite"] == [5]
    assert "damaged" in kinds
    assert 20 <= report.distribution.num_videos < 60


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        ("{", "gapkit"),
        (json.dumps({"version": 99, "top_k": 3, "num_classes": 12}), "99"),
    ],
)
def test_broken_metadata_are_told_and_the_rows_checked(tmp_path, metadata, words):
    table = list_table().replace_schema_metadata({"gapkit": metadata})
    report = find_problems(write_parquet(tmp_path / "m.parquet", table))
    assert report.problems[0].kind == "metadata"
    assert words in report.problems[0].message
    assert {"label_twice", "id_twice", "confidence_not_finite"} <= found(report).keys()


def test_notes_are_no_problems(tmp_path):
    rows = [("a", [1, 2, 3], [0.25, 0.5, 0.5]), ("b", [], []), ("c", [1], [1.5])]
    report = find_problems(write_parquet(tmp_path / "n.parquet", list_table(rows)))
    assert report.is_ok
    notes = {note.kind for note in report.notes}
    assert {"unsorted", "empty", "short"} <= notes
    assert any("outside [0, 1]" in note.message for note in report.notes)
    read_predictions(tmp_path / "n.parquet")


def test_the_distribution_equals_sorting_everything(tmp_path):
    rng = np.random.default_rng(0)
    rows = []
    for n in range(500):
        length = int(rng.integers(1, 9))
        rows.append(
            (
                f"v{n}",
                rng.choice(12, size=length, replace=False).tolist(),
                np.sort(rng.random(length).astype(np.float32))[::-1].tolist(),
            )
        )
    report = find_problems(
        write_parquet(tmp_path / "q.parquet", list_table(rows), row_group_size=64),
        Labels.from_dict({"v1": [3], "v499": [], "w": [1]}, num_classes=12),
    )
    figures = report.distribution
    every = np.sort(np.concatenate([np.float32(row[2]) for row in rows]))
    first = np.sort([np.float32(row[2][0]) for row in rows])
    for values, quantiles in ((every, figures.confidences), (first, figures.first_confidences)):
        expected = np.quantile(values, [0, 0.01, 0.5, 0.99, 1], method="inverted_cdf")
        np.testing.assert_array_equal(np.float32(quantiles), expected)
    lengths = [len(row[1]) for row in rows]
    assert figures.labels_per_video == (min(lengths), np.median(lengths), max(lengths))
    count_C = np.bincount(np.concatenate([row[1] for row in rows]))
    assert [count for _, count in figures.most_predicted] == sorted(count_C.tolist())[:-6:-1]
    assert all(count_C[label] == count for label, count in figures.most_predicted)
    coverage = report.coverage
    assert (coverage.num_labelled, coverage.missing, coverage.ignored) == (3, 1, 498)


def test_many_confidences_are_counted_in_bins():
    from gapkit.io._problems.figures import RunningQuantiles

    values = np.random.default_rng(1).standard_normal(40_000).astype(np.float32)
    quantiles = RunningQuantiles(max_exact=1000)
    for part in np.split(values, 40):
        quantiles.add(part)
    expected = np.quantile(values, [0, 0.01, 0.5, 0.99, 1], method="inverted_cdf")
    np.testing.assert_allclose(quantiles.compute(), expected, rtol=2**-11)


@pytest.mark.parametrize("suffix", ["parquet", "arrow"])
def test_a_flipped_byte_is_a_problem_where_readers_refuse_it(tmp_path, suffix):
    rows = [(f"v{n}", [1, 2], [0.5, 0.25]) for n in range(30)]
    path = tmp_path / f"f.{suffix}"
    if suffix == "arrow":
        write_arrow(path, list_table(rows))
    else:
        write_parquet(path, list_table(rows), row_group_size=10, write_page_checksum=True)
    content = path.read_bytes()
    for place in range(0, len(content), 41):
        path.write_bytes(content[:place] + bytes([content[place] ^ 8]) + content[place + 1 :])
        try:
            read_predictions(path)
        except DataError:
            assert not find_problems(path).is_ok, place
        else:
            assert find_problems(path).is_ok, place
