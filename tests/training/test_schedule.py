"""What a run learns with, how long it goes on, and what it keeps."""

import math

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from gapkit.data import FrameStore
from gapkit.errors import DataError, UsageError
from gapkit.metrics import gap
from gapkit.predicting import predict_split
from gapkit.training import TrainingConfig, average_checkpoints, load_run, train
from gapkit.training._loop import trainer as trainer_module

FAST = {"epochs": 3, "batch_size": 48, "learning_rate": 0.02}


def run(data, output, **training):
    return train("mean_lr", data, output, training=FAST | training, device="cpu")


def rates(data, output, monkeypatch, **training):
    """The learning rate at each step, as Adam has it."""
    seen = []
    step = torch.optim.Adam.step

    def spy(self, *args, **kwargs):
        seen.append(self.param_groups[0]["lr"])
        return step(self, *args, **kwargs)

    monkeypatch.setattr(torch.optim.Adam, "step", spy)
    run(data, output, **training)
    return seen


def test_a_cosine_falls_to_nothing_at_the_last_step(data, tmp_path, monkeypatch):
    seen = rates(data, tmp_path / "a", monkeypatch, schedule="cosine", warmup_steps=2)
    num = len(seen)
    assert seen[:2] == [0.01, 0.02]
    expected = [0.01 * (1 + math.cos(math.pi * n / (num - 2))) for n in range(num - 2)]
    np.testing.assert_allclose(seen[2:], expected, rtol=1e-12)


def test_max_steps_are_the_length_of_the_cosine(data, tmp_path, monkeypatch):
    seen = rates(data, tmp_path / "a", monkeypatch, schedule="cosine", max_steps=4)
    np.testing.assert_allclose(
        seen, [0.01 * (1 + math.cos(math.pi * n / 4)) for n in range(4)], rtol=1e-12
    )


def test_minutes_end_a_run_within_an_epoch_and_more_go_on(data, tmp_path, monkeypatch):
    clock = iter(np.arange(0, 1e6, 1.0))
    monkeypatch.setattr(trainer_module.time, "perf_counter", lambda: float(next(clock)))
    epochs = run(data, tmp_path / "a", max_minutes=0.05)
    assert [epoch.epoch for epoch in epochs] == [1]
    assert epochs[0].num_examples < len(FrameStore(data / "train"))
    more = train(
        "mean_lr", data, tmp_path / "a", training={"max_minutes": 1e6}, device="cpu", resume=True
    )
    assert more[-1].epoch == 3


def test_bfloat16_is_close_and_kept_as_float32(data, tmp_path):
    full, mixed = (
        run(data, tmp_path / precision, precision=precision)[-1]
        for precision in ("float32", "bfloat16")
    )
    assert 0 < abs(full.loss - mixed.loss) < 0.05 * full.loss
    weights = load_file(tmp_path / "bfloat16" / "last.safetensors")
    assert {weight.dtype for weight in weights.values()} == {torch.float32}


@pytest.fixture
def kept(data, tmp_path):
    run(data, tmp_path / "run", epochs=4, keep_every=1)
    return tmp_path / "run"


def test_numbered_checkpoints(data, tmp_path, kept):
    assert sorted(file.stem for file in kept.glob("checkpoint-*")) == [
        f"checkpoint-{number}" for number in (1, 2, 3, 4)
    ]
    assert (kept / "checkpoint-4.safetensors").read_bytes() == (
        kept / "last.safetensors"
    ).read_bytes()
    run(data, tmp_path / "b", epochs=4, keep_every=3)
    assert [file.stem for file in (tmp_path / "b").glob("checkpoint-*")] == ["checkpoint-3"]


def gap_of(data, path, checkpoint):
    loaded = load_run(path, checkpoint=checkpoint, device="cpu")
    store = FrameStore(data / "val")
    return gap(predict_split(loaded.predictor, store, batch_size=loaded.batch_size), store.labels)


def test_a_uniform_mean(data, kept):
    made = average_checkpoints(kept, split=data / "val", device="cpu")
    assert made.members == [f"checkpoint-{number}" for number in (1, 2, 3, 4)]
    parts = [load_file(kept / f"{name}.safetensors") for name in made.members]
    mean = load_file(made.path)
    for name, value in mean.items():
        expected = np.mean([part[name].numpy().astype(np.float64) for part in parts], axis=0)
        np.testing.assert_array_equal(value.numpy(), expected.astype(np.float32))
    assert made.gaps == {name: gap_of(data, kept, name) for name in made.members}
    assert made.gap == gap_of(data, kept, "average")


def test_a_greedy_mean_takes_what_does_no_harm(data, kept):
    weights = load_file(kept / "checkpoint-2.safetensors")
    spoilt = {name: value + 9 * torch.randn_like(value) for name, value in weights.items()}
    from safetensors.torch import save_file

    save_file(spoilt, kept / "checkpoint-9.safetensors")
    made = average_checkpoints(kept, method="greedy", split=data / "val", device="cpu", name="g")
    assert "checkpoint-9" not in made.members
    assert list(made.gaps.values()) == sorted(made.gaps.values(), reverse=True)
    assert made.members[0] == next(iter(made.gaps))
    assert made.gap == gap_of(data, kept, "g") >= max(made.gaps.values())


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"method": "greedy"}, UsageError, "split"),
        ({"method": "best"}, UsageError, "uniform or greedy"),
        ({"checkpoints": ["last"]}, UsageError, "2 checkpoints"),
        ({"checkpoints": ["last", "nine"]}, UsageError, "nine"),
        ({"name": "last"}, UsageError, "does not write"),
        ({"name": "../a"}, UsageError, "file name"),
        ({"name": "checkpoint-1"}, DataError, "is there already"),
    ],
)
def test_what_no_mean_can_be_of(data, kept, options, error, words):
    before = {file.name: file.read_bytes() for file in kept.iterdir() if file.is_file()}
    with pytest.raises(error, match=words):
        average_checkpoints(kept, options.pop("checkpoints", ["all"]), device="cpu", **options)
    assert before == {file.name: file.read_bytes() for file in kept.iterdir() if file.is_file()}


@pytest.mark.parametrize(
    "wrong",
    [{"schedule": "line"}, {"precision": "half"}, {"keep_every": 0}, {"max_minutes": -1},
     {"warmup_steps": -1}],
)  # fmt: skip
def test_settings_out_of_range(wrong):
    with pytest.raises(UsageError, match=next(iter(wrong))):
        TrainingConfig(**wrong)
