"""Run folders: nothing pickled, nothing of a stranger's run executed, each damage named."""

import json
import shutil

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from gapkit.errors import DataError, GapkitError, PredictorError, UsageError
from gapkit.training import load_run


@pytest.fixture
def run(mean_run, tmp_path):
    shutil.copytree(mean_run, tmp_path / "run")
    return tmp_path / "run"


def edit(run, **changes):
    config = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps({**config, **changes}))


def test_a_run_holds_json_and_safetensors_only(mean_run):
    names = {path.name for path in mean_run.iterdir()}
    assert {name for name in names if not name.startswith("events.out.tfevents")} == {
        "config.json",
        "metrics.jsonl",
        "last.safetensors",
        "best.safetensors",
        "state.safetensors",
    }
    json.loads((mean_run / "config.json").read_text())
    for line in (mean_run / "metrics.jsonl").read_text().splitlines():
        json.loads(line)
    for name in ("last", "best"):
        with safe_open(mean_run / f"{name}.safetensors", "np") as file:
            shapes = {key: file.get_tensor(key).shape for key in file.keys()}  # noqa: SIM118
        assert shapes == {"head.linear.weight": (12, 24), "head.linear.bias": (12,)}


def test_loading_a_run_unpickles_nothing(run, monkeypatch):
    import pickle

    def refuse(*_, **__):
        raise AssertionError("unpickled")

    for module, name in (
        (pickle, "load"),
        (pickle, "loads"),
        (pickle, "Unpickler"),
        (torch, "load"),
    ):
        monkeypatch.setattr(module, name, refuse)
    loaded = load_run(run, device="cpu")
    assert (loaded.name, loaded.checkpoint, loaded.batch_size) == ("mean_lr", "last", 128)


def test_weights_are_those_of_the_checkpoint(run):
    zeros = {"head.linear.weight": torch.zeros(12, 24), "head.linear.bias": torch.arange(12.0)}
    save_file(zeros, run / "best.safetensors")
    best = load_run(run, checkpoint="best", device="cpu").predictor
    np.testing.assert_array_equal(best.head.linear.bias.detach(), np.arange(12))
    last = load_run(run, device="cpu").predictor
    assert last.head.linear.weight.any()
    with pytest.raises(UsageError, match="'middle'"):
        load_run(run, checkpoint="middle")


# name of the file: (its new content, words)
DAMAGE = {
    "missing weights": ("last.safetensors", None, "no such file"),
    "empty weights": ("last.safetensors", b"", "damaged or cut short"),
    "short weights": ("last.safetensors", -20, "damaged or cut short"),
    "half weights": ("last.safetensors", 100, "damaged or cut short"),
    "text as weights": ("last.safetensors", b"these are no weights at all", "damaged"),
    "missing config": ("config.json", None, "no such file"),
    "empty config": ("config.json", b"", "can't be read"),
    "half config": ("config.json", 200, "can't be read"),
    "binary config": ("config.json", b"\xff\xfe\x00", "can't be read"),
    "list as config": ("config.json", b"[1, 2]", "version 1"),
    "later config": ("config.json", b'{"version": 9}', "version"),
    "hollow config": ("config.json", b'{"version": 1}', "is missing"),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_a_damaged_run_is_named(run, what):
    file, content, words = DAMAGE[what]
    path = run / file
    if content is None:
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:content] if isinstance(content, int) else content)
    with pytest.raises(DataError, match=words) as caught:
        load_run(run)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    "weights",
    [
        {"head.linear.weight": torch.zeros(12, 24)},  # one is missing
        {"head.linear.weight": torch.zeros(12, 25), "head.linear.bias": torch.zeros(12)},
        {"a.weight": torch.zeros(3)},
        {},
    ],
)
def test_foreign_weights_are_named(run, weights):
    save_file(weights, run / "last.safetensors")
    with pytest.raises(DataError, match=r"last\.safetensors: does not fit predictor 'mean_lr'"):
        load_run(run)


def test_weights_of_other_feature_sizes_are_named(run):
    edit(run, feature_sizes={"rgb": 10, "audio": 8})
    with pytest.raises(DataError, match="does not fit"):
        load_run(run)


@pytest.mark.parametrize(
    "changes",
    [
        {"num_classes": "12"},
        {"num_classes": None},
        {"num_classes": -3},
        {"feature_sizes": ["rgb"]},
        {"feature_sizes": {"rgb": "x"}},
        {"feature_sizes": {}},
        {"training": 5},
        {"training": {}},
        {"training": {"validation_batch_size": "x"}},
        {"config": {"no_such": 1}},
        {"config": {"features": 5}},
        {"config": [1]},
        {"predictor": 5},
        {"predictor": "no_such_predictor"},
    ],
)
def test_a_config_with_a_wrong_value_is_an_error_of_gapkit(run, changes):
    edit(run, **changes)
    with pytest.raises(GapkitError):
        load_run(run)


@pytest.mark.parametrize("name", ["{folder}/evil.py", "evil.py", "evil:predictor"])
def test_a_strangers_run_executes_nothing(run, tmp_path, monkeypatch, name):
    """A run names its predictor by entry point only: no path or module of its is loaded."""
    (tmp_path / "evil.py").write_text(
        "from pathlib import Path\nPath('executed').touch()\npredictor = None\n"
    )
    monkeypatch.chdir(tmp_path)
    edit(run, predictor=name.format(folder=tmp_path))
    with pytest.raises(GapkitError) as caught:
        load_run(run)
    assert not (tmp_path / "executed").exists()
    assert "evil" in str(caught.value)


def test_a_run_of_a_path_names_the_option(run):
    edit(run, predictor=None, trained_from="mine/own.py")
    with pytest.raises(PredictorError, match=r"--predictor mine/own\.py"):
        load_run(run)


def test_a_run_of_a_predictor_that_is_not_installed_is_named(run):
    edit(run, predictor="gone_with_its_package")
    with pytest.raises(PredictorError, match="'gone_with_its_package'"):
        load_run(run)


def test_a_device_that_is_not_there_is_named(run):
    with pytest.raises(UsageError, match="'abacus'"):
        load_run(run, device="abacus")
