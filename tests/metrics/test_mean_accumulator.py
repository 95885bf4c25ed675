"""What holds for the accumulator of every metric, and for those of single videos."""

import pickle
from functools import reduce
from inspect import signature

import numpy as np
import pytest
from metric_oracles import padded, random_tables

from gapkit.errors import DataError, GapkitError, UsageError
from gapkit.metrics import METRICS, VideoMeanAccumulator, make_accumulator
from gapkit.metrics._measures.video_mean import VIDEO_METRICS, measure_videos
from gapkit.predictions import Labels, Predictions

NUM_CLASSES = 40
PROPENSITIES = np.linspace(0.02, 1, NUM_CLASSES)
NEEDED = {"psp_at_k": {"propensities": PROPENSITIES}}


def more_settings(name):
    """The settings needed, alone and with a size other than the default."""
    sizes = [size for size in ("k", "top_k") if size in METRICS[name].settings]
    return [NEEDED.get(name, {}), *({**NEEDED.get(name, {}), size: 3} for size in sizes)]


every_metric = pytest.mark.parametrize("name", METRICS)
every_metric_of_videos = pytest.mark.parametrize("name", VIDEO_METRICS)
every_case = pytest.mark.parametrize(
    ("name", "settings"), [(name, settings) for name in METRICS for settings in more_settings(name)]
)


def as_tables(predictions, labels):
    return (
        Predictions(*padded(predictions), num_classes=NUM_CLASSES),
        Labels(list(labels), [sorted(row) for row in labels.values()], num_classes=NUM_CLASSES),
    )


def split(predictions, labels, num_parts, seed):
    """The labelled videos dealt out at random, each with its predictions; some parts are empty."""
    rng = np.random.default_rng(seed)
    part_of = {name: rng.integers(num_parts) for name in rng.permutation(list(labels))}
    for part in range(num_parts):
        names = [name for name, chosen in part_of.items() if chosen == part]
        yield (
            {name: predictions[name] for name in reversed(names) if name in predictions},
            {name: labels[name] for name in names},
        )


def bits(value):
    """A float, an array or a tuple of them, bit for bit."""
    if isinstance(value, tuple):
        return [bits(part) for part in value]
    return np.asarray(value).dtype, np.asarray(value).shape, np.asarray(value).tobytes()


def same(accumulator, expected):
    value = accumulator.compute()
    assert type(value) is type(expected)
    assert bits(value) == bits(expected)


def merged(first, second):
    first.merge(second)
    return first


# Every metric


@every_case
@pytest.mark.parametrize("seed", range(3))
def test_updates_in_any_grouping_equal_one_call(name, settings, seed):
    tables = random_tables(seed, decimals=1)
    expected = METRICS[name].function(*as_tables(*tables), **settings)
    assert np.nansum(expected[0] if isinstance(expected, tuple) else expected) > 0
    for num_parts in (1, 2, 7, 90):
        accumulator = make_accumulator(name, **settings)
        for part in split(*tables, num_parts, seed):
            accumulator.update(*as_tables(*part))
        same(accumulator, expected)
        same(accumulator, expected)


@every_case
def test_merges_in_any_order_equal_one_call(name, settings):
    tables = random_tables(3)
    expected = METRICS[name].function(*as_tables(*tables), **settings)
    for seed in range(3):
        parts = []
        for part in split(*tables, 6, seed):
            parts.append(make_accumulator(name, **settings))
            parts[-1].update(*as_tables(*part))
        values = [bits(part.compute()) for part in parts]
        total = reduce(merged, parts[:3], make_accumulator(name, **settings))
        other = reduce(merged, reversed(parts[3:]), make_accumulator(name, **settings))
        assert [bits(part.compute()) for part in parts] == values, "merge changed the other"
        same(merged(other, total), expected)


@every_case
def test_dense_rows_in_any_grouping_equal_one_call(name, settings):
    rng = np.random.default_rng(4)
    for dtype in (np.float16, np.float32, np.float64):
        confidences = rng.normal(size=(50, NUM_CLASSES)).round(1).astype(dtype)
        truth = rng.random((50, NUM_CLASSES)) < 0.1
        truth[::7] = False
        accumulator = make_accumulator(name, **settings)
        for rows in np.array_split(rng.permutation(50), 9):
            accumulator.update(confidences[rows], truth[rows])
        same(accumulator, METRICS[name].function(confidences, truth, **settings))


@every_case
def test_rated_pairs_belong_to_each_update(name, settings):
    rng = np.random.default_rng(5)
    confidences = rng.random((30, NUM_CLASSES), dtype=np.float32)
    rated = rng.random((30, NUM_CLASSES)) < 0.5
    truth = rated & (rng.random((30, NUM_CLASSES)) < 0.3)
    expected = METRICS[name].function(confidences, truth, **settings, rated=rated)
    accumulator = make_accumulator(name, **settings)
    for rows in (slice(20, 30), slice(20)):
        accumulator.update(confidences[rows], truth[rows], rated=rated[rows])
    same(accumulator, expected)
    unrated = METRICS[name].function(confidences, truth, **settings)
    assert bits(unrated) != bits(expected)


@every_case
def test_accumulators_survive_pickling(name, settings):
    tables = random_tables(6)
    first, second = (as_tables(*part) for part in split(*tables, 2, 6))
    accumulator = make_accumulator(name, **settings)
    accumulator.update(*first)
    copy = pickle.loads(pickle.dumps(accumulator))
    copy.update(*second)
    other = make_accumulator(name, **settings)
    other.update(*second)
    other.merge(pickle.loads(pickle.dumps(accumulator)))
    expected = METRICS[name].function(*as_tables(*tables), **settings)
    same(copy, expected)
    same(other, expected)


@every_case
def test_reset_forgets_everything_but_the_settings(name, settings):
    accumulator = make_accumulator(name, **settings)
    accumulator.update(*as_tables(*random_tables(7)))
    accumulator.reset()
    fresh = make_accumulator(name, **settings)
    assert bits(accumulator.compute()) == bits(fresh.compute())
    tables = as_tables(*random_tables(8))
    accumulator.update(*tables)
    same(accumulator, METRICS[name].function(*tables, **settings))


@every_metric
def test_an_update_that_fails_adds_nothing(name):
    settings = NEEDED.get(name, {})
    rng = np.random.default_rng(9)
    confidences, truth = rng.random((20, NUM_CLASSES)), rng.random((20, NUM_CLASSES)) < 0.2
    accumulator = make_accumulator(name, **settings)
    accumulator.update(confidences, truth)
    wrong = np.where(np.arange(20 * NUM_CLASSES).reshape(20, -1) == 333, np.nan, confidences)
    with pytest.raises(DataError, match="row 8"):
        accumulator.update(wrong, truth)
    same(accumulator, METRICS[name].function(confidences, truth, **settings))


@every_metric
def test_unequal_settings_do_not_merge(name):
    plain, *others = (make_accumulator(name, **settings) for settings in more_settings(name))
    for other in others:
        other.update(*as_tables(*random_tables(10)))
        before = bits(plain.compute())
        with pytest.raises(UsageError, match="=3") as error:
            plain.merge(other)
        assert "merge" in str(error.value)
        assert bits(plain.compute()) == before


@every_metric
def test_other_metrics_do_not_merge(name):
    accumulator = make_accumulator(name, **NEEDED.get(name, {}))
    for other in METRICS:
        if other != name:
            with pytest.raises(UsageError, match="merge"):
                accumulator.merge(make_accumulator(other, **NEEDED.get(other, {})))
    with pytest.raises(UsageError, match="float"):
        accumulator.merge(0.5)


@every_metric
def test_settings_that_are_wrong_are_named(name):
    needed = NEEDED.get(name, {})
    with pytest.raises(UsageError) as error:
        make_accumulator(name, **needed, num_bins=7)
    for word in (name, "num_bins", *METRICS[name].settings):
        assert word in str(error.value)
    with pytest.raises(UsageError, match="rated"):
        make_accumulator(name, **needed, rated=np.ones((1, 1), bool))
    for size in {"k", "top_k"}.intersection(METRICS[name].settings):
        for number in (0, -3, 2.5, "2", True):
            with pytest.raises(UsageError, match=rf"\b{size}\b.*{number}"):
                make_accumulator(name, **{**needed, size: number})


@pytest.mark.parametrize("name", ["hit_at_1", "", "GAP", None, 7])
def test_names_that_are_not_known_are_answered_with_those_that_are(name):
    with pytest.raises(UsageError) as error:
        make_accumulator(name)
    for word in (repr(name), *METRICS):
        assert word in str(error.value)


# Metrics of single videos


@every_metric_of_videos
def test_defaults_are_those_of_the_function(name):
    parameters = signature(METRICS[name].function).parameters
    assert VIDEO_METRICS[name].settings == {
        setting: parameters[setting].default for setting in METRICS[name].settings
    }


@every_metric_of_videos
def test_memory_is_constant(name):
    rng = np.random.default_rng(11)
    accumulator = make_accumulator(name, **NEEDED.get(name, {}))
    size = len(pickle.dumps(accumulator))
    for _ in range(50):
        confidences = rng.random((100, NUM_CLASSES))
        accumulator.update(confidences, rng.random((100, NUM_CLASSES)) < 0.2)
    assert len(pickle.dumps(accumulator)) < size + 1024


@every_metric_of_videos
def test_the_mean_is_that_of_the_values_of_the_videos(name):
    predictions, labels = as_tables(*random_tables(12))
    settings = {**VIDEO_METRICS[name].settings, **NEEDED.get(name, {})}
    numerator_V, denominator_V = measure_videos(name, predictions, labels, None, settings)
    assert len(numerator_V) == len(denominator_V) == len(labels)
    value = METRICS[name].function(predictions, labels, **settings)
    assert value == pytest.approx(numerator_V.sum() / denominator_V.sum(), rel=1e-13)
    for video in range(len(labels)):
        ids, rows = list(labels.ids[video : video + 1]), labels.labels[video : video + 1]
        alone = METRICS[name].function(
            predictions, Labels(ids, rows, num_classes=NUM_CLASSES), **settings
        )
        denominator = denominator_V[video]
        assert alone == (numerator_V[video] / denominator if denominator else 0.0)


def test_sums_of_many_magnitudes_are_exact():
    """A weight of 1e200 beside one of 1 in sums of any order."""
    propensities = np.where(np.arange(NUM_CLASSES) % 2, 1e-200, 1.0)
    rng = np.random.default_rng(13)
    confidences = rng.random((60, NUM_CLASSES))
    truth = (np.arange(NUM_CLASSES) % 2 == np.arange(60)[:, None] % 2) & (confidences > 0.8)
    values = []
    for rows in (np.arange(60), np.arange(60)[::-1], rng.permutation(60)):
        accumulator = VideoMeanAccumulator("psp_at_k", propensities=propensities)
        for row in rows:
            accumulator.update(confidences[[row]], truth[[row]])
        values.append(accumulator.compute())
    assert len(set(values)) == 1


def test_psp_needs_propensities():
    for make in (make_accumulator, VideoMeanAccumulator):
        with pytest.raises(UsageError, match=r"propensities.*label_propensities"):
            make("psp_at_k")


def test_psp_of_other_propensities_does_not_merge():
    first = make_accumulator("psp_at_k", propensities=PROPENSITIES)
    for others in (PROPENSITIES[::-1], PROPENSITIES[:-1]):
        with pytest.raises(UsageError, match=f"propensities.*{len(others)}"):
            first.merge(make_accumulator("psp_at_k", propensities=others))
    first.merge(make_accumulator("psp_at_k", propensities=PROPENSITIES.tolist()))


def test_propensities_are_copied():
    propensities = PROPENSITIES.copy()
    accumulator = make_accumulator("psp_at_k", propensities=propensities)
    propensities[:] = 1.0
    tables = as_tables(*random_tables(14))
    accumulator.update(*tables)
    same(accumulator, METRICS["psp_at_k"].function(*tables, propensities=PROPENSITIES))


def test_a_metric_that_is_not_of_videos_is_refused():
    for name in ("gap", "mean_average_precision", "x"):
        with pytest.raises(GapkitError, match="hit_at_k"):
            VideoMeanAccumulator(name)
