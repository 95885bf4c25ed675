"""Two processes over gloo train as one does with the same global batch."""

import json
import subprocess
import sys

import pytest

from gapkit.errors import UsageError
from gapkit.training import load_run, train
from gapkit.training._loop.ranks import Ranks

SMALL = {"hidden_size": 12, "num_layers": 1, "max_frames": 6}
# 240 videos in steps of 28: the last has 16
TRAINING = {"epochs": 3, "batch_size": 28, "learning_rate": 0.01}


def records(path):
    return [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]


def test_two_ranks_have_the_loss_curve_of_one(data, tmp_path):
    options = ["train", "lstm_ln", "--data", data, "-o", tmp_path / "two", "--device", "cpu"]
    options += ["--epochs", 3, "--batch-size", 28, "--lr", 0.01]
    for key, value in SMALL.items():
        options += ["--set", f"{key}={value}"]
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    launch += ["--master-port", "29617", "-m", "gapkit"]
    done = subprocess.run(
        [*launch, *map(str, options)], capture_output=True, text=True, timeout=180
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("epoch 1 ") == 1  # one speaks for both
    train("lstm_ln", data, tmp_path / "one", settings=SMALL, training=TRAINING, device="cpu")
    two, one = records(tmp_path / "two"), records(tmp_path / "one")
    assert len(two) == 3
    for a, b in zip(two, one, strict=True):
        assert a["loss"] == pytest.approx(b["loss"], rel=1e-4)
        assert a["gap"] == pytest.approx(b["gap"], abs=1e-4)
        assert a["num_examples"] == b["num_examples"]
    weights = [load_run(tmp_path / n, device="cpu").predictor.state_dict() for n in ("two", "one")]
    for name, ours in weights[0].items():
        assert (ours - weights[1][name]).abs().max() < 1e-3


def test_a_batch_that_ranks_cannot_share_is_refused():
    ranks = Ranks()
    assert (ranks.rank, ranks.num_ranks, ranks.share(7)) == (0, 1, 7)
    ranks.num_ranks = 2
    with pytest.raises(UsageError, match="batch_size=7 can't be shared by 2 ranks"):
        ranks.share(7)
