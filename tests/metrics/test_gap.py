from fractions import Fraction
from functools import cache
from itertools import combinations_with_replacement, product

import numpy as np
import oracles
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gapkit.errors import DataError, GapkitError
from gapkit.metrics import gap, gap_from_hits
from gapkit.predictions import Labels, Predictions

DTYPES = [np.float16, np.float32, np.float64]
TIES = oracles.TIES
EXACT = 1e-12

cached_oracle = cache(oracles.gap_from_hits)


def neighbours(value, dtype):
    """The floats just below and above a value, and the value."""
    value = dtype(value)
    return [np.nextafter(value, dtype(-np.inf)), value, np.nextafter(value, dtype(np.inf))]


def check(confidences, hits, num_positives):
    """Every tie rule equals the oracle."""
    for ties in TIES:
        value = gap_from_hits(confidences, hits, num_positives, ties=ties)
        expected = oracles.gap_from_hits(confidences, hits, num_positives, ties)
        assert value == pytest.approx(expected, rel=0, abs=EXACT), ties


def dense_gap_oracle(confidences, truth, top_k=20, ties="expected"):
    predictions = dict(enumerate(oracles.top_k_rows(confidences, top_k)))
    labels = {n: set(np.flatnonzero(row).tolist()) for n, row in enumerate(np.asarray(truth))}
    return oracles.score_tables(predictions, labels, top_k=top_k, ties=ties)["gap"]


# Values by hand


def test_gap_is_precision_at_each_hit_over_positives():
    value = gap_from_hits(np.array([0.7, 0.9, 0.8]), np.array([True, True, False]), 4)
    assert value == pytest.approx(5 / 12, abs=1e-15)
    assert type(value) is float


@pytest.mark.parametrize(
    ("ties", "value"), [("expected", 29 / 36), ("optimistic", 1.0), ("pessimistic", 7 / 12)]
)
def test_two_hits_in_three_tied(ties, value):
    hits = np.array([True, False, True])
    assert gap_from_hits(np.full(3, 0.5), hits, 2, ties=ties) == pytest.approx(value, abs=1e-15)


def test_the_default_rule_is_expected():
    confidences, hits = np.full(2, 0.5, dtype=np.float32), np.array([False, True])
    assert gap_from_hits(confidences, hits, 1) == 0.75
    assert gap(confidences[None], hits[None]) == 0.75


def test_lists_are_taken():
    assert gap_from_hits([0.9, 0.8], [True, False], 1) == 1.0
    assert gap_from_hits([0.9, 0.8], [0, 1], 1) == 0.5
    assert gap([[0.9, 0.8], [0.1, 0.2]], [[1, 0], [0, 0]]) == 1.0


# Exhaustive


@cache
def ordered_inputs(max_size):
    """Every (level, hit) sequence over three levels up to max_size predictions."""
    kinds = list(product(range(3), (False, True)))
    return [pairs for size in range(max_size + 1) for pairs in product(kinds, repeat=size)]


@cache
def unordered_inputs(size):
    kinds = list(product(range(3), (False, True)))
    return list(combinations_with_replacement(kinds, size))


@pytest.mark.parametrize("ties", TIES)
@pytest.mark.parametrize(
    ("dtype", "levels"),
    [
        (np.float16, [0.0, 0.5, 1.0]),
        (np.float32, [0.0, 0.5, 1.0]),
        (np.float32, neighbours(1.0, np.float32)),
        (np.float32, [-2.0, 0.5, 7.0]),
        (np.float64, [0.0, 0.5, 1.0]),
        (np.float64, [-2.0, 0.5, 7.0]),
    ],
)
def test_equals_the_oracle_on_every_small_input(dtype, levels, ties):
    levels = np.array(levels, dtype=dtype)
    inputs = [*ordered_inputs(4), *unordered_inputs(5), *(i[::-1] for i in unordered_inputs(5))]
    for pairs in inputs:
        level = np.array([level for level, _ in pairs], dtype=int)
        hits = np.array([hit for _, hit in pairs], dtype=bool)
        num_positives = int(hits.sum()) + len(pairs) % 2
        ranked = tuple(sorted(pairs))
        expected = cached_oracle(
            tuple(level for level, _ in ranked),
            tuple(hit for _, hit in ranked),
            num_positives,
            ties,
        )
        value = gap_from_hits(levels[level], hits, num_positives, ties=ties)
        assert value == pytest.approx(expected, rel=0, abs=EXACT), (pairs, num_positives)


@pytest.mark.parametrize("top_k", [1, 2, 3])
def test_dense_equals_the_oracle_on_every_small_table(top_k):
    rows = list(product([0.0, 0.5, 1.0], repeat=3))
    truths = list(product([False, True], repeat=3))
    rng = np.random.default_rng(0)
    for row, truth in product(rows, truths):
        confidences = np.array([row, rng.choice([0.0, 0.5, 1.0], size=3)], dtype=np.float32)
        labels = np.array([truth, rng.random(3) < 0.5])
        for ties in TIES:
            value = gap(confidences, labels, top_k=top_k, ties=ties)
            expected = dense_gap_oracle(confidences, labels, top_k, ties)
            assert value == pytest.approx(expected, rel=0, abs=EXACT), (confidences, labels, ties)


# Larger inputs of awkward shapes


def neighbouring(rng, size):
    """As many neighbouring float32 as there are predictions, so that the top bits are all alike."""
    start = np.float32(0.7).view(np.uint32)
    return (start + rng.permutation(size).astype(np.uint32)).view(np.float32)


SHAPES = {
    "uniform": lambda rng, size: rng.random(size, dtype=np.float32),
    "float64": lambda rng, size: rng.random(size),
    "two decimals": lambda rng, size: rng.random(size, dtype=np.float32).round(2),
    "float16": lambda rng, size: rng.random(size).astype(np.float16),
    "skewed": lambda rng, size: rng.random(size, dtype=np.float32) ** 12,
    "all equal": lambda rng, size: np.full(size, 0.3, dtype=np.float32),
    "zeros and ones": lambda rng, size: rng.integers(0, 2, size).astype(np.float32),
    "mostly zero": lambda rng, size: np.maximum(rng.random(size, dtype=np.float32) - 0.9, 0),
    "neighbouring": neighbouring,
    "denormal": lambda rng, size: rng.integers(0, 50, size).astype(np.uint32).view(np.float32),
    "logits": lambda rng, size: rng.normal(scale=9, size=size).astype(np.float32),
    "rounded logits": lambda rng, size: rng.normal(size=size).round(1),
    "one outside": lambda rng, size: np.append(rng.random(size - 1).round(2), 1.5),
}


@pytest.mark.parametrize("size", [1, 2, 40, 1500])
@pytest.mark.parametrize("shape", SHAPES)
def test_equals_the_oracle_on_awkward_shapes(shape, size):
    rng = np.random.default_rng(size)
    confidences = SHAPES[shape](rng, size)
    for rate in (0.02, 0.5, 1.0):
        hits = rng.random(size) < rate
        check(confidences, hits, int(hits.sum()) + 3)


@pytest.mark.parametrize(
    "shape", ["two decimals", "neighbouring", "mostly zero", "all equal", "rounded logits"]
)
def test_equals_the_oracle_on_many_predictions(shape):
    rng = np.random.default_rng(4)
    confidences = SHAPES[shape](rng, 30_000)
    check(confidences, rng.random(30_000) < 0.1, 9_876)


@pytest.mark.parametrize("shape", ["uniform", "two decimals", "logits", "float64"])
def test_many_predictions_do_not_depend_on_their_order(shape):
    rng = np.random.default_rng(5)
    confidences = SHAPES[shape](rng, 200_000)
    hits = rng.random(200_000) < confidences.clip(0, 1) / 4
    order = rng.permutation(200_000)
    for ties in TIES:
        value = gap_from_hits(confidences, hits, 60_000, ties=ties)
        assert value == gap_from_hits(confidences[order], hits[order], 60_000, ties=ties)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_equals_the_starter_code_on_many_predictions_without_ties(dtype):
    rng = np.random.default_rng(6)
    bits = rng.choice(np.float32(1.0).view(np.uint32), size=100_000, replace=False)
    confidences = bits.astype(np.uint32).view(np.float32).astype(dtype)
    hits = rng.random(100_000) < 0.1
    expected = oracles.starter_code_gap(confidences, hits, 12_345)
    for ties in TIES:
        value = gap_from_hits(confidences, hits, 12_345, ties=ties)
        assert value == pytest.approx(expected, rel=0, abs=EXACT)


# Floats at their edges


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("value", [0.0, 0.1, 0.5, 1.0, 2.0, -1.0])
def test_neighbouring_floats_are_apart(dtype, value):
    confidences = np.array(neighbours(value, dtype), dtype=dtype)
    for hits in product([False, True], repeat=3):
        check(confidences, np.array(hits), 3)
        check(confidences[::-1], np.array(hits), 3)


@pytest.mark.parametrize("dtype", DTYPES)
def test_negative_zero_ties_with_zero(dtype):
    for zeros in ([0.0, -0.0], [-0.0, 0.0]):
        confidences = np.array(zeros, dtype=dtype)
        assert gap_from_hits(confidences, np.array([True, False]), 1) == 0.75
        assert gap_from_hits(confidences, np.array([False, True]), 1) == 0.75
        check(np.append(confidences, dtype(-1)), np.array([False, True, True]), 2)
        check(np.append(confidences, dtype(0.5)), np.array([False, True, True]), 2)


@pytest.mark.parametrize("dtype", DTYPES)
def test_denormals_are_above_zero(dtype):
    smallest = np.nextafter(dtype(0), dtype(1))
    confidences = np.array([0.0, smallest], dtype=dtype)
    assert gap_from_hits(confidences, np.array([False, True]), 1) == 1.0
    assert gap_from_hits(confidences, np.array([True, False]), 1) == 0.5
    negative = np.array([0.0, -smallest], dtype=dtype)
    assert gap_from_hits(negative, np.array([False, True]), 1) == 0.5


def test_float64_equal_as_float32_are_apart():
    confidences = np.array([0.5, 0.5 + 2**-40])
    assert confidences.astype(np.float32)[0] == confidences.astype(np.float32)[1]
    assert gap_from_hits(confidences, np.array([False, True]), 1) == 1.0
    assert gap_from_hits(confidences, np.array([True, False]), 1) == 0.5
    assert gap_from_hits(confidences.astype(np.float32), np.array([True, False]), 1) == 0.75


def test_dense_float64_equal_as_float32_are_apart():
    confidences = np.array([[0.5, 0.5 + 2**-40]])
    truth = np.array([[True, False]])
    assert gap(confidences, truth) == 0.5
    assert gap(confidences, ~truth) == 1.0
    assert gap(confidences, ~truth, top_k=1) == 1.0


def test_largest_and_smallest_finite_values():
    for dtype in DTYPES:
        info = np.finfo(dtype)
        confidences = np.array([info.max, info.min, 0, info.max], dtype=dtype)
        check(confidences, np.array([True, True, False, False]), 2)


# Which predictions count


@pytest.mark.parametrize("top_k", [1, 3, 20, 50, 99])
@pytest.mark.parametrize("dtype", DTYPES)
def test_dense_equals_the_oracle(dtype, top_k):
    rng = np.random.default_rng(top_k)
    confidences = rng.random((40, 50)).round(2).astype(dtype)
    truth = rng.random((40, 50)) < 0.06
    for ties in TIES:
        value = gap(confidences, truth, top_k=top_k, ties=ties)
        expected = dense_gap_oracle(confidences, truth, top_k, ties)
        assert value == pytest.approx(expected, rel=0, abs=EXACT)


@pytest.mark.parametrize("dtype", DTYPES)
def test_logits_equal_the_oracle(dtype):
    rng = np.random.default_rng(10)
    logits = rng.normal(scale=4, size=(40, 50)).round(1).astype(dtype)
    truth = rng.random((40, 50)) < 0.06
    for ties in TIES:
        value = gap(logits, truth, top_k=10, ties=ties)
        assert value == pytest.approx(dense_gap_oracle(logits, truth, 10, ties), rel=0, abs=EXACT)


def test_tables_equal_dense():
    rng = np.random.default_rng(11)
    confidences = rng.random((60, 45), dtype=np.float32).round(2)
    truth = rng.random((60, 45)) < 0.07
    for top_k, ties in product([1, 5, 20], TIES):
        tables = Predictions.from_dense(confidences, top_k=20), Labels.from_dense(truth)
        value = gap(confidences, truth, top_k=top_k, ties=ties)
        assert gap(*tables, top_k=top_k, ties=ties) == pytest.approx(value, rel=0, abs=EXACT)


@pytest.mark.parametrize("dtype", DTYPES)
def test_ties_at_the_cut_keep_the_lower_labels(dtype):
    confidences = np.full((1, 40), 0.5, dtype=dtype)
    truth = np.zeros((1, 40), dtype=bool)
    truth[0, 19] = True
    assert gap(confidences, truth, ties="optimistic") == 1.0
    assert gap(confidences, truth[:, ::-1], ties="optimistic") == 0.0
    assert gap(confidences, truth, top_k=19, ties="optimistic") == 0.0
    assert gap(confidences, truth, ties="pessimistic") == 1 / 20


@pytest.mark.parametrize("dtype", DTYPES)
def test_negative_zero_ties_with_zero_at_the_cut(dtype):
    confidences = np.array([[-0.0, 0.0]], dtype=dtype)
    assert gap(confidences, np.array([[True, False]]), top_k=1) == 1.0
    assert gap(confidences, np.array([[False, True]]), top_k=1) == 0.0
    predictions = Predictions(["a"], np.array([[1, 0]]), np.array([[0.0, -0.0]], dtype=dtype))
    assert gap(predictions, Labels(["a"], [[0]]), top_k=1) == 1.0
    assert gap(predictions, Labels(["a"], [[1]]), top_k=1) == 0.0


def test_positives_outside_the_top_k_count():
    confidences = np.array([[0.9, 0.8, 0.7]])
    assert gap(confidences, np.ones((1, 3), dtype=bool), top_k=1) == pytest.approx(1 / 3)
    assert gap(confidences, np.ones((1, 3), dtype=bool), top_k=3) == 1.0


def test_default_top_k_is_20():
    confidences = np.linspace(1, 0, 30, dtype=np.float32)[None]
    assert gap(confidences, np.arange(30)[None] == 20) == 0.0
    assert gap(confidences, np.arange(30)[None] == 19) == 1 / 20


def test_missing_videos_count_and_strangers_do_not():
    predictions = Predictions(
        ["stranger", "b", "a"],
        np.array([[1, 2], [1, 2], [1, 2]]),
        np.array([[1.0, 0.95], [0.9, 0.8], [0.7, 0.6]], dtype=np.float32),
    )
    labels = Labels(["a", "missing", "b"], [[1, 5], [3], [2]])
    # Ranks: b1 miss, b2 hit, a1 hit, a2 miss; 4 positives.
    assert gap(predictions, labels) == pytest.approx(float((Fraction(1, 2) + Fraction(2, 3)) / 4))


def test_rows_shorter_than_the_table():
    """What lies past the length of a row is not read: NaN, labels twice or out of range."""
    predictions = Predictions(
        ["a", "b", "empty"],
        np.array([[3, 3, 99], [4, 2, 1], [7, 7, 7]]),
        np.array([[0.9, np.nan, 2.0], [0.8, 0.7, 0.6], [np.nan] * 3], dtype=np.float32),
        np.array([1, 3, 0]),
        num_classes=5,
    )
    labels = Labels(["a", "b", "empty"], [[3], [2], [0]], num_classes=5)
    assert gap(predictions, labels) == pytest.approx((1 + 2 / 3) / 3, abs=1e-15)


# Nothing


@pytest.mark.parametrize("ties", TIES)
def test_nothing_is_zero(ties):
    no_confidences, no_hits = np.zeros(0, dtype=np.float32), np.zeros(0, dtype=bool)
    assert gap_from_hits(no_confidences, no_hits, 0, ties=ties) == 0.0
    assert gap_from_hits(no_confidences, no_hits, 9, ties=ties) == 0.0
    assert gap_from_hits(np.array([0.5]), np.array([False]), 0, ties=ties) == 0.0
    assert gap_from_hits(np.array([0.5]), np.array([False]), 9, ties=ties) == 0.0
    no_rows = np.zeros((0, 5), dtype=np.float32)
    assert gap(no_rows, np.zeros((0, 5), dtype=bool), ties=ties) == 0.0
    assert gap(np.ones((2, 5)), np.zeros((2, 5), dtype=bool), ties=ties) == 0.0
    no_predictions = Predictions([], np.zeros((0, 20), dtype=int), np.zeros((0, 20), np.float32))
    assert gap(no_predictions, Labels([], []), ties=ties) == 0.0
    assert gap(no_predictions, Labels(["a"], [[1]]), ties=ties) == 0.0


@pytest.mark.parametrize("ties", TIES)
def test_all_hits_is_one(ties):
    rng = np.random.default_rng(12)
    confidences = rng.random(100).round(1)
    assert gap_from_hits(confidences, np.ones(100, dtype=bool), 100, ties=ties) == pytest.approx(
        1.0, abs=1e-15
    )


# Laws

UNIT = st.floats(0, 1, width=32)
CONFIDENCES = {
    np.float16: st.one_of(UNIT.map(lambda v: round(v, 1)), st.floats(-6e4, 6e4, width=16)),
    np.float32: st.one_of(UNIT, UNIT.map(lambda v: round(v, 1))),
    np.float64: st.one_of(
        st.floats(allow_nan=False, allow_infinity=False), st.sampled_from([0.0, -0.0, 0.5, -3.0])
    ),
}


def ranked_lists(dtype):
    return st.lists(st.tuples(CONFIDENCES[dtype], st.booleans()), max_size=30)


@settings(deadline=None)
@given(st.data(), st.sampled_from(DTYPES), st.integers(0, 5))
def test_equals_the_oracle(data, dtype, surplus):
    pairs = data.draw(ranked_lists(dtype))
    confidences = np.array([confidence for confidence, _ in pairs], dtype=dtype)
    hits = np.array([hit for _, hit in pairs], dtype=bool)
    check(confidences, hits, int(hits.sum()) + surplus)


@settings(deadline=None)
@given(st.data(), st.sampled_from(DTYPES), st.sampled_from(TIES))
def test_order_does_not_matter(data, dtype, ties):
    pairs = data.draw(ranked_lists(dtype))
    shuffled = data.draw(st.permutations(pairs))
    values = {
        gap_from_hits(
            np.array([confidence for confidence, _ in order], dtype=dtype),
            np.array([hit for _, hit in order], dtype=bool),
            30,
            ties=ties,
        )
        for order in (pairs, shuffled)
    }
    assert len(values) == 1


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 9), st.booleans()), max_size=30),
    st.lists(UNIT, min_size=10, max_size=10, unique=True),
    st.lists(
        st.floats(allow_nan=False, allow_infinity=False), min_size=10, max_size=10, unique=True
    ),
    st.sampled_from(TIES),
)
def test_rising_maps_do_not_matter(pairs, in_unit, anywhere, ties):
    """Only the order of the confidences and which are equal counts, whatever their type."""
    level = np.array([level for level, _ in pairs], dtype=int)
    hits = np.array([hit for _, hit in pairs], dtype=bool)
    first = np.array(sorted(in_unit), dtype=np.float32)[level]
    second = np.array(sorted(anywhere))[level]
    value = gap_from_hits(first, hits, 30, ties=ties)
    assert gap_from_hits(second, hits, 30, ties=ties) == pytest.approx(value, rel=0, abs=EXACT)


@settings(deadline=None)
@given(st.data(), st.sampled_from(DTYPES))
def test_expected_lies_between_pessimistic_and_optimistic(data, dtype):
    pairs = data.draw(ranked_lists(dtype))
    confidences = np.array([confidence for confidence, _ in pairs], dtype=dtype)
    hits = np.array([hit for _, hit in pairs], dtype=bool)
    pessimistic, expected, optimistic = (
        gap_from_hits(confidences, hits, 30, ties=ties)
        for ties in ("pessimistic", "expected", "optimistic")
    )
    assert 0 <= pessimistic <= expected + 1e-15
    assert expected <= optimistic + 1e-15
    assert optimistic <= 1 + 1e-15
    if len(set(confidences.tolist())) == len(pairs):
        assert optimistic == pytest.approx(pessimistic, abs=1e-15)


# Errors

TWO = np.array([0.9, 0.8], dtype=np.float32)
HIT = np.array([True, False])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (([0.9, np.nan], HIT, 1), ["nan"]),
        (([np.nan, 0.9], HIT, 1), ["nan"]),
        (([0.9, np.inf], HIT, 1), ["inf"]),
        (([0.9, -np.inf], HIT, 1), ["-inf"]),
        ((TWO, np.array([True, False, True]), 3), ["2", "3"]),
        ((np.float32([0.9]), np.array([], dtype=bool), 3), ["1", "0"]),
        ((TWO, HIT, -7), ["-7"]),
        ((TWO, np.array([True, True]), 1), ["2", "1"]),
        ((np.array([1, 0]), HIT, 1), ["int64"]),
        ((np.array([True, False]), HIT, 1), ["bool"]),
        ((TWO, np.array([5, 0]), 6), ["5"]),
        ((TWO, np.array([-1, 0]), 6), ["-1"]),
        ((TWO, np.array([0.25, 0.0]), 6), ["0.25"]),
    ],
)
@pytest.mark.parametrize("dtype", DTYPES)
def test_gap_from_hits_names_what_is_wrong(arguments, words, dtype):
    confidences, hits, num_positives = arguments
    if isinstance(confidences, list) or confidences.dtype.kind == "f":
        confidences = np.array(confidences, dtype=dtype)
    with pytest.raises(GapkitError) as error:
        gap_from_hits(confidences, hits, num_positives)
    for word in words:
        assert word in str(error.value).lower()


@pytest.mark.parametrize("ties", ["shuffle", "", "Expected", None])
def test_unknown_rules_are_named(ties):
    predictions, labels = Predictions(["a"], [[0]], [[0.5]]), Labels(["a"], [[0]])
    for call in (
        lambda: gap_from_hits(TWO, HIT, 1, ties=ties),
        lambda: gap(TWO[None], HIT[None], ties=ties),
        lambda: gap(predictions, labels, ties=ties),
    ):
        with pytest.raises(GapkitError) as error:
            call()
        assert repr(ties) in str(error.value)
        assert "expected" in str(error.value)


@pytest.mark.parametrize("top_k", [0, -1])
def test_top_k_below_one_is_named(top_k):
    predictions, labels = Predictions(["a"], [[0]], [[0.5]]), Labels(["a"], [[0]])
    with pytest.raises(GapkitError, match=str(top_k)):
        gap(TWO[None], HIT[None], top_k=top_k)
    with pytest.raises(GapkitError, match=str(top_k)):
        gap(predictions, labels, top_k=top_k)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("column", [0, 17, 29])
def test_dense_confidences_that_are_not_finite_are_named(value, dtype, column):
    """Past the cut as well, where sorting would lose them."""
    confidences = np.linspace(1, 0, 60, dtype=dtype).reshape(2, 30)
    confidences[1, column] = value
    with pytest.raises(DataError, match=f"(?i){value}"):
        gap(confidences, np.zeros((2, 30), dtype=bool), top_k=1)


@pytest.mark.parametrize(
    ("dtype", "value"),
    [(np.int64, 2), (np.int8, -1), (np.float32, 0.5), (np.float64, -1), (np.float32, np.nan)],
)
def test_dense_labels_other_than_zero_and_one_are_named(dtype, value):
    truth = np.zeros((2, 3), dtype=dtype)
    truth[1, 2] = value
    with pytest.raises(DataError, match=f"(?i){value}"):
        gap(np.ones((2, 3), dtype=np.float32), truth)


def test_swapped_arguments_are_an_error():
    rng = np.random.default_rng(13)
    confidences, truth = rng.random((4, 5)), rng.random((4, 5)) < 0.3
    for wrong in (truth, truth.astype(np.int64), truth.astype(np.float64)):
        with pytest.raises(GapkitError):
            gap(wrong, confidences)
    predictions, labels = Predictions.from_dense(confidences), Labels.from_dense(truth)
    with pytest.raises(GapkitError):
        gap(labels, predictions)
    with pytest.raises(GapkitError):
        gap(predictions, truth)
    with pytest.raises(GapkitError):
        gap(confidences, labels)


@pytest.mark.parametrize(
    ("shape", "other", "words"),
    [
        ((2, 3), (2, 4), ["(2, 3)", "(2, 4)"]),
        ((2, 3), (3, 3), ["(2, 3)", "(3, 3)"]),
        ((3,), (3,), ["(3,)"]),
        ((2, 3, 4), (2, 3, 4), ["(2, 3, 4)"]),
    ],
)
def test_dense_shapes_that_do_not_fit_are_named(shape, other, words):
    with pytest.raises(GapkitError) as error:
        gap(np.ones(shape), np.ones(other, dtype=bool))
    for word in words:
        assert word in str(error.value)


def test_integer_dense_confidences_are_an_error():
    with pytest.raises(GapkitError, match="int64"):
        gap(np.array([[3, 2]]), np.array([[True, False]]))
