import gzip
import json
from pathlib import Path

import numpy as np
import oracles
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gapkit.io import open_submission, read_predictions, write_predictions
from gapkit.predictions import Predictions

SUFFIXES = ("parquet", "arrow", "csv", "csv.gz")
KAGGLE = Path(__file__).parents[2] / ".." / "shared" / "data" / "kaggle_csv"
HEADER = "VideoId,LabelConfidencePairs\n"
COLUMNS = {"id": ["b", "a"], "labels": [[7, 3], [2]], "confidences": [[0.5, 0.75], [1.0]]}
TABLE = Predictions(["b", "a"], [[3, 7], [2, 0]], [[0.75, 0.5], [1, 0]], [2, 1])


def make(num_videos=40, num_classes=500, k=6, seed=0, **options):
    rng = np.random.default_rng(seed)
    label_NK = np.argsort(rng.random((num_videos, num_classes)), axis=1)[:, :k]
    ids = [f"vidéo {n}" for n in range(num_videos)]
    lengths = rng.integers(0, k + 1, num_videos)
    return Predictions(ids, label_NK, rng.random((num_videos, k)), lengths, **options)


def write_arrow(path, table):
    with pa.ipc.new_file(str(path), table.schema) as writer:
        writer.write_table(table)


def write_parquet(path, table):
    pq.write_table(table, path, row_group_size=1)


TABLES = {
    "ragged": make(num_classes=500),
    "full": Predictions(["a", "b"], [[0, 1], [1, 0]], [[1, 0.5], [0.25, 0.125]], num_classes=2),
    "no videos": Predictions([], [], [], num_classes=5),
    "no labels": Predictions(["a", "b"], [[], []], [[], []], num_classes=5),
    "wide labels": Predictions(["a"], [[69_999, 65_535, 3]], [[0.5, 0.5, 0.1]], num_classes=70_000),
    "odd ids": Predictions(
        ["é,ü", '"', "a b", "视频", "tab\t", "NULL", "-x_1", " s ", "\\", "\N{GRINNING FACE}"],
        [[n % 3] for n in range(10)],
        [[0.5]] * 10,
    ),
    "odd confidences": Predictions(["a"], [[0, 1, 2, 3]], [[1e-45, 3e38, 1 / 3, -0.0]]),
}


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("name", TABLES)
def test_what_is_written_is_read_back(tmp_path, name, suffix):
    path = tmp_path / f"p.{suffix}"
    write_predictions(path, TABLES[name])
    back = read_predictions(str(path))
    assert back == TABLES[name]
    assert list(tmp_path.iterdir()) == [path]
    if "csv" not in suffix:
        assert back.num_classes == TABLES[name].num_classes
        assert back.num_classes is None or back.labels.dtype == TABLES[name].labels.dtype


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_more_rows_than_a_row_group_are_read_back(tmp_path, suffix):
    table = Predictions([f"v{n}" for n in range(70_000)], [[3]] * 70_000, [[0.5]] * 70_000)
    write_predictions(tmp_path / f"p.{suffix}", table)
    assert read_predictions(tmp_path / f"p.{suffix}") == table


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_blocks_are_appended_in_order(tmp_path, suffix):
    path = tmp_path / f"p.{suffix}"
    blocks = [make(5, seed=0), Predictions([], [], []), Predictions(["x"], [[1]], [[0.5]])]
    with open_submission(path, num_classes=500, top_k=6) as write:
        for block in blocks:
            write(block)
    assert read_predictions(path) == Predictions.concat(blocks)


@pytest.mark.parametrize("suffix", ["parquet", "arrow"])
def test_metadata_is_json_under_one_key(tmp_path, suffix):
    path = tmp_path / f"p.{suffix}"
    provenance = {"run": "lstm é", "starts": [0, 1], "weights": {"a": 0.5}}
    write_predictions(path, make(num_classes=500, provenance=provenance))
    schema = pq.read_schema(path) if suffix == "parquet" else pa.ipc.open_file(path).schema
    about = {"version": 1, "top_k": 6, "num_classes": None, **provenance}
    assert json.loads(schema.metadata[b"gapkit"]) == about
    assert read_predictions(path).provenance == provenance


def test_the_format_is_found_by_content_and_not_by_name(tmp_path):
    for suffix in SUFFIXES:
        write_predictions(tmp_path / f"p.{suffix}", TABLE)
        (tmp_path / f"p.{suffix}").rename(tmp_path / "no_name")
        assert read_predictions(tmp_path / "no_name") == TABLE


@pytest.mark.parametrize(("num_classes", "kind"), [(500, pa.uint16()), (70_000, pa.uint32())])
def test_other_engines_read_our_files(tmp_path, num_classes, kind):
    table = make(num_classes=num_classes, num_videos=5)
    table.num_classes = num_classes
    parquet, arrow = tmp_path / "p.parquet", tmp_path / "p.arrow"
    write_predictions(parquet, table)
    write_predictions(arrow, table)
    rows = [labels[:n] for labels, n in zip(table.labels.tolist(), table.lengths, strict=True)]
    for other in (pq.read_table(parquet), pa.ipc.open_file(arrow).read_all()):
        types = [pa.string(), pa.list_(kind), pa.list_(pa.float32())]
        assert other.schema.names == ["id", "labels", "confidences"]
        assert other.schema.types == types
        assert other["labels"].to_pylist() == rows
    for frame in (pl.read_parquet(parquet), pl.read_ipc(arrow)):
        wide = pl.UInt16 if num_classes == 500 else pl.UInt32
        assert dict(frame.schema) == {
            "id": pl.String,
            "labels": pl.List(wide),
            "confidences": pl.List(pl.Float32),
        }
        assert frame["id"].to_list() == table.ids.tolist()
        assert frame["labels"].to_list() == rows


def test_the_csv_is_what_kaggle_asks_for(tmp_path):
    write_predictions(tmp_path / "p.csv", TABLE)
    assert (tmp_path / "p.csv").read_text() == HEADER + "b,3 0.75 7 0.5\na,2 1\n"
    table = make()
    write_predictions(tmp_path / "p.csv.gz", table)
    assert gzip.decompress((tmp_path / "p.csv.gz").read_bytes()).startswith(HEADER.encode())
    read = oracles.read_kaggle_csv(tmp_path / "p.csv.gz")
    assert list(read) == table.ids.tolist()
    for n, row in enumerate(read.values()):
        assert [label for label, _ in row] == table.labels[n, : table.lengths[n]].tolist()
        assert np.float32([c for _, c in row]).tolist() == table.confidences[n, : len(row)].tolist()


@pytest.mark.parametrize("write", [write_parquet, write_arrow])
@pytest.mark.parametrize(
    "types",
    [
        {},
        {"labels": pa.large_list(pa.int64()), "confidences": pa.large_list(pa.float64())},
        {"labels": pa.list_(pa.uint32()), "confidences": pa.large_list(pa.float32())},
        {"id": pa.large_string(), "labels": pa.list_(pa.int16())},
        {"id": pa.dictionary(pa.int32(), pa.string())},
    ],
)
def test_list_and_id_types_of_other_engines_are_read(tmp_path, types, write):
    table = pa.table({name: pa.array(COLUMNS[name], types.get(name)) for name in COLUMNS})
    write(tmp_path / "p", table)
    assert read_predictions(tmp_path / "p") == TABLE


@pytest.mark.parametrize("write", [write_parquet, write_arrow])
def test_lists_of_fixed_size_are_read(tmp_path, write):
    ids = pa.chunked_array([["b"], ["a", "c"]])
    labels = pa.array([[7, 3], [2, 0], [1, 5]], pa.list_(pa.int32(), 2))
    confidences = pa.array([[0.5, 0.75], [1, 0], [0, 1]], pa.list_(pa.float64(), 2))
    table = pa.table({"confidences": confidences, "id": ids, "labels": labels, "more": [1, 2, 3]})
    write(tmp_path / "p", table)
    expected = Predictions(["b", "a", "c"], [[3, 7], [2, 0], [5, 1]], [[0.75, 0.5], [1, 0], [1, 0]])
    assert read_predictions(tmp_path / "p") == expected


def test_files_of_polars_are_read(tmp_path):
    frame = pl.DataFrame(COLUMNS)
    frame.write_parquet(tmp_path / "p", row_group_size=1)
    assert read_predictions(tmp_path / "p") == TABLE
    frame.write_parquet(tmp_path / "p", compression="zstd", use_pyarrow=False)
    assert read_predictions(tmp_path / "p") == TABLE
    frame.with_columns(pl.col("id").cast(pl.Categorical)).write_parquet(tmp_path / "p")
    assert read_predictions(tmp_path / "p") == TABLE
    frame.write_ipc(tmp_path / "p")
    assert read_predictions(tmp_path / "p") == TABLE
    frame.write_ipc(tmp_path / "p", compression="lz4")
    assert read_predictions(tmp_path / "p") == TABLE


@pytest.mark.skipif(not KAGGLE.is_dir(), reason="no real data in ../shared/data")
@pytest.mark.parametrize("name", ["lotus_only_frame", "lotus_solution_final"])
def test_real_kaggle_files_equal_the_oracle_and_round_trip(tmp_path, name):
    path = KAGGLE / f"{name}.csv.gz"
    expected, table = oracles.read_kaggle_csv(path), read_predictions(path)
    assert len(table) == {"lotus_only_frame": 9088, "lotus_solution_final": 9090}[name]
    assert table.ids.tolist() == list(expected)
    assert (table.lengths == 20).all()
    for n, row in enumerate(expected.values()):
        row = sorted([(label, float(np.float32(c))) for label, c in row], key=lambda x: (-x[1], x))
        assert table.labels[n].tolist() == [label for label, _ in row]
        assert table.confidences[n].tolist() == [confidence for _, confidence in row]
    for suffix in SUFFIXES:
        write_predictions(tmp_path / f"p.{suffix}", table)
        assert read_predictions(tmp_path / f"p.{suffix}") == table
