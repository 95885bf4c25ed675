import pickle

import numpy as np
import oracles
import pytest

from gapkit.errors import DataError, UsageError
from gapkit.metrics import GapAccumulator, GapSketch, gap, gap_from_hits

KINDS = {
    "uniform": lambda rng, n: rng.random(n, dtype=np.float32),
    "three digits": lambda rng, n: np.round(rng.random(n, dtype=np.float32), 3),
    "logits": lambda rng, n: rng.normal(size=n).astype(np.float32),
    "float64": lambda rng, n: rng.normal(size=n),
    "one value": lambda rng, n: np.full(n, 0.5, np.float32),
}


def ranking(kind, size, seed=0):
    rng = np.random.default_rng(seed)
    hits = rng.random(size) < 0.15
    return KINDS[kind](rng, size), hits, int(hits.sum() * 1.3)


@pytest.mark.parametrize("ties", oracles.TIES)
@pytest.mark.parametrize("kind", KINDS)
def test_any_order_grouping_and_memory_gives_the_same_bits(kind, ties):
    confidences, hits, num_positives = ranking(kind, 300_000)
    expected = gap_from_hits(confidences, hits, num_positives, ties=ties)
    rng = np.random.default_rng(1)
    for max_memory in (None, 1_000_000, 1):
        first, second = (GapAccumulator(ties=ties, max_memory=max_memory) for _ in range(2))
        for n, part in enumerate(np.array_split(rng.permutation(len(hits)), 11)):
            (first if n % 3 else second).update_hits(confidences[part], hits[part], 0)
        second.update_hits([], [], num_positives)
        first.merge(second)
        assert first.compute() == expected
        assert pickle.loads(pickle.dumps(first)).compute() == expected
        assert first.compute() == expected


def test_one_thread_and_several_give_the_same_bits(monkeypatch):
    import gapkit.metrics._ranking.ranges as ranges

    given = ranking("uniform", 600_000)
    values = set()
    for threads in (1, 2, 3, 7):
        monkeypatch.setattr(ranges, "num_threads", lambda size, threads=threads: threads)
        values.add(gap_from_hits(*given))
    assert len(values) == 1


def test_spilled_misses_alone_are_worth_nothing():
    confidences, _, _ = ranking("uniform", 200_000)
    accumulator = GapAccumulator(max_memory=1)
    accumulator.update_hits(confidences, np.zeros(len(confidences), np.bool_), 5)
    assert accumulator.compute() == 0.0


def test_float64_after_spilled_float32_stays_exact():
    narrow, hits, _ = ranking("logits", 200_000)
    wide, more_hits, _ = ranking("float64", 100_000, seed=1)
    accumulator = GapAccumulator(max_memory=1)
    accumulator.update_hits(narrow, hits, 90_000)
    accumulator.update_hits(wide, more_hits, 0)
    confidences = np.concatenate([narrow.astype(np.float64), wide])
    expected = gap_from_hits(confidences, np.concatenate([hits, more_hits]), 90_000)
    assert accumulator.compute() == expected


@pytest.mark.parametrize("accumulator", [GapAccumulator(), GapSketch()])
def test_updates_take_what_gap_takes(accumulator):
    rng = np.random.default_rng(0)
    confidences, truth = rng.random((60, 30)), rng.random((60, 30)) < 0.1
    for rows in np.array_split(np.arange(60), 7):
        accumulator.update(confidences[rows], truth[rows])
    assert accumulator.compute() == pytest.approx(gap(confidences, truth), abs=1e-4)
    accumulator.reset()
    assert accumulator.compute() == 0.0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("num_bins", [1, 7, 1 << 21])
def test_bounds_hold_the_exact_fraction(kind, num_bins):
    confidences, hits, num_positives = ranking(kind, 1500)
    sketch = GapSketch(num_bins)
    for part in np.array_split(np.arange(1500), 4):
        sketch.update_hits(confidences[part], hits[part], 0)
    sketch.update_hits([], [], num_positives)
    low, high = sketch.bounds()
    for ties in oracles.TIES:
        assert low <= oracles.gap_from_hits(confidences, hits, num_positives, ties) <= high
    assert low <= sketch.compute() <= high


def test_the_default_sketch_is_narrow():
    confidences, hits, num_positives = ranking("uniform", 1_000_000)
    sketch = GapSketch()
    sketch.update_hits(confidences, hits, num_positives)
    low, high = sketch.bounds()
    assert low <= gap_from_hits(confidences, hits, num_positives) <= high
    assert high - low < 1e-5


def test_merging_sketches_adds_their_counts():
    confidences, hits, num_positives = ranking("uniform", 1000)
    whole, first, second = (GapSketch(512) for _ in range(3))
    whole.update_hits(confidences, hits, num_positives)
    first.update_hits(confidences[:300], hits[:300], num_positives)
    second.update_hits(confidences[300:], hits[300:], 0)
    first.merge(second)
    assert first.bounds() == whole.bounds()


@pytest.mark.parametrize(
    ("one", "other", "words"),
    [
        (GapAccumulator(top_k=5), GapAccumulator(), ["top_k=5", "top_k=20"]),
        (GapAccumulator(ties="optimistic"), GapAccumulator(), ["optimistic", "expected"]),
        (GapSketch(8), GapSketch(9), ["num_bins=8", "num_bins=9"]),
        (GapSketch(), GapAccumulator(), ["GapSketch", "GapAccumulator"]),
    ],
)
def test_unequal_accumulators_refuse_to_merge(one, other, words):
    with pytest.raises(UsageError) as error:
        one.merge(other)
    assert all(word in str(error.value) for word in words)


@pytest.mark.parametrize("make", [GapAccumulator, GapSketch])
def test_more_hits_than_positives_are_refused_in_compute(make):
    accumulator = make()
    accumulator.update_hits([0.5, 0.4], [True, True], 1)
    with pytest.raises(DataError, match="num_positives=1 is below the 2 hits"):
        accumulator.compute()


@pytest.mark.parametrize("setting", [{"max_memory": 0}, {"max_memory": 1.5}, {"top_k": 0}])
def test_wrong_settings_are_refused(setting):
    with pytest.raises(UsageError, match=f"{next(iter(setting))} is"):
        GapAccumulator(**setting)


@pytest.mark.parametrize("num_bins", [0, -1, 1.5, True])
def test_wrong_bins_are_refused(num_bins):
    with pytest.raises(UsageError, match="num_bins"):
        GapSketch(num_bins)


def test_a_refused_update_leaves_nothing():
    accumulator = GapAccumulator()
    with pytest.raises(DataError, match="prediction 1: its confidence is nan"):
        accumulator.update_hits([0.5, np.nan], [True, False], 1)
    accumulator.update_hits([0.5], [True], 1)
    assert accumulator.compute() == 1.0
