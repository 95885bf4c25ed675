import itertools

import numpy as np
import pytest

from gapkit.ensemble import average, explain
from gapkit.errors import DataError, UsageError
from gapkit.metrics import gap
from gapkit.predictions import Labels, Predictions


def make(seed, noises, num_videos=200, num_classes=9, k=4):
    rng = np.random.default_rng(seed)
    truth = rng.random((num_videos, num_classes)) < 0.25
    ids = [f"v{n}" for n in range(num_videos)]
    members = [
        Predictions.from_dense(
            1 / (1 + np.exp(-(2 * truth - 1 + noise * rng.normal(size=truth.shape)))), ids, top_k=k
        )
        for noise in noises
    ]
    return members, Labels.from_dense(truth, ids)


def mean_gap(members, weights, labels):
    return gap(average(members, weights, top_k=4), labels) if any(weights) else 0.0


@pytest.fixture(scope="module")
def case():
    members, labels = make(0, (1.0, 1.5, 2.0, 1.0))
    weights = [0.4, 0.3, 0.0, 0.3]
    return members, labels, weights, explain(members, labels, weights, top_k=4, num_orders=8)


def test_gaps_weights_and_leave_one_out_are_those_of_averages(case):
    members, labels, weights, result = case
    assert result.gap == mean_gap(members, weights, labels)
    assert result.weights == pytest.approx(weights)
    assert result.gaps.tolist() == [gap(member, labels) for member in members]
    for m in range(4):
        others = [weight * (other != m) for other, weight in enumerate(weights)]
        expected = result.gap - mean_gap(members, others, labels)
        assert result.leave_one_out[m] == pytest.approx(expected, abs=1e-12)
        low, high = result.leave_one_out_intervals[m]
        assert low <= expected <= high
    assert result.leave_one_out_intervals[2].tolist() == [0, 0]


def test_shapley_values_sum_to_the_whole_and_come_near_to_all_orders(case):
    members, labels, weights, result = case
    assert result.shapley.sum() == pytest.approx(result.gap, abs=2e-4)
    exact = np.zeros(4)
    orders = list(itertools.permutations([0, 1, 3]))
    for order in orders:
        taken = np.zeros(4)
        before = 0.0
        for m in order:
            taken[m] = weights[m]
            after = mean_gap(members, taken, labels)
            exact[m] += (after - before) / len(orders)
            before = after
    assert result.shapley[2] == result.shapley_errors[2] == 0
    assert (np.abs(result.shapley - exact) <= 4 * result.shapley_errors + 2e-4).all()


def test_correlations_and_overlaps_equal_a_join_by_label(case):
    members, _, _, result = case
    tables = [
        {
            (name, int(label)): float(confidence)
            for name, row, confidences in zip(m.ids, m.labels, m.confidences, strict=True)
            for label, confidence in zip(row, confidences, strict=True)
        }
        for m in members
    ]
    for a, b in itertools.combinations(range(4), 2):
        shared = sorted(tables[a].keys() & tables[b].keys())
        expected = np.corrcoef([[t[key] for key in shared] for t in (tables[a], tables[b])])[0, 1]
        assert result.correlations[a, b] == pytest.approx(expected)
        assert result.overlaps[a, b] == pytest.approx(len(shared) / 800)
    assert np.array_equal(result.correlations, result.correlations.T)
    assert np.diag(result.overlaps).tolist() == [1] * 4
    assert np.diag(result.correlations) == pytest.approx(1)


def test_the_nearest_neighbour_of_a_copy_is_the_copy():
    members, labels = make(1, (1.0, 1.2, 1.4))
    result = explain([*members, members[1]], labels, top_k=4, num_orders=2, num_resamples=20)
    assert result.neighbours[[1, 3]].tolist() == [3, 1]
    assert result.overlaps[1, 3] == 1


def test_a_member_that_shares_no_label_has_no_neighbour():
    labels = Labels(["v"], [[0]])
    members = [Predictions(["v"], [[m]], [[0.5]]) for m in range(2)]
    result = explain(members, labels, num_orders=1, num_resamples=5)
    assert np.isnan(result.correlations[0, 1])
    assert result.neighbours.tolist() == [0, 1]
    assert np.isnan(result.shapley_errors).all()


def test_the_best_means_grow_by_forward_selection():
    members, labels = make(2, (2.5, 1.0, 2.0, 1.1, 3.0))
    result = explain(members, labels, top_k=4, num_orders=1, num_resamples=5)
    assert result.sizes.tolist() == [1, 2, 4, 5]
    assert sorted(result.order.tolist()) == [0, 1, 2, 3, 4]
    assert result.size_gaps[0] == result.gaps.max()
    pairs = [
        mean_gap(members, [float(m in (result.order[0], other)) for m in range(5)], labels)
        for other in range(5)
        if other != result.order[0]
    ]
    assert result.size_gaps[1] == pytest.approx(max(pairs), abs=1e-4)
    assert result.size_gaps[-1] == mean_gap(members, [1.0] * 5, labels)


def test_the_table_names_each_member_and_what_it_adds(case):
    _, _, _, result = case
    lines = str(result).splitlines()
    assert lines[0].split()[:4] == ["member", "gap", "weight", "leave"]
    assert lines[1].startswith("member 1")
    assert f"{result.leave_one_out[0]:+.5f}" in lines[1]
    assert lines[-1].endswith(f"4: {result.size_gaps[-1]:.5f}")


def test_one_member_is_the_whole():
    members, labels = make(3, (1.0,))
    result = explain(members, labels, num_orders=2, num_resamples=20, names=["a"])
    assert result.leave_one_out.tolist() == [result.gap]
    assert result.shapley[0] == pytest.approx(result.gap, abs=2e-4)
    assert result.sizes.tolist() == [1]
    assert str(result).splitlines()[1].startswith("a ")


def test_bad_arguments_are_refused_by_their_values():
    members, labels = make(3, (1.0, 1.0))
    with pytest.raises(UsageError, match=r"num_orders is 0. It must be a whole number from 1"):
        explain(members, labels, num_orders=0)
    with pytest.raises(UsageError, match=r"3 weights for 2 members"):
        explain(members, labels, [1, 1, 1])
    with pytest.raises(UsageError, match=r"mode is 'max', which weighs nothing"):
        explain(members, labels, mode="max")
    with pytest.raises(DataError, match=r"member 2: none of its 1 videos is among the 200"):
        explain([members[0], Predictions(["x"], [[0]], [[0.5]])], labels)
