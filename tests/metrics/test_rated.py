"""`rated=`: a prediction that nobody judged is neither hit nor miss, in every metric alike."""

import dataclasses

import metric_oracles
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from metric_oracles import METRICS, dense_tables, random_tables

from gapkit import metrics
from gapkit.errors import DataError, GapkitError
from gapkit.predictions import Labels, Predictions

EXACT = 1e-12
NUM_CLASSES = 40
OPTIONS = {name: {} for name in METRICS} | {
    "average_precision": {},
    "precision_recall_curve": {},
    "gap_contributions": {},
    "gap_losses": {},
    "gap_by_k": {"top_k": 6},
    "gap_bands": {"missing_rate": 0.3},
}
CUTS = {
    name: "top_k"
    if name in ("gap", "perr", "gap_ceiling", "label_ranking_average_precision")
    else "k"
    for name in METRICS
    if name != "mean_average_precision"
}
ARRAYS = [name for name in OPTIONS if name not in METRICS]

every_name = pytest.mark.parametrize("name", OPTIONS)


def as_labels(labels, num_classes=NUM_CLASSES):
    rows = [sorted(row) for row in labels.values()]
    return Labels(list(labels), rows, num_classes=num_classes)


def as_tables(predictions, labels):
    predictions = Predictions(*metric_oracles.padded(predictions), num_classes=NUM_CLASSES)
    return predictions, as_labels(labels)


def values(name, *data, **options):
    """Everything that the metric returns, one number after another."""
    result = getattr(metrics, name)(*data, **(OPTIONS[name] | options))
    if dataclasses.is_dataclass(result):
        fields = [getattr(result, field.name) for field in dataclasses.fields(result)]
    else:
        fields = result if isinstance(result, tuple) else [result]
    return np.concatenate([np.atleast_1d(np.asarray(field, dtype=float)) for field in fields])


def same(result, expected):
    np.testing.assert_allclose(result, expected, rtol=0, atol=EXACT)


def random_rated(labels, seed, rate=0.6):
    """Every true label and some of the others; rows in another order, and one of a stranger."""
    rng = np.random.default_rng(seed)
    rows = {
        name: true | set(np.flatnonzero(rng.random(NUM_CLASSES) < rate).tolist())
        for name, true in labels.items()
    }
    return {"somebody": {0, 1}} | dict(reversed(rows.items()))


def without_unrated(predictions, rated):
    return {
        name: [pair for pair in row if pair[0] in rated.get(name, set())]
        for name, row in predictions.items()
    }


def dense(seed, shape=(20, 30), decimals=1):
    """Confidences, truth and what is rated."""
    rng = np.random.default_rng(seed)
    confidences = rng.random(shape, dtype=np.float32).round(decimals)
    truth = rng.random(shape) < 0.15
    truth[::4] = False
    return confidences, truth, truth | (rng.random(shape) < 0.5)


# Against the oracle


@pytest.mark.parametrize("rate", [0.0, 0.3, 0.9])
@pytest.mark.parametrize("decimals", [0, 1, 6])
@pytest.mark.parametrize("name", METRICS)
def test_tables_equal_the_oracle(name, decimals, rate):
    predictions, labels = random_tables(decimals, decimals=decimals)
    rated = random_rated(labels, seed=1, rate=rate)
    for options in ({}, *({CUTS[name]: number} for number in (1, 4) if name in CUTS)):
        (value,) = values(name, *as_tables(predictions, labels), rated=as_labels(rated), **options)
        expected = METRICS[name](predictions, labels, rated=rated, **options)
        assert value == pytest.approx(expected, rel=0, abs=EXACT)


@pytest.mark.parametrize("decimals", [0, 1, 6])
@pytest.mark.parametrize("name", METRICS)
def test_dense_equals_the_oracle(name, decimals):
    confidences, truth, judged = dense(2, decimals=decimals)
    tables, (_, rated) = dense_tables(confidences, truth), dense_tables(confidences, judged)
    for options in ({}, *({CUTS[name]: number} for number in (1, 4) if name in CUTS)):
        for dtype in (np.float32, np.float64):
            (value,) = values(name, confidences.astype(dtype), truth, rated=judged, **options)
            typed = dense_tables(confidences.astype(dtype), truth)[0]
            expected = METRICS[name](typed, tables[1], rated=rated, **options)
            assert value == pytest.approx(expected, rel=0, abs=EXACT)


@pytest.mark.parametrize("decimals", [0, 1, 6])
@every_name
def test_unrated_predictions_are_as_if_never_made(name, decimals):
    predictions, labels = random_tables(3, k=30, decimals=decimals)
    rated = random_rated(labels, seed=3)
    result = values(name, *as_tables(predictions, labels), rated=as_labels(rated))
    same(result, values(name, *as_tables(without_unrated(predictions, rated), labels)))
    assert not np.array_equal(result, values(name, *as_tables(predictions, labels)))


@every_name
def test_dense_equals_tables(name):
    confidences, truth, rated = dense(4)
    tables = Predictions.from_dense(confidences, top_k=30), Labels.from_dense(truth)
    result = values(name, confidences, truth, rated=rated)
    same(result, values(name, *tables, rated=Labels.from_dense(rated)))


@every_name
def test_rating_everything_changes_nothing(name):
    confidences, truth, _ = dense(5)
    result = values(name, confidences, truth, rated=np.ones_like(truth))
    same(result, values(name, confidences, truth))
    same(values(name, confidences, truth, rated=None), values(name, confidences, truth))
    predictions, labels = random_tables(5)
    everything = {row: set(range(NUM_CLASSES)) for row in labels}
    result = values(name, *as_tables(predictions, labels), rated=as_labels(everything))
    same(result, values(name, *as_tables(predictions, labels)))


@every_name
def test_rating_the_true_labels_alone_leaves_no_miss(name):
    confidences, truth, _ = dense(6)
    result = values(name, confidences, truth, rated=truth)
    tables = dense_tables(confidences, truth)
    rows = {
        row: [pair for pair in tables[0][row] if pair[0] in true] for row, true in tables[1].items()
    }
    predictions = Predictions(*metric_oracles.padded(rows), num_classes=30)
    same(result, values(name, predictions, as_labels(tables[1], 30)))
    if name in METRICS and name != "precision_at_k":
        assert result[0] <= 1 + EXACT


@every_name
def test_unrated_predictions_leave_before_the_cut(name):
    """20 unrated above one that is rated and true."""
    confidences = np.linspace(1, 0, 21, dtype=np.float32)[None]
    truth = np.arange(21)[None] == 20
    tables = Predictions.from_dense(confidences, top_k=21), Labels.from_dense(truth)
    alone = values(name, confidences[:, 20:], truth[:, 20:])
    for data in ((confidences, truth), tables):
        rated = truth if data[0] is confidences else Labels.from_dense(truth)
        if name in ("average_precision", "gap_contributions"):
            assert np.nansum(values(name, *data, rated=rated)) >= 1
        else:
            same(values(name, *data, rated=rated), alone)


# What counts as rated


@every_name
def test_a_video_absent_from_rated_has_nothing_rated(name):
    predictions = {"a": [(1, 0.5), (2, 0.25)], "b": [(1, 0.75), (3, 0.75)]}
    labels, rated = {"b": set(), "a": {2}}, {"a": {1, 2}}
    result = values(name, *as_tables(predictions, labels), rated=as_labels(rated))
    same(result, values(name, *as_tables({"a": predictions["a"]}, labels)))
    empty = values(name, *as_tables(predictions, labels), rated=as_labels(rated | {"b": set()}))
    same(empty, result)


@every_name
def test_order_and_strangers_of_rated_do_not_matter(name):
    predictions, labels = random_tables(7)
    rated = random_rated(labels, seed=7)
    tables = as_tables(predictions, labels)
    result = values(name, *tables, rated=as_labels(rated))
    same(values(name, *tables, rated=as_labels(dict(sorted(rated.items())))), result)
    del rated["somebody"]
    same(values(name, *tables, rated=as_labels(rated, None)), result)


@every_name
def test_lists_and_tensors_are_taken(name):
    torch = pytest.importorskip("torch")
    confidences, truth, rated = dense(8)
    result = values(name, confidences, truth, rated=rated)
    same(values(name, confidences.tolist(), truth.tolist(), rated=rated.tolist()), result)
    tensors = [torch.from_numpy(array) for array in (confidences, truth, rated)]
    same(values(name, *tensors[:2], rated=tensors[2]), result)
    same(values(name, confidences, truth, rated=np.asfortranarray(rated)), result)


@every_name
def test_inputs_stay_as_they_are(name):
    arrays = dense(9)
    copies = [array.copy() for array in arrays]
    for array in arrays:
        array.flags.writeable = False
    values(name, *arrays[:2], rated=arrays[2])
    predictions, labels = random_tables(9)
    tables = as_tables(predictions, labels)
    values(name, *tables, rated=as_labels(random_rated(labels, seed=9)))
    assert tables[0] == as_tables(predictions, labels)[0]
    for array, copy in zip(arrays, copies, strict=True):
        np.testing.assert_array_equal(array, copy)


@every_name
def test_nothing_rated_of_nothing(name):
    no_rows = np.zeros((0, 5), np.float32), np.zeros((0, 5), bool)
    same(values(name, *no_rows, rated=no_rows[1]), values(name, *no_rows))
    nothing = as_tables({}, {})
    same(values(name, *nothing, rated=as_labels({})), values(name, *nothing))
    no_judge = np.zeros((2, 5), bool)
    result = values(name, np.ones((2, 5)), no_judge, rated=no_judge)
    if name != "average_precision":
        no_predictions = as_tables({}, {"0": set(), "1": set()})
        expected = values(name, *no_predictions)
        assert np.isclose(result.sum(), expected.sum(), rtol=0, atol=EXACT)


IDS = st.sampled_from(list("abcd"))
ROWS = st.dictionaries(st.integers(0, 4), st.sampled_from([0.0, 0.25, 0.5]), max_size=5)
PREDICTIONS = st.dictionaries(IDS, ROWS.map(lambda row: list(row.items())), max_size=4)
SETS = st.dictionaries(IDS, st.sets(st.integers(0, 5), max_size=4), max_size=4)


@every_name
@settings(deadline=None, max_examples=25)
@given(predictions=PREDICTIONS, labels=SETS, judged=SETS)
def test_rated_equals_removal(name, predictions, labels, judged):
    rated = judged | {row: true | judged.get(row, set()) for row, true in labels.items()}
    result = values(name, *as_tables(predictions, labels), rated=as_labels(rated))
    same(result, values(name, *as_tables(without_unrated(predictions, rated), labels)))


# Errors


@every_name
def test_true_labels_that_nobody_rated_are_named(name):
    confidences, truth, rated = dense(10)
    truth[7, 23], rated[7, 23] = True, False
    with pytest.raises(DataError) as error:
        values(name, confidences, truth, rated=rated)
    for word in ("row 7", "23", "rated"):
        assert word in str(error.value)
    predictions, labels = {"first": [(1, 0.5)], "xQ3a": [(1, 0.5)]}, {"first": {1}, "xQ3a": {1, 31}}
    for judged in ({"first": {1}, "xQ3a": {1, 2}}, {"xQ3a": {1}, "first": {1}}):
        with pytest.raises(DataError) as error:
            values(name, *as_tables(predictions, labels), rated=as_labels(judged))
        for word in ("row 1", "'xQ3a'", "31", "rated"):
            assert word in str(error.value)


@every_name
def test_a_true_label_of_a_video_absent_from_rated_is_named(name):
    tables = as_tables({"xQ3a": [(31, 0.5)]}, {"first": set(), "xQ3a": {31}})
    with pytest.raises(DataError) as error:
        values(name, *tables, rated=as_labels({"first": {1}}))
    for word in ("row 1", "'xQ3a'", "31", "rated"):
        assert word in str(error.value)


@pytest.mark.parametrize("shape", [(20, 29), (19, 30), (20,), (20, 30, 1)])
@every_name
def test_rated_of_another_shape_is_named(name, shape):
    confidences, truth, _ = dense(11)
    with pytest.raises(DataError) as error:
        values(name, confidences, truth, rated=np.ones(shape, bool))
    for word in (str(shape), "rated"):
        assert word in str(error.value)


@pytest.mark.parametrize("value", [2, -1, 0.5])
@every_name
def test_rated_of_other_values_is_an_error(name, value):
    confidences, truth, rated = dense(12)
    numbers = rated.astype(float if isinstance(value, float) else int)
    numbers[3, 5] = value
    with pytest.raises(DataError, match="rated"):
        values(name, confidences, truth, rated=numbers)


@every_name
def test_rated_of_the_other_kind_is_an_error(name):
    confidences, truth, rated = dense(13)
    with pytest.raises(GapkitError, match="rated"):
        values(name, confidences, truth, rated=Labels.from_dense(rated))
    tables = Predictions.from_dense(confidences), Labels.from_dense(truth)
    with pytest.raises(GapkitError, match="rated"):
        values(name, *tables, rated=rated)
