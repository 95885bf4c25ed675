from itertools import product

import numpy as np
import pytest

import gapkit.metrics._error_bars.draws as drawing
from gapkit.errors import DataError, UsageError
from gapkit.metrics import bootstrap, bootstrap_gap, compare, compare_gap, gap
from gapkit.metrics._error_bars.draws import evaluate_draws
from gapkit.metrics._error_bars.intervals import p_shifted, share_as_large
from gapkit.metrics._error_bars.reweighting import reweigh
from gapkit.predictions import Labels, Predictions

EXACT = 1e-12
TIES = ["expected", "optimistic", "pessimistic"]
NAMES = ["gap", "mean_average_precision", "hit_at_k", "recall_at_k", "ndcg_at_k", "psp_at_k"]
every_metric = pytest.mark.parametrize("name", NAMES)


def two_files(seed, num_videos=60, num_classes=5, decimals=2, gain=0.1):
    rng = np.random.default_rng(seed)
    truth = rng.random((num_videos, num_classes)) < 0.3
    a, b = ((truth + 2 * rng.random(truth.shape)) / 3 for _ in range(2))
    return (a + gain * truth).round(decimals), b.round(decimals), truth


def swapped(a, b, is_first):
    """Both mixed files: the rows of a where `is_first`, and what is left."""
    choice = np.asarray(is_first)[:, None]
    return np.where(choice, a, b), np.where(choice, b, a)


# Resample by resample


@pytest.mark.parametrize("ties", TIES)
def test_both_files_are_scored_on_the_same_drawn_videos(ties):
    a, b, truth = two_files(0)
    result = compare_gap(a, b, truth, num_resamples=70, seed=2, ties=ties, top_k=3)
    rng = np.random.default_rng(2)
    for value in result.resamples:
        draw = rng.integers(60, size=60)
        values = [gap(file[draw], truth[draw], top_k=3, ties=ties) for file in (a, b)]
        assert value == pytest.approx(values[0] - values[1], rel=0, abs=EXACT)


@every_metric
def test_resamples_are_the_differences_of_two_bootstraps(name):
    a, b, truth = two_files(1)
    result = compare(name, a, b, truth, num_resamples=70)
    first, second = (bootstrap(name, file, truth, num_resamples=70) for file in (a, b))
    assert result.resamples.tolist() == (first.resamples - second.resamples).tolist()
    assert (result.value_a, result.value_b) == (first.value, second.value)
    assert result.difference == first.value - second.value


@pytest.mark.parametrize("ties", TIES)
@pytest.mark.parametrize("name", ["gap", "mean_average_precision"])
def test_p_of_randomisation_is_that_of_files_really_mixed(name, ties):
    a, b, truth = two_files(3, num_videos=25, decimals=1)
    result = compare(name, a, b, truth, num_resamples=100, seed=4, ties=ties, top_k=3)
    rng = np.random.default_rng(4)
    for _ in range(100):
        rng.integers(25, size=25)
    count = 0
    for _ in range(100):
        files = swapped(a, b, rng.integers(2, size=25, dtype=np.uint8))
        values = [
            bootstrap(name, file, truth, num_resamples=1, ties=ties, top_k=3).value
            for file in files
        ]
        count += abs(values[0] - values[1]) >= abs(result.difference) - EXACT
    assert result.p_randomisation == (1 + count) / 101


@every_metric
def test_mixed_files_are_scored_exactly(name):
    a, b, truth = two_files(5, num_videos=4, decimals=1)
    (*_,), (*_, pooled) = reweigh(name, [a, b], truth, {})
    choices = list(product([0, 1], repeat=4))

    def fill(weight_RL, draws):
        for lane, draw in enumerate(draws):
            weight_RL[:4, lane] = choices[draw]
            weight_RL[4:, lane] = 1 - np.array(choices[draw])

    (values,) = evaluate_draws([pooled], 16, fill)
    for choice, value in zip(choices, values, strict=True):
        expected = bootstrap(name, swapped(a, b, choice)[0], truth, num_resamples=1).value
        assert value == pytest.approx(expected, rel=0, abs=EXACT)


def test_tables_join_by_id():
    a, b, truth = two_files(6)
    ids = [f"v{row}" for row in range(60)]
    labels = Labels.from_dense(truth, ids)
    first = Predictions.from_dense(a, ids, top_k=5)
    second = Predictions.from_dense(b[::-1], ids[::-1], top_k=5)
    result = compare_gap(first, second, labels, num_resamples=50)
    narrow = [file.astype(np.float32) for file in (a, b)]
    expected = compare_gap(*narrow, truth, num_resamples=50)
    assert result == expected
    assert result.resamples.tolist() == expected.resamples.tolist()


def test_a_video_that_one_file_lacks_counts_for_both():
    ids = ["x", "y", "z"]
    labels = Labels(ids, [[0], [1], [0]])
    a = Predictions(ids, [[0], [1], [1]], [[0.9], [0.8], [0.7]])
    b = Predictions(["y"], [[1]], [[0.5]])
    result = compare_gap(a, b, labels, num_resamples=20)
    assert (result.value_a, result.value_b) == (pytest.approx(2 / 3), pytest.approx(1 / 3))
    rng = np.random.default_rng(0)
    for value in result.resamples:
        drawn = rng.integers(3, size=3).tolist()
        scores = [
            gap(
                Predictions(list("012"), [[row[0]] for row in rows], [[row[1]] for row in rows]),
                Labels(list("012"), [[[0], [1], [0]][row] for row in drawn]),
            )
            for rows in (
                [[(0, 0.9), (1, 0.8), (1, 0.7)][row] for row in drawn],
                [[(5, 0.1), (1, 0.5), (5, 0.1)][row] for row in drawn],
            )
        ]
        assert value == pytest.approx(scores[0] - scores[1], rel=0, abs=EXACT)


# Laws


@every_metric
def test_exchanged_files_give_the_opposite(name):
    a, b, truth = two_files(7)
    there, back = compare(name, a, b, truth), compare(name, b, a, truth)
    assert there.difference == -back.difference
    assert there.resamples.tolist() == (-back.resamples).tolist()
    assert there.standard_error == pytest.approx(back.standard_error, rel=EXACT)
    for interval in ("percentile", "bca"):
        low, high = getattr(back, interval)
        assert getattr(there, interval) == pytest.approx((-high, -low), rel=0, abs=1e-9)
    assert there.p_bootstrap == back.p_bootstrap
    assert there.p_randomisation == back.p_randomisation


@every_metric
def test_a_file_does_not_differ_from_itself(name):
    a, _, truth = two_files(8)
    result = compare(name, a, a.copy(), truth, num_resamples=50)
    assert (result.difference, result.standard_error) == (0.0, 0.0)
    assert result.percentile == result.bca == (0.0, 0.0)
    assert result.p_bootstrap == result.p_randomisation == 1.0
    assert result.detectable_difference == 0.0


def test_the_comparison_is_paired():
    a, _, truth = two_files(9, decimals=6)
    slightly = a + 1e-3 * np.random.default_rng(0).random(a.shape)
    paired = compare_gap(a, slightly, truth).standard_error
    assert paired < bootstrap_gap(a, truth).standard_error / 4


def test_a_clear_difference_is_found():
    a, b, truth = two_files(10, num_videos=200, gain=0.3)
    result = compare_gap(a, b, truth, num_resamples=400)
    assert result.p_bootstrap == result.p_randomisation == 1 / 401
    assert 0 < result.percentile[0] < result.difference < result.percentile[1]
    assert 0 < result.bca[0] < result.difference < result.bca[1]


def test_the_detectable_difference_is_that_of_a_z_test():
    a, b, truth = two_files(11)
    result = compare_gap(a, b, truth)
    assert result.detectable_difference == pytest.approx(2.8015852 * result.standard_error)
    wider = compare_gap(a, b, truth, confidence_level=0.99)
    assert wider.detectable_difference == pytest.approx(3.4174505 * result.standard_error)


def test_a_seed_reproduces_and_threads_change_no_bit(monkeypatch):
    a, b, truth = two_files(12)
    expected = compare_gap(a, b, truth, seed=3)
    for threads in (1, 2, 5):
        monkeypatch.setattr(drawing, "num_threads", lambda steps, count=threads: count)
        result = compare_gap(a, b, truth, seed=np.random.default_rng(3))
        assert result == expected
        assert result.resamples.tolist() == expected.resamples.tolist()
    assert compare_gap(a, b, truth, seed=4) != expected


def test_p_counts_the_files_as_they_are():
    null = np.array([-3.0, -1.0, 0.0, 2.0])
    assert share_as_large(null, 2.0) == share_as_large(null, -2.0) == 3 / 5
    assert share_as_large(null, 4.0) == 1 / 5
    assert share_as_large(null, 2.0 + 1e-14) == 3 / 5  # the same number, rounded otherwise


def test_p_shifted_moves_the_resamples_to_a_mean_of_zero():
    resamples = np.array([4.0, 6.0, 7.0, 9.0, 9.0])
    assert p_shifted(resamples, 2.0) == 4 / 6
    assert p_shifted(resamples, -3.0) == 2 / 6


# Edges and errors


@every_metric
def test_empty_input_gives_zeros(name):
    empty = np.zeros((0, 3))
    result = compare(name, empty, empty, empty.astype(bool), num_resamples=5)
    assert (result.difference, result.bca, result.num_videos) == (0.0, (0.0, 0.0), 0)
    assert result.p_bootstrap == result.p_randomisation == 1.0


def test_one_video_tells_nothing_by_randomisation():
    result = compare_gap([[0.9, 0.1]], [[0.1, 0.9]], [[1, 0]], num_resamples=30)
    assert result.difference == 0.5
    assert result.percentile == result.bca == (0.5, 0.5)
    assert result.p_randomisation == 1.0


def test_a_single_resample_has_no_standard_error():
    result = compare_gap(*two_files(0), num_resamples=1)
    assert np.isnan(result.standard_error)
    assert np.isnan(result.detectable_difference)


def test_settings_and_files_are_checked():
    a, b, truth = two_files(0)
    with pytest.raises(UsageError, match="num_resamples is 0"):
        compare_gap(a, b, truth, num_resamples=0)
    with pytest.raises(UsageError, match=r"confidence_level is 2\.0"):
        compare("perr", a, b, truth, confidence_level=2.0)
    with pytest.raises(UsageError, match="'f1'"):
        compare("f1", a, b, truth)
    with pytest.raises(UsageError, match="'k'"):
        compare("gap", a, b, truth, k=3)
    with pytest.raises(DataError, match=r"^b: .*\(59, 5\)"):
        compare_gap(a, b[1:], truth)


# Under the null


@pytest.mark.slow
def test_p_is_uniform_where_there_is_no_difference():
    rng = np.random.default_rng(0)
    randomisation, bootstrapped = [], []
    for seed in range(1000):
        truth = rng.random((200, 5)) < 0.3
        common = rng.normal(size=truth.shape)
        a, b = (common + truth + 0.7 * rng.normal(size=truth.shape) for _ in range(2))
        result = compare_gap(a, b, truth, top_k=4, seed=seed, num_resamples=499)
        randomisation.append(result.p_randomisation)
        bootstrapped.append(result.p_bootstrap)
    for p in (randomisation, bootstrapped):
        print([round(float(np.mean(np.array(p) < level)), 3) for level in (0.01, 0.05, 0.1, 0.5)])
    assert 0.035 <= np.mean(np.array(randomisation) < 0.05) <= 0.065
    assert 0.46 <= np.mean(np.array(randomisation) < 0.5) <= 0.54
