import metric_oracles
import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given, settings
from hypothesis import strategies as st
from metric_oracles import METRICS, dense_tables, random_tables, small_tables

from gapkit import metrics
from gapkit.errors import DataError, GapkitError, UsageError
from gapkit.predictions import Labels, Predictions

EXACT = 1e-12
AT_K = ["hit_at_k", "precision_at_k", "recall_at_k", "map_at_k", "ndcg_at_k", "psp_at_k"]
CUT_AT_TOP_K = ["perr", "label_ranking_average_precision"]
NAMES = AT_K + CUT_AT_TOP_K
PROPENSITIES = np.linspace(0.02, 1, 40)

CASES = [
    *((name, {}) for name in NAMES),
    *((name, {"k": k}) for name in AT_K for k in (1, 2, 3, 20, 99)),
    *((name, {"top_k": top_k}) for name in CUT_AT_TOP_K for top_k in (1, 2, 20, 99, None)),
    *(("psp_at_k", {"k": k, "propensities": PROPENSITIES}) for k in (1, 3)),
]
every_metric = pytest.mark.parametrize("name", NAMES)
every_case = pytest.mark.parametrize(
    ("name", "options"), CASES, ids=["-".join([name, *options]) for name, options in CASES]
)


def size(name, value):
    """The setting that says how many predictions of a video count."""
    return {"k" if name in AT_K else "top_k": value}


def call(name, predictions, labels, num_classes=None, **options):
    """The metric of dicts, as tables."""
    return getattr(metrics, name)(
        Predictions(*metric_oracles.padded(predictions), num_classes=num_classes),
        Labels(list(labels), [sorted(row) for row in labels.values()], num_classes=num_classes),
        **options,
    )


def check(name, predictions, labels, **options):
    value = call(name, predictions, labels, **options)
    assert type(value) is float
    expected = METRICS[name](predictions, labels, **options)
    assert value == pytest.approx(expected, rel=0, abs=EXACT)


def check_dense(name, confidences, truth, **options):
    value = getattr(metrics, name)(confidences, truth, **options)
    assert type(value) is float
    expected = METRICS[name](*dense_tables(confidences, truth), **options)
    assert value == pytest.approx(expected, rel=0, abs=EXACT)


def dense(seed, shape=(30, 6), decimals=None, rate=0.3):
    """Confidences and truth; without ties unless rounded; a true label in every row."""
    rng = np.random.default_rng(seed)
    if decimals is None:
        confidences = (rng.permutation(np.prod(shape)).reshape(shape) / 4096).astype(np.float32)
    else:
        confidences = rng.random(shape, dtype=np.float32).round(decimals)
    truth = rng.random(shape) < rate
    truth[np.arange(shape[0]), np.arange(shape[0]) % shape[1]] = True
    return confidences, truth


# Against the oracle


@pytest.mark.parametrize("decimals", [0, 1, 6])
@every_case
def test_random_tables_equal_the_oracle(name, options, decimals):
    check(name, *random_tables(decimals, decimals=decimals), **options)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@every_case
def test_dense_equals_the_oracle(name, options, dtype):
    confidences, truth = dense(1, (25, 40), decimals=1, rate=0.1)
    truth[::4] = False
    truth[:, 37:] = False
    check_dense(name, confidences.astype(dtype), truth, **options)


@pytest.mark.parametrize("number", [1, 2])
@every_metric
def test_every_small_table_equals_the_oracle(name, number):
    options = size(name, number)
    if name == "psp_at_k":
        options["propensities"] = [0.25, 0.75]
    for predictions, labels in small_tables(num_truths=1):
        check(name, predictions, labels, **options)


@pytest.mark.parametrize("number", [1, 2, 3])
@every_metric
def test_every_small_dense_row_equals_the_oracle(name, number):
    levels = np.array(np.meshgrid(*[[-1.0, 0.5, 7.0]] * 3), dtype=np.float32).reshape(3, -1).T
    truths = np.array(np.meshgrid(*[[False, True]] * 3)).reshape(3, -1).T
    options = size(name, number)
    if name == "psp_at_k":
        options["propensities"] = [0.25, 0.5, 1.0]
    for row in levels:
        for truth in truths:
            check_dense(name, row[None], truth[None], **options)


@every_metric
def test_logits_equal_the_oracle(name):
    rng = np.random.default_rng(2)
    check_dense(name, rng.normal(scale=4, size=(30, 8)).round(1), rng.random((30, 8)) < 0.3)


@every_metric
def test_tables_equal_dense(name):
    confidences, truth = dense(3, (40, 15), decimals=1)
    tables = Predictions.from_dense(confidences, top_k=15), Labels.from_dense(truth)
    metric = getattr(metrics, name)
    assert metric(*tables) == pytest.approx(metric(confidences, truth), rel=0, abs=EXACT)


# Against scikit-learn and NumPy


@pytest.mark.parametrize("decimals", [None, 1, 0])
def test_label_ranking_average_precision_equals_sklearn_ties_included(decimals):
    confidences, truth = dense(4, decimals=decimals)
    truth[:5] = False
    truth[5:8] = True
    expected = sklearn.metrics.label_ranking_average_precision_score(truth, confidences)
    value = metrics.label_ranking_average_precision(confidences, truth)
    assert value == pytest.approx(expected, rel=0, abs=EXACT)


@pytest.mark.parametrize("k", [1, 3, 6, 9])
def test_ndcg_equals_sklearn_without_ties(k):
    confidences, truth = dense(5)
    expected = sklearn.metrics.ndcg_score(truth, confidences, k=k)
    assert metrics.ndcg_at_k(confidences, truth, k) == pytest.approx(expected, rel=0, abs=EXACT)


@pytest.mark.parametrize("k", [6, 20])
def test_map_at_all_labels_equals_sklearn_by_video(k):
    confidences, truth = dense(6)
    expected = sklearn.metrics.average_precision_score(truth, confidences, average="samples")
    assert metrics.map_at_k(confidences, truth, k) == pytest.approx(expected, rel=0, abs=EXACT)


@pytest.mark.parametrize("k", [1, 2, 5, 6])
def test_single_label_hits_equal_sklearn(k):
    confidences, _ = dense(7)
    true = np.random.default_rng(7).integers(0, 6, size=30)
    true[:6] = range(6)
    one_hot = np.eye(6, dtype=bool)[true]
    if k < 6:
        expected = sklearn.metrics.top_k_accuracy_score(true, confidences, k=k, labels=range(6))
    else:
        expected = 1.0
    assert metrics.hit_at_k(confidences, one_hot, k) == pytest.approx(expected, abs=EXACT)
    assert metrics.recall_at_k(confidences, one_hot, k) == pytest.approx(expected, abs=EXACT)
    assert metrics.precision_at_k(confidences, one_hot, k) == pytest.approx(expected / k, abs=EXACT)


# Values by hand


@pytest.mark.parametrize(
    ("name", "options", "value"),
    [
        ("hit_at_k", {}, 1 / 5),
        ("hit_at_k", {"k": 2}, 2 / 5),
        ("precision_at_k", {"k": 2}, 1 / 5),
        ("precision_at_k", {}, 3 / 25),
        ("recall_at_k", {}, 1 / 2),
        ("recall_at_k", {"k": 2}, 3 / 8),
        ("map_at_k", {}, (5 / 6 + 1 / 2) / 4),
        ("map_at_k", {"k": 1}, 1 / 4),
        ("ndcg_at_k", {"k": 1}, 1 / 4),
        ("perr", {}, 1 / 8),
        ("label_ranking_average_precision", {}, (5 / 6 + 1 / 2 + 1) / 5),
        ("label_ranking_average_precision", {"top_k": 1}, (1 / 2 + 1) / 5),
        ("psp_at_k", {"k": 1, "propensities": [0.5, 1, 0.25]}, 2 / 11),
        ("psp_at_k", {"k": 5, "propensities": [0.5, 1, 0.25]}, 10 / 13),
    ],
)
def test_value_by_hand(name, options, value):
    predictions = {
        "a": [(2, 0.4), (0, 0.9), (1, 0.6)],
        "b": [(0, 0.8), (2, 0.7)],
        "none true": [(1, 0.95)],
        "stranger": [(0, 1.0)],
        "empty": [],
    }
    labels = {"a": {0, 2}, "b": {2}, "none true": set(), "absent": {1}, "empty": {0}}
    assert call(name, predictions, labels, **options) == pytest.approx(value, abs=1e-15)


@pytest.mark.parametrize(
    ("name", "default"),
    [
        ("hit_at_k", 1),
        ("precision_at_k", 5),
        ("recall_at_k", 5),
        ("map_at_k", 20),
        ("ndcg_at_k", 5),
        ("psp_at_k", 5),
        ("perr", 20),
        ("label_ranking_average_precision", None),
    ],
)
def test_default_number_of_predictions(name, default):
    confidences, truth = dense(8, (12, 40), rate=0.6)
    metric = getattr(metrics, name)
    assert metric(confidences, truth) == metric(confidences, truth, **size(name, default))
    if default is not None:
        assert metric(confidences, truth) != metric(confidences, truth, **size(name, default + 1))


@pytest.mark.parametrize("name", AT_K)
def test_k_is_taken_by_position(name):
    confidences, truth = dense(9)
    metric = getattr(metrics, name)
    assert metric(confidences, truth, 3) == metric(confidences, truth, k=3)


@every_metric
@pytest.mark.parametrize("true", [3, 5])
def test_the_lower_of_two_equal_labels_stands_first(name, true):
    predictions = {"a": [(5, 0.5), (3, 0.5)]}
    assert call(name, predictions, {"a": {true}}, **size(name, 1)) == float(true == 3)


@pytest.mark.parametrize("name", AT_K)
def test_ties_at_the_cut_keep_the_lower_labels(name):
    confidences = np.full((1, 40), 0.5, dtype=np.float32)
    metric = getattr(metrics, name)
    assert metric(confidences, np.arange(40)[None] == 6, k=7) > 0.0
    assert metric(confidences, np.arange(40)[None] == 7, k=7) == 0.0


def test_label_ranking_average_precision_counts_equal_labels_at_once():
    for true in ({3}, {5}):
        value = call("label_ranking_average_precision", {"a": [(5, 0.5), (3, 0.5)]}, {"a": true})
        assert value == 0.5


# Propensities


def test_propensities_equal_the_oracle():
    _, labels = random_tables(10, num_videos=300)
    table = Labels(list(labels), [sorted(row) for row in labels.values()], num_classes=40)
    truth = np.array([[label in row for label in range(40)] for row in labels.values()])
    for options in ({}, {"a": 0.6, "b": 2.6}, {"a": 0.5, "b": 0.4}):
        expected = metric_oracles.label_propensities(labels, num_classes=40, **options)
        for given_labels in (table, truth):
            value = metrics.label_propensities(given_labels, **options)
            assert value.dtype == np.float64
            assert value == pytest.approx(expected, rel=1e-12)
    unknown = Labels(list(labels), [sorted(row) for row in labels.values()])
    assert len(metrics.label_propensities(unknown)) == 37


@pytest.mark.parametrize("num_videos", [1, 2, 3, 10])
def test_propensities_of_few_videos_are_in_the_unit_interval(num_videos):
    labels = {str(n): {0} for n in range(num_videos)}
    table = Labels(list(labels), [[0]] * num_videos, num_classes=3)
    value = metrics.label_propensities(table)
    assert value == pytest.approx(metric_oracles.label_propensities(labels, num_classes=3))
    assert np.all((value > 0) & (value <= 1))


def test_estimated_propensities_are_those_of_the_labels():
    confidences, truth = dense(11, (200, 8))
    value = metrics.psp_at_k(confidences, truth, 3)
    propensities = metrics.label_propensities(truth)
    assert value == metrics.psp_at_k(confidences, truth, 3, propensities=propensities)


def test_labels_that_are_predicted_and_never_true_need_no_propensity_of_their_own():
    check("psp_at_k", {"a": [(900, 0.9), (1, 0.8)]}, {"a": {1}, "b": {0}}, k=1)


@pytest.mark.parametrize("factor", [0.5, 0.01])
def test_a_common_factor_of_propensities_does_not_matter(factor):
    confidences, truth = dense(12)
    propensities = np.array([1.0, 0.5, 0.3, 0.2, 0.1, 0.05])
    value = metrics.psp_at_k(confidences, truth, propensities=propensities)
    scaled = metrics.psp_at_k(confidences, truth, propensities=propensities * factor)
    assert scaled == pytest.approx(value, abs=EXACT)


@pytest.mark.parametrize(
    ("propensities", "words"),
    [
        ([0.5, 0.0, 0.5], ["0.0", "1"]),
        ([0.5, 0.5, 1.25], ["1.25", "2"]),
        ([0.5, -0.5, 0.5], ["-0.5", "1"]),
        ([0.5, np.nan, 0.5], ["nan"]),
        ([0.5, 0.5], ["2", "3"]),
        ([[0.5, 0.5, 0.5]], ["(1, 3)"]),
    ],
)
def test_propensities_that_are_wrong_are_named(propensities, words):
    confidences, truth = np.array([[0.9, 0.8, 0.7]]), np.array([[True, False, True]])
    with pytest.raises(GapkitError) as error:
        metrics.psp_at_k(confidences, truth, propensities=propensities)
    for word in words:
        assert word in str(error.value).lower()


# Edges


@every_metric
def test_nothing_is_zero(name):
    metric = getattr(metrics, name)
    assert metric(np.zeros((0, 5), np.float32), np.zeros((0, 5), bool)) == 0.0
    assert call(name, {}, {}) == 0.0
    assert call(name, {"a": [(1, 0.5)]}, {}) == 0.0
    assert call(name, {}, {"a": {1}}) == 0.0
    assert call(name, {"a": []}, {"a": {1}}) == 0.0
    assert call(name, {"b": [(1, 0.5)]}, {"a": {1}}) == 0.0


@every_metric
def test_videos_without_a_true_label(name):
    value = 1.0 if name == "label_ranking_average_precision" else 0.0
    metric = getattr(metrics, name)
    assert metric(np.ones((2, 5)), np.zeros((2, 5), bool)) == value
    assert call(name, {"a": [(1, 0.5)]}, {"a": set()}) == value
    assert call(name, {}, {"a": set()}) == value


@every_metric
def test_all_hits_is_one(name):
    options = {"k": 3} if name in AT_K else {}
    value = getattr(metrics, name)(np.full((4, 3), 0.5), np.ones((4, 3), bool), **options)
    assert value == pytest.approx(1, abs=1e-15)
    check(name, {"a": [(7, 0.5)]}, {"a": {7}})


@every_metric
def test_one_video_and_rows_shorter_than_k(name):
    check(name, {"a": [(4, 0.5), (2, 0.25)]}, {"a": {2, 9}})
    check(name, {"a": [(4, 0.5), (2, 0.25)]}, {"a": {2, 9}}, **size(name, 99))


@every_metric
def test_what_lies_past_the_length_of_a_row_is_not_read(name):
    labels = Labels(["a", "b"], [[3], [2]], num_classes=5)
    nan = np.nan
    predictions = Predictions(
        ["a", "b"],
        np.array([[3, 3, 99], [4, 2, 1]]),
        np.array([[0.9, nan, 2.0], [0.8, 0.7, 0.6]], np.float32),
        np.array([1, 3]),
        num_classes=5,
    )
    expected = METRICS[name](
        {"a": [(3, 0.9)], "b": [(4, 0.8), (2, 0.7), (1, 0.6)]}, {"a": {3}, "b": {2}}
    )
    assert getattr(metrics, name)(predictions, labels) == pytest.approx(expected, abs=EXACT)


@every_metric
def test_labels_beyond_uint16(name):
    check(name, {"a": [(70_000, 0.5), (4, 0.25)]}, {"a": {70_000, 4_464}, "b": {4}})


@every_metric
def test_lists_and_tensors_are_taken(name):
    torch = pytest.importorskip("torch")
    confidences, truth = dense(13, decimals=1)
    metric = getattr(metrics, name)
    value = metric(confidences, truth)
    assert metric(confidences.tolist(), truth.astype(int).tolist()) == value
    assert metric(torch.from_numpy(confidences), torch.from_numpy(truth)) == value
    assert metric(np.asfortranarray(confidences), np.asfortranarray(truth)) == value


# Laws

IDS = st.sampled_from(list("abcdef"))
ROWS = st.dictionaries(st.integers(0, 5), st.sampled_from([0.0, 0.25, 0.5, 1.0]), max_size=6)
PREDICTIONS = st.dictionaries(IDS, ROWS.map(lambda row: list(row.items())), max_size=6)
LABELS = st.dictionaries(IDS, st.sets(st.integers(0, 6), max_size=4), max_size=6)


@every_metric
@settings(deadline=None, max_examples=25)
@given(predictions=PREDICTIONS, labels=LABELS, number=st.integers(1, 7))
def test_metric_equals_the_oracle_and_is_in_the_unit_interval(name, predictions, labels, number):
    check(name, predictions, labels, **size(name, number))
    assert 0 <= call(name, predictions, labels, **size(name, number)) <= 1 + EXACT


@every_metric
@settings(deadline=None, max_examples=25)
@given(predictions=PREDICTIONS, labels=LABELS, random=st.randoms(use_true_random=False))
def test_order_of_rows_does_not_matter(name, predictions, labels, random):
    def shuffled(table):
        return dict(random.sample(list(table.items()), len(table)))

    value = call(name, predictions, labels, **size(name, 3))
    other = call(name, shuffled(predictions), shuffled(labels), **size(name, 3))
    assert other == pytest.approx(value, rel=0, abs=EXACT)


@every_metric
@settings(deadline=None, max_examples=25)
@given(
    levels=st.lists(st.lists(st.integers(0, 4), min_size=4, max_size=4), min_size=1, max_size=5),
    values=st.lists(st.floats(-1e6, 1e6), min_size=5, max_size=5, unique=True),
    seed=st.integers(0, 99),
)
def test_rising_maps_of_confidence_do_not_matter(name, levels, values, seed):
    levels = np.array(levels)
    truth = np.random.default_rng(seed).random(levels.shape) < 0.4
    metric = getattr(metrics, name)
    mapped = metric(np.array(sorted(values))[levels], truth)
    assert mapped == pytest.approx(metric(levels / 4, truth), rel=0, abs=EXACT)


@settings(deadline=None, max_examples=25)
@given(PREDICTIONS, LABELS, st.integers(1, 6))
def test_hits_and_recall_rise_with_k(predictions, labels, k):
    for name, factor in (("hit_at_k", 1), ("recall_at_k", 1), ("precision_at_k", (k + 1) / k)):
        shorter = call(name, predictions, labels, k=k)
        longer = call(name, predictions, labels, k=k + 1)
        assert shorter <= longer * factor + EXACT


# Errors

TWO = np.array([[0.9, 0.8]], dtype=np.float32)
HIT = np.array([[True, False]])


@pytest.mark.parametrize("number", [0, -3, 2.5, "2", True])
@every_metric
def test_numbers_of_predictions_that_are_wrong_are_named(name, number):
    with pytest.raises(UsageError) as error:
        getattr(metrics, name)(TWO, HIT, **size(name, number))
    assert str(number) in str(error.value)
    assert next(iter(size(name, number))) in str(error.value)
    with pytest.raises(UsageError):
        call(name, {"a": [(0, 0.5)]}, {"a": {0}}, **size(name, number))


@pytest.mark.parametrize("name", AT_K)
def test_k_of_none_is_an_error(name):
    with pytest.raises(UsageError, match="None"):
        getattr(metrics, name)(TWO, HIT, k=None)


@every_metric
def test_swapped_arguments_are_named(name):
    metric = getattr(metrics, name)
    for wrong in (HIT, HIT.astype(float)):
        with pytest.raises(DataError, match="swapped"):
            metric(wrong, TWO)
    predictions, labels = Predictions.from_dense(TWO), Labels.from_dense(HIT)
    for arguments in ((labels, predictions), (predictions, HIT), (TWO, labels)):
        with pytest.raises(GapkitError):
            metric(*arguments)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@every_metric
def test_confidences_that_are_not_finite_are_named(name, value):
    confidences = np.linspace(1, 0, 120).reshape(4, 30)
    confidences[2, 29] = value
    with pytest.raises(DataError) as error:
        getattr(metrics, name)(confidences, np.ones((4, 30), bool), **size(name, 1))
    for word in ("row 2", "29", str(value)):
        assert word in str(error.value)


@every_metric
def test_dense_labels_other_than_zero_and_one_are_named(name):
    with pytest.raises(DataError, match=r"0\.25"):
        getattr(metrics, name)(TWO, np.array([[1, 0.25]]))


@pytest.mark.parametrize(
    ("shape", "other"), [((2, 3), (2, 4)), ((2, 3), (3, 3)), ((3,), (3,)), ((1, 2, 3), (1, 2, 3))]
)
@every_metric
def test_shapes_that_do_not_fit_are_named(name, shape, other):
    with pytest.raises(DataError) as error:
        getattr(metrics, name)(np.ones(shape), np.ones(other, bool))
    assert str(shape) in str(error.value)


@every_metric
def test_integer_confidences_are_an_error(name):
    with pytest.raises(DataError, match="int64"):
        getattr(metrics, name)(np.array([[3, 2]]), HIT)
