import metric_oracles
import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given, settings
from hypothesis import strategies as st
from metric_oracles import dense_tables, random_tables, small_tables

from gapkit import metrics
from gapkit.errors import DataError, GapkitError, UsageError
from gapkit.predictions import Labels, Predictions

EXACT = 1e-12


def call(predictions, labels, **options):
    """The curve of dicts, as tables."""
    return metrics.precision_recall_curve(
        Predictions(*metric_oracles.padded(predictions)),
        Labels(list(labels), [sorted(row) for row in labels.values()]),
        **options,
    )


def same(curve, expected):
    for ours, theirs in zip(curve, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=EXACT)


def dense(seed, shape=(30, 6), decimals=None, dtype=np.float32):
    rng = np.random.default_rng(seed)
    if decimals is None:
        confidences = rng.permutation(np.prod(shape)).reshape(shape) / 4096
    else:
        confidences = rng.random(shape).round(decimals)
    return confidences.astype(dtype), rng.random(shape) < 0.3


def test_curve_by_hand():
    predictions = {"a": [(0, 0.5), (1, 0.25)], "b": [(0, 0.75), (2, 0.5)], "stranger": [(0, 1.0)]}
    labels = {"a": {0, 1}, "b": {0}, "absent": {5}}
    curve = call(predictions, labels)
    # .75 hit; .5 a hit and a miss; .25 hit; 4 positives.
    same(curve, ([3 / 4, 2 / 3, 1, 1], [3 / 4, 2 / 4, 1 / 4, 0], [0.25, 0.5, 0.75]))
    assert isinstance(curve, metrics.PrecisionRecallCurve)
    assert curve._fields == ("precision", "recall", "thresholds")
    assert curve.precision is curve[0]


@pytest.mark.parametrize("top_k", [None, 1, 5, 20, 99])
@pytest.mark.parametrize("decimals", [0, 1, 6])
def test_random_tables_equal_the_oracle(decimals, top_k):
    tables = random_tables(decimals, num_videos=30, decimals=decimals)
    same(call(*tables, top_k=top_k), metric_oracles.precision_recall_curve(*tables, top_k=top_k))


@pytest.mark.parametrize("top_k", [1, 2])
def test_every_small_table_equals_the_oracle(top_k):
    for tables in small_tables(num_truths=2):
        if any(tables[1].values()):
            curve = call(*tables, top_k=top_k)
            same(curve, metric_oracles.precision_recall_curve(*tables, top_k=top_k))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("top_k", [None, 2, 20])
@pytest.mark.parametrize("decimals", [None, 1])
def test_dense_equals_the_oracle(decimals, top_k, dtype):
    arrays = dense(1, decimals=decimals, dtype=dtype)
    curve = metrics.precision_recall_curve(*arrays, top_k=top_k)
    expected = metric_oracles.precision_recall_curve(*dense_tables(*arrays), top_k=top_k)
    same(curve, expected)


@pytest.mark.parametrize("scale", [1, 9])
@pytest.mark.parametrize("decimals", [None, 1, 0])
def test_curve_equals_sklearn_ties_included(decimals, scale):
    confidences, truth = dense(2, (60, 7), decimals=decimals, dtype=np.float64)
    confidences = scale * (confidences - 0.5)
    curve = metrics.precision_recall_curve(confidences, truth, top_k=None)
    same(curve, sklearn.metrics.precision_recall_curve(truth.ravel(), confidences.ravel()))


def test_recall_starts_at_the_ceiling():
    predictions, labels = random_tables(3)
    curve = call(predictions, labels)
    expected = metric_oracles.gap_ceiling(predictions, labels)
    assert curve.recall[0] == pytest.approx(expected, abs=EXACT)
    assert curve.recall[0] < 1


def test_area_in_steps_is_gap_without_ties():
    confidences, truth = dense(4)
    curve = metrics.precision_recall_curve(confidences, truth, top_k=3)
    area = -np.sum(np.diff(curve.recall) * curve.precision[:-1])
    assert area == pytest.approx(metrics.gap(confidences, truth, top_k=3), rel=0, abs=EXACT)


def test_default_top_k_is_20():
    confidences, truth = dense(5, (4, 30))
    assert len(metrics.precision_recall_curve(confidences, truth).thresholds) == 80
    assert len(metrics.precision_recall_curve(confidences, truth, top_k=None).thresholds) == 120


def test_negative_zero_ties_with_zero():
    curve = metrics.precision_recall_curve(np.array([[-0.0, 0.0]]), np.array([[True, False]]))
    same(curve, ([0.5, 1], [1, 0], [0]))


def test_nothing_is_the_last_point():
    for curve in (
        call({}, {}),
        call({}, {"a": {1}}),
        call({"b": [(1, 0.5)]}, {"a": {1}}),
        metrics.precision_recall_curve(np.zeros((0, 5), np.float32), np.zeros((0, 5), bool)),
    ):
        same(curve, ([1], [0], []))


def test_no_positives_has_no_precision():
    curve = call({"a": [(1, 0.5), (2, 0.25)]}, {"a": set()})
    np.testing.assert_array_equal(curve.precision, [0, 0, 1])
    np.testing.assert_array_equal(curve.thresholds, [0.25, 0.5])
    assert len(curve.recall) == 3
    assert curve.recall[-1] == 0


# Laws

IDS = st.sampled_from(list("abcdef"))
ROWS = st.dictionaries(st.integers(0, 5), st.sampled_from([0.0, 0.25, 0.5, 1.0]), max_size=6)
PREDICTIONS = st.dictionaries(IDS, ROWS.map(lambda row: list(row.items())), max_size=6)
LABELS = st.dictionaries(IDS, st.sets(st.integers(0, 6), min_size=1, max_size=4), max_size=6)


@settings(deadline=None)
@given(PREDICTIONS, LABELS, st.integers(1, 7))
def test_curve_equals_the_oracle_and_runs_one_way(predictions, labels, top_k):
    curve = call(predictions, labels, top_k=top_k)
    same(curve, metric_oracles.precision_recall_curve(predictions, labels, top_k=top_k))
    assert np.all(np.diff(curve.thresholds) > 0)
    assert np.all(np.diff(curve.recall) <= 0)
    assert len(curve.precision) == len(curve.recall) == len(curve.thresholds) + 1
    assert all(0 <= value <= 1 for value in (*curve.precision, *curve.recall))


@settings(deadline=None, max_examples=50)
@given(PREDICTIONS, LABELS, st.randoms(use_true_random=False))
def test_order_of_rows_does_not_matter(predictions, labels, random):
    def shuffled(table):
        return dict(random.sample(list(table.items()), len(table)))

    first, second = call(predictions, labels), call(shuffled(predictions), shuffled(labels))
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.lists(st.integers(0, 4), min_size=4, max_size=4), min_size=1, max_size=6),
    st.lists(st.floats(-1e6, 1e6), min_size=5, max_size=5, unique=True),
)
def test_rising_maps_of_confidence_move_the_thresholds_alone(levels, values):
    levels, values = np.array(levels), np.array(sorted(values))
    truth = np.random.default_rng(levels.sum()).random(levels.shape) < 0.4
    truth[0, 0] = True
    plain = metrics.precision_recall_curve(levels / 4, truth)
    mapped = metrics.precision_recall_curve(values[levels], truth)
    expected = values[np.round(plain.thresholds * 4).astype(int)]
    same(mapped, (plain.precision, plain.recall, expected))


# Errors

TWO = np.array([[0.9, 0.8]], dtype=np.float32)
HIT = np.array([[True, False]])


@pytest.mark.parametrize("top_k", [0, -3, 2.5, "2", True])
def test_top_k_that_is_wrong_is_named(top_k):
    with pytest.raises(UsageError) as error:
        metrics.precision_recall_curve(TWO, HIT, top_k=top_k)
    assert "top_k" in str(error.value)
    assert str(top_k) in str(error.value)


def test_swapped_arguments_are_named():
    with pytest.raises(DataError, match="swapped"):
        metrics.precision_recall_curve(HIT, TWO)
    with pytest.raises(GapkitError):
        metrics.precision_recall_curve(Labels.from_dense(HIT), Predictions.from_dense(TWO))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_confidences_that_are_not_finite_are_named(value):
    confidences = np.linspace(1, 0, 120).reshape(4, 30)
    confidences[2, 29] = value
    with pytest.raises(DataError) as error:
        metrics.precision_recall_curve(confidences, np.ones((4, 30), bool))
    for word in ("row 2", "29", str(value)):
        assert word in str(error.value)


def test_shapes_that_do_not_fit_are_named():
    with pytest.raises(DataError) as error:
        metrics.precision_recall_curve(np.ones((2, 3)), np.ones((2, 4), bool))
    for word in ("(2, 3)", "(2, 4)"):
        assert word in str(error.value)
