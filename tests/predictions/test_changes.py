import numpy as np
import pytest
from scipy.stats import spearmanr

from gapkit.predictions import Predictions, find_changes


def oracle(a, b):
    """From dictionaries of dictionaries, the obvious way."""
    both = sorted(a.keys() & b.keys())
    pairs = [(i, c) for i in both for c in sorted(a[i].keys() & b[i].keys())]
    jaccard = [
        len(a[i].keys() & b[i].keys()) / len(a[i].keys() | b[i].keys()) if a[i] or b[i] else 1.0
        for i in both
    ]
    return {
        "only_before": len(a.keys() - b.keys()),
        "only_after": len(b.keys() - a.keys()),
        "identical": sum(a[i] == b[i] for i in both),
        "same_labels": sum(a[i].keys() == b[i].keys() and a[i] != b[i] for i in both),
        "other_labels": sum(a[i].keys() != b[i].keys() for i in both),
        "overlap": np.mean(jaccard),
        "spearman": spearmanr([a[i][c] for i, c in pairs], [b[i][c] for i, c in pairs]).statistic,
        "mean_change": np.mean([abs(a[i][c] - b[i][c]) for i, c in pairs]),
        "gone": sum(len(a[i].keys() - b[i].keys()) for i in both),
        "new": sum(len(b[i].keys() - a[i].keys()) for i in both),
    }


def random_table(rng, ids):
    return {
        str(i): {
            int(label): float(rng.integers(0, 8) / 8)
            for label in rng.choice(6, size=rng.integers(0, 5), replace=False)
        }
        for i in rng.permutation(ids)
    }


@pytest.mark.parametrize("seed", range(20))
def test_equals_an_oracle_of_dictionaries(seed):
    rng = np.random.default_rng(seed)
    a = random_table(rng, range(40))
    b = random_table(rng, range(10, 55))
    b |= {key: a[key] for key in ("12", "13", "14")}
    changes = find_changes(Predictions.from_dict(a), Predictions.from_dict(b))
    expected = oracle(a, b)
    assert changes.gone_by_label.sum() == expected.pop("gone")
    assert changes.new_by_label.sum() == expected.pop("new")
    for name, value in expected.items():
        assert getattr(changes, name) == pytest.approx(value, abs=1e-12), name
    assert changes.identical >= 3
    first = changes.largest[0]
    assert (first.before, first.after) == (a[first.id][first.label], b[first.id][first.label])
    steps = [abs(change.after - change.before) for change in changes.largest]
    assert steps == sorted(steps, reverse=True)


def test_labels_that_came_and_went_are_counted():
    before = Predictions.from_dict({"a": {0: 0.5, 4: 0.25}, "b": {4: 0.5}})
    after = Predictions.from_dict({"a": {0: 0.5, 2: 0.25}, "b": {2: 0.5}})
    changes = find_changes(before, after)
    assert changes.gone_by_label.tolist() == [0, 0, 0, 0, 2]
    assert changes.new_by_label.tolist() == [0, 0, 2, 0, 0]
    assert changes.spearman is None


@pytest.mark.parametrize("rows", [{}, {"a": {}}])
def test_nothing_changes_in_nothing(rows):
    table = Predictions.from_dict(rows)
    changes = find_changes(table, table)
    assert (changes.identical, changes.overlap, changes.largest) == (len(rows), 1.0, ())
