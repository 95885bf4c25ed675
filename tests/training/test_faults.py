"""A predictor that goes wrong while it is trained is named, and the run that is there stays."""

import shutil

import pytest

from gapkit.errors import PredictorError
from gapkit.training import train
from gapkit.training._loop.faults import blaming

SOURCE = """\
import torch
from gapkit.training import LogisticHead, TorchPredictor
class Bad(TorchPredictor):
    calls = 0
    def __init__(self, num_classes, feature_sizes, config):
        super().__init__(num_classes, feature_sizes, config)
        self.head = LogisticHead(2, num_classes)
    def forward(self, features, num_frames):
        self.calls += 1
        good = self.head(torch.ones(len(num_frames), 2))
        return good if self.calls <= {when} else {wrong}
{more}
predictor = Bad
"""
FAST = ("--epochs", 2, "--batch-size", 60, "--device", "cpu")


@pytest.fixture(scope="module")
def before(data, tmp_path_factory, cli):
    """A run that is there: `bad.py` as long as it was good."""
    folder = tmp_path_factory.mktemp("before")
    (folder / "bad.py").write_text(SOURCE.format(when=99, wrong="good", more=""))
    cli("train", "bad.py", "--data", data, "-o", "run", *FAST, cwd=folder).succeeds()
    return folder / "run"


@pytest.fixture
def fail(cli, data, before, tmp_path, snapshot):
    """Trains a predictor gone wrong over the run that is there, which stays; gives the result."""

    def fail(wrong="good", when=1, more="", options=()):
        shutil.copytree(before, tmp_path / "run", dirs_exist_ok=True)
        (tmp_path / "bad.py").write_text(SOURCE.format(when=when, wrong=wrong, more=more))
        there = snapshot(tmp_path / "run")
        options = ("--data", data, "-o", "run", "--overwrite", *FAST, *options)
        result = cli("train", "bad.py", *options, cwd=tmp_path)
        assert snapshot(tmp_path / "run") == there
        assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]
        return result

    return fail


@pytest.mark.parametrize("when", [0, 1])
@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ("1 / 0", ["failed in training on the batch of video 'train-", "ZeroDivisionError"]),
        ("good[:, :3]", ["float32 of shape (60, 3) in training", "(60, 12)"]),
        ("good[:3]", ["(3, 12)", "(60, 12)"]),
        ("good[:, :1]", ["(60, 1)", "(60, 12)"]),
        ("good.long()", ["int64", "floats"]),
        ("good.detach().numpy()", ["returned ndarray", "a tensor"]),
        ("None", ["NoneType"]),
        ("good * float('nan')", ["loss is nan", "returned nan for label 0 of video 'train-"]),
        ("good + 1.5", ["loss is nan", " for label 0 of video 'train-", "[0, 1]"]),
        ("-good - 0.5", ["loss is nan", "returned -0.", " for label 0 of video 'train-"]),
        ("good.detach()", ["without a gradient"]),
        ("torch.ones(3, 4) @ good", ["failed in training", "RuntimeError", "shapes"]),
        ("good.foo", ["AttributeError", "foo"]),
    ],
)
def test_what_a_forward_does_wrong_is_named(fail, wrong, when, words):
    fail(wrong, when).fails("'bad.py'", *words)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ("good * torch.nan if self.training else good", ["returned nan in training"]),
        ("good + 2 if self.training else good", ["the loss is nan", "in training", "[0, 1]"]),
        (
            "good + 0 * (0 * good).sqrt()",
            ["the gradient's norm is nan in epoch 1", "What was saved before stays"],
        ),
    ],
)
def test_values_that_are_wrong_in_training_alone_are_named(fail, wrong, words):
    fail(wrong=wrong, when=2).fails(*words)


def test_a_fault_in_validation_alone_is_named(fail):
    wrong = "good if self.training else good * 3 + 1"
    fail(wrong, 0).fails("'bad.py' returned", "for label 0 of video 'val-", "[0, 1]")
    fail("good if self.training else good[:, 1:]", 0).fails("'bad.py' returned", "(60, 11)")
    fail("good if self.training else 1 / 0", 0).fails("'bad.py' failed on", "ZeroDivisionError")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ("torch.OutOfMemoryError('CUDA out of memory. Tried 2 GiB')", ["Tried 2 GiB"]),
        ("RuntimeError('DefaultCPUAllocator: not enough memory: you tried to')", ["tried to"]),
        ("MemoryError('a lot')", ["a lot"]),
    ],
)
def test_a_batch_that_is_too_large_says_what_to_lower(fail, error, words):
    advice = ("60 videos a step", "--batch-size", "accumulate", "saved before stays")
    more = f"    def raise_it(self):\n        raise {error}\n"
    fail("self.raise_it()", 1, more).fails("'bad.py' ran out of memory", *advice, *words)


def test_a_tensor_that_no_machine_holds_is_a_batch_too_large(fail):
    fail("good + torch.empty(1 << 50)", 1).fails("'bad.py' ran out of memory", "--batch-size")


def test_parts_of_a_step_are_what_is_in_memory(cli, data, tmp_path):
    """A batch that fails whole trains in parts, as the error says."""
    more = "    def small(self, good):\n        if len(good) > 16: raise MemoryError('x')\n"
    more += "        return good\n"
    (tmp_path / "bad.py").write_text(SOURCE.format(when=0, wrong="self.small(good)", more=more))
    command = ("train", "bad.py", "--data", data, "-o", "run", *FAST)
    cli(*command, cwd=tmp_path).fails("raise accumulate")
    settings = ("--set", "accumulate=4", "--set", "validation_batch_size=16")
    cli(*command, *settings, cwd=tmp_path).succeeds()


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ("    def compute_loss(self, *_): return 3", ["failed in training", "TypeError"]),
        ("    def compute_loss(self, *_): return torch.ones(2), None", ["failed in training"]),
        ("    def penalty(self): raise ValueError('a\\nb')", ["ValueError: a b"]),
        ("    def penalty(self): return torch.zeros(3)", ["failed in training"]),
        (
            "    @classmethod\n    def prepare(cls, config, store): return 1 / 0",
            ["can't be prepared", "ZeroDivisionError"],
        ),
        (
            "    @classmethod\n    def prepare(cls, config): return config",
            ["can't be prepared", "TypeError"],
        ),
        ("    def tensors(self, batch): raise KeyError('smell')", ["KeyError", "smell"]),
        ("    def parameters(self, recurse=True): return iter(())", ["no parameters", "train"]),
    ],
)
def test_what_other_methods_do_wrong_is_named(fail, more, words):
    fail(more=more).fails("'bad.py'", *words)


def test_a_first_phase_that_goes_wrong_is_named(data, tmp_path):
    (tmp_path / "bad.py").write_text(
        SOURCE.format(when=99, wrong="good", more="").replace(
            "predictor =",
            "from dataclasses import dataclass\n@dataclass(frozen=True, kw_only=True)\n"
            "class Config:\n    pretrain_epochs: int = 1\npredictor =",
        )
    )
    with pytest.raises(PredictorError, match=r"failed.*must define pretraining_loss"):
        train(str(tmp_path / "bad.py"), data, tmp_path / "run", device="cpu")


def test_a_rank_without_a_video_left_has_no_video_to_name():
    batch = type("Empty", (), {"ids": [], "__len__": lambda self: 0})()
    message = r"'x' failed in training: ValueError: y"
    with pytest.raises(PredictorError, match=message), blaming("x", batch):
        raise ValueError("y")


def test_an_interrupt_is_none():
    with pytest.raises(KeyboardInterrupt), blaming("x", [1]):
        raise KeyboardInterrupt
