from itertools import product

import metric_oracles
import numpy as np
import oracles
import pytest
import sklearn.metrics
from hypothesis import given, settings
from hypothesis import strategies as st
from metric_oracles import METRICS, dense_tables, random_tables, small_tables

from gapkit import metrics
from gapkit.errors import DataError, GapkitError, UsageError
from gapkit.predictions import Labels, Predictions

EXACT = 1e-12
TIES = oracles.TIES
NAMES = ["average_precision", "mean_average_precision", "label_map_at_k"]
MEANS = NAMES[1:]

every_metric = pytest.mark.parametrize("name", NAMES)
every_mean = pytest.mark.parametrize("name", MEANS)
every_rule = pytest.mark.parametrize("ties", TIES)


def as_tables(predictions, labels, num_classes=None):
    return (
        Predictions(*metric_oracles.padded(predictions), num_classes=num_classes),
        Labels(list(labels), [sorted(row) for row in labels.values()], num_classes=num_classes),
    )


def call(name, predictions, labels, **options):
    """The metric of dicts, as tables."""
    return getattr(metrics, name)(*as_tables(predictions, labels), **options)


def check(name, predictions, labels, **options):
    value = call(name, predictions, labels, **options)
    assert type(value) is float
    expected = METRICS[name](predictions, labels, **options)
    assert value == pytest.approx(expected, rel=0, abs=EXACT)


def same(values, expected):
    """Equal to 1e-12, NaN where the other has NaN."""
    assert values.dtype == np.float64
    np.testing.assert_allclose(values, expected, rtol=0, atol=EXACT)


def dense(seed, shape=(40, 7), decimals=None, rate=0.3):
    """Confidences and truth; without ties unless rounded; the last label is never true."""
    rng = np.random.default_rng(seed)
    if decimals is None:
        confidences = (rng.permutation(np.prod(shape)).reshape(shape) / 4096).astype(np.float32)
    else:
        confidences = rng.random(shape, dtype=np.float32).round(decimals)
    truth = rng.random(shape) < rate
    truth[0] = True
    truth[:, -1] = False
    return confidences, truth


def as_column(levels, hits):
    """One label over as many videos as there are predictions."""
    return np.array(levels, dtype=np.float32)[:, None], np.array(hits, dtype=bool)[:, None]


# Against the oracle


@pytest.mark.parametrize("top_k", [None, 1, 5, 20, 99])
@pytest.mark.parametrize("decimals", [0, 1, 6])
@every_rule
@every_mean
def test_random_tables_equal_the_oracle(name, ties, decimals, top_k):
    check(name, *random_tables(decimals, decimals=decimals), ties=ties, top_k=top_k)


@pytest.mark.parametrize("top_k", [None, 5, 20])
@every_rule
def test_average_precisions_equal_the_oracle(ties, top_k):
    predictions, labels = random_tables(1, decimals=1)
    options = {"ties": ties, "top_k": top_k}
    values = metrics.average_precision(*as_tables(predictions, labels, num_classes=45), **options)
    expected = metric_oracles.average_precision(predictions, labels, num_classes=45, **options)
    assert np.isnan(expected).sum() >= 8
    same(values, expected)


@pytest.mark.parametrize("k", [1, 2, 3, 7, 20, 60])
@pytest.mark.parametrize("top_k", [None, 4])
@every_rule
def test_label_map_equals_the_oracle(ties, top_k, k):
    for decimals in (0, 1, 6):
        tables = random_tables(decimals, num_classes=15, k=10, decimals=decimals)
        check("label_map_at_k", *tables, ties=ties, top_k=top_k, k=k)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("top_k", [None, 1, 3, 20])
@every_rule
def test_dense_equals_the_oracle(ties, top_k, dtype):
    confidences, truth = dense(2, decimals=1)
    confidences = confidences.astype(dtype)
    tables, options = dense_tables(confidences, truth), {"ties": ties, "top_k": top_k}
    values = metrics.average_precision(confidences, truth, **options)
    same(values, metric_oracles.average_precision(*tables, **options))
    for name, more in ((MEANS[0], {}), (MEANS[1], {}), (MEANS[1], {"k": 9})):
        value = getattr(metrics, name)(confidences, truth, **options, **more)
        expected = METRICS[name](*tables, **options, **more)
        assert value == pytest.approx(expected, rel=0, abs=EXACT)


@pytest.mark.parametrize("k", [1, 2, 3])
@every_rule
def test_label_map_equals_enumeration_on_every_small_column(ties, k):
    """Every ranking of four predictions of one label over three levels."""
    for levels in product((0.0, 0.5, 1.0), repeat=4):
        for hits in product((False, True), repeat=4):
            if list(zip(levels, hits, strict=True)) != sorted(zip(levels, hits, strict=True)):
                continue
            column = as_column(levels, hits)
            value = metrics.label_map_at_k(*column, k, ties=ties)
            tables = dense_tables(*column)
            expected = metric_oracles.label_map_at_k_by_enumeration(*tables, k, ties=ties)
            assert value == pytest.approx(expected, rel=0, abs=EXACT), (levels, hits)


@every_rule
@every_mean
def test_every_small_table_equals_the_oracle(name, ties):
    for tables in small_tables(num_truths=2):
        for options in ({"top_k": 1}, {"top_k": 2}, {"top_k": 2, "k": 1}):
            if name == "label_map_at_k" or "k" not in options:
                check(name, *tables, ties=ties, **options)


@pytest.mark.parametrize("k", range(1, 10))
@every_rule
def test_label_map_cuts_through_a_large_group(ties, k):
    levels, hits = [0.9, 0.5, 0.5, 0.5, 0.5, 0.5, 0.2, 0.2], [0, 1, 0, 1, 0, 1, 1, 0]
    column = as_column(levels, hits)
    tables = dense_tables(*column)
    expected = metric_oracles.label_map_at_k_by_enumeration(*tables, k, ties=ties)
    value = metrics.label_map_at_k(*column, k, ties=ties)
    assert value == pytest.approx(expected, rel=0, abs=EXACT)


# Against scikit-learn


@pytest.mark.parametrize("seed", range(3))
@every_rule
def test_average_precision_equals_sklearn_without_ties(ties, seed):
    confidences, truth = dense(seed)
    expected = sklearn.metrics.average_precision_score(
        truth[:, :-1], confidences[:, :-1], average=None
    )
    options = {"ties": ties, "top_k": None}
    same(metrics.average_precision(confidences, truth, **options), [*expected, np.nan])
    for name in MEANS:
        value = getattr(metrics, name)(confidences, truth, **options)
        assert value == pytest.approx(expected.mean(), rel=0, abs=EXACT)


# Laws


def test_the_mean_is_over_labels_with_a_positive():
    predictions, labels = random_tables(3)
    values = call("average_precision", predictions, labels)
    mean = call("mean_average_precision", predictions, labels)
    assert mean == pytest.approx(np.nanmean(values), rel=0, abs=EXACT)


@every_rule
def test_label_map_of_a_k_past_everything_is_mean_average_precision(ties):
    predictions, labels = random_tables(4, decimals=1)
    expected = call("mean_average_precision", predictions, labels, ties=ties, top_k=None)
    for options in ({}, {"k": 60}, {"k": 10**12}):
        value = call("label_map_at_k", predictions, labels, ties=ties, **options)
        assert value == pytest.approx(expected, rel=0, abs=EXACT)


def test_a_label_is_scored_as_gap_scores_its_column():
    confidences, truth = dense(5, decimals=1)
    for ties in TIES:
        values = metrics.average_precision(confidences, truth, ties=ties)
        for label in range(6):
            column = slice(label, label + 1)
            expected = metrics.gap(confidences[:, column], truth[:, column], ties=ties)
            assert values[label] == pytest.approx(expected, rel=0, abs=EXACT)


IDS = st.sampled_from(list("abcdef"))
ROWS = st.dictionaries(st.integers(0, 4), st.sampled_from([0.0, 0.25, 0.5, 1.0]), max_size=5)
PREDICTIONS = st.dictionaries(IDS, ROWS.map(lambda row: list(row.items())), max_size=6)
LABELS = st.dictionaries(IDS, st.sets(st.integers(0, 5), max_size=4), max_size=6)
RULES = st.sampled_from(TIES)


@settings(deadline=None)
@given(PREDICTIONS, LABELS, RULES, st.integers(1, 6), st.integers(1, 6))
def test_means_equal_the_oracle(predictions, labels, ties, k, top_k):
    check("mean_average_precision", predictions, labels, ties=ties, top_k=top_k)
    check("label_map_at_k", predictions, labels, ties=ties, top_k=top_k, k=k)


@every_metric
@settings(deadline=None, max_examples=25)
@given(
    predictions=PREDICTIONS,
    labels=LABELS,
    random=st.randoms(use_true_random=False),
    ties=RULES,
)
def test_order_of_rows_does_not_matter(name, predictions, labels, random, ties):
    def shuffled(table):
        return dict(random.sample(list(table.items()), len(table)))

    value = call(name, predictions, labels, ties=ties)
    other = call(name, shuffled(predictions), shuffled(labels), ties=ties)
    np.testing.assert_allclose(other, value, rtol=0, atol=EXACT)


@every_metric
@settings(deadline=None, max_examples=25)
@given(
    levels=st.lists(st.lists(st.integers(0, 4), min_size=4, max_size=4), min_size=1, max_size=6),
    values=st.lists(st.floats(-1e6, 1e6), min_size=5, max_size=5, unique=True),
    ties=RULES,
)
def test_rising_maps_of_confidence_do_not_matter(name, levels, values, ties):
    levels = np.array(levels)
    truth = np.random.default_rng(levels.sum()).random(levels.shape) < 0.4
    metric = getattr(metrics, name)
    mapped = metric(np.array(sorted(values))[levels], truth, ties=ties)
    np.testing.assert_allclose(mapped, metric(levels / 4, truth, ties=ties), rtol=0, atol=EXACT)


@settings(deadline=None, max_examples=25)
@given(PREDICTIONS, LABELS, st.integers(1, 6))
def test_expected_lies_between_pessimistic_and_optimistic(predictions, labels, k):
    for name, options in (("mean_average_precision", {}), ("label_map_at_k", {"k": k})):
        low, middle, high = (
            call(name, predictions, labels, ties=ties, **options)
            for ties in ("pessimistic", "expected", "optimistic")
        )
        assert 0 <= low <= middle + EXACT
        assert middle <= high + EXACT
        assert high <= 1 + EXACT


# Values by hand, and edges


def test_average_precision_by_hand():
    predictions = {
        "a": [(2, 0.4), (0, 0.9), (1, 0.6)],
        "b": [(0, 0.8), (2, 0.7)],
        "none true": [(1, 0.95)],
        "stranger": [(0, 1.0)],
    }
    labels = {"a": {0, 2}, "b": {2}, "none true": set(), "absent": {1, 0}}
    values = call("average_precision", predictions, labels)
    same(values, [0.5, 0, 1])
    value = call("mean_average_precision", predictions, labels)
    assert value == pytest.approx(0.5, abs=1e-15)
    value = call("label_map_at_k", predictions, labels, k=1)
    assert value == pytest.approx(2 / 3, abs=1e-15)


def test_label_map_of_tied_predictions_by_hand():
    """One hit of four tied, cut after two: 1/4 at rank 1, 1/4 at rank 2 of precision 1/2."""
    column = as_column([0.5] * 4, [0, 0, 1, 0])
    assert metrics.label_map_at_k(*column, 2) == pytest.approx(3 / 8, abs=1e-15)
    assert metrics.label_map_at_k(*column, 2, ties="optimistic") == 1.0
    assert metrics.label_map_at_k(*column, 2, ties="pessimistic") == 0.0


def test_label_map_divides_by_k_where_positives_are_more():
    column = as_column([0.9, 0.8, 0.7], [1, 1, 1])
    for k in (1, 2, 3):
        assert metrics.label_map_at_k(*column, k) == pytest.approx(1, abs=1e-15)


def test_num_classes_is_that_of_either_table_or_of_the_largest_label():
    ids, rows = ["a", "b"], [[1, 3], [3]]
    predicted = [[4, 1], [2, 0]], [[0.9, 0.8], [0.7, 0.6]]
    for of_predictions, of_labels, expected in ((9, None, 9), (None, 9, 9), (None, None, 5)):
        values = metrics.average_precision(
            Predictions(ids, *predicted, num_classes=of_predictions),
            Labels(ids, rows, num_classes=of_labels),
        )
        assert values.shape == (expected,)
        assert np.flatnonzero(~np.isnan(values)).tolist() == [1, 3]
    confidences, truth = dense(6)
    assert metrics.average_precision(confidences, truth).shape == (7,)


def test_the_default_rule_is_expected_and_the_default_cuts_differ():
    confidences, truth = dense(7, (9, 30), decimals=1)
    for name, top_k in zip(NAMES, (20, 20, None), strict=True):
        metric = getattr(metrics, name)
        value = metric(confidences, truth, top_k=top_k, ties="expected")
        np.testing.assert_array_equal(metric(confidences, truth), value)
        other = metric(confidences, truth, top_k=21, ties="expected")
        assert not np.array_equal(other, value, equal_nan=True)
    value = metrics.label_map_at_k(confidences, truth, 3)
    assert value == metrics.label_map_at_k(confidences, truth, k=3)


def test_default_k_is_100_000():
    """The hit at rank 100,001 is lost; that of rank 100,000 is not."""
    confidences = np.linspace(1, 0, 100_001)[:, None]
    truth = np.zeros((100_001, 1), bool)
    truth[100_000] = True
    assert metrics.label_map_at_k(confidences, truth) == 0.0
    assert metrics.label_map_at_k(confidences, np.roll(truth, -1)) == pytest.approx(1e-5, rel=1e-12)


@every_rule
@every_mean
def test_nothing_is_zero(name, ties):
    metric = getattr(metrics, name)
    assert metric(np.zeros((0, 5), np.float32), np.zeros((0, 5), bool), ties=ties) == 0.0
    assert metric(np.ones((2, 5)), np.zeros((2, 5), bool), ties=ties) == 0.0
    assert call(name, {}, {}, ties=ties) == 0.0
    assert call(name, {"a": [(1, 0.5)]}, {}, ties=ties) == 0.0
    assert call(name, {"a": [(1, 0.5)]}, {"a": set()}, ties=ties) == 0.0
    assert call(name, {}, {"a": {1}}, ties=ties) == 0.0
    assert call(name, {"b": [(1, 0.5)]}, {"a": {1}}, ties=ties) == 0.0


@every_rule
def test_average_precision_of_nothing_is_nan_or_zero(ties):
    none = metrics.average_precision(np.zeros((0, 5)), np.zeros((0, 5), bool), ties=ties)
    same(none, [np.nan] * 5)
    missing = call("average_precision", {}, {"a": {1}}, ties=ties)
    same(missing, [np.nan, 0.0])


@every_rule
@every_metric
def test_all_hits_is_one(name, ties):
    value = getattr(metrics, name)(np.full((4, 3), 0.5), np.ones((4, 3), bool), ties=ties)
    assert np.all(value == pytest.approx(np.ones(np.shape(value)), abs=1e-15))


@every_metric
def test_lists_and_tensors_are_taken(name):
    torch = pytest.importorskip("torch")
    confidences, truth = dense(8, decimals=1)
    metric = getattr(metrics, name)
    value = metric(confidences, truth)
    for arguments in (
        (confidences.tolist(), truth.astype(int).tolist()),
        (torch.from_numpy(confidences), torch.from_numpy(truth)),
        (np.asfortranarray(confidences), np.asfortranarray(truth)),
    ):
        np.testing.assert_allclose(metric(*arguments), value, rtol=0, atol=EXACT)


@every_mean
def test_labels_beyond_uint16(name):
    check(name, {"a": [(70_000, 0.5), (4, 0.25)]}, {"a": {70_000, 4_464}, "b": {4}})


# Errors

TWO = np.array([[0.9, 0.8]], dtype=np.float32)
HIT = np.array([[True, False]])


@pytest.mark.parametrize("ties", ["shuffle", "", "Expected", None])
@every_metric
def test_unknown_rules_are_named(name, ties):
    with pytest.raises(UsageError) as error:
        getattr(metrics, name)(TWO, HIT, ties=ties)
    assert repr(ties) in str(error.value)
    assert "expected" in str(error.value)


@pytest.mark.parametrize("number", [0, -3, 2.5, "2", True])
@every_metric
def test_numbers_of_predictions_that_are_wrong_are_named(name, number):
    for option in ("top_k", "k") if name == "label_map_at_k" else ("top_k",):
        with pytest.raises(UsageError) as error:
            getattr(metrics, name)(TWO, HIT, **{option: number})
        assert option in str(error.value)
        assert str(number) in str(error.value)


@every_metric
def test_swapped_arguments_are_named(name):
    metric = getattr(metrics, name)
    for wrong in (HIT, HIT.astype(float)):
        with pytest.raises(DataError, match="swapped"):
            metric(wrong, TWO)
    predictions, labels = Predictions.from_dense(TWO), Labels.from_dense(HIT)
    for arguments in ((labels, predictions), (predictions, HIT), (TWO, labels)):
        with pytest.raises(GapkitError):
            metric(*arguments)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@every_metric
def test_confidences_that_are_not_finite_are_named(name, value):
    confidences = np.linspace(1, 0, 120).reshape(4, 30)
    confidences[2, 29] = value
    with pytest.raises(DataError) as error:
        getattr(metrics, name)(confidences, np.ones((4, 30), bool))
    for word in ("row 2", "29", str(value)):
        assert word in str(error.value)


@pytest.mark.parametrize(("shape", "other"), [((2, 3), (2, 4)), ((2, 3), (3, 3)), ((3,), (3,))])
@every_metric
def test_shapes_that_do_not_fit_are_named(name, shape, other):
    with pytest.raises(DataError) as error:
        getattr(metrics, name)(np.ones(shape), np.ones(other, bool))
    assert str(shape) in str(error.value)
