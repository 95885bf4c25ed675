import json

import numpy as np
import pytest

from gapkit.ensemble import average, read_weights
from gapkit.io import read_predictions, write_labels, write_predictions
from gapkit.metrics import gap
from gapkit.predictions import Labels, Predictions

NAMES = ("good.parquet", "poor.parquet", "noise.parquet")


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    """A folder of three submissions of a holdout and of a test set, and the truth of both."""
    folder = tmp_path_factory.mktemp("fit")
    truths = {}
    for split, seed in (("val", 0), ("test", 1)):
        rng = np.random.default_rng(seed)
        truth = rng.random((200, 9)) < 0.25
        ids = [f"{split}{n}" for n in range(len(truth))]
        truths[split] = Labels.from_dense(truth, ids)
        (folder / split).mkdir()
        write_labels(folder / split / "labels.parquet", truths[split])
        for name, noise in zip(NAMES, (0.7, 1.5, 9.0), strict=True):
            dense = 1 / (1 + np.exp(-(2 * truth - 1 + noise * rng.normal(size=truth.shape))))
            write_predictions(folder / split / name, Predictions.from_dense(dense, ids, top_k=5))
    return folder, truths


def files(split):
    return [f"{split}/{name}" for name in NAMES]


def options(folder, output):
    return ("--labels", "val", "--data", ".", "-o", output)


@pytest.mark.parametrize("calibrate", [(), ("--calibrate", "isotonic")])
def test_fitted_weights_are_saved_and_taken_for_the_test_set(cli, case, tmp_path, calibrate):
    folder, truths = case
    out, saved = tmp_path / "out.parquet", tmp_path / "w.json"
    result = cli(
        "ensemble",
        *files("val"),
        *options(folder, out),
        "--weights",
        "fit",
        "--save-weights",
        saved,
        *calibrate,
        cwd=folder,
    ).succeeds()
    assert "the fit is better than uniform beyond noise" in result.stdout
    weights = read_weights(saved)
    assert weights.members == tuple(files("val"))
    assert weights.weights[0] > weights.weights[2]
    assert (weights.transforms is None) == (not calibrate)
    members = [read_predictions(folder / file) for file in files("val")]
    expected = average(members, weights.weights, transforms=weights.transforms)
    assert read_predictions(out) == expected
    assert f"{gap(expected, truths['val']):.5f}" in result.stdout
    test = tmp_path / "test.parquet"
    cli("ensemble", *files("test"), "-o", test, "--weights", saved, cwd=folder).succeeds()
    members = [read_predictions(folder / file) for file in files("test")]
    expected = average(members, weights.weights, transforms=weights.transforms)
    assert read_predictions(test) == expected
    assert gap(expected, truths["test"]) > gap(average(members), truths["test"])


def test_a_fit_that_is_no_better_says_so(cli, case, tmp_path):
    folder, _ = case
    twice = ["val/good.parquet", "val/good.parquet"]
    out = tmp_path / "out.parquet"
    result = cli(
        "ensemble",
        *twice,
        *options(folder, out),
        "--weights",
        "fit",
        "--method",
        "coordinate",
        "--folds",
        3,
        cwd=folder,
    ).succeeds()
    assert "not better than uniform beyond noise (+0.00000, +0.00000 to +0.00000)" in result.stdout
    assert "--weights uniform is as good" in result.stderr
    assert read_predictions(out) == read_predictions(folder / twice[0])


def test_the_stacker_is_written_and_can_not_be_saved(cli, case, tmp_path):
    folder, _ = case
    out = tmp_path / "out.parquet"
    fit = (
        "ensemble",
        *files("val"),
        *options(folder, out),
        "--weights",
        "fit",
        "--method",
        "stack",
    )
    result = cli(*fit, cwd=folder).succeeds()
    assert "stack, out of fold" in result.stdout
    assert len(read_predictions(out)) == 200
    cli(*fit, "--save-weights", "w.json", cwd=folder).fails("--save-weights w.json", "stack", rc=2)


def test_explain_prints_a_row_a_file(cli, case, tmp_path):
    folder, truths = case
    out = tmp_path / "out.parquet"
    result = cli(
        "ensemble",
        *files("val"),
        *options(folder, out),
        "--weights",
        "5,3,2",
        "--explain",
        cwd=folder,
    ).succeeds()
    lines = result.stdout.splitlines()
    at = next(n for n, line in enumerate(lines) if line.startswith("member"))
    for line, name, weight in zip(lines[at + 1 :], files("val"), (0.5, 0.3, 0.2), strict=False):
        alone = gap(read_predictions(folder / name), truths["val"])
        assert line.split()[:3] == [name, f"{alone:.5f}", f"{weight:.4f}"]
    assert [line.split()[0] for line in lines[-3:]] == ["1", "2", "3"]
    assert lines[-3].split()[-1] == "val/good.parquet"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (("--weights", "fit"), ["--weights fit", "--labels"]),
        (("--explain",), ["--explain", "--labels"]),
        (("--method", "stack"), ["--method stack", "--weights fit", "uniform"]),
        (("--weights", "1,2,3", "--folds", 4), ["--folds 4", "--weights fit", "1,2,3"]),
        (("--calibrate", "isotonic"), ["--calibrate isotonic", "--weights fit"]),
        (("--save-weights", "w.json"), ["--save-weights w.json", "--weights fit"]),
    ],
)
def test_options_without_what_they_need_are_refused(cli, case, tmp_path, given, words):
    folder, _ = case
    out = tmp_path / "out.parquet"
    cli("ensemble", *files("val"), "-o", out, *given, cwd=folder).fails(*words, rc=2)
    assert not out.exists()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (("--method", "magic"), ["'magic'", "greedy, coordinate, stack"]),
        (("--calibrate", "platt"), ["'platt'", "temperature"]),
        (("--folds", 1), ["num_folds is 1"]),
        (("--mode", "max"), ["'max'"]),
    ],
)
def test_unknown_settings_of_a_fit_are_refused_and_the_output_stays(
    cli, case, tmp_path, given, words
):
    folder, _ = case
    out = tmp_path / "out.parquet"
    out.write_bytes(b"old")
    fit = ("ensemble", *files("val"), *options(folder, out), "--weights", "fit")
    cli(*fit, *given, cwd=folder).fails(*words, rc=2)
    assert out.read_bytes() == b"old"


def test_an_output_among_the_files_is_refused_before_the_fit(cli, case):
    folder, _ = case
    before = (folder / "val" / NAMES[0]).read_bytes()
    cli(
        "ensemble", *files("val"), *options(folder, files("val")[0]), "--weights", "fit", cwd=folder
    ).fails("val/good.parquet is among the files", rc=2)
    assert (folder / "val" / NAMES[0]).read_bytes() == before


def test_saved_weights_are_plain_json(cli, case, tmp_path):
    folder, _ = case
    out, saved = tmp_path / "out.parquet", tmp_path / "w.json"
    cli(
        "ensemble",
        *files("val"),
        *options(folder, out),
        "--weights",
        "fit",
        "--save-weights",
        saved,
        cwd=folder,
    ).succeeds()
    assert sorted(json.loads(saved.read_text())) == ["fill", "members", "mode", "weights"]
