"""Every mode and fill beside a dictionary and a sort; and that no order matters."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gapkit.ensemble import average
from gapkit.ensemble._modes import FILLS, MODES
from gapkit.errors import DataError, UsageError
from gapkit.predictions import Predictions

EPSILON = 1e-6


def log_odds(confidence):
    clipped = min(max(confidence, EPSILON), 1 - EPSILON)
    return math.log(clipped / (1 - clipped))


def value_of(mode, confidence, rank, length):
    return {
        "mean": confidence,
        "max": confidence,
        "logit": log_odds(confidence),
        "rank": (length - rank) / length,
        "rrf": 1 / (61 + rank),
    }[mode]


def slow_average(members, weights, mode, fill, top_k):
    """{id: [(label, confidence), ...]} of members that are {id: [(label, confidence), ...]}."""
    result = {}
    for name in dict.fromkeys(name for member in members for name in member):
        labels = {label for member in members for label, _ in member.get(name, [])}
        row = []
        for label in labels:
            values = []
            for member in members:
                entries = sorted(member.get(name, []), key=lambda entry: (-entry[1], entry[0]))
                ranked = {
                    other: value_of(mode, confidence, rank, len(entries))
                    for rank, (other, confidence) in enumerate(entries)
                }
                lowest = log_odds(0) if mode == "logit" else 0.0
                if fill == "minimum" and ranked:
                    lowest = min(ranked.values())
                values.append(ranked.get(label, lowest))
            if mode == "max":
                total = max(values)
            else:
                total = math.fsum(w * v for w, v in zip(weights, values, strict=True))
                total /= math.fsum(weights)
            row.append((label, 1 / (1 + math.exp(-total)) if mode == "logit" else total))
        result[name] = sorted(row, key=lambda entry: (-entry[1], entry[0]))[:top_k]
    return result


def to_dict(table):
    return {
        name: list(zip(labels[:n].tolist(), confidences[:n].tolist(), strict=True))
        for name, labels, confidences, n in zip(
            table.ids, table.labels, table.confidences, table.lengths, strict=True
        )
    }


def make(rng, num_videos=12, k=5, num_classes=15):
    ids = [f"v{n}" for n in rng.permutation(16)[:num_videos]]
    label_NK = np.argsort(rng.random((num_videos, num_classes)), axis=1)[:, :k]
    confidence_NK = rng.random((num_videos, k)) ** 4
    return Predictions(ids, label_NK, confidence_NK, rng.integers(0, k + 1, num_videos))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("fill", FILLS)
@pytest.mark.parametrize("mode", MODES)
def test_modes_equal_the_slow_answer(mode, fill, seed):
    rng = np.random.default_rng(seed)
    members = [make(rng, k=k) for k in rng.integers(1, 9, 5)]
    weights = [1.0] * 5 if mode == "max" or seed % 2 else [3, 1, 1, 0.3, 3]
    result = to_dict(average(members, weights, mode=mode, fill=fill, top_k=99))
    expected = slow_average([to_dict(m) for m in members], weights, mode, fill, 99)
    assert list(result) == list(expected)
    for name, row in expected.items():
        found = dict(result[name])
        assert found.keys() == dict(row).keys()
        for label, confidence in row:
            assert found[label] == pytest.approx(confidence, abs=1e-6)
        assert result[name] == sorted(result[name], key=lambda entry: (-entry[1], entry[0]))


@pytest.mark.parametrize("fill", FILLS)
@pytest.mark.parametrize("mode", MODES)
def test_the_cut_is_the_head_of_the_whole(mode, fill):
    rng = np.random.default_rng(7)
    members = [make(rng) for _ in range(3)]
    whole = to_dict(average(members, mode=mode, fill=fill, top_k=99))
    cut = to_dict(average(members, mode=mode, fill=fill, top_k=2))
    assert cut == {name: row[:2] for name, row in whole.items()}


def test_modes_by_hand():
    members = [
        Predictions(["v"], [[0, 1]], [[0.75, 0.25]]),
        Predictions(["v"], [[1]], [[0.5]]),
    ]
    assert to_dict(average(members, mode="max")) == {"v": [(0, 0.75), (1, 0.5)]}
    assert to_dict(average(members, mode="rank")) == {"v": [(1, 0.75), (0, 0.5)]}
    assert to_dict(average(members, fill="minimum")) == {"v": [(0, 0.625), (1, 0.375)]}
    (row,) = to_dict(average(members, mode="rrf")).values()
    assert row == [
        (1, pytest.approx((1 / 62 + 1 / 61) / 2)),
        (0, pytest.approx(1 / 61 / 2)),
    ]


def test_max_takes_an_absent_label_for_0():
    members = [
        Predictions(["v"], [[0, 1]], [[-0.25, -0.5]]),
        Predictions(["v"], [[1]], [[-0.75]]),
    ]
    assert to_dict(average(members, mode="max")) == {"v": [(0, 0.0), (1, -0.5)]}


@given(
    seed=st.integers(0, 2**32 - 1),
    mode=st.sampled_from(MODES),
    fill=st.sampled_from(FILLS),
    order=st.permutations(range(5)),
    weights=st.one_of(
        st.just([1.0] * 5),
        st.just([0.5, 0.3, 0.2, 0.3, 0.5]),
        st.lists(st.integers(0, 3), min_size=5, max_size=5).filter(any),
    ),
)
@settings(max_examples=150, deadline=None)
def test_the_order_of_members_and_rows_does_not_matter(seed, mode, fill, order, weights):
    """To the last bit; confidences of few bits make sums that lie between two float32 common."""
    rng = np.random.default_rng(seed)
    members = [make(rng, num_videos=16) for _ in range(5)]
    if mode == "max":
        weights = [1.0] * 5
    options = {"mode": mode, "fill": fill, "top_k": 4}
    result = to_dict(average(members, weights, **options))
    shuffled = []
    for m in order:
        rows = rng.permutation(16)
        member = members[m]
        shuffled.append(
            Predictions(
                member.ids[rows],
                member.labels[rows],
                member.confidences[rows],
                member.lengths[rows],
            )
        )
    other = average(shuffled, [weights[m] for m in order], **options)
    assert to_dict(other) == result


def test_weights_of_thirds_round_the_same_in_every_order():
    """Sixths of float32 lie halfway between two of them in one case of six."""
    rng = np.random.default_rng(0)
    members = [
        Predictions(["v"], [np.arange(4000)], [0.5 + rng.random(4000) / 2], num_classes=4000)
        for _ in range(3)
    ]
    result = to_dict(average(members, [0.1, 0.2, 0.3], top_k=4000))
    for order in ([2, 0, 1], [1, 2, 0], [2, 1, 0]):
        weights = [0.1, 0.2, 0.3]
        other = average([members[m] for m in order], [weights[m] for m in order], top_k=4000)
        assert to_dict(other) == result


def test_transforms_come_before_all_else():
    member = Predictions(["v"], [[0, 1, 2]], [[0.75, 0.5, 0.25]])
    knots = [(0.0, 0.0), (0.5, 0.25), (1.0, 0.25)]
    result = average([member, member], transforms=[knots, None])
    assert to_dict(result) == {"v": [(0, 0.5), (1, 0.375), (2, 0.1875)]}
    assert result.provenance["transforms"] == [[[0.0, 0.0], [0.5, 0.25], [1.0, 0.25]], None]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"mode": "median"}, "mode is 'median'.*mean, logit, rank, rrf, max"),
        ({"fill": "one"}, "fill is 'one'.*zero, minimum"),
        ({"mode": "max", "weights": [1, 2]}, "weight 2 differs .*'max'"),
        ({"names": ["a"]}, "1 names for 2 members"),
        ({"transforms": [None]}, "1 transforms for 2 members"),
        ({"transforms": [None, [(0, 1), (0, 2)]]}, r"transform 2: knot \[0.0, 2.0\]"),
        ({"transforms": [[(0, 1), (1, 0)], None]}, r"transform 1: knot \[1.0, 0.0\]"),
        ({"transforms": [[(0, np.nan)], None]}, "transform 1: .*finite"),
    ],
)
def test_wrong_options_are_usage_errors(options, words):
    with pytest.raises(UsageError, match=words):
        average([Predictions(["a"], [[1]], [[0.5]])] * 2, **options)


def test_logit_refuses_what_is_no_probability():
    members = [
        Predictions(["a", "b"], [[1], [4]], [[0.5], [0.5]]),
        Predictions(["a", "b"], [[1], [4]], [[0.5], [1.5]]),
    ]
    with pytest.raises(DataError, match=r"member 2: row 1 \(id 'b'\).*label 4 is 1.5"):
        average(members, mode="logit")
    assert len(average(members)) == 2


def test_a_member_that_shares_no_video_is_refused():
    members = [Predictions([name], [[1]], [[0.5]]) for name in ("a", "a", "x")]
    with pytest.raises(DataError, match=r"member 3: .*1 videos.*'x'.*member 1"):
        average(members)
    first_alone = [members[2], members[0], members[1]]
    with pytest.raises(DataError, match=r"member 1: .*'x'.*member 2"):
        average(first_alone)
    chain = [Predictions(ids, [[1]] * 2, [[0.5]] * 2) for ids in (["a", "b"], ["b", "c"])]
    assert len(average([*chain, members[0]])) == 3


def test_strict_refuses_a_missing_video():
    members = [Predictions(["a", "b"], [[1]] * 2, [[0.5]] * 2), Predictions(["b"], [[1]], [[0.5]])]
    with pytest.raises(DataError, match=r"member 2: lacks 1 of 2 videos, .*'a'"):
        average(members, strict=True)
    assert len(average([members[0], members[0]], strict=True)) == 2


def test_provenance_says_how_it_was_made():
    member = Predictions(["a"], [[1]], [[0.5]])
    result = average([member] * 2, [3, 1], mode="rank", fill="minimum", names=["x", "y"])
    assert result.provenance == {
        "members": ["x", "y"],
        "weights": [0.75, 0.25],
        "mode": "rank",
        "fill": "minimum",
    }
