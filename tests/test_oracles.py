import gzip
import math
from fractions import Fraction
from itertools import combinations_with_replacement, product

import numpy as np
import oracles
import pytest
from sklearn.metrics import average_precision_score


def distinct_confidences(rng, shape):
    size = math.prod(shape)
    return (rng.permutation(size).reshape(shape) + 1) / (size + 1)


def small_inputs(num_levels, max_size):
    """Every multiset of (confidence, hit) up to max_size predictions."""
    kinds = list(product(range(num_levels), (False, True)))
    for size in range(max_size + 1):
        for pairs in combinations_with_replacement(kinds, size):
            yield [level / num_levels for level, _ in pairs], [hit for _, hit in pairs]


# GAP


def test_gap_is_precision_at_each_hit_over_positives():
    # Ranks 1 and 3 are hits: precisions 1 and 2/3; 4 positives.
    assert oracles.gap_from_hits([0.7, 0.9, 0.8], [1, 1, 0], 4) == float(Fraction(5, 12))


@pytest.mark.parametrize(
    ("ties", "value"),
    [("expected", Fraction(3, 4)), ("optimistic", Fraction(1)), ("pessimistic", Fraction(1, 2))],
)
def test_gap_of_one_hit_in_a_pair(ties, value):
    assert oracles.gap_from_hits([0.5, 0.5], [0, 1], 1, ties) == float(value)


@pytest.mark.parametrize(
    ("ties", "value"),
    # Orders HHM, HMH and MHH: 1, 5/6 and 7/12.
    [("expected", Fraction(29, 36)), ("optimistic", Fraction(1)), ("pessimistic", Fraction(7, 12))],
)
def test_gap_of_two_hits_in_three_tied(ties, value):
    assert oracles.gap_from_hits([0.5, 0.5, 0.5], [0, 1, 1], 2, ties) == float(value)
    assert oracles.gap_by_enumeration([0.5, 0.5, 0.5], [0, 1, 1], 2, ties) == float(value)


@pytest.mark.parametrize("ties", oracles.TIES)
def test_gap_without_positives_is_zero(ties):
    for function in (oracles.gap_from_hits, oracles.gap_by_enumeration):
        assert function([], [], 0, ties) == 0.0
        assert function([0.5], [False], 0, ties) == 0.0
        assert function([], [], 3, ties) == 0.0


def test_gap_refuses_an_unknown_rule():
    with pytest.raises(ValueError, match="shuffle"):
        oracles.gap_from_hits([0.5], [True], 1, "shuffle")


@pytest.mark.parametrize("ties", oracles.TIES)
def test_closed_form_equals_enumeration_on_every_small_input(ties):
    num_inputs = 0
    for confidences, hits in small_inputs(num_levels=3, max_size=5):
        num_positives = sum(hits) + 1
        closed = oracles.gap_from_hits(confidences, hits, num_positives, ties)
        assert closed == oracles.gap_by_enumeration(confidences, hits, num_positives, ties)
        num_inputs += 1
    assert num_inputs == math.comb(11, 5)


@pytest.mark.parametrize("ties", oracles.TIES)
def test_closed_form_equals_enumeration_of_one_group_of_seven_below_others(ties):
    confidences, hits = [0.9, 0.8] + [0.5] * 7, [0, 1, 0, 1, 1, 0, 0, 1, 0]
    closed = oracles.gap_from_hits(confidences, hits, 6, ties)
    assert closed == oracles.gap_by_enumeration(confidences, hits, 6, ties)


def test_starter_code_and_sklearn_agree_without_ties():
    rng = np.random.default_rng(0)
    for size in (1, 2, 10, 500):
        confidences = distinct_confidences(rng, (size,))
        hits = rng.random(size) < 0.3
        hits[0] = True
        num_hits = int(hits.sum())
        gap = oracles.gap_from_hits(confidences, hits, num_hits)
        starter = oracles.starter_code_gap(confidences, hits, num_hits)
        assert starter == pytest.approx(gap, abs=1e-12)
        assert average_precision_score(hits, confidences) == pytest.approx(gap, abs=1e-12)
        starter = oracles.starter_code_gap(confidences, hits, num_hits + 7)
        assert starter == pytest.approx(gap * num_hits / (num_hits + 7), abs=1e-12)


def test_starter_code_refuses_ties():
    with pytest.raises(ValueError, match="ties"):
        oracles.starter_code_gap([0.0, -0.0], [True, False], 1)


# Rows and tables


def test_top_k_rows_break_ties_by_rising_label():
    dense = np.array([[0.1, 0.5, 0.3, 0.5], [0.0, -0.0, 0.0, 0.0]], dtype=np.float32)
    first, second = oracles.top_k_rows(dense, 3)
    assert first == [(1, 0.5), (3, 0.5), (2, float(np.float32(0.3)))]
    assert [label for label, _ in second] == [0, 1, 2]
    assert [len(row) for row in oracles.top_k_rows(dense, 9)] == [4, 4]


def test_score_of_a_table_by_hand():
    predictions = {
        "a": [(2, 0.4), (0, 0.9), (1, 0.6)],
        "b": [(0, 0.8), (2, 0.7)],
        "none true": [(1, 0.95)],
        "stranger": [(0, 1.0)],
        "empty": [],
    }
    labels = {"a": {0, 2}, "b": {2}, "none true": set(), "absent": {1}, "empty": {0}}
    score = oracles.score_tables(predictions, labels, num_classes=3)
    # Pooled: .95 miss, .9 hit, .8 miss, .7 hit, .6 miss, .4 hit; 5 positives.
    assert score == {
        "gap": float((Fraction(1, 2) + Fraction(2, 4) + Fraction(3, 6)) / 5),
        "hit_at_1": float(Fraction(1, 5)),
        # a: labels 0, 1 of {0, 2}; b: label 0 of {2}; absent and empty: 0.
        "perr": float(Fraction(1, 2) / 4),
        # Label 0: .9 hit, .8 miss, 2 positives. 1: .95 and .6 miss. 2: .7 and .4 hit.
        "map": float((Fraction(1, 2) + 0 + 1) / 3),
        "num_videos": 5,
        "num_positives": 5,
        "missing": 1,
        "ignored": 1,
    }


def test_score_cuts_rows_at_top_k():
    predictions = {"a": [(0, 0.5), (1, 0.5), (2, 0.9)]}
    score = oracles.score_tables(predictions, {"a": {0, 1}}, top_k=2)
    assert score["gap"] == float(Fraction(1, 2) / 2)  # 2, then 0; 1 is cut
    assert score["perr"] == 0.5
    assert score["map"] == 0.5
    assert oracles.score_tables(predictions, {"a": {0, 1}}, top_k=1)["gap"] == 0.0


def test_score_of_nothing_is_zero():
    assert set(oracles.score_tables({}, {}).values()) == {0}
    score = oracles.score_tables({"a": [(1, 0.5)]}, {"a": set()})
    assert (score["gap"], score["hit_at_1"], score["perr"], score["map"]) == (0, 0, 0, 0)
    assert (score["num_videos"], score["num_positives"]) == (1, 0)


@pytest.mark.parametrize("labels", [{"a": {3}}, {"a": {-1}}])
def test_score_refuses_labels_out_of_range(labels):
    with pytest.raises(ValueError, match="out of range"):
        oracles.score_tables({}, labels, num_classes=3)


def test_score_equals_sklearn_on_dense_rows_without_ties():
    rng = np.random.default_rng(1)
    confidences = distinct_confidences(rng, (30, 6))
    truth = rng.random((30, 6)) < 0.3
    predictions = {str(n): row for n, row in enumerate(oracles.top_k_rows(confidences, 6))}
    labels = {str(n): set(np.flatnonzero(row).tolist()) for n, row in enumerate(truth)}
    score = oracles.score_tables(predictions, labels, num_classes=6)
    micro = average_precision_score(truth, confidences, average="micro")
    macro = average_precision_score(truth, confidences, average="macro")
    assert score["gap"] == pytest.approx(micro, abs=1e-12)
    assert score["map"] == pytest.approx(macro, abs=1e-12)
    assert score["hit_at_1"] == truth[np.arange(30), confidences.argmax(axis=1)].mean()


def test_ensemble_by_hand():
    members = [{"a": [(1, 0.75), (2, 0.25)], "b": [(7, 0.5)]}, {"a": [(2, 0.5), (3, 0.75)]}]
    assert oracles.ensemble(members) == {
        "a": [(1, 0.375), (2, 0.375), (3, 0.375)],
        "b": [(7, 0.25)],
    }
    weighted = oracles.ensemble(members, weights=[1, 3], top_k=2)
    assert weighted == {"a": [(3, 0.5625), (2, 0.4375)], "b": [(7, 0.125)]}


def test_ensemble_rounds_to_float32_before_it_orders():
    just_above = 0.5 + 2**-40
    (row,) = oracles.ensemble([{"a": [(9, just_above), (4, 0.5)]}]).values()
    assert row == [(4, 0.5), (9, 0.5)]
    assert all(type(confidence) is np.float32 for _, confidence in row)


# The layer-normalised cell


def random_cell(rng, D, H):
    return (
        rng.normal(size=(4 * H, D)),
        rng.normal(size=(4 * H, H)),
        rng.normal(loc=1, size=(5, H)),
        rng.normal(size=(5, H)),
    )


def sigmoid(v):
    return 1 / (1 + math.exp(-v))


def test_one_unit_is_its_shifts():
    """One unit equals its mean, so that what is normalised is the shift alone."""
    rng = np.random.default_rng(2)
    weight_ih, weight_hh, gain, _ = random_cell(rng, D=3, H=1)
    shift = np.array([[0.1], [0.2], [0.3], [0.4], [0.5]])
    h_TH = oracles.layer_norm_lstm(rng.normal(size=(4, 3)), weight_ih, weight_hh, gain, shift)
    assert h_TH == pytest.approx(np.full((4, 1), sigmoid(0.4) * math.tanh(0.5)), abs=1e-12)


def test_two_units_carry_the_normalised_state():
    """Step 2 reads no input; its sign would be the other one if the raw state were carried."""
    weight_ih = np.zeros((8, 1))
    weight_ih[4:6, 0] = 2, -2  # g alone sees the input: pre-activations 2, -2
    gain, shift = np.ones((5, 2)), np.zeros((5, 2))
    shift[1] = 0, -2  # forget gates sigmoid(1), sigmoid(-1)
    shift[4] = -5
    h_TH = oracles.layer_norm_lstm([[1.0], [0.0]], weight_ih, np.zeros((8, 2)), gain, shift)

    def normalise(a, b):
        mean, half = (a + b) / 2, (a - b) / 2
        scaled = [(v - mean) / math.sqrt(half**2 + 1e-5) for v in (a, b)]
        return scaled[0] - 5, scaled[1] - 5

    g = math.tanh(2 / math.sqrt(4 + 1e-5))
    first = normalise(0.5 * g, 0.5 * -g)
    second = normalise(sigmoid(1) * first[0], sigmoid(-1) * first[1])
    assert first[0] > first[1]
    assert second[0] < second[1]
    expected = [[0.5 * math.tanh(c) for c in state] for state in (first, second)]
    assert h_TH == pytest.approx(np.array(expected), abs=1e-12)


def test_cell_equals_torch_layer_norm_step_by_step():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(3)
    T, D, H = 6, 4, 5
    x_TD = rng.normal(size=(T, D))
    arrays = random_cell(rng, D, H)
    weight_ih, weight_hh, gain, shift = (torch.from_numpy(array) for array in arrays)
    h_1H, c_1H, outputs = torch.zeros(1, H).double(), torch.zeros(1, H).double(), []
    for x_D in torch.from_numpy(x_TD):
        summed = (
            torch.nn.functional.linear(x_D[None], weight_ih)
            + torch.nn.functional.linear(h_1H, weight_hh)
        ).chunk(4, dim=1)
        i, f, g, o = (
            torch.nn.functional.layer_norm(summed[n], (H,), gain[n], shift[n], 1e-5)
            for n in range(4)
        )
        c_1H = (f + 1).sigmoid() * c_1H + i.sigmoid() * g.tanh()
        c_1H = torch.nn.functional.layer_norm(c_1H, (H,), gain[4], shift[4], 1e-5)
        h_1H = o.sigmoid() * c_1H.tanh()
        outputs.append(h_1H)
    expected = torch.cat(outputs).numpy()
    assert oracles.layer_norm_lstm(x_TD, *arrays) == pytest.approx(expected, abs=1e-10)


def test_reverse_reads_backwards_and_keeps_positions():
    rng = np.random.default_rng(4)
    x_TD, cell = rng.normal(size=(5, 3)), random_cell(rng, D=3, H=4)
    backward = oracles.layer_norm_lstm(x_TD, *cell, reverse=True)
    np.testing.assert_array_equal(backward[::-1], oracles.layer_norm_lstm(x_TD[::-1], *cell))
    np.testing.assert_array_equal(backward[4:], oracles.layer_norm_lstm(x_TD[4:], *cell))


# Files and frames


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_read_kaggle_csv(tmp_path, compress):
    content = 'VideoId,LabelConfidencePairs\nxQ3a,11 0.99 2 1e-05\n"b,c",7 1\nempty,\n'
    (tmp_path / "any.name").write_bytes(compress(content.encode()))
    predictions = oracles.read_kaggle_csv(tmp_path / "any.name")
    assert predictions == {"xQ3a": [(11, 0.99), (2, 1e-05)], "b,c": [(7, 1.0)], "empty": []}


@pytest.mark.parametrize(
    ("start", "stride", "max_frames", "kept"),
    [
        (0, 5, 45, [0, 5, 10]),
        (4, 5, 45, [4, 9]),
        (9, 5, 1, [9]),
        (11, 5, 45, [11]),
        (99, 5, 45, [11]),  # past the end: the last frame
        (0, 1, 3, [0, 1, 2]),
    ],
)
def test_crop(start, stride, max_frames, kept):
    assert oracles.crop(list(range(12)), start, stride, max_frames) == kept
    assert oracles.crop(np.arange(12), start, stride, max_frames).tolist() == kept
