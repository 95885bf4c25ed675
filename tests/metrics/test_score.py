from itertools import product

import numpy as np
import oracles
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gapkit.errors import DataError, GapkitError
from gapkit.metrics import Score, gap, score
from gapkit.predictions import Labels, Predictions

TIES = oracles.TIES
NAMES = ["gap", "hit_at_1", "perr", "map", "num_videos", "num_positives", "missing", "ignored"]
COUNTS = NAMES[4:]


def as_predictions(table, num_classes=None):
    """A dict {id: [(label, confidence), ...]} as Predictions, rows as they stand."""
    k = max((len(row) for row in table.values()), default=0)
    labels = np.zeros((len(table), k), dtype=np.int64)
    confidences = np.zeros((len(table), k), dtype=np.float32)
    for n, row in enumerate(table.values()):
        labels[n, : len(row)] = [label for label, _ in row]
        confidences[n, : len(row)] = [confidence for _, confidence in row]
    lengths = np.array([len(row) for row in table.values()], dtype=np.int64)
    return Predictions(list(table), labels, confidences, lengths, num_classes=num_classes)


def as_labels(table, num_classes=None):
    return Labels(list(table), [sorted(row) for row in table.values()], num_classes=num_classes)


def as_dict(result):
    assert isinstance(result, Score)
    return {name: getattr(result, name) for name in NAMES}


def check(predictions, labels, top_k=20):
    """Score equals the oracle by every tie rule, and gap says the same."""
    tables = as_predictions(predictions), as_labels(labels)
    for ties in TIES:
        result = score(*tables, top_k=top_k, ties=ties)
        expected = oracles.score_tables(predictions, labels, top_k=top_k, ties=ties)
        assert as_dict(result) == pytest.approx(expected, rel=0, abs=1e-12), ties
        assert gap(*tables, top_k=top_k, ties=ties) == result.gap


def random_tables(seed, num_videos=200, k=20, num_classes=50, decimals=2, full=False):
    """Tables with ties; unless full, with absent and unknown ids, short rows, empty truths."""
    rng = np.random.default_rng(seed)
    predictions, labels = {}, {}
    for n in rng.permutation(num_videos):
        length = k if full else rng.choice([k, k, k, rng.integers(k + 1)])
        row = rng.choice(num_classes, size=length, replace=False).tolist()
        confidences = (rng.random(length) ** 2).round(decimals).astype(np.float32).tolist()
        if full or rng.random() < 0.95:
            predictions[f"v{n}"] = list(zip(row, confidences, strict=True))
    for n in rng.permutation(num_videos):
        true = rng.choice(num_classes, size=max(rng.poisson(3), int(full)), replace=False)
        if full or rng.random() < 0.9:
            labels[f"v{n}"] = set(true.tolist())
    return predictions, labels


# Values


def test_score_by_hand():
    predictions = {
        "a": [(2, 0.4), (0, 0.9), (1, 0.6)],
        "b": [(0, 0.8), (2, 0.7)],
        "none true": [(1, 0.95)],
        "stranger": [(0, 1.0)],
        "empty": [],
    }
    labels = {"a": {0, 2}, "b": {2}, "none true": set(), "absent": {1}, "empty": {0}}
    result = score(as_predictions(predictions), as_labels(labels))
    # Pooled: .95 miss, .9 hit, .8 miss, .7 hit, .6 miss, .4 hit.
    assert result.gap == pytest.approx((1 / 2 + 2 / 4 + 3 / 6) / 5, abs=1e-15)
    assert result.hit_at_1 == pytest.approx(1 / 5, abs=1e-15)
    assert result.perr == pytest.approx(1 / 8, abs=1e-15)
    assert result.map == pytest.approx((1 / 2 + 0 + 1) / 3, abs=1e-15)
    assert [getattr(result, name) for name in COUNTS] == [5, 5, 1, 1]


def test_results_are_exact_types():
    result = as_dict(score(as_predictions({"a": [(1, 0.5)]}), as_labels({"a": {1}})))
    assert {name: type(value) for name, value in result.items()} == {
        name: int if name in COUNTS else float for name in NAMES
    }
    assert set(list(result.values())[:6]) == {1}


@pytest.mark.parametrize("top_k", [1, 5, 20, 30])
@pytest.mark.parametrize("full", [True, False])
@pytest.mark.parametrize("decimals", [1, 2, 6])
def test_random_tables_equal_the_oracle(decimals, full, top_k):
    check(*random_tables(decimals, decimals=decimals, full=full), top_k=top_k)


def test_one_confidence_for_all_equals_the_oracle():
    check(*random_tables(0, decimals=0))


def test_every_small_table_equals_the_oracle():
    """Two videos, two labels; each row empty, of one or of two predictions."""
    rows = [
        *[[]],
        *[[(label, confidence)] for label, confidence in product((0, 1), (0.25, 0.5))],
        *[[(1, first), (0, second)] for first, second in product((0.25, 0.5), repeat=2)],
    ]
    truths = [set(), {0}, {1}, {0, 1}]
    for first, second, true in product(rows, rows, truths):
        check({"a": first, "b": second}, {"b": true, "a": {0}}, top_k=2)
        check({"a": first, "b": second}, {"b": true, "a": {0}}, top_k=1)


def test_wide_rows_are_cut():
    """Rows hold 30 predictions; 20 count, and among equal confidences those of lower labels."""
    row = [(label, 0.5) for label in reversed(range(30))]
    check({"a": row}, {"a": {19}})
    check({"a": row}, {"a": {20}})
    assert score(as_predictions({"a": row}), as_labels({"a": {19}}), ties="optimistic").gap == 1.0
    assert score(as_predictions({"a": row}), as_labels({"a": {20}}), ties="optimistic").gap == 0.0


def test_hit_at_1_takes_the_lower_label_of_two_equal():
    predictions = as_predictions({"a": [(5, 0.5), (3, 0.5)]})
    assert score(predictions, as_labels({"a": {3}})).hit_at_1 == 1.0
    assert score(predictions, as_labels({"a": {5}})).hit_at_1 == 0.0
    assert score(predictions, as_labels({"a": {3}})).perr == 1.0


def test_missing_videos_pull_every_metric_down():
    predictions = {"a": [(1, 0.9)], "b": [(1, 0.8)]}
    labels = {"a": {1}, "b": {1}, "c": {1}, "d": {1}}
    result = score(as_predictions(predictions), as_labels(labels))
    values = result.gap, result.hit_at_1, result.perr, result.map
    assert values == pytest.approx((0.5,) * 4, abs=1e-15)
    assert (result.missing, result.ignored) == (2, 0)


def test_no_id_in_common():
    result = score(as_predictions({"a": [(1, 0.9)]}), as_labels({"b": {1}}))
    assert list(as_dict(result).values()) == [0, 0, 0, 0, 1, 1, 1, 1]


def test_nothing_is_zero():
    none = {}
    assert set(as_dict(score(as_predictions(none), as_labels(none))).values()) == {0}
    check(none, {"a": {1}})
    check({"a": [(1, 0.5)]}, none)
    check({"a": [(1, 0.5)]}, {"a": set()})
    check({"a": []}, {"a": {1}})


def test_labels_beyond_uint16():
    check({"a": [(70_000, 0.5), (4, 0.25)]}, {"a": {70_000, 4_464}, "b": {4}})
    wide = as_predictions({"a": [(70_000, 0.5)]}, num_classes=100_000)
    assert score(wide, as_labels({"a": {70_000}}, num_classes=100_000)).gap == 1.0
    assert score(wide, as_labels({"a": {70_000 - 2**16}}, num_classes=100_000)).gap == 0.0


def test_ids_are_compared_whole():
    ids = ["a", "a ", "A", "ä", "a\u0308", "", "7", "07"]
    predictions = {name: [(n, 0.5)] for n, name in enumerate(ids)}
    labels = {name: {n} for n, name in reversed(list(enumerate(ids)))}
    result = score(as_predictions(predictions), as_labels(labels))
    assert (result.gap, result.hit_at_1, result.missing, result.ignored) == (1.0, 1.0, 0, 0)


# Laws

IDS = st.sampled_from(list("abcdef"))
ROWS = st.dictionaries(st.integers(0, 5), st.sampled_from([0.0, 0.25, 0.5, 1.0]), max_size=6)
PREDICTIONS = st.dictionaries(IDS, ROWS.map(lambda row: list(row.items())), max_size=6)
LABELS = st.dictionaries(IDS, st.sets(st.integers(0, 6), max_size=4), max_size=6)


@settings(deadline=None)
@given(PREDICTIONS, LABELS, st.integers(1, 7))
def test_score_equals_the_oracle(predictions, labels, top_k):
    check(predictions, labels, top_k)


@settings(deadline=None)
@given(PREDICTIONS, LABELS, st.randoms(use_true_random=False), st.sampled_from(TIES))
def test_row_order_does_not_matter(predictions, labels, random, ties):
    def shuffled(table):
        return dict(random.sample(list(table.items()), len(table)))

    first = score(as_predictions(predictions), as_labels(labels), ties=ties)
    second = score(as_predictions(shuffled(predictions)), as_labels(shuffled(labels)), ties=ties)
    assert first.gap == second.gap
    assert as_dict(first) == pytest.approx(as_dict(second), rel=0, abs=1e-12)


@settings(deadline=None)
@given(PREDICTIONS, LABELS)
def test_expected_lies_between_pessimistic_and_optimistic(predictions, labels):
    tables = as_predictions(predictions), as_labels(labels)
    low, middle, high = (
        score(*tables, ties=ties) for ties in ("pessimistic", "expected", "optimistic")
    )
    for name in ("gap", "map"):
        values = [getattr(result, name) for result in (low, middle, high)]
        assert 0 <= values[0] <= values[1] + 1e-12 <= values[2] + 2e-12 <= 1 + 3e-12
    assert low.hit_at_1 == middle.hit_at_1 == high.hit_at_1
    assert low.perr == middle.perr == high.perr


# The tables as score sees them


def test_rows_are_sorted_by_falling_confidence_then_rising_label():
    labels = np.array([[4, 9, 2, 7], [1, 2, 3, 4]])
    confidences = np.array([[0.5, 0.9, 0.5, 0.1], [0.4, 0.3, 0.2, 0.1]], dtype=np.float32)
    before = labels.copy(), confidences.copy()
    predictions = Predictions(["a", "b"], labels, confidences)
    assert predictions.labels.tolist() == [[9, 2, 4, 7], [1, 2, 3, 4]]
    np.testing.assert_array_equal(
        predictions.confidences, np.array([[0.9, 0.5, 0.5, 0.1], [0.4, 0.3, 0.2, 0.1]], np.float32)
    )
    assert predictions.confidences.dtype == np.float32
    np.testing.assert_array_equal(labels, before[0])
    np.testing.assert_array_equal(confidences, before[1])


def test_confidences_are_rounded_to_float32_before_they_are_ordered():
    predictions = Predictions(["a"], [[8, 3]], np.array([[0.5 + 2**-40, 0.5]]))
    assert predictions.labels.tolist() == [[3, 8]]
    assert score(predictions, Labels(["a"], [[3]])).hit_at_1 == 1.0
    assert score(predictions, Labels(["a"], [[3]])).gap == 0.75


@pytest.mark.parametrize("top_k", [1, 3, 20])
def test_from_dense_keeps_the_top_k(top_k):
    rng = np.random.default_rng(1)
    dense = rng.random((9, 12)).round(1).astype(np.float32)
    truth = rng.random((9, 12)) < 0.3
    ids = [f"v{n}" for n in range(9)]
    predictions = Predictions.from_dense(dense, ids, top_k=top_k)
    expected = oracles.top_k_rows(dense, top_k)
    assert predictions.labels.tolist() == [[label for label, _ in row] for row in expected]
    labels = {name: set(np.flatnonzero(row).tolist()) for name, row in zip(ids, truth, strict=True)}
    result = score(predictions, Labels.from_dense(truth, ids), top_k=top_k)
    table = dict(zip(ids, expected, strict=True))
    oracle = oracles.score_tables(table, labels, top_k=top_k)
    assert as_dict(result) == pytest.approx(oracle, rel=0, abs=1e-12)


# Errors

TWO_IDS = ["first", "xQ3a"]
GOOD = [[0.9, 0.8], [0.7, 0.6]]


@pytest.mark.parametrize(
    ("ids", "labels", "confidences", "words"),
    [
        (["xQ3a", "xQ3a"], [[0, 1], [2, 3]], GOOD, []),
        (TWO_IDS, [[0, 1], [2, 3]], [[0.9, 0.8], [0.7, np.nan]], ["nan"]),
        (TWO_IDS, [[0, 1], [2, 3]], [[0.9, 0.8], [np.nan, 0.7]], ["nan"]),
        (TWO_IDS, [[0, 1], [2, 3]], [[0.9, 0.8], [np.inf, 0.7]], ["inf"]),
        (TWO_IDS, [[0, 1], [2, 3]], [[0.9, 0.8], [0.7, -np.inf]], ["-inf"]),
        (TWO_IDS, [[0, 1], [2, 4716]], GOOD, ["4716", "num_classes"]),
        (TWO_IDS, [[0, 1], [99999, 2]], GOOD, ["99999", "4716"]),
        (TWO_IDS, [[0, 1], [2, -5]], GOOD, ["-5"]),
        (TWO_IDS, [[0, 1], [17, 17]], GOOD, ["17"]),
    ],
)
def test_predictions_name_the_first_offender(ids, labels, confidences, words):
    with pytest.raises(DataError) as error:
        Predictions(ids, labels, np.array(confidences, dtype=np.float32), num_classes=4716)
    for word in ["'xQ3a'", *words]:
        assert word in str(error.value)


@pytest.mark.parametrize(
    ("ids", "labels", "words"),
    [
        (["xQ3a", "xQ3a"], [[0, 1], [2]], []),
        (TWO_IDS, [[0, 1], [4716]], ["4716", "num_classes"]),
        (TWO_IDS, [[0, 1, 2], [-5]], ["-5"]),
        (TWO_IDS, [[], [17, 3, 17]], ["17"]),
    ],
)
def test_labels_name_the_first_offender(ids, labels, words):
    with pytest.raises(DataError) as error:
        Labels(ids, labels, num_classes=4716)
    for word in ["'xQ3a'", *words]:
        assert word in str(error.value)


def test_labels_below_zero_are_named_without_num_classes():
    with pytest.raises(DataError, match="-5"):
        Predictions(["a"], [[-5, 2]], [[0.5, 0.25]])
    with pytest.raises(DataError, match="-5"):
        Labels(["a"], [[-5]])


@pytest.mark.parametrize("value", [2, -1, 0.5])
def test_dense_labels_other_than_zero_and_one_are_named(value):
    with pytest.raises(DataError, match=str(value)):
        Labels.from_dense(np.array([[0, 1], [1, value]]))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_dense_confidences_that_are_not_finite_are_named(value):
    with pytest.raises(DataError, match=f"(?i){value}"):
        Predictions.from_dense(np.array([[0.9, value]], dtype=np.float32), top_k=1)


@pytest.mark.parametrize(
    ("ids", "labels", "confidences", "lengths", "word"),
    [
        (["a"], [[0, 1], [2, 3]], GOOD, None, "2"),
        (["a", "b"], [[0, 1, 2], [2, 3, 4]], GOOD, None, "3"),
        (["a", "b"], [[0, 1], [2, 3]], GOOD, [2, 5], "5"),
        (["a", "b"], [[0, 1], [2, 3]], GOOD, [2, -1], "-1"),
        (["a", "b"], [[0, 1], [2, 3]], GOOD, [2, 2, 2], "3"),
    ],
)
def test_shapes_that_do_not_fit_are_named(ids, labels, confidences, lengths, word):
    with pytest.raises(GapkitError, match=word):
        Predictions(ids, labels, np.array(confidences, dtype=np.float32), lengths)


@pytest.mark.parametrize(("option", "value"), [("top_k", 0), ("top_k", -3), ("ties", "shuffle")])
def test_options_that_are_wrong_are_named(option, value):
    tables = as_predictions({"a": [(1, 0.5)]}), as_labels({"a": {1}})
    with pytest.raises(GapkitError, match=str(value)):
        score(*tables, **{option: value})
