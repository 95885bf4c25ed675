import numpy as np
import oracles
import pytest

from gapkit.ensemble import average
from gapkit.errors import DataError, UsageError
from gapkit.predictions import Predictions


def to_dict(table):
    return {
        name: list(zip(labels[:n].tolist(), confidences[:n].tolist(), strict=True))
        for name, labels, confidences, n in zip(
            table.ids, table.labels, table.confidences, table.lengths, strict=True
        )
    }


def make(rng, *, num_classes=30, k=6, num_known=40, num_videos=25, levels=None, **options):
    """Some of the known videos in random order, ragged rows; ties where `levels` is given."""
    ids = [f"v{n}" for n in rng.permutation(num_known)[:num_videos]]
    label_NK = np.argsort(rng.random((num_videos, num_classes)), axis=1)[:, :k]
    confidence_NK = rng.random((num_videos, k))
    if levels is not None:
        confidence_NK = rng.integers(0, levels, (num_videos, k)) / levels
    lengths = rng.integers(0, k + 1, num_videos)
    return Predictions(ids, label_NK, confidence_NK, lengths, **options)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("levels", [None, 2, 5])
@pytest.mark.parametrize("top_k", [1, 4, 20, 99])
def test_average_equals_the_oracle(seed, levels, top_k):
    rng = np.random.default_rng(seed)
    widths = rng.integers(1, 12, rng.integers(1, 6))
    members = [make(rng, k=k, levels=levels, num_classes=30) for k in widths]
    weights = None if seed % 2 else rng.random(len(members)).tolist()
    expected = oracles.ensemble([to_dict(member) for member in members], weights, top_k)
    result = average(members, weights, top_k=top_k)
    assert list(to_dict(result)) == list(expected)
    assert to_dict(result) == expected


def test_the_cut_keeps_the_best_of_the_union_of_labels():
    first = Predictions(["v"], [[0, 1, 2]], [[0.75, 0.5, 0.25]])
    second = Predictions(["v"], [[3, 4, 1]], [[0.5, 0.25, 0.125]])
    assert to_dict(average([first, second], top_k=3)) == {"v": [(0, 0.375), (1, 0.3125), (3, 0.25)]}


def test_equal_averages_stand_by_rising_label_before_the_cut():
    first = Predictions(["v"], [[9, 5]], [[0.5, 0.25]])
    second = Predictions(["v"], [[2, 7]], [[0.5, 0.25]])
    assert to_dict(average([first, second], top_k=3)) == {"v": [(2, 0.25), (9, 0.25), (5, 0.125)]}


def test_a_video_absent_from_a_member_counts_as_confidence_0():
    first = Predictions(["a", "b"], [[0], [1]], [[0.5], [0.5]])
    second = Predictions(["c", "a"], [[1], [0]], [[1.0], [0.25]])
    result = to_dict(average([first, second]))
    assert result == {"a": [(0, 0.375)], "b": [(1, 0.25)], "c": [(1, 0.5)]}


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_the_order_of_the_members_does_not_matter(seed, weighted):
    rng = np.random.default_rng(seed)
    members = [make(rng, levels=7) for _ in range(5)]
    weights = rng.random(5) if weighted else np.ones(5)
    result = to_dict(average(members, weights, top_k=5))
    for _ in range(5):
        order = rng.permutation(5)
        other = to_dict(average([members[m] for m in order], weights[order], top_k=5))
        assert other == result


def test_one_member_is_its_own_average():
    member = make(np.random.default_rng(0), num_classes=30)
    assert average([member]) == member
    assert average([member, member, member], [0.3, 2, 0]) == member


def test_weights_are_divided_by_their_sum():
    rng = np.random.default_rng(0)
    members = [make(rng), make(rng)]
    assert average(members, [1, 3]) == average(members, [0.25, 0.75])
    assert average(members, [8, 8]) == average(members)


def test_garbage_past_the_lengths_is_not_averaged():
    clean = Predictions(["v", "w"], [[0, 1], [2, 0]], [[0.5, 0.25], [0.75, 0]], [2, 1])
    dirty = Predictions(["v", "w"], [[0, 1], [2, 99]], [[0.5, 0.25], [0.75, np.nan]], [2, 1])
    assert average([clean, dirty], top_k=5) == clean


def test_more_videos_than_a_block_equal_the_oracle():
    rng = np.random.default_rng(0)
    members = [make(rng, num_known=9000, num_videos=8500, k=2, levels=4) for _ in range(2)]
    expected = oracles.ensemble([to_dict(member) for member in members], top_k=3)
    assert to_dict(average(members, top_k=3)) == expected


def test_members_without_videos_give_no_videos():
    empty = Predictions([], [], [], num_classes=5)
    assert len(average([empty, empty])) == 0
    member = Predictions(["a"], [[1]], [[0.5]], num_classes=5)
    assert to_dict(average([member, empty])) == {"a": [(1, 0.25)]}


def test_num_classes_is_known_where_all_members_know_it():
    known = Predictions(["a"], [[1]], [[0.5]], num_classes=70_000)
    unknown = Predictions(["a"], [[1]], [[0.5]])
    assert average([known, known]).num_classes == 70_000
    assert average([known, known]).labels.dtype == np.uint32
    assert average([known, unknown]).num_classes is None


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        ([1], "1 weights for 2 members"),
        ([1, 2, 3], "3 weights for 2 members"),
        ([1, -0.5], "weight 2 is -0.5"),
        ([np.nan, 1], "weight 1 is nan"),
        ([1, np.inf], "weight 2 is inf"),
        ([0, 0], "all weights are 0"),
    ],
)
def test_wrong_weights_are_usage_errors(weights, words):
    members = [Predictions(["a"], [[1]], [[0.5]])] * 2
    with pytest.raises(UsageError, match=words):
        average(members, weights)


def test_no_members_and_top_k_0_are_usage_errors():
    with pytest.raises(UsageError, match="no members"):
        average([])
    with pytest.raises(UsageError, match="top_k is 0"):
        average([Predictions(["a"], [[1]], [[0.5]])], top_k=0)


def test_members_of_different_num_classes_are_refused():
    members = [Predictions(["a"], [[1]], [[0.5]], num_classes=n) for n in (None, 5, 5, 6)]
    with pytest.raises(DataError, match=r"member 4 .*num_classes=6.*member 2 .*num_classes=5"):
        average(members)
    known = Predictions(["a"], [[1]], [[0.5]], num_classes=5)
    stray = Predictions(["a"], [[9]], [[0.5]])
    assert average([known, stray]).num_classes is None
