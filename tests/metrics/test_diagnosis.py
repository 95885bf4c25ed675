import math

import metric_oracles
import numpy as np
import oracles
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from metric_oracles import dense_tables, random_tables, small_tables

from gapkit import metrics
from gapkit.errors import DataError, GapkitError, UsageError
from gapkit.predictions import Labels, Predictions

EXACT = 1e-12
TIES = oracles.TIES
FIELDS = {
    "gap_contributions": ["gap", "by_label", "by_video", "positives_by_label", "lost_by_label"],
    "gap_losses": ["gap", "unpredicted", "within_videos", "between_videos"],
    "gap_bands": ["worst", "mean", "best", "gap", "num_added"],
    "gap_ceiling": [],
    "gap_by_k": [],
}
NAMES = list(FIELDS)
REQUIRED = {"gap_bands": {"missing_rate": 0.3}}
WITH_TIES = [name for name in NAMES if name != "gap_ceiling"]

every_name = pytest.mark.parametrize("name", NAMES)
every_rule = pytest.mark.parametrize("ties", TIES)


def as_tables(predictions, labels, num_classes=None):
    return (
        Predictions(*metric_oracles.padded(predictions), num_classes=num_classes),
        Labels(list(labels), [sorted(row) for row in labels.values()], num_classes=num_classes),
    )


def diagnose(name, predictions, labels, **options):
    """The result as a dict of its fields, or as {"value": ...} where it is a float or an array."""
    options = REQUIRED.get(name, {}) | options
    result = getattr(metrics, name)(predictions, labels, **options)
    fields = FIELDS[name]
    return {field: getattr(result, field) for field in fields} or {"value": result}


def oracle(name, predictions, labels, **options):
    result = getattr(metric_oracles, name)(
        predictions, labels, **(REQUIRED.get(name, {}) | options)
    )
    return result if FIELDS[name] else {"value": result}


def same(result, expected):
    assert result.keys() == expected.keys()
    for field, value in result.items():
        np.testing.assert_allclose(value, expected[field], rtol=0, atol=EXACT, err_msg=field)


def check(name, predictions, labels, **options):
    result = diagnose(name, *as_tables(predictions, labels), **options)
    same(result, oracle(name, predictions, labels, **options))


def options_of(name, ties, **options):
    return options | ({"ties": ties} if name in WITH_TIES else {})


def dense(seed, shape=(30, 8), decimals=None, dtype=np.float32):
    rng = np.random.default_rng(seed)
    if decimals is None:
        confidences = rng.permutation(np.prod(shape)).reshape(shape) / 4096
    else:
        confidences = rng.random(shape).round(decimals)
    truth = rng.random(shape) < 0.3
    truth[::5] = False
    return confidences.astype(dtype), truth


# Against the oracle


@pytest.mark.parametrize("top_k", [3, 20])
@pytest.mark.parametrize("decimals", [0, 1, 6])
@every_rule
@every_name
def test_random_tables_equal_the_oracle(name, ties, decimals, top_k):
    predictions, labels = random_tables(decimals, num_videos=30, decimals=decimals)
    tables = as_tables(predictions, labels, num_classes=42)
    options = options_of(name, ties, top_k=top_k)
    classes = {"num_classes": 42} if name == "gap_contributions" else {}
    expected = oracle(name, predictions, labels, **options, **classes)
    same(diagnose(name, *tables, **options), expected)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("decimals", [None, 1])
@every_rule
@every_name
def test_dense_equals_the_oracle(name, ties, decimals, dtype):
    arrays = dense(1, decimals=decimals, dtype=dtype)
    for top_k in (3, 20):
        options = options_of(name, ties, top_k=top_k)
        same(diagnose(name, *arrays, **options), oracle(name, *dense_tables(*arrays), **options))


@every_rule
@every_name
def test_logits_equal_the_oracle(name, ties):
    confidences, truth = dense(2, decimals=1, dtype=np.float64)
    confidences = 9 * (confidences - 0.5)
    expected = oracle(name, *dense_tables(confidences, truth), **options_of(name, ties))
    same(diagnose(name, confidences, truth, **options_of(name, ties)), expected)


@every_rule
@every_name
def test_every_small_table_equals_the_oracle(name, ties):
    for predictions, labels in small_tables(num_truths=1):
        tables = as_tables(predictions, labels, num_classes=2)
        options = options_of(name, ties, top_k=2)
        classes = {"num_classes": 2} if name == "gap_contributions" else {}
        expected = oracle(name, predictions, labels, **options, **classes)
        same(diagnose(name, *tables, **options), expected)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "gap_by_k"])
def test_top_k_of_none_keeps_everything(name):
    predictions, labels = random_tables(3, k=30)
    same(
        diagnose(name, *as_tables(predictions, labels), top_k=None),
        diagnose(name, *as_tables(predictions, labels), top_k=40),
    )


@every_name
def test_defaults_are_top_20_and_expected(name):
    confidences, truth = dense(4, (12, 30), decimals=1)
    result = diagnose(name, confidences, truth)
    same(result, diagnose(name, confidences, truth, **options_of(name, "expected", top_k=20)))
    assert len(metrics.gap_by_k(confidences, truth)) == 20


@every_name
def test_tables_equal_dense(name):
    arrays = dense(5, decimals=1)
    tables = Predictions.from_dense(arrays[0]), Labels.from_dense(arrays[1])
    same(diagnose(name, *tables), diagnose(name, *arrays))


@every_name
def test_lists_and_tensors_are_taken(name):
    torch = pytest.importorskip("torch")
    confidences, truth = dense(6, decimals=1)
    expected = diagnose(name, confidences, truth)
    same(diagnose(name, confidences.tolist(), truth.astype(int).tolist()), expected)
    same(diagnose(name, torch.from_numpy(confidences), torch.from_numpy(truth)), expected)


@every_name
def test_results_are_exact_types(name):
    result = diagnose(name, *dense(7))
    for field, value in result.items():
        if name == "gap_by_k" or field in ("by_label", "by_video", "lost_by_label"):
            assert value.dtype == np.float64
        elif field == "positives_by_label":
            assert value.dtype == np.int64
        else:
            assert type(value) is (int if field == "num_added" else float), field


# Contributions


def test_contributions_by_hand():
    predictions = {
        "a": [(2, 0.4), (0, 0.9), (1, 0.6)],
        "b": [(0, 0.8), (2, 0.7)],
        "none true": [(1, 0.95)],
        "stranger": [(0, 1.0)],
    }
    labels = {"absent": {1, 0}, "b": {2}, "none true": set(), "a": {0, 2}}
    parts = metrics.gap_contributions(*as_tables(predictions, labels))
    # Pooled: .95 miss, .9 hit, .8 miss, .7 hit, .6 miss, .4 hit; 5 positives.
    assert parts.gap == pytest.approx(0.3, abs=1e-15)
    assert parts.by_label == pytest.approx([0.1, 0, 0.2], abs=1e-15)
    assert parts.by_video == pytest.approx([0, 0.1, 0, 0.2], abs=1e-15)
    assert parts.positives_by_label.tolist() == [2, 1, 2]
    assert parts.lost_by_label == pytest.approx([0.3, 0.2, 0.2], abs=1e-15)


@every_rule
def test_tied_hits_share_equally(ties):
    confidences = np.full((3, 1), 0.5)
    parts = metrics.gap_contributions(confidences, np.array([[1], [0], [1]]), ties=ties)
    assert parts.by_video == pytest.approx([parts.gap / 2, 0, parts.gap / 2], abs=1e-15)


@pytest.mark.parametrize("decimals", [0, 1, 6])
@every_rule
def test_contributions_of_many_sum_to_gap(ties, decimals):
    tables = as_tables(*random_tables(8, num_videos=3000, decimals=decimals))
    parts = metrics.gap_contributions(*tables, ties=ties)
    assert parts.gap == pytest.approx(metrics.gap(*tables, ties=ties), rel=0, abs=EXACT)
    for field in (parts.by_label, parts.by_video):
        assert math.fsum(field) == pytest.approx(parts.gap, rel=0, abs=EXACT)
    assert parts.positives_by_label.sum() == tables[1].num_positives
    assert math.fsum(parts.lost_by_label) == pytest.approx(1 - parts.gap, rel=0, abs=EXACT)


def test_classes_are_those_of_either_table():
    predictions, labels = [["a"], [[4, 1]], [[0.9, 0.8]]], [["a"], [[1]]]
    for of_predictions, of_labels, expected in ((9, None, 9), (None, 9, 9), (None, None, 5)):
        parts = metrics.gap_contributions(
            Predictions(*predictions, num_classes=of_predictions),
            Labels(*labels, num_classes=of_labels),
        )
        for field in (parts.by_label, parts.positives_by_label, parts.lost_by_label):
            assert field.shape == (expected,)


# Losses


def test_losses_by_hand():
    """a: a miss above its hit, which moves up; b: the best as it is; absent: not predicted."""
    predictions = {"a": [(0, 0.8), (1, 0.4)], "b": [(0, 0.6), (1, 0.2)]}
    losses = metrics.gap_losses(*as_tables(predictions, {"a": {1}, "b": {0}, "absent": {3}}))
    # .8 miss, .6 hit, .4 hit; moved: .8 hit, .6 hit, .4 miss: no loss between videos is left.
    assert losses.gap == pytest.approx((1 / 2 + 2 / 3) / 3, abs=1e-15)
    assert losses.unpredicted == pytest.approx(1 / 3, abs=1e-15)
    moved = 2 / 3
    assert losses.within_videos == pytest.approx(moved - (1 / 2 + 2 / 3) / 3, abs=1e-15)
    assert losses.between_videos == pytest.approx(2 / 3 - moved, abs=1e-15)


def test_one_video_has_no_loss_between_videos():
    losses = metrics.gap_losses(*(array[1:] for array in dense(9, (2, 20))))
    assert losses.between_videos == pytest.approx(0, abs=EXACT)
    arrays = np.array([[0.9, 0.5, 0.4]]), np.array([[True, True, True]])
    losses = metrics.gap_losses(*arrays, top_k=2)
    assert losses.unpredicted == pytest.approx(1 / 3)
    assert (losses.within_videos, losses.between_videos) == pytest.approx((0, 0), abs=EXACT)


# Ceiling and cuts


def test_ceiling_is_the_share_of_positives_among_the_kept():
    confidences = np.array([[0.9, 0.8, 0.7], [0.1, 0.3, 0.2]])
    truth = np.array([[True, True, True], [True, False, False]])
    assert metrics.gap_ceiling(confidences, truth, top_k=1) == 1 / 4
    assert metrics.gap_ceiling(confidences, truth, top_k=2) == 2 / 4
    assert metrics.gap_ceiling(confidences, truth) == 1.0


@every_rule
def test_gap_by_k_is_gap_at_each_k(ties):
    tables = as_tables(*random_tables(10, num_videos=300, decimals=1, k=12))
    values = metrics.gap_by_k(*tables, top_k=15, ties=ties)
    expected = [metrics.gap(*tables, top_k=k, ties=ties) for k in range(1, 16)]
    np.testing.assert_allclose(values, expected, rtol=0, atol=EXACT)
    assert np.all(values[11:] == values[11])


# Bands


def test_bands_by_hand():
    predictions = {"a": [(0, 0.9), (1, 0.8), (2, 0.7)]}
    bands = metrics.gap_bands(*as_tables(predictions, {"a": {1}}), missing_rate=0.5)
    # Misses .9 and .7; one of them is true: 2 positives.
    assert bands.best == 1.0
    assert bands.worst == pytest.approx((1 / 2 + 2 / 3) / 2, abs=1e-15)
    assert bands.mean == pytest.approx((1 + (1 / 2 + 2 / 3) / 2) / 2, abs=1e-15)
    assert (bands.gap, bands.num_added) == (0.5, 1)


@pytest.mark.parametrize("rate", [0.0, 0.01, 0.25, 0.7, 1.0])
@pytest.mark.parametrize("decimals", [0, 1, 6])
@every_rule
def test_bands_equal_the_oracle_at_every_rate(ties, decimals, rate):
    tables = random_tables(11, num_videos=40, decimals=decimals)
    check("gap_bands", *tables, ties=ties, missing_rate=rate)


@pytest.mark.parametrize("num_added", range(5))
@every_rule
def test_bands_equal_the_enumeration_of_all_that_can_be_added(ties, num_added):
    rng = np.random.default_rng(12)
    for _ in range(6):
        levels = rng.integers(0, 3, size=(6, 1)) / 4
        truth = rng.permutation([[False]] * 4 + [[True]] * 2)
        tables = dense_tables(levels, truth)
        bands = metrics.gap_bands(levels, truth, missing_rate=num_added / 4, ties=ties)
        gaps = metric_oracles.gaps_of_all_added(*tables, num_added, ties=ties)
        assert bands.num_added == num_added
        assert bands.worst == pytest.approx(min(gaps), rel=0, abs=EXACT)
        assert bands.best == pytest.approx(max(gaps), rel=0, abs=EXACT)
        of_orders = metric_oracles.gaps_of_all_added(*tables, num_added)
        assert bands.mean == pytest.approx(sum(of_orders) / len(of_orders), rel=0, abs=EXACT)


def test_bands_are_the_same_mean_by_every_rule():
    tables = as_tables(*random_tables(13, decimals=1))
    means = {metrics.gap_bands(*tables, missing_rate=0.2, ties=ties).mean for ties in TIES}
    assert max(means) == pytest.approx(min(means), rel=0, abs=EXACT)


@every_rule
def test_all_misses_that_are_true_leave_the_ceiling(ties):
    predictions, labels = random_tables(14)
    bands = metrics.gap_bands(*as_tables(predictions, labels), missing_rate=1, ties=ties)
    kept = metric_oracles.keep(predictions, labels, 20)
    num_kept = sum(len(row) for row in kept.values())
    num_hits = sum(hit for row in kept.values() for _, _, hit in row)
    expected = num_kept / (num_kept + sum(len(true) for true in labels.values()) - num_hits)
    for value in (bands.worst, bands.mean, bands.best):
        assert value == pytest.approx(expected, rel=0, abs=EXACT)


@pytest.mark.parametrize("rate", [-0.1, 1.5, math.nan, math.inf])
def test_missing_rates_out_of_range_are_named(rate):
    for data in (dense(15), as_tables(*random_tables(15))):
        with pytest.raises(UsageError) as error:
            metrics.gap_bands(*data, missing_rate=rate)
        assert str(rate) in str(error.value)
        assert "missing_rate" in str(error.value)


# Edges


@every_rule
@every_name
def test_nothing_is_zero(name, ties):
    options = options_of(name, ties)
    for data in (
        (np.zeros((0, 5), np.float32), np.zeros((0, 5), bool)),
        as_tables({}, {}),
        as_tables({"a": [(1, 0.5)]}, {}),
    ):
        for value in diagnose(name, *data, **options).values():
            assert not np.any(value)


@every_rule
@every_name
def test_no_positives_is_zero(name, ties):
    options = options_of(name, ties)
    if name == "gap_bands":
        options["missing_rate"] = 0.0
    for data in (
        (np.ones((2, 5)), np.zeros((2, 5), bool)),
        as_tables({"a": [(1, 0.5)]}, {"a": set()}),
    ):
        for value in diagnose(name, *data, **options).values():
            assert not np.any(value)


@pytest.mark.parametrize(
    ("predictions", "labels"),
    [
        ({}, {"a": {1}}),
        ({"b": [(1, 0.5)]}, {"a": {1}}),
        ({"a": []}, {"a": {1}}),
        ({"a": [(4, 0.5)]}, {"a": {4}}),
        ({"a": [(4, 0.5), (2, 0.25)]}, {"a": {2, 9}}),
        ({"a": [(4, 0.5), (2, 0.5)], "b": [(2, 0.5)]}, {"a": {2, 4}, "b": {2}}),
        ({"a": [(70_000, 0.5), (4, 0.25)]}, {"a": {70_000, 4_464}, "b": {4}}),
    ],
    ids=["missing", "stranger", "empty", "one", "one video", "all hits", "beyond uint16"],
)
@every_rule
@every_name
def test_edges_equal_the_oracle(name, ties, predictions, labels):
    check(name, predictions, labels, **options_of(name, ties))


@every_name
def test_ties_at_the_cut_keep_the_lower_labels(name):
    confidences = np.full((1, 9), 0.5, dtype=np.float32)
    for label in (2, 3):
        truth = np.arange(9)[None] == label
        expected = oracle(name, *dense_tables(confidences, truth), top_k=3)
        same(diagnose(name, confidences, truth, top_k=3), expected)


# Laws

IDS = st.sampled_from(list("abcdef"))
ROWS = st.dictionaries(st.integers(0, 5), st.sampled_from([0.0, 0.25, 0.5, 1.0]), max_size=6)
PREDICTIONS = st.dictionaries(IDS, ROWS.map(lambda row: list(row.items())), max_size=6)
LABELS = st.dictionaries(IDS, st.sets(st.integers(0, 6), max_size=4), max_size=6)
RULES = st.sampled_from(TIES)
NUM_CLASSES = 7


@every_name
@settings(deadline=None, max_examples=25)
@given(
    predictions=PREDICTIONS,
    labels=LABELS,
    ties=RULES,
    top_k=st.integers(1, 7),
    rate=st.floats(0, 1),
)
def test_diagnosis_equals_the_oracle(name, predictions, labels, ties, top_k, rate):
    options = options_of(name, ties, top_k=top_k)
    if name == "gap_bands":
        options["missing_rate"] = rate
    classes = {"num_classes": NUM_CLASSES} if name == "gap_contributions" else {}
    expected = oracle(name, predictions, labels, **options, **classes)
    same(diagnose(name, *as_tables(predictions, labels, NUM_CLASSES), **options), expected)


@settings(deadline=None)
@given(PREDICTIONS, LABELS, RULES, st.integers(1, 7))
def test_sums_equal_gap_and_one(predictions, labels, ties, top_k):
    tables, options = as_tables(predictions, labels), {"ties": ties, "top_k": top_k}
    gap = metrics.gap(*tables, **options)
    parts = metrics.gap_contributions(*tables, **options)
    losses = metrics.gap_losses(*tables, **options)
    ceiling = metrics.gap_ceiling(*tables, top_k=top_k)
    by_k = metrics.gap_by_k(*tables, **options)
    assert by_k[-1] == pytest.approx(gap, rel=0, abs=EXACT)
    assert parts.gap == pytest.approx(gap, rel=0, abs=EXACT)
    assert losses.gap == pytest.approx(gap, rel=0, abs=EXACT)
    assert parts.by_label.sum() == pytest.approx(gap, rel=0, abs=EXACT)
    assert parts.by_video.sum() == pytest.approx(gap, rel=0, abs=EXACT)
    assert gap <= ceiling + EXACT
    three = losses.unpredicted, losses.within_videos, losses.between_videos
    has_positives = float(any(labels.values()))
    assert losses.gap + sum(three) == pytest.approx(has_positives, rel=0, abs=EXACT)
    assert all(loss >= -EXACT for loss in three)
    if has_positives:
        assert losses.unpredicted == pytest.approx(1 - ceiling, rel=0, abs=EXACT)


@settings(deadline=None)
@given(PREDICTIONS, LABELS, RULES, st.floats(0, 1))
def test_bands_stand_in_order(predictions, labels, ties, rate):
    bands = metrics.gap_bands(*as_tables(predictions, labels), missing_rate=rate, ties=ties)
    assert 0 <= bands.worst <= bands.best + EXACT
    assert bands.best <= 1 + EXACT
    if ties != "optimistic":
        assert bands.worst <= bands.mean + EXACT
    if ties != "pessimistic":
        assert bands.mean <= bands.best + EXACT


@settings(deadline=None)
@given(PREDICTIONS, LABELS, RULES)
def test_bands_without_missing_labels_are_gap(predictions, labels, ties):
    tables = as_tables(predictions, labels)
    bands = metrics.gap_bands(*tables, missing_rate=0, ties=ties)
    gap = metrics.gap(*tables, ties=ties)
    assert bands.num_added == 0
    assert (bands.worst, bands.best, bands.gap) == pytest.approx((gap,) * 3, rel=0, abs=EXACT)
    assert bands.mean == pytest.approx(metrics.gap(*tables), rel=0, abs=EXACT)


@every_name
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

    options, rows = options_of(name, ties), shuffled(labels)
    result = diagnose(name, *as_tables(predictions, labels), **options)
    other = diagnose(name, *as_tables(shuffled(predictions), rows), **options)
    if name == "gap_contributions":
        by_video = dict(zip(rows, other["by_video"], strict=True))
        other["by_video"] = [by_video[row] for row in labels]
    same(other, result)


@every_name
@settings(deadline=None, max_examples=25)
@given(
    levels=st.lists(st.lists(st.integers(0, 4), min_size=4, max_size=4), min_size=1, max_size=6),
    values=st.lists(st.floats(-1e6, 1e6), min_size=5, max_size=5, unique=True),
    ties=RULES,
)
def test_rising_maps_of_confidence_do_not_matter(name, levels, values, ties):
    levels, options = np.array(levels), options_of(name, ties)
    truth = np.random.default_rng(levels.sum()).random(levels.shape) < 0.4
    mapped = diagnose(name, np.array(sorted(values))[levels], truth, **options)
    same(mapped, diagnose(name, levels / 4, truth, **options))


# Errors

TWO = np.array([[0.9, 0.8]], dtype=np.float32)
HIT = np.array([[True, False]])


@pytest.mark.parametrize("ties", ["shuffle", "", "Expected", None])
@pytest.mark.parametrize("name", WITH_TIES)
def test_unknown_rules_are_named(name, ties):
    with pytest.raises(UsageError) as error:
        diagnose(name, TWO, HIT, ties=ties)
    assert repr(ties) in str(error.value)
    assert "expected" in str(error.value)


@pytest.mark.parametrize("top_k", [0, -3, 2.5, "2", True])
@every_name
def test_top_k_that_is_wrong_is_named(name, top_k):
    with pytest.raises(UsageError) as error:
        diagnose(name, TWO, HIT, top_k=top_k)
    assert "top_k" in str(error.value)
    assert str(top_k) in str(error.value)


@every_name
def test_swapped_arguments_are_named(name):
    with pytest.raises(DataError, match="swapped"):
        diagnose(name, HIT, TWO)
    predictions, labels = Predictions.from_dense(TWO), Labels.from_dense(HIT)
    for arguments in ((labels, predictions), (predictions, HIT), (TWO, labels)):
        with pytest.raises(GapkitError):
            diagnose(name, *arguments)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@every_name
def test_confidences_that_are_not_finite_are_named(name, value):
    confidences = np.linspace(1, 0, 120).reshape(4, 30)
    confidences[2, 29] = value
    with pytest.raises(DataError) as error:
        diagnose(name, confidences, np.ones((4, 30), bool))
    for word in ("row 2", "29", str(value)):
        assert word in str(error.value)


@pytest.mark.parametrize(("shape", "other"), [((2, 3), (2, 4)), ((2, 3), (3, 3)), ((3,), (3,))])
@every_name
def test_shapes_that_do_not_fit_are_named(name, shape, other):
    with pytest.raises(DataError) as error:
        diagnose(name, np.ones(shape), np.ones(other, bool))
    assert str(shape) in str(error.value)
