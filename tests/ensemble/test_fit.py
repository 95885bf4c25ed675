import itertools

import numpy as np
import oracles
import pytest

from gapkit.ensemble import average, check_weights, fit_weights, read_weights, write_weights
from gapkit.ensemble._fitting.folds import assign_folds
from gapkit.ensemble._fitting.search import coordinate, greedy
from gapkit.ensemble._fitting.table import Trial, lay_out
from gapkit.errors import DataError, UsageError
from gapkit.io import read_predictions, write_predictions
from gapkit.metrics import bootstrap_gap, gap
from gapkit.predictions import Labels, Predictions

FEW = {"num_resamples": 50}
BINS = 5e-3  # they join what differs by less than 1 in 4,096, here in a ranking of 160 predictions


def make(seed, *, noises=(1.0, 2.0, 3.0), num_videos=40, num_classes=9, k=4, ragged=False):
    """Labels, and members that see them through more or less noise."""
    rng = np.random.default_rng(seed)
    truth = rng.random((num_videos, num_classes)) < 0.25
    ids = np.array([f"v{n}" for n in range(num_videos)])
    members = []
    for noise in noises:
        dense = 1 / (1 + np.exp(-(2 * truth - 1 + noise * rng.normal(size=truth.shape))))
        member = Predictions.from_dense(dense, ids.tolist(), top_k=k)
        if ragged:  # other videos, in another order, of other lengths
            rows = rng.permutation(num_videos)[: num_videos - 5]
            member = Predictions(
                [*ids[rows], "stranger"],
                member.labels[[*rows, 0]],
                member.confidences[[*rows, 0]],
                rng.integers(0, k + 1, len(rows) + 1),
            )
        members.append(member)
    return members, Labels.from_dense(truth, ids.tolist())


def trial_of(members, labels, top_k=4, mode="mean", fill="zero"):
    names = [f"member {m + 1}" for m in range(len(members))]
    table = lay_out(members, labels, names=names, top_k=top_k, mode=mode, fill=fill)
    return Trial(table, np.arange(len(labels)))


def to_dict(table):
    return {
        name: list(zip(labels[:n].tolist(), confidences[:n].tolist(), strict=True))
        for name, labels, confidences, n in zip(
            table.ids, table.labels, table.confidences, table.lengths, strict=True
        )
    }


def oracle_gap(members, weights, labels, top_k=4):
    true = {name: set(row.tolist()) for name, row in zip(labels.ids, labels.labels, strict=True)}
    mean = oracles.ensemble([to_dict(member) for member in members], weights, top_k)
    mean = {name: row for name, row in mean.items() if name in true}
    return oracles.score_tables(mean, true, top_k=top_k)["gap"]


@pytest.mark.parametrize("fill", ["zero", "minimum"])
@pytest.mark.parametrize("mode", ["mean", "logit", "rank", "rrf"])
@pytest.mark.parametrize("ragged", [False, True])
def test_a_tried_step_gives_the_gap_of_the_average(mode, fill, ragged):
    members, labels = make(3, ragged=ragged)
    trial = trial_of(members, labels, mode=mode, fill=fill)
    rng = np.random.default_rng(0)
    for _ in range(5):
        weights = rng.random(3)
        trial.set(weights)
        weights[1] += 0.5
        expected = gap(average(members, weights, top_k=4, mode=mode, fill=fill), labels)
        assert trial.gap_after(1, 0.5) == pytest.approx(expected, abs=BINS)
        trial.move(1, 0.5)
        trial.move(1, 0.25)
        trial.move(1, -0.25)
        assert trial.gap() == pytest.approx(expected, abs=BINS)


@pytest.mark.parametrize("fill", ["zero", "minimum"])
@pytest.mark.parametrize("mode", ["mean", "logit", "rank", "rrf"])
def test_the_sums_of_a_trial_are_the_means_of_the_average(mode, fill):
    members, labels = make(4, ragged=True)
    trial = trial_of(members, labels, mode=mode, fill=fill)
    weights = np.array([0.5, 2.0, 1.0])
    trial.set(weights)
    entries, mean_E = trial.means()
    if mode == "logit":  # counted from the log odds of what is absent
        mean_E = 1 / (1 + np.exp(-(mean_E + np.log(1e-6 / (1 - 1e-6)))))
    table = trial.table
    video_E = np.searchsorted(table.offsets, entries, side="right") - 1
    found = {
        (labels.ids[v], int(label)): mean
        for v, label, mean in zip(video_E, table.labels, mean_E, strict=True)
    }
    averaged = to_dict(average(members, weights, top_k=9, mode=mode, fill=fill))
    expected = {(name, label): c for name, row in averaged.items() for label, c in row}
    expected = {key: c for key, c in expected.items() if key[0] != "stranger"}
    assert found == pytest.approx(expected, rel=1e-5, abs=1e-7)


def test_a_tried_step_is_exact_where_no_two_predictions_share_a_bin():
    labels = Labels(["a", "b"], [[0, 2], [1]], num_classes=4)
    first = Predictions(["a", "b"], [[0, 1], [2, 1]], [[0.9, 0.3], [0.8, 0.6]])
    second = Predictions(["b", "a"], [[1, 3], [2, 0]], [[0.7, 0.5], [0.4, 0.2]])
    trial = trial_of([first, second], labels, top_k=2)
    for weights in ([1, 0], [0, 1], [1, 1], [3, 1], [1, 4]):
        trial.set(np.array(weights, float))
        assert trial.gap() == pytest.approx(
            oracle_gap([first, second], weights, labels, top_k=2), abs=1e-12
        )


@pytest.mark.parametrize("seed", range(4))
def test_greedy_equals_a_slow_selection(seed):
    members, labels = make(seed, num_videos=12)
    counts, best, best_gap = np.zeros(3), None, -1.0
    for _ in range(25):
        gaps = [oracle_gap(members, counts + np.eye(3)[m], labels) for m in range(3)]
        tied = [m for m in range(3) if gaps[m] >= max(gaps) - 1e-12]
        chosen = next((m for m in tied if counts[m]), tied[0])
        counts[chosen] += 1
        if gaps[chosen] > best_gap + 1e-6:
            best, best_gap = counts / counts.sum(), gaps[chosen]
    uniform = oracle_gap(members, [1, 1, 1], labels)
    if uniform > best_gap + 1e-6:
        best, best_gap = np.full(3, 1 / 3), uniform
    found = greedy(trial_of(members, labels))
    assert oracle_gap(members, found, labels) >= best_gap - 1e-3
    assert found == pytest.approx(best, abs=0.2)


@pytest.mark.parametrize("seed", range(3))
def test_rounds_over_many_members_gain_what_all_steps_over_all_do(monkeypatch, seed):
    members, labels = make(seed, noises=np.linspace(0.8, 4, 20), num_videos=200)
    trial = trial_of(members, labels)
    gaps = []
    for few in (8, 20):
        monkeypatch.setattr("gapkit.ensemble._fitting.search._FEW", few)
        gaps.append(gap(average(members, greedy(trial), top_k=4), labels))
    uniform = gap(average(members, top_k=4), labels)
    assert gaps[1] > uniform + 0.01
    assert gaps[0] - uniform > 0.9 * (gaps[1] - uniform)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("search", [greedy, coordinate])
def test_a_search_comes_near_to_the_best_point_of_a_grid(search, seed):
    members, labels = make(seed, num_videos=150)
    grid = [np.array(p) for p in itertools.product(range(11), repeat=3) if sum(p) == 10]
    gaps = [gap(average(members, p, top_k=4), labels) for p in grid]
    weights = search(trial_of(members, labels))
    found = gap(average(members, weights, top_k=4), labels)
    uniform = gap(average(members, top_k=4), labels)
    assert found >= uniform - 1e-5
    assert found - uniform >= 0.6 * (max(gaps) - uniform)
    assert weights.sum() == pytest.approx(1)
    assert (weights >= 0).all()


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
@pytest.mark.parametrize("method", ["greedy", "coordinate"])
@pytest.mark.parametrize("calibrate", [None, "temperature", "isotonic"])
def test_the_reported_gap_is_that_of_the_written_file(tmp_path, method, calibrate, suffix):
    members, labels = make(5, ragged=True, num_videos=120)
    fitted = fit_weights(members, labels, method=method, calibrate=calibrate, top_k=4, **FEW)
    write_weights(tmp_path / "w.json", fitted.to_weights())
    saved = read_weights(tmp_path / "w.json")
    result = average(members, saved.weights, top_k=4, transforms=saved.transforms)
    path = tmp_path / f"ensemble{suffix}"
    write_predictions(path, result)
    tolerance = 1e-9 if suffix == ".parquet" else 1e-3  # Kaggle's CSV rounds
    assert fitted.gap == pytest.approx(gap(read_predictions(path), labels, top_k=4), abs=tolerance)
    assert gap(fitted.apply(members), labels, top_k=4) == fitted.gap


@pytest.mark.parametrize("method", ["greedy", "coordinate", "stack"])
def test_the_fit_to_random_labels_gains_nothing_out_of_fold(method):
    inside, outside = [], []
    for seed in range(6):
        members, _ = make(seed, noises=[1.0] * 8, num_videos=60)
        _, labels = make(seed + 100, noises=(), num_videos=60)
        fitted = fit_weights(members, labels, method=method, top_k=4, **FEW)
        inside.append(fitted.gap - fitted.uniform.value)
        outside.append(fitted.versus_uniform.difference)
    assert np.mean(inside) > 0.005
    assert np.mean(outside) < 0.4 * np.mean(inside)


@pytest.mark.parametrize("calibrate", [None, "temperature", "isotonic"])
@pytest.mark.parametrize("method", ["greedy", "coordinate", "stack"])
def test_what_is_scored_on_a_fold_never_saw_it(method, calibrate):
    members, labels = make(1, noises=(1.0, 1.1, 1.2, 1.3), num_videos=100)
    options = {"method": method, "calibrate": calibrate, "top_k": 4, **FEW}
    before = fit_weights(members, labels, **options)
    fold = assign_folds(labels, 5, 0)
    rows = labels.labels
    turned = Labels(
        labels.id_column,
        [
            np.setdiff1d(np.arange(9), row) if f == 2 else row
            for row, f in zip(rows, fold, strict=True)
        ],
        num_classes=9,
    )
    after = fit_weights(members, turned, **options)
    assert after.fold_weights[2].tolist() == before.fold_weights[2].tolist()
    assert after.fold_weights[[0, 1, 3, 4]].tolist() != before.fold_weights[[0, 1, 3, 4]].tolist()


def test_folds_are_even_and_depend_on_ids_alone():
    _, labels = make(0, num_videos=103)
    fold = assign_folds(labels, 5, 7)
    assert sorted(np.bincount(fold).tolist()) == [20, 20, 21, 21, 21]
    rows = np.random.default_rng(0).permutation(103)
    assert assign_folds(labels.take(rows), 5, 7).tolist() == fold[rows].tolist()
    assert assign_folds(labels, 5, 8).tolist() != fold.tolist()


@pytest.mark.parametrize("method", ["greedy", "coordinate"])
def test_the_order_of_rows_does_not_matter(method):
    members, labels = make(2, num_videos=60)
    rng = np.random.default_rng(0)
    shuffled = []
    for member in members:
        rows = rng.permutation(60)
        shuffled.append(
            Predictions(member.ids[rows].tolist(), member.labels[rows], member.confidences[rows])
        )
    first = fit_weights(members, labels, method=method, top_k=4, **FEW)
    second = fit_weights(shuffled, labels.take(rng.permutation(60)), method=method, top_k=4, **FEW)
    assert first.weights.tolist() == second.weights.tolist()
    assert first.out_of_fold.value == pytest.approx(second.out_of_fold.value, abs=1e-12)


def test_the_fit_of_a_good_and_bad_members_is_better_than_uniform():
    members, labels = make(0, noises=(0.5, 9.0, 9.0), num_videos=300)
    fitted = fit_weights(members, labels, top_k=4)
    assert fitted.weights[0] > 0.7
    assert fitted.better_than_uniform
    assert "the fit is better than uniform beyond noise (+" in str(fitted)
    assert fitted.uniform == bootstrap_gap(average(members, top_k=4), labels)
    assert fitted.best_single.value == gap(members[0], labels)
    assert fitted.gaps.tolist() == [gap(member, labels) for member in members]


def test_the_fit_of_like_members_says_use_uniform():
    members, labels = make(0, noises=(1.0, 1.0, 1.0), num_videos=100)
    fitted = fit_weights(members, labels, top_k=4)
    assert not fitted.better_than_uniform
    assert "not better than uniform beyond noise" in fitted.summary
    assert fitted.summary.endswith("use uniform.")


def test_equal_members_are_fitted_by_the_fewest():
    members, labels = make(0, noises=(1.0,))
    fitted = fit_weights(members * 3, labels, top_k=4, **FEW)
    assert fitted.weights.tolist() == [1, 0, 0]


def test_one_member_has_weight_1():
    members, labels = make(0, noises=(1.0,))
    fitted = fit_weights(members, labels, top_k=4, **FEW)
    assert fitted.weights.tolist() == [1]
    assert fitted.gap == fitted.out_of_fold.value == gap(members[0], labels)
    assert "there is one member: its weight is 1, nothing was fitted." in str(fitted)


def test_files_and_tables_fit_alike(tmp_path):
    members, labels = make(0)
    paths = [tmp_path / f"{m}.parquet" for m in range(3)]
    for path, member in zip(paths, members, strict=True):
        write_predictions(path, member)
    fitted = fit_weights(paths, labels, top_k=4, **FEW)
    assert fitted.names == tuple(str(path) for path in paths)
    assert fitted.weights.tolist() == fit_weights(members, labels, top_k=4, **FEW).weights.tolist()
    assert check_weights(fitted.weights, 3).sum() > 0


def test_bad_arguments_are_refused_by_their_values():
    members, labels = make(0)
    with pytest.raises(UsageError, match=r"method is 'magic'. It must be one of greedy, coord"):
        fit_weights(members, labels, method="magic")
    with pytest.raises(UsageError, match=r"calibrate is 'platt'. It must be None, temperature or"):
        fit_weights(members, labels, calibrate="platt")
    with pytest.raises(UsageError, match=r"mode is 'max', which weighs nothing"):
        fit_weights(members, labels, mode="max")
    with pytest.raises(
        UsageError, match=r"mode is 'rank'. The method 'stack' starts from the mode"
    ):
        fit_weights(members, labels, mode="rank", method="stack")
    with pytest.raises(UsageError, match=r"an ensemble of no members"):
        fit_weights([], labels)
    with pytest.raises(UsageError, match=r"2 names for 3 members"):
        fit_weights(members, labels, names=["a", "b"])
    with pytest.raises(UsageError, match=r"num_folds is 1. It must be a whole number from 2"):
        fit_weights(members, labels, num_folds=1)
    with pytest.raises(UsageError, match=r"seed is -1. It must be a whole number from 0"):
        fit_weights(members, labels, seed=-1)
    with pytest.raises(DataError, match=r"41 folds of 40 labelled videos. Choose fewer"):
        fit_weights(members, labels, num_folds=41)


def test_bad_data_is_refused_by_its_place():
    members, labels = make(0)
    strange = Predictions(["x", "y"], [[0], [1]], [[0.5], [0.5]])
    with pytest.raises(DataError, match=r"b: none of its 2 videos is among the 40 of the labels"):
        fit_weights([members[0], strange], labels, names=["a", "b"])
    empty = Labels(labels.id_column, [[]] * 40, num_classes=9)
    with pytest.raises(DataError, match=r"no video of the labels has a true label"):
        fit_weights(members, empty)
    low = Predictions(["v1", "v3"], [[0], [8]], [[0.5], [-0.25]])
    with pytest.raises(
        DataError, match=r"member 1: row 1 \(id 'v3'\): the confidence of label 8 is -0.25"
    ):
        fit_weights([low, *members], labels)
    high = Predictions(["v1", "v3"], [[0], [8]], [[0.5], [1.25]])
    with pytest.raises(DataError, match=r"the confidence of label 8 is 1.25.*from 0 to 1"):
        fit_weights([high, *members], labels, mode="logit")
