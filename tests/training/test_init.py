"""A run that starts from another's weights."""

import json

import pytest
import torch
from safetensors.torch import load_file

from gapkit.data import import_tfrecords
from gapkit.errors import DataError, UsageError
from gapkit.training import train

SMALL = {"hidden_size": 12, "num_layers": 1, "max_frames": 6}
ONE = {"epochs": 1, "batch_size": 48}


@pytest.fixture(scope="module")
def first(data, tmp_path_factory):
    path = tmp_path_factory.mktemp("first") / "run"
    training = {"epochs": 4, "batch_size": 24, "learning_rate": 0.02}
    train("lstm_ln", data, path, settings=SMALL, training=training, device="cpu")
    return path


def test_it_begins_where_the_other_ended(data, tmp_path, first):
    options = {"settings": SMALL, "training": {**ONE, "learning_rate": 1e-9}, "device": "cpu"}
    train("lstm_ln", data, tmp_path / "run", init=first, **options)
    ours, theirs = (load_file(p / "last.safetensors") for p in (tmp_path / "run", first))
    for name, values in ours.items():
        torch.testing.assert_close(values, theirs[name], rtol=0, atol=1e-6)
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["init"] == str(first)


def test_other_labels_get_a_new_head(corpus, tmp_path, first):
    for split in ("train", "val"):
        files = sorted(corpus.glob(f"{split}-*.tfrecord"))
        import_tfrecords(files, tmp_path / "data" / split, num_classes=20)
    training = {**ONE, "learning_rate": 1e-9}
    out = tmp_path / "run"
    options = {"settings": SMALL, "training": training, "device": "cpu"}
    told = []
    train("lstm_ln", tmp_path / "data", out, init=first, on_note=told.append, **options)
    num_weights = len(load_file(first / "last.safetensors"))
    (line,) = told
    assert f"{num_weights - 2} of {num_weights} weights loaded; not: head.linear." in line
    assert line.endswith(("head.linear.weight", "head.linear.bias"))
    ours, theirs = load_file(out / "last.safetensors"), load_file(first / "last.safetensors")
    torch.testing.assert_close(ours["lstm.weight_hh_l0"], theirs["lstm.weight_hh_l0"])
    assert ours["head.linear.weight"].shape == (20, 12)


def test_the_command_says_what_fitted(cli, data, tmp_path, mean_run):
    command = ("train", "mean_lr", "--data", data, "-o", tmp_path / "run", "--epochs", 1)
    done = cli(*command, "--init", mean_run).succeeds()
    assert done.stderr == f"note: init {mean_run}: 2 of 2 weights loaded\n"


def test_many_weights_that_do_not_fit_are_counted(data, tmp_path, first):
    told = []
    options = {"training": ONE, "device": "cpu", "on_note": told.append}
    more = {**SMALL, "num_layers": 3}
    train("lstm_ln", data, tmp_path / "run", settings=more, init=first, **options)
    assert told[0].startswith(f"init {first}: 6 of 14 weights loaded; not: ")
    assert told[0].endswith(" and 3 more")
    assert told[0].count(", ") == 4


def test_a_run_that_does_not_fit_is_refused(data, tmp_path, first):
    with pytest.raises(DataError, match=r"last\.safetensors: none of its weights fits MoE"):
        train("moe", data, tmp_path / "run", init=first, training=ONE, device="cpu")
    with pytest.raises(DataError, match="nowhere"):
        train("moe", data, tmp_path / "run", init="nowhere", training=ONE, device="cpu")
    assert not (tmp_path / "run").exists()


def test_a_resumed_run_keeps_what_it_was_begun_with(data, tmp_path, first, monkeypatch):
    path, options = tmp_path / "run", {"settings": SMALL, "device": "cpu", "training": ONE}
    train("lstm_ln", data, path, init=first, **options)
    begun = json.loads((path / "config.json").read_text())
    monkeypatch.setattr("gapkit.training._loop.train.find_commit", lambda: "another")
    monkeypatch.setattr("gapkit.training._loop.train.find_versions", lambda: {"torch": "9"})
    for init in (None, first, first / ".." / first.name):
        train("lstm_ln", data, path, init=init, resume=True, **options)
        assert json.loads((path / "config.json").read_text()) == begun
    with pytest.raises(UsageError, match=r"begun with init='.*run', and this is 'another'"):
        train("lstm_ln", data, path, init="another", resume=True, **options)
    train("mean_lr", data, tmp_path / "mean", training=ONE, device="cpu")
    with pytest.raises(UsageError, match="begun with init=None, and this is"):
        train("mean_lr", data, tmp_path / "mean", init=first, resume=True, device="cpu")


def test_events_hold_loss_and_gap_by_step(first):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(first))
    events.Reload()
    steps = [event.step for event in events.Scalars("holdout/gap")]
    assert steps == [10, 20, 30, 40]
    logged = [json.loads(line) for line in (first / "metrics.jsonl").read_text().splitlines()]
    losses = [event.value for event in events.Scalars("train/loss")]
    assert losses == pytest.approx([record["loss"] for record in logged], rel=1e-6)
