"""Whether the corpus is what truth.json says: asked of ridge regressions, in closed form."""

import json
from collections import Counter

import numpy as np
import pytest

from gapkit.data import synthesize
from gapkit.data._synth_truth import best_gap, label_chances
from gapkit.data._synth_world import SynthWorld
from gapkit.metrics import gap_from_hits

NUM_TRAIN, NUM_TEST = 4000, 2000
NUM_FRAMES_SPAN = 20


@pytest.fixture(scope="module")
def world():
    return SynthWorld(
        num_classes=40, rgb_size=64, audio_size=32, max_frames=NUM_FRAMES_SPAN, seed=3
    )


@pytest.fixture(scope="module")
def videos(world):
    return [world.video("train", index) for index in range(NUM_TRAIN + NUM_TEST)]


@pytest.fixture(scope="module")
def features(videos):
    """By name: the mean of frames, (N, D), and the first half of the video against the second."""
    means = {"rgb": [], "audio": [], "halves": []}
    for video in videos:
        sign_T = np.linspace(1, -1, len(video.rgb))
        means["rgb"].append(video.rgb.mean(axis=0))
        means["audio"].append(video.audio.mean(axis=0))
        means["halves"].append(sign_T @ video.rgb.astype(np.float64) / len(video.rgb))
    return {name: np.array(rows) for name, rows in means.items()}


@pytest.fixture(scope="module")
def truth(world, videos):
    true_NC = np.zeros((len(videos), world.num_classes))
    for row, video in zip(true_NC, videos, strict=True):
        row[video.true_labels] = 1
    return true_NC


def ridge_scores(x_ND, y_NC):
    """What a ridge regression that saw the first videos says of the others."""
    x_ND = (x_ND - x_ND.mean(axis=0)) / (x_ND.std(axis=0) + 1e-9)
    x_ND = np.column_stack([x_ND, np.ones(len(x_ND))])
    fit = x_ND[:NUM_TRAIN]
    weights = np.linalg.solve(fit.T @ fit + 10 * np.eye(x_ND.shape[1]), fit.T @ y_NC[:NUM_TRAIN])
    return x_ND[NUM_TRAIN:] @ weights


def auc(scores, is_true):
    """How often a true one outranks a false one."""
    pairs = scores[is_true][:, None] - scores[~is_true][None, :]
    return float((pairs > 0).mean())


def mean_auc(world, truth, scores_NC, kind):
    """Of each label of a kind among the videos of its vertical: all else there is shared."""
    vertical_N = world.verticals[truth[NUM_TRAIN:].argmax(axis=1)]
    values = []
    for label in np.flatnonzero([k == kind for k in world.kinds]):
        here = vertical_N == world.verticals[label]
        values.append(auc(scores_NC[here, label], truth[NUM_TRAIN:][here, label] > 0))
    return np.mean(values)


def pair_auc(world, truth, scores_NC):
    """Of the one label of each order pair against the other, where a video has one of them."""
    values = []
    for first in np.flatnonzero([kind == "order" for kind in world.kinds])[::2]:
        test_NC = truth[NUM_TRAIN:]
        one = test_NC[:, first] != test_NC[:, first + 1]
        difference = scores_NC[one, first] - scores_NC[one, first + 1]
        values.append(auc(difference, test_NC[one, first] > 0))
    return np.mean(values)


def test_a_frame_mean_does_not_learn_the_order_labels(world, features, truth):
    mean = np.column_stack([features["rgb"], features["audio"]])
    assert abs(pair_auc(world, truth, ridge_scores(mean, truth)) - 0.5) < 0.06
    assert pair_auc(world, truth, ridge_scores(features["halves"], truth)) > 0.9


def test_rgb_alone_does_not_learn_the_audible_labels(world, features, truth):
    of_rgb = ridge_scores(features["rgb"], truth)
    of_audio = ridge_scores(features["audio"], truth)
    assert mean_auc(world, truth, of_rgb, "audio") < 0.62
    assert mean_auc(world, truth, of_audio, "audio") > 0.75


def test_audio_alone_does_not_learn_the_visible_labels(world, features, truth):
    of_rgb = ridge_scores(features["rgb"], truth)
    of_audio = ridge_scores(features["audio"], truth)
    assert mean_auc(world, truth, of_audio, "visual") < 0.62
    assert mean_auc(world, truth, of_rgb, "visual") > 0.75


@pytest.mark.parametrize(("alone", "other"), [("rgb", "audio"), ("audio", "rgb")])
def test_neither_feature_alone_tells_labels_of_both_from_decoys(
    world, videos, features, truth, alone, other
):
    of_one = ridge_scores(features[alone], truth)
    of_both = ridge_scores(np.column_stack([features[alone], features[other]]), truth)
    values = []
    for label in np.flatnonzero([kind == "both" for kind in world.kinds]):
        is_true = truth[NUM_TRAIN:, label] > 0
        is_decoy = np.array([video.decoy == (label, alone) for video in videos[NUM_TRAIN:]])
        shown = is_true | is_decoy
        assert is_decoy.sum() > 10
        values.append([auc(scores[shown, label], is_true[shown]) for scores in (of_one, of_both)])
    one, both = np.mean(values, axis=0)
    assert one < 0.58
    assert both > 0.65


# The noise of the labels


def test_chances_are_how_often_the_machine_gives_each_label(world):
    rng = np.random.default_rng(0)
    for true_labels in {tuple(world.labels("train", n)[1]) for n in range(12)}:
        true_labels = np.array(true_labels)
        counts = Counter()
        for _ in range(4000):
            counts.update(world._observe(rng, rng.permutation(true_labels)).tolist())
        candidates, chances = label_chances(world, true_labels)
        assert set(counts) <= set(candidates.tolist())
        for label, chance in zip(candidates.tolist(), chances, strict=True):
            spread = np.sqrt(chance * (1 - chance) / 4000)
            assert abs(counts[label] / 4000 - chance) <= 5 * spread + 1e-9


def pooled(world, num_videos, confidence):
    """GAP of a predictor that is told the true labels, by the definition."""
    confidences, hits, num_positives = [], [], 0
    for index in range(num_videos):
        labels, true_labels = world.labels("val", index)
        candidates, chances = label_chances(world, true_labels)
        confidences += confidence(chances, len(true_labels)).tolist()
        hits += np.isin(candidates, labels).tolist()
        num_positives += len(labels)
    return gap_from_hits(np.array(confidences), np.array(hits), num_positives)


def test_the_best_gap_is_that_of_the_chances_and_no_other_does_better(world):
    best = best_gap(world, "val", 1000)
    assert best == pytest.approx(pooled(world, 1000, lambda chances, _: chances), abs=1e-6)
    assert 0.85 < best < 0.99
    rng = np.random.default_rng(0)
    worse = [
        lambda chances, count: (
            (np.arange(len(chances)) < count) * 1.0
        ),  # the true labels, equally sure
        lambda chances, _: chances * rng.uniform(0.8, 1, len(chances)),
        lambda chances, count: chances / count,
    ]
    for confidence in worse:
        assert pooled(world, 1000, confidence) < best


def test_large_splits_are_added_up_in_pieces(world, monkeypatch):
    whole = best_gap(world, "val", 500)
    monkeypatch.setattr("gapkit.data._synth_truth._VIDEOS_AT_ONCE", 7)
    assert best_gap(world, "val", 500) == pytest.approx(whole, abs=1e-12)


def test_truth_json_says_what_each_label_depends_on(tmp_path):
    corpus = synthesize(
        tmp_path / "raw", num_videos=30, num_classes=20, rgb_size=4, audio_size=2, max_frames=5
    )
    about = json.loads((corpus.folder / "truth.json").read_text())
    assert about["num_videos"] == {"train": 24, "val": 6}
    assert about["best_gap"] == {"val": corpus.best_gap}
    assert [row["index"] for row in about["labels"]] == list(range(20))
    assert [row["name"] for row in about["labels"]] == list(corpus.world.names)
    assert {row["depends_on"] for row in about["labels"]} == {"visual", "audio", "order", "both"}
    for row, events in zip(about["labels"], corpus.world.events, strict=True):
        parts = {"rgb": events[:, :4], "audio": events[:, 4:]}
        assert row["features"] == [name for name, part in parts.items() if part.any()]
        assert (len(events) == 2) == (row["depends_on"] == "order") == ("backwards" in row)
