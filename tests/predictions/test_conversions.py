"""Tables from and to what other libraries hold."""

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gapkit.errors import DataError, UsageError
from gapkit.predictions import Labels, Predictions

IDS = st.text("abé", max_size=3)
ROWS = st.dictionaries(
    IDS, st.dictionaries(st.integers(0, 40), st.floats(0, 1, width=32), max_size=6), max_size=8
)


def long_of(rows, order=None):
    entries = [(i, label, c) for i, row in rows.items() for label, c in row.items()]
    entries = [entries[n] for n in order] if order is not None else entries
    return pa.table(
        {
            "id": pa.array([entry[0] for entry in entries], pa.string()),
            "label": pa.array([entry[1] for entry in entries], pa.int64()),
            "confidence": pa.array([entry[2] for entry in entries], pa.float64()),
        }
    )


def as_dict(table):
    return {
        id_: {
            int(label): float(confidence)
            for label, confidence in zip(labels[:n], confidences[:n], strict=True)
        }
        for id_, labels, confidences, n in zip(
            table.ids, table.labels, table.confidences, table.lengths, strict=True
        )
    }


@given(ROWS)
def test_a_dictionary_comes_back(rows):
    table = Predictions.from_dict(rows, num_classes=41)
    assert table.to_dict() == as_dict(table) == rows
    assert list(table.ids) == list(rows)
    assert [list(row.values()) for row in table.to_dict().values()] == [
        sorted(row.values(), reverse=True) for row in rows.values()
    ]


@given(ROWS, st.randoms())
def test_long_rows_in_any_order_are_the_same_table(rows, random):
    filled = {id_: row for id_, row in rows.items() if row}
    order = list(range(sum(len(row) for row in rows.values())))
    random.shuffle(order)
    table = Predictions.from_long(long_of(rows, order), num_classes=41)
    assert as_dict(table) == filled
    first_met = list(dict.fromkeys(long_of(rows, order)["id"].to_pylist()))
    assert list(table.ids) == first_met
    again = Predictions.from_long(table.to_long(), num_classes=41)
    assert again == table


def test_many_videos_are_grouped_right():
    rng = np.random.default_rng(0)
    ids = np.array([f"v{n:x}" for n in rng.integers(0, 1 << 40, 20_000)])
    video = np.concatenate([np.arange(20_000), rng.integers(0, 20_000, 30_000)])
    label = np.concatenate([np.zeros(20_000, int), 1 + np.arange(30_000)])
    order = rng.permutation(50_000)
    table = Predictions.from_long(
        pl.DataFrame(
            {
                "id": ids[video[order]],
                "label": label[order],
                "confidence": rng.random(50_000),
            }
        )
    )
    expected = {}
    for v, one in zip(video[order], label[order], strict=True):
        expected.setdefault(ids[v], set()).add(one)
    assert {id_: set(row) for id_, row in table.to_dict().items()} == expected


class Stream:
    """Another library's table: the Arrow protocol and nothing else."""

    def __init__(self, table):
        self._table = table

    def __arrow_c_stream__(self, requested_schema=None):
        return self._table.__arrow_c_stream__(requested_schema)


ROW = {"b": {3: 0.25, 1: 0.5}, "a": {0: 1.0}}


@pytest.mark.parametrize(
    "convert",
    [
        lambda table: table,
        lambda table: table.to_batches()[0],
        pl.from_arrow,
        Stream,
        lambda table: table.set_column(0, "id", table["id"].dictionary_encode()),
        lambda table: pa.concat_tables([table.slice(0, 1), table.slice(1)]),
        lambda table: table.set_column(0, "id", table["id"].cast(pa.large_string())),
    ],
)
def test_tables_of_any_library_are_taken(convert):
    table = Predictions.from_long(convert(long_of(ROW)))
    assert table.to_dict() == ROW
    labels = Labels.from_long(convert(long_of(ROW)))
    assert labels.to_dict() == {"b": [3, 1], "a": [0]}


def test_pandas_is_taken():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"id": ["b", "b"], "label": [3, 1], "confidence": [0.25, 0.5]})
    assert Predictions.from_long(frame).to_dict() == {"b": {1: 0.5, 3: 0.25}}


def test_columns_of_lists_read_back():
    table = Predictions.from_dict({**ROW, "c": {}}, num_classes=4)
    frame = table.to_polars()
    assert frame.to_dict(as_series=False) == {
        "id": ["b", "a", "c"],
        "labels": [[1, 3], [0], []],
        "confidences": [[0.5, 0.25], [1.0], []],
    }
    full = Predictions(["a"], [[2, 1]], np.array([[0.5, 0.25]], np.float32))
    lists = full.to_arrow()["confidences"].chunk(0)
    assert lists.values.buffers()[1].address == full.confidences.ctypes.data  # no copy
    truth = Labels.from_dict({"b": [3, 1], "c": []}, num_classes=4)
    assert truth.to_polars().to_dict(as_series=False) == {"id": ["b", "c"], "labels": [[3, 1], []]}


def test_dense_is_what_it_was():
    rng = np.random.default_rng(0)
    dense = rng.random((30, 12), dtype=np.float32)
    assert np.array_equal(Predictions.from_dense(dense, top_k=12).to_dense(), dense)
    kept = Predictions.from_dense(dense, top_k=3).to_dense()
    assert np.array_equal(kept, np.where(kept > 0, dense, 0))
    assert ((kept > 0).sum(axis=1) == 3).all()
    truth = rng.random((30, 12)) < 0.2
    assert np.array_equal(Labels.from_dense(truth).to_dense(), truth)
    assert Predictions.from_dict({"a": {2: 0.5}}).to_dense().shape == (1, 3)
    assert Labels.from_dict({"a": [2]}).to_dense(5).shape == (1, 5)


def test_selected_rows_stand_in_the_order_asked_for():
    table = Predictions.from_dict({**ROW, "c": {}}, num_classes=4)
    part = table.select(["c", "b"])
    assert part.to_dict() == {"c": {}, "b": ROW["b"]}
    assert part.num_classes == 4
    assert len(table.select([])) == 0
    truth = Labels.from_dict({"b": [3], "a": [], "c": [1, 2]}, num_classes=4)
    assert truth.select(["c", "b"]).to_dict() == {"c": [1, 2], "b": [3]}


@pytest.mark.parametrize(
    "table", [Predictions.from_dict(ROW), Labels.from_dict({"a": [], "b": []})]
)
def test_ids_that_are_not_there_are_named(table):
    with pytest.raises(DataError, match="id 'x' is not in the table, nor are 2 others"):
        table.select(["a", "x", "y", "z"])
    with pytest.raises(DataError, match="row 1: id 'a' stands in row 0 already"):
        table.select(["a", "a"])


def test_top_keeps_the_most_confident_and_the_arrays():
    table = Predictions.from_dict({"b": {3: 0.25, 1: 0.5, 7: 0.75}, "a": {0: 1.0}})
    assert table.top(2).to_dict() == {"b": {7: 0.75, 1: 0.5}, "a": {0: 1.0}}
    assert table.top(2).top_k == 2
    assert np.shares_memory(table.top(2).confidences, table.confidences)
    assert table.top(9) is table
    assert table.top(2) == Predictions.from_dict({"b": {7: 0.75, 1: 0.5}, "a": {0: 1.0}})
    with pytest.raises(UsageError, match="k is 0"):
        table.top(0)


def test_labels_put_together():
    first = Labels.from_dict({"a": [1]}, num_classes=3)
    assert Labels.concat([first, Labels.from_dict({"b": [2, 0]}, num_classes=3)]) == (
        Labels.from_dict({"a": [1], "b": [2, 0]}, num_classes=3)
    )
    with pytest.raises(DataError, match="id 'a' stands"):
        Labels.concat([first, first])
    with pytest.raises(DataError, match="do not go together"):
        Labels.concat([first, Labels.from_dict({"b": [2]}, num_classes=4)])
    with pytest.raises(DataError, match="no parts"):
        Labels.concat([])


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"id": ["a"], "label": [1]}, "column 'confidence' is missing among id, label"),
        ({"id": ["a"], "label": [1], "confidence": [None]}, "is null and must hold|is missing"),
        (
            {"id": ["a", "b"], "label": [1, 2], "confidence": [0.5, None]},
            "row 1: its confidence is missing",
        ),
        (
            {"id": ["a", None], "label": [1, 2], "confidence": [0.5, 1.0]},
            "row 1: its id is missing",
        ),
        ({"id": [1], "label": [1], "confidence": [0.5]}, "ids of type int64 are not strings"),
        ({"id": ["a"], "label": ["x"], "confidence": [0.5]}, "column 'label' is string"),
        ({"id": ["a"], "label": [0.5], "confidence": [0.5]}, "labels of type float64"),
        ({"id": ["a"], "label": [-1], "confidence": [0.5]}, "label -1 is out of range"),
        (
            {"id": ["b", "a", "a"], "label": [1, 1, 1], "confidence": [0.5, 0.5, 0.5]},
            r"row 1 \(id 'a'\): label 1 stands twice",
        ),
        (
            {"id": ["a"], "label": [1], "confidence": [float("nan")]},
            r"row 0 \(id 'a'\): the confidence of label 1 is nan",
        ),
    ],
)
def test_wrong_long_tables_are_named(columns, message):
    with pytest.raises(DataError, match=message):
        Predictions.from_long(pa.table(columns))


def test_what_is_no_table_is_named():
    with pytest.raises(DataError, match="int is no table"):
        Predictions.from_long(3)
    with pytest.raises(DataError, match="label 5 is out of range"):
        Predictions.from_dict({"a": {5: 0.5}}).to_dense(5)
