import math
import warnings
from fractions import Fraction

import metric_oracles
import numpy as np
import oracles
import pytest
import sklearn.metrics

TIES = oracles.TIES
EXACT = 1e-12

# Ranked: a: 0 hit, 1 miss, 2 hit; b: 0 miss, 2 hit; "absent" and "empty" predict nothing.
PREDICTIONS = {
    "a": [(2, 0.4), (0, 0.9), (1, 0.6)],
    "b": [(0, 0.8), (2, 0.7)],
    "none true": [(1, 0.95)],
    "stranger": [(0, 1.0)],
    "empty": [],
}
LABELS = {"a": {0, 2}, "b": {2}, "none true": set(), "absent": {1}, "empty": {0}}


def dense(seed, shape=(30, 6), decimals=None, rate=0.3):
    """Confidences and truth; without ties unless rounded; each row and each label has a hit."""
    rng = np.random.default_rng(seed)
    if decimals is None:
        confidences = rng.permutation(math.prod(shape)).reshape(shape) / math.prod(shape)
    else:
        confidences = rng.random(shape).round(decimals)
    truth = rng.random(shape) < rate
    truth[np.arange(shape[0]), np.arange(shape[0]) % shape[1]] = True
    return confidences, truth


@pytest.mark.parametrize(
    ("name", "settings", "value"),
    [
        # Pooled: .95 miss, .9 hit, .8 miss, .7 hit, .6 miss, .4 hit; 5 positives.
        ("gap", {}, (Fraction(1, 2) + Fraction(2, 4) + Fraction(3, 6)) / 5),
        ("gap_ceiling", {}, Fraction(3, 5)),
        ("gap_ceiling", {"top_k": 1}, Fraction(1, 5)),
        # Label 0: .9 hit, .8 miss, 2 positives. 1: .95 and .6 miss. 2: .7 and .4 hit.
        ("mean_average_precision", {}, (Fraction(1, 2) + 0 + 1) / 3),
        ("label_map_at_k", {}, (Fraction(1, 2) + 0 + 1) / 3),
        ("label_map_at_k", {"k": 1}, Fraction(2, 3)),
        ("hit_at_k", {}, Fraction(1, 5)),
        ("hit_at_k", {"k": 2}, Fraction(2, 5)),
        ("precision_at_k", {"k": 2}, (Fraction(1, 2) + Fraction(1, 2)) / 5),
        ("precision_at_k", {}, (Fraction(2, 5) + Fraction(1, 5)) / 5),
        ("recall_at_k", {"k": 2}, (Fraction(1, 2) + 1) / 4),
        ("map_at_k", {}, ((1 + Fraction(2, 3)) / 2 + Fraction(1, 2)) / 4),
        ("map_at_k", {"k": 1}, Fraction(1, 4)),
        # a: label 0 of {0, 2}; b: none.
        ("perr", {}, Fraction(1, 8)),
        # a: 1 and 2/3; b: 1/2; "none true" counts 1.
        ("label_ranking_average_precision", {}, (Fraction(5, 6) + Fraction(1, 2) + 1) / 5),
        ("label_ranking_average_precision", {"top_k": 1}, (Fraction(1, 2) + 1) / 5),
        # Weights 2, 1, 4; best first one of a is label 2.
        ("psp_at_k", {"k": 1, "propensities": [0.5, 1, 0.25]}, Fraction(2, 4 + 4 + 1 + 2)),
        ("psp_at_k", {"k": 5, "propensities": [0.5, 1, 0.25]}, Fraction(10, 6 + 4 + 1 + 2)),
    ],
)
def test_value_by_hand(name, settings, value):
    assert metric_oracles.METRICS[name](PREDICTIONS, LABELS, **settings) == float(value)


def test_ndcg_by_hand():
    log2 = math.log2
    a = (1 + 1 / log2(4)) / (1 + 1 / log2(3))
    b = 1 / log2(3)
    value = metric_oracles.ndcg_at_k(PREDICTIONS, LABELS)
    assert value == pytest.approx((a + b) / 4, abs=1e-15)
    assert metric_oracles.ndcg_at_k(PREDICTIONS, LABELS, k=1) == 1 / 4


@pytest.mark.parametrize("name", metric_oracles.METRICS)
def test_nothing_is_zero(name):
    oracle = metric_oracles.METRICS[name]
    assert oracle({}, {}) == 0.0
    assert oracle({}, {"a": {1}}) == 0.0
    no_true = oracle({"a": [(1, 0.5)]}, {"a": set()})
    assert no_true == (name == "label_ranking_average_precision")


@pytest.mark.parametrize("name", metric_oracles.METRICS)
def test_perfect_predictions_are_one(name):
    labels = {"a": {0, 1}, "b": {2}}
    predictions = {"a": [(0, 0.9), (1, 0.9)], "b": [(2, 0.9)]}
    settings = {"k": 1} if name == "precision_at_k" else {}
    assert metric_oracles.METRICS[name](predictions, labels, **settings) == 1.0


@pytest.mark.parametrize("top_k", [1, 3, 20])
@pytest.mark.parametrize("ties", TIES)
def test_what_score_has_equals_the_oracle_of_score(ties, top_k):
    predictions, labels = metric_oracles.random_tables(0, decimals=1)
    score = oracles.score_tables(predictions, labels, top_k=top_k, ties=ties)
    cut = {"top_k": top_k}
    assert metric_oracles.gap(predictions, labels, ties=ties, **cut) == score["gap"]
    assert metric_oracles.perr(predictions, labels, **cut) == score["perr"]
    assert metric_oracles.hit_at_k(predictions, labels) == score["hit_at_1"]
    value = metric_oracles.mean_average_precision(predictions, labels, ties=ties, **cut)
    assert value == pytest.approx(score["map"], abs=1e-15)


# By label


def test_average_precision_is_nan_where_a_label_is_true_nowhere():
    values = metric_oracles.average_precision(PREDICTIONS, LABELS, num_classes=5)
    np.testing.assert_array_equal(values, [0.5, 0, 1, np.nan, np.nan])
    assert len(metric_oracles.average_precision(PREDICTIONS, LABELS)) == 3


@pytest.mark.parametrize("average", ["macro", None])
def test_average_precision_equals_sklearn_without_ties(average):
    confidences, truth = dense(1)
    tables = metric_oracles.dense_tables(confidences, truth)
    expected = sklearn.metrics.average_precision_score(truth, confidences, average=average)
    if average is None:
        value = metric_oracles.average_precision(*tables, top_k=None)
    else:
        value = metric_oracles.mean_average_precision(*tables, top_k=None)
    assert value == pytest.approx(expected, abs=EXACT)


@pytest.mark.parametrize(
    ("ties", "value"),
    # Two of three tied at the cut after rank 1: HM, MH, hits over min(1, 1).
    [("expected", 0.5), ("optimistic", 1.0), ("pessimistic", 0.0)],
)
def test_label_map_cuts_through_tied_predictions(ties, value):
    predictions, labels = {"a": [(0, 0.5)], "b": [(0, 0.5)]}, {"a": {0}, "b": set()}
    assert metric_oracles.label_map_at_k(predictions, labels, 1, ties=ties) == value


@pytest.mark.parametrize("k", [1, 2, 3])
@pytest.mark.parametrize("ties", TIES)
def test_label_map_equals_enumeration_on_every_small_table(ties, k):
    for tables in metric_oracles.small_tables():
        value = metric_oracles.label_map_at_k(*tables, k, ties=ties)
        assert value == metric_oracles.label_map_at_k_by_enumeration(*tables, k, ties=ties), tables


@pytest.mark.parametrize("k", range(1, 9))
@pytest.mark.parametrize("ties", TIES)
def test_label_map_equals_enumeration_where_groups_are_large(ties, k):
    levels, hits = [0.9, 0.5, 0.5, 0.5, 0.5, 0.5, 0.2, 0.2], [0, 1, 0, 1, 0, 1, 1, 0]
    predictions = {str(n): [(0, level)] for n, level in enumerate(levels)}
    labels = {str(n): {0} if hit else set() for n, hit in enumerate(hits)}
    value = metric_oracles.label_map_at_k(predictions, labels, k, ties=ties)
    expected = metric_oracles.label_map_at_k_by_enumeration(predictions, labels, k, ties=ties)
    assert value == expected


# By video


@pytest.mark.parametrize("decimals", [None, 1, 0])
def test_label_ranking_average_precision_equals_sklearn_ties_included(decimals):
    confidences, truth = dense(2, decimals=decimals)
    truth[:5] = False
    truth[5:8] = True
    tables = metric_oracles.dense_tables(confidences, truth)
    expected = sklearn.metrics.label_ranking_average_precision_score(truth, confidences)
    value = metric_oracles.label_ranking_average_precision(*tables)
    assert value == pytest.approx(expected, abs=EXACT)


@pytest.mark.parametrize("k", [1, 3, 6, 9])
def test_ndcg_equals_sklearn_without_ties(k):
    confidences, truth = dense(3)
    value = metric_oracles.ndcg_at_k(*metric_oracles.dense_tables(confidences, truth), k)
    expected = sklearn.metrics.ndcg_score(truth, confidences, k=k)
    assert value == pytest.approx(expected, abs=EXACT)


def test_map_at_all_labels_equals_sklearn_by_video():
    confidences, truth = dense(4)
    expected = sklearn.metrics.average_precision_score(truth, confidences, average="samples")
    value = metric_oracles.map_at_k(*metric_oracles.dense_tables(confidences, truth), 6)
    assert value == pytest.approx(expected, abs=EXACT)


@pytest.mark.parametrize("k", [1, 2, 5, 6])
def test_precision_recall_and_hits_equal_numpy(k):
    confidences, truth = dense(5)
    tables = metric_oracles.dense_tables(confidences, truth)
    first = np.argsort(-confidences, axis=1)[:, :k]
    num_hits = np.take_along_axis(truth, first, axis=1).sum(axis=1)
    assert metric_oracles.precision_at_k(*tables, k) == pytest.approx((num_hits / k).mean())
    recall = (num_hits / truth.sum(axis=1)).mean()
    assert metric_oracles.recall_at_k(*tables, k) == pytest.approx(recall)
    assert metric_oracles.hit_at_k(*tables, k) == pytest.approx((num_hits > 0).mean())


def test_propensities_by_hand():
    labels = {str(n): {0} if n < 10 else set() for n in range(1000)}
    none, ten = 1.5**-0.55, 11.5**-0.55
    c = (math.log(1000) - 1) * 2.5**0.55
    expected = [1 / (1 + c * ten), 1 / (1 + c * none)]
    assert metric_oracles.label_propensities(labels, num_classes=2) == pytest.approx(expected)


@pytest.mark.parametrize("num_videos", [1, 2])
def test_propensities_of_few_videos_are_one(num_videos):
    labels = {str(n): {0} for n in range(num_videos)}
    assert metric_oracles.label_propensities(labels, num_classes=3) == [1, 1, 1]


def test_propensity_scored_precision_of_equal_propensities_is_plain():
    """Hits among the first k, over the most that can be."""
    confidences, truth = dense(6)
    tables = metric_oracles.dense_tables(confidences, truth)
    first = np.argsort(-confidences, axis=1)[:, :2]
    num_hits = np.take_along_axis(truth, first, axis=1).sum()
    expected = num_hits / np.minimum(truth.sum(axis=1), 2).sum()
    value = metric_oracles.psp_at_k(*tables, 2, propensities=[0.3] * 6)
    assert value == pytest.approx(expected, abs=EXACT)


# Curve


@pytest.mark.parametrize("decimals", [None, 1, 0])
def test_curve_equals_sklearn_ties_included(decimals):
    confidences, truth = dense(7, decimals=decimals)
    tables = metric_oracles.dense_tables(confidences, truth)
    expected = sklearn.metrics.precision_recall_curve(truth.ravel(), confidences.ravel())
    curve = metric_oracles.precision_recall_curve(*tables, top_k=None)
    for ours, theirs in zip(curve, expected, strict=True):
        assert ours == pytest.approx(theirs, abs=EXACT)


def test_curve_of_nothing_is_its_last_point():
    assert metric_oracles.precision_recall_curve({}, {}) == ([1.0], [0.0], [])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        curve = metric_oracles.precision_recall_curve({"a": [(1, 0.5)]}, {"a": set()})
    assert curve == ([0.0, 1.0], [0.0, 0.0], [0.5])


# Diagnosis


@pytest.mark.parametrize("ties", TIES)
def test_contributions_sum_to_gap(ties):
    predictions, labels = metric_oracles.random_tables(8, decimals=1)
    parts = metric_oracles.gap_contributions(predictions, labels, ties=ties)
    for name in ("by_label", "by_video"):
        assert math.fsum(parts[name]) == pytest.approx(parts["gap"], abs=EXACT)
    assert math.fsum(parts["lost_by_label"]) == pytest.approx(1 - parts["gap"], abs=EXACT)
    assert len(parts["by_video"]) == len(labels)


def test_contributions_by_hand():
    parts = metric_oracles.gap_contributions(PREDICTIONS, LABELS)
    assert parts["by_label"] == [0.1, 0, 0.2]
    assert parts["by_video"] == [0.2, 0.1, 0, 0, 0]
    assert parts["positives_by_label"] == [2, 1, 2]
    assert parts["lost_by_label"] == pytest.approx([0.3, 0.2, 0.2], abs=1e-15)


def test_losses_by_hand():
    losses = metric_oracles.gap_losses(PREDICTIONS, LABELS)
    # Moved: .95 miss, .9 hit, .8 hit, .7 miss, .6 hit, .4 miss.
    moved = (Fraction(1, 2) + Fraction(2, 3) + Fraction(3, 5)) / 5
    assert losses == {
        "gap": 0.3,
        "unpredicted": 0.4,
        "within_videos": float(moved - Fraction(3, 10)),
        "between_videos": float(Fraction(3, 5) - moved),
    }


@pytest.mark.parametrize("ties", TIES)
def test_losses_and_gap_sum_to_one(ties):
    for seed in range(3):
        predictions, labels = metric_oracles.random_tables(seed, num_videos=9, decimals=1)
        losses = metric_oracles.gap_losses(predictions, labels, ties=ties)
        assert math.fsum(losses.values()) == pytest.approx(1, abs=EXACT)
        assert min(losses.values()) >= 0


def test_gap_by_k_ends_at_gap():
    predictions, labels = metric_oracles.random_tables(9)
    values = metric_oracles.gap_by_k(predictions, labels, top_k=20)
    assert values[19] == metric_oracles.gap(predictions, labels)
    assert values[0] == metric_oracles.gap(predictions, labels, top_k=1)


def test_bands_by_hand():
    # Misses .95, .8, .6; one is added: 6 positives.
    bands = metric_oracles.gap_bands(PREDICTIONS, LABELS, missing_rate=0.4)
    best = (1 + 1 + Fraction(3, 4) + Fraction(4, 6)) / 6
    middle = (Fraction(1, 2) + Fraction(2, 3) + Fraction(3, 4) + Fraction(4, 6)) / 6
    worst = (Fraction(1, 2) + Fraction(2, 4) + Fraction(3, 5) + Fraction(4, 6)) / 6
    assert bands == {
        "worst": float(worst),
        "mean": float((best + middle + worst) / 3),
        "best": float(best),
        "gap": 0.3,
        "num_added": 1,
    }


@pytest.mark.parametrize("num_added", [0, 1, 2, 3, 4])
def test_bands_equal_the_enumeration_of_all_that_can_be_added(num_added):
    rng = np.random.default_rng(10)
    for _ in range(12):
        pairs = rng.integers(0, 3, size=6) / 4, rng.permutation([0, 0, 0, 0, 1, 1])
        predictions = {str(n): [(0, level)] for n, level in enumerate(pairs[0].tolist())}
        labels = {str(n): {0} if hit else set() for n, hit in enumerate(pairs[1].tolist())}
        labels["absent"] = {0}
        rate = num_added / 4
        for ties in TIES:
            gaps = metric_oracles.gaps_of_all_added(predictions, labels, num_added, ties=ties)
            bands = metric_oracles.gap_bands(predictions, labels, missing_rate=rate, ties=ties)
            assert (bands["worst"], bands["best"]) == (min(gaps), max(gaps))
            if ties == "expected":
                assert bands["mean"] == pytest.approx(sum(gaps) / len(gaps), abs=1e-15)


def test_mean_of_bands_equals_enumeration_on_every_small_table():
    for predictions, labels in metric_oracles.small_tables():
        num_misses = sum(
            label not in labels[name] for name, row in predictions.items() for label, _ in row
        )
        for num_added in range(num_misses + 1):
            rate = num_added / max(num_misses, 1)
            gaps = metric_oracles.gaps_of_all_added(predictions, labels, num_added)
            bands = metric_oracles.gap_bands(predictions, labels, missing_rate=rate)
            assert bands["num_added"] == num_added
            assert bands["mean"] == pytest.approx(sum(gaps) / len(gaps), abs=1e-15)


# Rated


@pytest.mark.parametrize("name", metric_oracles.METRICS)
def test_rating_everything_changes_nothing(name):
    oracle = metric_oracles.METRICS[name]
    predictions, labels = metric_oracles.random_tables(11, num_videos=20)
    rated = {row: set(range(40)) for row in labels}
    assert oracle(predictions, labels, rated=rated) == oracle(predictions, labels)


def test_unrated_predictions_leave_before_the_cut():
    predictions, labels = {"a": [(0, 0.9), (1, 0.8), (2, 0.7)]}, {"a": {1}}
    assert metric_oracles.gap(predictions, labels, top_k=1) == 0.0
    assert metric_oracles.gap(predictions, labels, top_k=1, rated={"a": {1, 2}}) == 1.0
    assert metric_oracles.hit_at_k(predictions, labels, rated={"a": {1, 2}}) == 1.0


@pytest.mark.parametrize("rated", [{}, {"a": {0}}])
def test_a_true_label_that_nobody_rated_is_refused(rated):
    with pytest.raises(ValueError, match=r"a: labels \{1\}"):
        metric_oracles.gap({"a": [(0, 0.9)]}, {"a": {1}}, rated=rated)
