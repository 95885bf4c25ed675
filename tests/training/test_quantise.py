"""Weights in fewer bits: by the formula, in files that open like any run."""

import json
import shutil

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from gapkit.errors import DataError, UsageError
from gapkit.training import load_run, quantise_run
from gapkit.training._runs.weights import pack_weights, unpack_weights


@pytest.fixture
def run(mean_run, tmp_path):
    shutil.copytree(mean_run, tmp_path / "run")
    return tmp_path / "run"


@given(
    hnp.arrays(
        np.float32,
        hnp.array_shapes(min_dims=2, max_dims=3, min_side=8, max_side=10),
        elements=st.floats(-1e4, 1e4, width=32),
    )
)
def test_int8_is_within_half_a_step_of_its_row(values):
    packed = pack_weights({"a": torch.from_numpy(values)}, "int8")
    assert (packed["a"].dtype, packed["a"].shape) == (torch.int8, values.shape)
    step = np.abs(values).max(axis=-1, keepdims=True) / 127
    back = unpack_weights(packed)["a"].numpy()
    assert back.dtype == np.float32
    assert (np.abs(back - values) <= step * 0.5001 + 1e-30).all()


def test_int8_by_hand():
    weight = torch.tensor([[127, -63.6, 0.4, 0, 0, 0, 0, 1], [0] * 8, [2, -2, 1, 0, 0, 0, 0, 0]])
    packed = pack_weights({"w": weight}, "int8")
    assert packed["w"].tolist()[0] == [127, -64, 0, 0, 0, 0, 0, 1]
    assert packed["w"].tolist()[1] == [0] * 8
    assert packed["w"].tolist()[2] == [127, -127, 64, 0, 0, 0, 0, 0]
    assert packed["w::scale"].shape == (3, 1)
    assert unpack_weights(packed)["w"][0, 0] == 127


def test_vectors_whole_numbers_and_short_rows_stay():
    weights = {
        "vector": torch.randn(40),
        "counts": torch.arange(40).reshape(4, 10),
        "bytes": torch.zeros(4, 10, dtype=torch.int8),
        "narrow": torch.randn(40, 3),
        "empty": torch.empty(0, 9),
    }
    for kind in ("int8", "float16"):
        back = unpack_weights(pack_weights(weights, kind))
        assert back.keys() == weights.keys()
        for name in weights.keys() - ({"narrow"} if kind == "float16" else set()):
            assert torch.equal(back[name], weights[name])
            assert back[name].dtype == weights[name].dtype


def test_float16_is_rounded_once():
    weight = torch.randn(9, 9)
    packed = pack_weights({"w": weight}, "float16")
    assert torch.equal(packed["w"], weight.half())
    assert torch.equal(unpack_weights(packed)["w"], weight.half().float())


@pytest.mark.parametrize(
    ("value", "kind", "words"),
    [
        (np.nan, "int8", "'w' holds a value that is not finite"),
        (np.inf, "float16", "'w' holds a value that is not finite"),
        (1e5, "float16", "'w' reaches 100000"),
    ],
)
def test_weights_that_do_not_fit_are_named(value, kind, words):
    weight = torch.zeros(9, 9)
    weight[3, 4] = value
    with pytest.raises(DataError, match=words):
        pack_weights({"w": weight}, kind)
    with pytest.raises(UsageError, match="'int4'"):
        pack_weights({"w": weight}, "int4")


@pytest.mark.parametrize("kind", ["float16", "int8"])
def test_a_quantised_run_opens_like_any(run, tmp_path, kind):
    made = quantise_run(run, tmp_path / "small", kind=kind)
    weights = pack_weights(load_file(run / "last.safetensors"), kind)
    for name, expected in unpack_weights(weights).items():
        assert torch.equal(made.predictor.state_dict()[name], expected)
    config = json.loads((tmp_path / "small" / "config.json").read_text())
    before = json.loads((run / "config.json").read_text())
    assert config == {
        **before,
        "weights": kind,
        "made_from": {"run": str(run), "checkpoint": "last"},
    }
    with safe_open(tmp_path / "small" / "last.safetensors", "pt") as file:
        stored = file.get_tensor("head.linear.weight").dtype
    assert stored == getattr(torch, kind)
    assert {path.name for path in (tmp_path / "small").iterdir()} == {
        "config.json",
        "last.safetensors",
    }
    again = quantise_run(tmp_path / "small", tmp_path / "again", kind=kind)
    for name, value in again.predictor.state_dict().items():
        torch.testing.assert_close(value, made.predictor.state_dict()[name], rtol=0, atol=1e-7)


def test_another_checkpoint_becomes_the_last(run, tmp_path):
    best = load_file(run / "best.safetensors")
    best["head.linear.bias"] = torch.arange(12.0)
    save_file(best, run / "best.safetensors")
    quantise_run(run, tmp_path / "small", kind="int8", checkpoint="best")
    loaded = load_run(tmp_path / "small", device="cpu").predictor
    assert torch.equal(loaded.head.linear.bias.detach(), torch.arange(12.0))


def test_what_is_there_is_not_lost(run, tmp_path):
    before = (run / "last.safetensors").read_bytes()
    with pytest.raises(DataError, match="is the run itself"):
        quantise_run(run, run, kind="int8", overwrite=True)
    quantise_run(run, tmp_path / "small", kind="int8")
    with pytest.raises(DataError, match="--overwrite"):
        quantise_run(run, tmp_path / "small", kind="int8")
    quantise_run(run, tmp_path / "small", kind="float16", overwrite=True)
    assert (run / "last.safetensors").read_bytes() == before


def test_a_scale_that_does_not_fit_is_named(run, tmp_path):
    quantise_run(run, tmp_path / "small", kind="int8")
    path = tmp_path / "small" / "last.safetensors"
    weights = load_file(path)
    weights["head.linear.weight::scale"] = torch.ones(5, 1)
    save_file(weights, path)
    with pytest.raises(DataError, match="does not fit"):
        load_run(tmp_path / "small", device="cpu")
