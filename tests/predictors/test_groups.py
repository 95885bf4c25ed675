"""Groups of labels: each source, merged, and what is wrong with a map."""

import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from gapkit_predictors._groups import find_groups

from gapkit.data import FrameStore
from gapkit.errors import DataError, UsageError
from gapkit.plugins import find_predictor
from gapkit.predictions import Labels


@pytest.fixture
def store(data):
    return FrameStore(data / "train")


def test_verticals_of_the_vocabulary_are_the_groups(store):
    names = [of_label[0] for of_label in store.verticals]
    groups = find_groups("auto", None, store)
    assert len(groups) == 12
    for a in range(12):
        for b in range(12):
            assert (groups[a] == groups[b]) == (names[a] == names[b])


def test_a_csv_is_read_and_merged_evenly(store, tmp_path):
    path = tmp_path / "map.csv"
    path.write_text("index,group\n" + "".join(f"{i},g{i % 6}\n" for i in range(12)))
    assert find_groups(str(path), None, store) == tuple(i % 6 for i in range(12))
    merged = find_groups(str(path), 2, store)
    assert set(merged) == {0, 1}
    assert all(merged[i] == merged[i % 6] for i in range(12))
    counts = np.bincount(np.concatenate(store.labels.labels), minlength=12)
    sizes = [counts[np.array(merged) == g].sum() for g in (0, 1)]
    assert min(sizes) > 0.25 * sum(sizes)


def test_labels_that_occur_together_fall_into_one_group():
    """Three blocks of four labels; a video draws from one block."""
    rng = np.random.default_rng(0)
    rows = [rng.choice(4, 2, replace=False) + 4 * rng.integers(3) for _ in range(500)]
    labels = Labels([f"v{i}" for i in range(500)], rows, num_classes=12)

    class Store(SimpleNamespace):
        def __len__(self):
            return 500

    store = Store(labels=labels, num_classes=12, verticals=None, path="s")
    groups = find_groups("auto", 3, store)
    assert [len(set(groups[i : i + 4])) for i in (0, 4, 8)] == [1, 1, 1]
    assert len(set(groups)) == 3
    assert groups == find_groups("cooccurrence", 3, store)
    with pytest.raises(UsageError, match="no verticals"):
        find_groups("verticals", None, store)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("index,group\n" + "".join(f"{i},a\n" for i in range(11)), "11 of 12 labels; label 11"),
        ("index,group\n" + "".join(f"{i},a\n" for i in range(13)), "line 14: label 12"),
        ("index,group\n0,a\n0,b\n", "line 3: label 0 stands twice"),
        ("label,kind\n0,a\n", "line 2: the columns index,group"),
    ],
)
def test_a_map_that_does_not_fit_is_refused_by_line(store, tmp_path, text, message):
    path = tmp_path / "map.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        find_groups(str(path), None, store)


def test_a_map_that_is_not_there_is_named(store):
    with pytest.raises(DataError, match=r"nowhere\.csv"):
        find_groups("nowhere.csv", None, store)


def test_groups_of_a_run_that_do_not_fit_its_labels_are_an_error(data, tmp_path):
    from gapkit.training import TrainingConfig, load_run, train

    settings = {"hidden_size": 4, "num_groups": 2}
    one = TrainingConfig(epochs=1)
    train("bilstm_verticals", data, tmp_path / "a", settings=settings, training=one, device="cpu")
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    path = tmp_path / "b" / "config.json"
    config = json.loads(path.read_text())
    config["config"]["label_groups"] = [0, 1]
    path.write_text(json.dumps(config))
    with pytest.raises(DataError, match="2 labels, and there are 12"):
        load_run(tmp_path / "b", device="cpu")


@pytest.mark.parametrize("head", ["lr", "moe"])
def test_three_labels_a_video_are_true_at_the_start_in_all_groups_together(head):
    plugin = find_predictor("bilstm_verticals")
    settings = {"hidden_size": 4, "head": head, "label_groups": [i % 25 for i in range(1000)]}
    module = plugin.build(1000, {"rgb": 8}, plugin.configure(settings, parse=False))
    for part in module.heads:
        bias = part.linear.bias if head == "lr" else part.experts.bias
        np.testing.assert_allclose(bias.detach(), np.log(3 / 1000), rtol=1e-6)


@pytest.mark.parametrize(("num_groups", "expected"), [(None, 25), (6, 6), (40, 40), (99, 60)])
def test_labels_that_never_occur_spread_over_the_groups(num_groups, expected):
    """Of 400 labels 60 occur, alone or beside a neighbour."""
    rng = np.random.default_rng(0)
    seen = rng.permutation(400)[:60]
    rows = [seen[[i % 60, (i + i % 3) % 60]][: 1 + (i % 3 > 0)] for i in range(300)]
    labels = Labels([f"v{i}" for i in range(300)], rows, num_classes=400)
    store = SimpleNamespace(labels=labels, num_classes=400, verticals=None, path="s")
    groups = find_groups("cooccurrence", num_groups, store)
    sizes = np.bincount(groups)
    assert len(sizes) == expected
    assert np.bincount(np.array(groups)[seen], minlength=expected).min() >= 1
    assert sizes.max() - sizes.min() <= max(1, np.bincount(np.array(groups)[seen]).max())
