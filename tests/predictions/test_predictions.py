import numpy as np
import oracles
import pyarrow as pa
import pytest

from gapkit.errors import DataError, UsageError
from gapkit.predictions import Labels, Predictions


def rows(predictions):
    """The table as a dict of lists, as oracles.py has it."""
    return {
        name: list(zip(labels[:n].tolist(), confidences[:n].tolist(), strict=True))
        for name, labels, confidences, n in zip(
            predictions.ids,
            predictions.labels,
            predictions.confidences,
            predictions.lengths,
            strict=True,
        )
    }


# Predictions


def test_rows_are_sorted_by_falling_confidence_then_rising_label():
    table = Predictions(["a", "b"], [[7, 3, 5], [2, 9, 4]], [[0.5, 1, 0.5], [0, 0.25, 0]])
    assert rows(table) == {
        "a": [(3, 1.0), (5, 0.5), (7, 0.5)],
        "b": [(9, 0.25), (2, 0.0), (4, 0.0)],
    }


def test_random_rows_equal_the_oracle_order():
    rng = np.random.default_rng(0)
    label_NK = np.argsort(rng.random((50, 30)), axis=1)[:, :12]
    confidence_NK = rng.integers(0, 4, (50, 12)) / 4
    lengths = rng.integers(0, 13, 50)
    table = Predictions([str(n) for n in range(50)], label_NK, confidence_NK, lengths)
    for n, row in enumerate(rows(table).values()):
        pairs = zip(label_NK[n].tolist(), confidence_NK[n].tolist(), strict=True)
        kept = list(pairs)[: lengths[n]]
        assert row == sorted(kept, key=lambda pair: (-pair[1], pair[0]))


def test_results_are_of_the_exact_types():
    table = Predictions(["a"], [[1, 0]], [[0.5, 0.25]], num_classes=3, provenance={"run": "r"})
    assert table.id_column.type == pa.string()
    assert table.ids.dtype == object
    assert table.ids.tolist() == ["a"]
    assert (table.labels.dtype, table.confidences.dtype) == (np.uint16, np.float32)
    assert table.lengths.dtype == np.int64
    assert (len(table), table.top_k, table.num_classes) == (1, 2, 3)
    assert table.provenance == {"run": "r"}


@pytest.mark.parametrize(
    ("label", "num_classes", "dtype"),
    [
        (0, 65_535, np.uint16),
        (0, 65_536, np.uint32),
        (65_534, None, np.uint16),
        (65_535, None, np.uint32),
        (65_535, 65_536, np.uint32),
    ],
)
def test_labels_are_uint16_up_to_65535_classes(label, num_classes, dtype):
    table = Predictions(["a"], [[label]], [[0.5]], num_classes=num_classes)
    assert table.labels.dtype == dtype
    assert table.labels.tolist() == [[label]]


def test_arrays_of_the_right_type_and_order_are_kept_without_a_copy():
    ids = pa.array(["a", "b"])
    labels = np.array([[3, 1], [0, 2]], np.uint16)
    confidences = np.array([[0.9, 0.2], [0.5, 0.5]], np.float32)
    table = Predictions(ids, labels, confidences)
    assert np.shares_memory(table.labels, labels)
    assert np.shares_memory(table.confidences, confidences)
    assert table.id_column.buffers()[2].address == ids.buffers()[2].address


def test_arrays_that_are_sorted_are_copied_and_left_as_they_were():
    labels = np.array([[3, 1]], np.uint16)
    confidences = np.array([[0.2, 0.9]], np.float32)
    table = Predictions(["a"], labels, confidences)
    assert rows(table) == {"a": [(1, np.float32(0.9)), (3, np.float32(0.2))]}
    assert labels.tolist() == [[3, 1]]
    assert confidences[0, 0] == np.float32(0.2)


def test_confidences_are_rounded_to_float32_before_the_order():
    table = Predictions(["a"], [[5, 2]], [[0.5 + 1e-12, 0.5]])
    assert rows(table) == {"a": [(2, 0.5), (5, 0.5)]}


@pytest.mark.parametrize("garbage", [np.nan, np.inf, -np.inf, 1e300])
@pytest.mark.parametrize("label", [-7, 4, 99, 2**40])
def test_what_stands_past_the_length_is_not_read(garbage, label):
    table = Predictions(
        ["a", "b", "c"],
        [[4, label, label], [label] * 3, [1, 0, 2]],
        [[0.5, garbage, garbage], [garbage] * 3, [0.1, 0.2, 0.3]],
        [1, 0, 3],
        num_classes=5,
    )
    kept = {"a": [(4, 0.5)], "b": []}
    assert {name: row for name, row in rows(table).items() if name != "c"} == kept
    assert table == Predictions(
        ["a", "b", "c"],
        [[4, 0, 0], [0, 0, 0], [2, 0, 1]],
        [[0.5, 0, 0], [0, 0, 0], [0.3, 0.2, 0.1]],
        [1, 0, 3],
    )


@pytest.mark.parametrize(
    ("ids", "labels", "confidences"),
    [
        ([], [], []),
        ([], np.zeros((0, 5), np.uint16), np.zeros((0, 5), np.float32)),
        (["a", "b"], [[], []], [[], []]),
    ],
)
def test_empty_tables_have_no_rows_or_empty_rows(ids, labels, confidences):
    table = Predictions(ids, labels, confidences)
    assert rows(table) == {name: [] for name in ids}


@pytest.mark.parametrize(
    "kind", [pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string())]
)
def test_ids_of_any_arrow_string_type_are_taken(kind):
    ids = pa.array(["é", 'b,"']).cast(kind)
    for given in (ids, pa.chunked_array([ids[:1], ids[1:]])):
        assert Predictions(given, [[0], [0]], [[0.5], [0.5]]).ids.tolist() == ["é", 'b,"']


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"ids": ["a", "a"]}, ["row 1", "'a'", "row 0"]),
        ({"ids": ["a", None]}, ["row 1", "missing"]),
        ({"ids": ["a", 7]}, ["strings"]),
        ({"ids": pa.array([1, 2])}, ["int64"]),
        ({"ids": ["a"]}, ["1 ids", "2 rows"]),
        ({"labels": [[0, 1], [2, 4]]}, ["row 1", "'b'", "label 4", "num_classes=4"]),
        ({"labels": [[0, 1], [-1, 2]]}, ["row 1", "'b'", "label -1"]),
        ({"labels": [[0, 1], [3, 3]]}, ["row 1", "'b'", "label 3", "twice"]),
        ({"labels": [[0.5, 1], [2, 3]]}, ["float64"]),
        ({"labels": [["x", "y"], ["z", "w"]]}, ["<U1"]),
        ({"labels": [[0], [1]]}, ["(2, 1)", "(2, 2)"]),
        ({"confidences": [[0.5, 0.5], [0.5, np.nan]]}, ["row 1", "'b'", "label 3", "nan"]),
        ({"confidences": [[0.5, np.inf], [0, 0]]}, ["row 0", "'a'", "label 1", "inf"]),
        ({"confidences": [[1e300, 0.0], [0, 0]]}, ["row 0", "'a'", "label 0", "1e+300"]),
        ({"confidences": [[1, 2], [3, 4]]}, ["int64", "swapped"]),
        ({"lengths": [2, 3]}, ["row 1", "3", "0..2"]),
        ({"lengths": [-1, 2]}, ["row 0", "-1", "0..2"]),
        ({"lengths": [2]}, ["(1,)", "2 rows"]),
        ({"lengths": [1.0, 2.0]}, ["float64"]),
        ({"num_classes": 0}, ["num_classes is 0"]),
        ({"num_classes": 2**32}, [str(2**32)]),
        ({"num_classes": 4.5}, ["num_classes", "4.5"]),
        ({"num_classes": "4"}, ["num_classes", "4"]),
        ({"labels": [[0, 1], [2]]}, ["labels"]),
        ({"confidences": [[0.5, 0.25], [0.5]]}, ["confidences"]),
        ({"labels": [[], []]}, ["(2, 0)", "(2, 2)"]),
    ],
)
def test_wrong_predictions_are_refused_by_name_and_value(given, words):
    fine = {
        "ids": ["a", "b"],
        "labels": [[0, 1], [2, 3]],
        "confidences": [[0.5, 0.25], [0.75, 0.125]],
        "num_classes": 4,
    }
    with pytest.raises(DataError) as error:
        Predictions(**(fine | given))
    assert all(word in str(error.value) for word in words), str(error.value)


def test_a_label_beyond_all_bounds_is_refused_before_memory_is_taken():
    with pytest.raises(DataError, match=r"row 0 \(id 'a'\): label 2147483648 .*16,777,216"):
        Predictions(["a"], [[5, 2**31]], [[0.5, 0.25]])


def test_the_first_offender_of_a_long_table_is_named():
    confidences = np.full((1000, 3), 0.5)
    confidences[[512, 700], [2, 0]] = np.nan
    with pytest.raises(DataError, match=r"row 512 \(id 'v512'\): the confidence of label 2 is nan"):
        Predictions([f"v{n}" for n in range(1000)], np.tile([0, 1, 2], (1000, 1)), confidences)


def test_equality_is_that_of_ids_order_and_counted_entries():
    table = Predictions(["a", "b"], [[0, 1], [2, 0]], [[0.5, 0.25], [0.5, 0]], [2, 1])
    wider = Predictions(["a", "b"], [[0, 1, 9], [2, 8, 7]], np.full((2, 3), 0.5), [0, 0])
    assert table == Predictions(
        ["a", "b"], [[0, 1, 5], [2, 3, 4]], [[0.5, 0.25, 9], [0.5, 9, 9]], [2, 1]
    )
    assert table != Predictions(["a", "b"], [[0, 1], [2, 0]], [[0.5, 0.25], [0.5, 0]])
    assert table != Predictions(["a", "c"], table.labels, table.confidences, [2, 1])
    assert table != Predictions(["a", "b"], [[0, 1], [3, 0]], table.confidences, [2, 1])
    assert table != Predictions(["a", "b"], table.labels, [[0.5, 0.125], [0.5, 0]], [2, 1])
    assert table != wider
    assert table != "table"
    with pytest.raises(TypeError):
        hash(table)


def test_concat_keeps_the_rows_of_tables_of_any_width():
    first = Predictions(["a"], [[1]], [[0.5]], num_classes=70_000, provenance={"run": "r"})
    second = Predictions(["b", "c"], [[3, 2], [1, 0]], [[1, 0.5], [1, 0]], [2, 0])
    both = Predictions.concat([first, second])
    assert rows(both) == rows(first) | rows(second)
    assert (both.num_classes, both.provenance) == (70_000, {"run": "r"})
    with pytest.raises(DataError, match=r"row 1.*'a'.*row 0"):
        Predictions.concat([first, first])


def test_from_dense_cuts_ties_by_rising_label():
    table = Predictions.from_dense([[0.5, 0.25, 0.5, 0.5], [0, 0, 0, 0]], top_k=2)
    assert rows(table) == {"0": [(0, 0.5), (2, 0.5)], "1": [(0, 0.0), (1, 0.0)]}


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("top_k", [1, 5, 20, 40])
def test_from_dense_equals_the_oracle_cut(dtype, top_k):
    rng = np.random.default_rng(top_k)
    dense_NC = (rng.integers(0, 8, (40, 20)) / 8).astype(dtype)
    table = Predictions.from_dense(dense_NC, top_k=top_k)
    assert list(rows(table).values()) == oracles.top_k_rows(dense_NC, top_k)
    assert (table.num_classes, table.top_k) == (20, min(top_k, 20))


def test_from_dense_rounds_to_float32_before_the_cut():
    table = Predictions.from_dense([[0.5, 0.5 + 1e-12]], ["a"], top_k=1)
    assert rows(table) == {"a": [(0, 0.5)]}


@pytest.mark.parametrize(
    ("dense", "ids", "words"),
    [
        ([[0.5, np.nan]], ["a"], ["row 0", "'a'", "label 1", "nan"]),
        ([[0.5], [np.inf]], None, ["row 1", "'1'", "label 0", "inf"]),
        ([[0.5], [1e300]], None, ["row 1", "'1'", "label 0"]),
        (np.zeros((2, 0)), None, ["num_classes"]),
        ([0.5, 0.25], None, ["(2,)"]),
        ([[0, 1]], None, ["int64", "swapped"]),
        ([[0.5]], ["a", "b"], ["2 ids", "1 rows"]),
        ([[0.5], [0.5]], ["a", "a"], ["row 1", "'a'"]),
    ],
)
def test_wrong_dense_confidences_are_refused(dense, ids, words):
    with pytest.raises(DataError) as error:
        Predictions.from_dense(dense, ids)
    assert all(word in str(error.value) for word in words), str(error.value)


def test_from_dense_of_top_k_0_is_a_usage_error():
    with pytest.raises(UsageError, match="top_k is 0"):
        Predictions.from_dense([[0.5]], top_k=0)


# Labels


def test_labels_are_one_ragged_column():
    labels = Labels(["a", "b", "c"], [[3, 1], [], [0]], num_classes=4, label_names=list("wxyz"))
    assert labels.values.dtype == np.uint32
    assert labels.values.tolist() == [3, 1, 0]
    assert labels.offsets.tolist() == [0, 2, 2, 3]
    assert [row.tolist() for row in labels.labels] == [[3, 1], [], [0]]
    assert (len(labels), labels.num_positives, labels.num_classes) == (3, 3, 4)
    assert labels.label_names == list("wxyz")
    assert labels.ids.tolist() == ["a", "b", "c"]


@pytest.mark.parametrize("of", [pa.list_, pa.large_list, pa.list_view])
@pytest.mark.parametrize("kind", [pa.int64(), pa.uint16(), pa.int32()])
def test_arrow_lists_equal_python_lists(of, kind):
    rows = [[3, 1], [], [0]]
    column = pa.array(rows, of(kind))
    ids = ["a", "b", "c"]
    assert Labels(ids, column) == Labels(ids, rows)
    assert Labels(ids[1:], column[1:]) == Labels(ids[1:], rows[1:])
    assert Labels(ids, pa.chunked_array([column[:1], column[1:]])) == Labels(ids, rows)


def test_no_videos_have_no_positives():
    labels = Labels([], [])
    assert (len(labels), labels.num_positives, labels.labels) == (0, 0, [])


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.float32])
def test_from_dense_finds_the_true_labels(dtype):
    true_NC = np.random.default_rng(0).random((20, 7)) < 0.3
    labels = Labels.from_dense(true_NC.astype(dtype))
    assert [row.tolist() for row in labels.labels] == [np.flatnonzero(r).tolist() for r in true_NC]
    assert labels.ids.tolist() == [str(n) for n in range(20)]
    assert labels.num_classes == 7


def test_equality_is_that_of_ids_labels_and_num_classes():
    labels = Labels(["a", "b"], [[1], [0, 2]], num_classes=3)
    assert labels == Labels(["a", "b"], [[1], [0, 2]], num_classes=3)
    assert labels != Labels(["b", "a"], [[1], [0, 2]], num_classes=3)
    assert labels != Labels(["a", "b"], [[1, 0], [2]], num_classes=3)
    assert labels != Labels(["a", "b"], [[1], [0, 2]], num_classes=4)
    assert labels != "labels"
    with pytest.raises(TypeError):
        hash(labels)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"ids": ["a", "a"]}, ["row 1", "'a'", "row 0"]),
        ({"ids": ["a"]}, ["1 ids", "2 rows"]),
        ({"labels": [[1], [0, 4]]}, ["row 1", "'b'", "label 4", "num_classes=4"]),
        ({"labels": [[], [-1]]}, ["row 1", "'b'", "label -1"]),
        ({"labels": [[1], [2, 0, 2]]}, ["row 1", "'b'", "label 2", "twice"]),
        ({"labels": [[0.5], [1]]}, ["float64"]),
        ({"labels": [["x"], ["y"]]}, ["<U1"]),
        ({"labels": pa.array([[1], [0, None]])}, ["row 1", "missing"]),
        ({"labels": pa.array([[1], None])}, ["row 1", "missing"]),
        ({"labels": pa.array([1, 2])}, ["int64"]),
        ({"labels": [1, 2]}, ["labels"]),
        ({"num_classes": 0}, ["num_classes is 0"]),
        ({"label_names": ["x"]}, ["1 label names", "num_classes=4"]),
    ],
)
def test_wrong_labels_are_refused_by_name_and_value(given, words):
    fine = {"ids": ["a", "b"], "labels": [[1], [0, 2]], "num_classes": 4}
    with pytest.raises(DataError) as error:
        Labels(**(fine | given))
    assert all(word in str(error.value) for word in words), str(error.value)


def test_the_same_label_in_other_rows_is_no_double():
    assert Labels(["a", "b"], [[1, 0], [0, 1]]).num_positives == 4


@pytest.mark.parametrize(("dense", "value"), [([[0.5]], "0.5"), ([[2, 0]], "2"), ([[-1]], "-1")])
def test_dense_labels_other_than_0_and_1_are_refused(dense, value):
    with pytest.raises(DataError, match=rf"{value} at \(0, 0\).*swapped"):
        Labels.from_dense(dense)
