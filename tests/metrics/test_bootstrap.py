from types import SimpleNamespace

import metric_oracles
import numpy as np
import pytest
import scipy.stats

import gapkit.metrics._error_bars.draws as drawing
from gapkit.errors import DataError, GapkitError, UsageError
from gapkit.metrics import bootstrap, bootstrap_gap, gap, gap_from_hits
from gapkit.metrics._error_bars.intervals import bca_interval, percentile_interval
from gapkit.predictions import Labels, Predictions

EXACT = 1e-12
TIES = ["expected", "optimistic", "pessimistic"]
NAMES = [
    "hit_at_k",
    "precision_at_k",
    "recall_at_k",
    "map_at_k",
    "ndcg_at_k",
    "perr",
    "label_ranking_average_precision",
    "psp_at_k",
]


def ragged(seed, num_videos=40, num_classes=7, decimals=1):
    """Tables as dicts: ties, ragged rows, videos without predictions or labels, an unknown id."""
    rng = np.random.default_rng(seed)
    labels, predictions = {}, {"unknown": [(0, 0.5)]}
    for video in range(num_videos):
        true = np.flatnonzero(rng.random(num_classes) < rng.choice([0.0, 0.2, 0.5]))
        labels[f"v{video}"] = set(true.tolist())
        if rng.random() < 0.2:
            continue
        size = rng.integers(num_classes + 1)
        chosen = rng.permutation(num_classes)[:size].tolist()
        confidences = rng.random(size).astype(np.float32).round(decimals).tolist()
        predictions[f"v{video}"] = list(zip(chosen, confidences, strict=True))
    return predictions, labels


def tables(predictions, labels, num_classes=7):
    return (
        Predictions(*metric_oracles.padded(predictions), num_classes=num_classes),
        Labels(list(labels), [sorted(row) for row in labels.values()], num_classes=num_classes),
    )


def draws(num_videos, count, seed):
    rng = np.random.default_rng(seed)
    return [rng.integers(num_videos, size=num_videos) for _ in range(count)]


def repeated(predictions, labels, draw):
    """The rows that are drawn, under new ids."""
    names = list(labels)
    drawn = {f"{place}": names[row] for place, row in enumerate(draw)}
    return (
        {place: predictions.get(name, []) for place, name in drawn.items()},
        {place: labels[name] for place, name in drawn.items()},
    )


def dense(seed, num_videos=60, num_classes=5, rate=0.3):
    rng = np.random.default_rng(seed)
    truth = rng.random((num_videos, num_classes)) < rate
    return (truth + 2 * rng.random(truth.shape)) / 3, truth


# Resample by resample


@pytest.mark.parametrize("ties", TIES)
@pytest.mark.parametrize("decimals", [0, 1, 6])
@pytest.mark.parametrize("top_k", [1, 3, 20, None])
def test_gap_of_a_resample_is_that_of_the_repeated_rows(ties, decimals, top_k):
    predictions, labels = ragged(decimals, decimals=decimals)
    options = {"top_k": top_k, "ties": ties}
    result = bootstrap_gap(*tables(predictions, labels), num_resamples=70, seed=3, **options)
    for draw, value in zip(draws(len(labels), 70, 3), result.resamples, strict=True):
        rows, true = repeated(predictions, labels, draw)
        kept = metric_oracles.keep(rows, true, top_k)
        pooled = [entry for row in kept.values() for entry in row]
        expected = gap_from_hits(
            np.array([confidence for _, confidence, _ in pooled]),
            np.array([hit for *_, hit in pooled]),
            sum(map(len, true.values())),
            ties=ties,
        )
        assert value == pytest.approx(expected, rel=0, abs=EXACT)


@pytest.mark.parametrize("ties", TIES)
@pytest.mark.parametrize("seed", range(3))
def test_a_resample_equals_the_oracle_in_exact_fractions(ties, seed):
    predictions, labels = ragged(seed, num_videos=12)
    for name in ("gap", "mean_average_precision"):
        result = bootstrap(
            name, *tables(predictions, labels), num_resamples=9, seed=seed, ties=ties, top_k=3
        )
        oracle = metric_oracles.METRICS[name]
        for draw, value in zip(draws(12, 9, seed), result.resamples, strict=True):
            expected = oracle(*repeated(predictions, labels, draw), top_k=3, ties=ties)
            assert value == pytest.approx(expected, rel=0, abs=EXACT)


@pytest.mark.parametrize("ties", TIES)
@pytest.mark.parametrize("decimals", [1, 6])
def test_mean_average_precision_of_a_resample_is_a_loop_over_labels(ties, decimals):
    predictions, labels = ragged(7, decimals=decimals)
    result = bootstrap(
        "mean_average_precision", *tables(predictions, labels), num_resamples=66, seed=1, ties=ties
    )
    for draw, value in zip(draws(len(labels), 66, 1), result.resamples, strict=True):
        rows, true = repeated(predictions, labels, draw)
        averages = []
        for label in range(7):
            positives = sum(label in row for row in true.values())
            entries = [
                (confidence, label in true[video])
                for video, row in rows.items()
                for predicted, confidence in row
                if predicted == label
            ]
            confidences = np.array([confidence for confidence, _ in entries])
            hits = np.array([hit for _, hit in entries], bool)
            if positives:
                averages.append(gap_from_hits(confidences, hits, positives, ties=ties))
        assert value == pytest.approx(np.mean(averages), rel=0, abs=EXACT)


@pytest.mark.parametrize("name", NAMES)
def test_a_metric_of_videos_is_that_of_the_repeated_rows(name):
    confidences, truth = dense(2)
    options = {"propensities": np.linspace(0.1, 1, 5)} if name == "psp_at_k" else {}
    result = bootstrap(name, confidences, truth, num_resamples=20, seed=4, **options)
    for draw, value in zip(draws(60, 20, 4), result.resamples, strict=True):
        rows = metric_oracles.dense_tables(confidences[draw], truth[draw])
        expected = metric_oracles.METRICS[name](*rows, **options)
        assert value == pytest.approx(expected, rel=0, abs=EXACT)


def test_resamples_take_rated_pairs_into_account():
    confidences, truth = dense(0)
    rated = truth | (np.random.default_rng(1).random(truth.shape) < 0.5)
    result = bootstrap_gap(confidences, truth, rated=rated, num_resamples=10)
    for draw, value in zip(draws(60, 10, 0), result.resamples, strict=True):
        expected = gap(confidences[draw], truth[draw], rated=rated[draw])
        assert value == pytest.approx(expected, rel=0, abs=EXACT)


def test_a_large_tied_group_and_many_copies_of_one_video_stay_exact():
    confidences, truth = np.full((300, 4), 0.5), np.zeros((300, 4), bool)
    truth[:3] = True
    result = bootstrap_gap(confidences, truth, num_resamples=5)
    for draw, value in zip(draws(300, 5, 0), result.resamples, strict=True):
        expected = gap(confidences[draw], truth[draw])
        assert value == pytest.approx(expected, rel=0, abs=EXACT)


@pytest.mark.parametrize("ties", TIES)
def test_labels_are_ranked_apart_where_all_confidences_are_equal(ties):
    truth = dense(6)[1]
    confidences = np.full(truth.shape, 0.5)
    result = bootstrap("mean_average_precision", confidences, truth, num_resamples=8, ties=ties)
    for draw, value in zip(draws(60, 8, 0), result.resamples, strict=True):
        rows = metric_oracles.dense_tables(confidences[draw], truth[draw])
        expected = metric_oracles.mean_average_precision(*rows, ties=ties)
        assert value == pytest.approx(expected, rel=0, abs=EXACT)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_confidences_of_any_type_and_range(dtype):
    confidences, truth = dense(5)
    confidences = (confidences * 8 - 4).astype(dtype)
    confidences[0, :2] = [-0.0, 0.0]
    result = bootstrap_gap(confidences, truth, num_resamples=8)
    for draw, value in zip(draws(60, 8, 0), result.resamples, strict=True):
        expected = gap(confidences[draw], truth[draw])
        assert value == pytest.approx(expected, rel=0, abs=EXACT)


# What is reported


@pytest.mark.parametrize("name", ["gap", "mean_average_precision", *NAMES])
def test_the_value_is_the_metric_of_the_videos_as_they_are(name):
    predictions, labels = ragged(4)
    result = bootstrap(name, *tables(predictions, labels), num_resamples=30)
    expected = metric_oracles.METRICS[name](predictions, labels)
    assert result.value == pytest.approx(expected, rel=0, abs=EXACT)
    assert result.num_videos == len(labels)
    assert result.resamples.shape == (30,)
    assert {type(x) for x in (result.value, *result.percentile, *result.bca)} == {float}


def test_standard_error_and_percentiles_are_those_of_the_resamples():
    result = bootstrap_gap(*dense(0), num_resamples=200, confidence_level=0.9)
    assert result.standard_error == pytest.approx(np.std(result.resamples, ddof=1))
    assert result.percentile == pytest.approx(tuple(np.percentile(result.resamples, [5, 95])))


def test_a_longer_run_begins_with_the_resamples_of_a_shorter_one():
    short = bootstrap_gap(*dense(0), num_resamples=70)
    long = bootstrap_gap(*dense(0), num_resamples=150)
    assert long.resamples[:70].tolist() == short.resamples.tolist()


def test_a_seed_reproduces_and_a_generator_moves_on():
    rng = np.random.default_rng(5)
    first, second = (bootstrap_gap(*dense(0), num_resamples=20, seed=rng) for _ in range(2))
    again = bootstrap_gap(*dense(0), num_resamples=20, seed=5)
    assert first == again
    assert first.resamples.tolist() == again.resamples.tolist()
    assert first.resamples.tolist() != second.resamples.tolist()


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_threads_change_no_bit(monkeypatch, threads):
    expected = bootstrap_gap(*dense(0), num_resamples=500)
    monkeypatch.setattr(drawing, "num_threads", lambda steps: threads)
    result = bootstrap_gap(*dense(0), num_resamples=500)
    assert result.resamples.tolist() == expected.resamples.tolist()


def test_the_order_of_predictions_does_not_matter():
    predictions, labels = ragged(3)
    backwards = dict(reversed(predictions.items()))
    first = bootstrap_gap(*tables(predictions, labels), num_resamples=20)
    second = bootstrap_gap(*tables(backwards, labels), num_resamples=20)
    assert first.resamples.tolist() == second.resamples.tolist()


# Intervals


@pytest.mark.parametrize("confidence_level", [0.5, 0.9, 0.95])
@pytest.mark.parametrize("rate", [0.05, 0.3, 0.8])
def test_intervals_of_a_mean_equal_scipy(rate, confidence_level):
    rng = np.random.default_rng(0)
    confidences = rng.random((150, 3))
    truth = np.eye(3, dtype=bool)[np.where(rng.random(150) < rate, confidences.argmax(axis=1), 0)]
    result = bootstrap("hit_at_k", confidences, truth, confidence_level=confidence_level)
    hits = truth[np.arange(150), confidences.argmax(axis=1)]
    for method, interval in (("percentile", result.percentile), ("BCa", result.bca)):
        expected = scipy.stats.bootstrap(
            (hits.astype(float),),
            np.mean,
            n_resamples=0,
            bootstrap_result=SimpleNamespace(bootstrap_distribution=result.resamples),
            confidence_level=confidence_level,
            method=method,
        ).confidence_interval
        assert interval == pytest.approx((expected.low, expected.high), rel=0, abs=1e-9)


def test_bca_is_the_formula_of_efron():
    rng = np.random.default_rng(0)
    resamples, jackknife, value = rng.gamma(3, size=999), rng.gamma(2, size=200), 2.4
    normal = scipy.stats.norm
    bias = normal.ppf((resamples < value).mean())
    shift = jackknife.mean() - jackknife
    acceleration = (shift**3).sum() / (6 * (shift**2).sum() ** 1.5)
    z = bias + normal.ppf([0.05, 0.95])
    expected = np.quantile(resamples, normal.cdf(bias + z / (1 - acceleration * z)))
    assert bca_interval(resamples, value, jackknife, 0.9) == pytest.approx(tuple(expected))


def test_bca_without_bias_and_acceleration_is_the_percentile_interval():
    resamples, jackknife = np.linspace(-1, 1, 101), np.linspace(-1, 1, 200)
    expected = percentile_interval(resamples, 0.8)
    assert bca_interval(resamples, 0.0, jackknife, 0.8) == pytest.approx(expected)


@pytest.mark.parametrize("value", [-5.0, 5.0])
def test_bca_of_a_value_beyond_all_resamples_stays_among_them(value):
    resamples, jackknife = np.linspace(-1, 1, 101), np.linspace(-1, 1, 200) ** 3
    low, high = bca_interval(resamples, value, jackknife, 0.95)
    assert -1 <= low <= high <= 1


@pytest.mark.parametrize("sign", [-1, 1])
def test_bca_of_an_extreme_acceleration_stays_among_the_resamples(sign):
    jackknife = np.zeros(200)
    jackknife[0] = sign
    low, high = bca_interval(np.linspace(-1, 1, 101), 0.0, jackknife, 1 - 1e-12)
    assert -1 <= low <= high <= 1


# Edges


@pytest.mark.parametrize("name", ["gap", "mean_average_precision", *NAMES])
def test_empty_input_gives_zeros(name):
    for given in ((np.zeros((0, 3)), np.zeros((0, 3), bool)), tables({}, {})):
        result = bootstrap(name, *given, num_resamples=5)
        assert result.resamples.tolist() == [0.0] * 5
        assert (result.value, result.standard_error, result.num_videos) == (0.0, 0.0, 0)
        assert result.percentile == result.bca == (0.0, 0.0)


@pytest.mark.parametrize("name", ["gap", "mean_average_precision"])
def test_no_positives_and_no_predictions_give_zeros(name):
    labels = {"a": set(), "b": set()}
    for predictions in ({"a": [(1, 0.5)]}, {}):
        result = bootstrap(name, *tables(predictions, labels), num_resamples=5)
        assert (result.value, result.percentile, result.bca) == (0.0, (0.0, 0.0), (0.0, 0.0))
    result = bootstrap(name, *tables({}, {"a": {1}, "b": {2}}), num_resamples=5)
    assert (result.value, result.bca) == (0.0, (0.0, 0.0))


def test_one_video_has_no_spread():
    result = bootstrap_gap([[0.9, 0.8, 0.1]], [[0, 1, 0]], num_resamples=30)
    assert result.resamples.tolist() == [0.5] * 30
    assert (result.value, result.standard_error) == (0.5, 0.0)
    assert result.percentile == result.bca == (0.5, 0.5)


def test_a_perfect_file_has_no_spread():
    truth = np.eye(4, dtype=bool)[[0, 1, 2, 3, 0, 1]]
    result = bootstrap_gap(truth.astype(np.float32), truth, num_resamples=30)
    assert result.bca == pytest.approx((1.0, 1.0))


def test_a_single_resample_has_no_standard_error():
    result = bootstrap_gap(*dense(0), num_resamples=1)
    assert np.isnan(result.standard_error)
    assert result.percentile == result.bca == (result.resamples[0],) * 2


# Errors


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"num_resamples": 0}, ["num_resamples", "0", "at least 1"]),
        ({"num_resamples": 2.5}, ["num_resamples", "2.5", "whole number"]),
        ({"num_resamples": True}, ["num_resamples", "True"]),
        ({"confidence_level": 1.0}, ["confidence_level", "1.0", "between 0 and 1"]),
        ({"confidence_level": 95}, ["confidence_level", "95", "0.95"]),
        ({"confidence_level": float("nan")}, ["confidence_level", "nan"]),
        ({"confidence_level": "high"}, ["confidence_level", "'high'"]),
        ({"seed": -1}, ["seed", "-1"]),
        ({"seed": 0.5}, ["seed", "0.5", "Generator"]),
        ({"top_k": 0}, ["top_k", "0"]),
        ({"ties": "shuffle"}, ["'shuffle'", "expected"]),
    ],
)
def test_settings_are_checked(settings, words):
    with pytest.raises(UsageError) as caught:
        bootstrap_gap(*dense(0), **settings)
    for word in words:
        assert word in str(caught.value)


def test_unknown_metrics_and_settings_are_named():
    with pytest.raises(UsageError, match=r"'f1'.*gap.*mean_average_precision.*perr"):
        bootstrap("f1", *dense(0))
    with pytest.raises(UsageError, match=r"'depth'.*top_k"):
        bootstrap("gap", *dense(0), depth=3)
    with pytest.raises(UsageError, match="'ties'"):
        bootstrap("hit_at_k", *dense(0), ties="expected")
    with pytest.raises(GapkitError, match="0"):
        bootstrap("hit_at_k", *dense(0), k=0)


def test_swapped_arguments_are_an_error():
    confidences, truth = dense(0)
    with pytest.raises(DataError, match="swapped"):
        bootstrap_gap(truth, confidences)


# Coverage


@pytest.mark.slow
@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_intervals_hold_the_truth_as_often_as_they_say(method):
    def draw(rng, num_videos):
        quality = rng.normal(size=(num_videos, 1))
        truth = rng.random((num_videos, 6)) < 0.3
        return rng.normal(size=truth.shape) + (1 + 0.5 * quality) * truth + 0.5 * quality, truth

    rng = np.random.default_rng(0)
    expected = gap(*draw(rng, 2_000_000), top_k=4)
    held = 0
    for seed in range(1000):
        result = bootstrap_gap(*draw(rng, 400), top_k=4, seed=seed)
        low, high = getattr(result, method)
        held += low <= expected <= high
    print(f"{method}: {held / 1000:.3f}")
    assert 0.93 <= held / 1000 <= 0.97
