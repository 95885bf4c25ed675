"""Several runs by one command: names, sweep files, what fails, what goes on."""

import json

import pytest

BAD = """\
import torch
from gapkit.training import TorchPredictor
class Bad(TorchPredictor):
    def __init__(self, num_classes, feature_sizes, config):
        super().__init__(num_classes, feature_sizes, config)
        self.weight = torch.nn.Parameter(torch.zeros(num_classes))
    def forward(self, features, num_frames):
        raise ValueError("no such luck")
predictor = Bad
"""
SWEEP = """\
[defaults]
epochs = 1
batch_size = 64
max_frames = 6
[[run]]
predictor = "mean_lr"
seeds = [0, 1]
learning_rate = 0.05
[[run]]
predictor = "lstm_lr"
name = "narrow"
hidden_size = 8
"""


def config(path):
    return json.loads((path / "config.json").read_text())


def table(stdout):
    """The rows of the table at the end: run to GAP."""
    lines = stdout.splitlines()
    head = next(
        n for n, line in enumerate(lines) if line.startswith("run ") and "to the best" in line
    )
    return {line.split()[0]: float(line.split()[1]) for line in lines[head + 1 :]}


def test_names_take_the_settings_that_they_have(cli, data, tmp_path):
    settings = ("--lr", "0.02", "--set", "hidden_size=8", "--set", "mixup=0.2")
    out = (
        cli("train", "mean_lr", "lstm_lr", "--data", data, "--epochs", "1", *settings, cwd=tmp_path)
        .succeeds()
        .stdout
    )
    gaps = table(out)
    assert gaps.keys() == {"runs/mean_lr", "runs/lstm_lr"}
    assert list(gaps.values()) == sorted(gaps.values(), reverse=True)
    assert config(tmp_path / "runs" / "lstm_lr")["config"]["hidden_size"] == 8
    for name in ("mean_lr", "lstm_lr"):
        assert config(tmp_path / "runs" / name)["training"]["mixup"] == 0.2
        assert config(tmp_path / "runs" / name)["training"]["learning_rate"] == 0.02


def test_a_sweep_file_and_resume(cli, data, tmp_path):
    (tmp_path / "s.toml").write_text(SWEEP)
    command = ("train", "s.toml", "--data", data, "-o", "out")
    first = table(cli(*command, cwd=tmp_path).succeeds().stdout)
    assert first.keys() == {"out/mean_lr-seed0", "out/mean_lr-seed1", "out/narrow"}
    assert config(tmp_path / "out" / "narrow")["config"]["hidden_size"] == 8
    assert config(tmp_path / "out" / "mean_lr-seed1")["training"]["seed"] == 1
    refused = cli(*command, cwd=tmp_path)
    assert refused.rc == 1, refused
    assert "is there already" in refused.stderr
    before = (tmp_path / "out" / "narrow" / "last.safetensors").stat().st_mtime_ns
    again = cli(*command, "--resume", cwd=tmp_path).succeeds()
    assert table(again.stdout) == first
    assert (tmp_path / "out" / "narrow" / "last.safetensors").stat().st_mtime_ns == before


def test_one_that_fails_loses_no_other(cli, data, tmp_path):
    (tmp_path / "bad.py").write_text(BAD)
    result = cli("train", "./bad.py", "mean_lr", "--data", data, "--epochs", "1", cwd=tmp_path)
    assert result.rc == 1, result
    assert "no such luck" in result.stderr
    assert "failed: runs/bad" in result.stdout
    assert (tmp_path / "runs" / "mean_lr" / "last.safetensors").exists()
    assert not (tmp_path / "runs" / "bad").exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[[run", ["can't be read"]),
        ("", ["no [[run]]"]),
        ("a = 1\n[[run]]\npredictor = 'mean_lr'", ["'a'", "defaults"]),
        ("[[run]]\nname = 'a'", ["run 1", "'predictor'"]),
        ("[[run]]\npredictor = 'mean_lr'\nhiden = 3", ["run 1", "hiden"]),
        ("[[run]]\npredictor = 'mean_lr'\nepochs = 0", ["run 1", "epochs is 0"]),
        ("[[run]]\npredictor = 'mean_lr'\nepochs = [1]", ["run 1", "epochs is [1]"]),
        ("[[run]]\npredictor = 'mean_lr'\nseeds = 3", ["run 1", "seeds is 3"]),
        ("[[run]]\npredictor = 'mean_lr'\nname = 'a/b'", ["run 1", "'a/b'"]),
        ("[[run]]\npredictor = 'mean_lr'\nname = '..'", ["run 1", "name is '..'"]),
        ("[[run]]\npredictor = 'mean_lr'\nname = '.'", ["run 1", "name is '.'"]),
        ("[[run]]\npredictor = 'mean_lr'\ninit = 3", ["run 1", "init is 3"]),
        ("[[run]]\npredictor = 'mean_lr'\nteacher = ['t']", ["run 1", "teacher is ['t']"]),
        (
            "[defaults]\nepoch = 3\n[[run]]\npredictor = 'mean_lr'",
            ["[defaults]", "'epoch'", "'epochs'?"],
        ),
        ("[[run]]\npredictor = 'mean_lr'\n[[run]]\npredictor = 'mean_lr'", ["two runs", "mean_lr"]),
    ],
)
def test_what_is_wrong_in_a_sweep_file(cli, data, tmp_path, text, words):
    (tmp_path / "s.toml").write_text(text)
    cli("train", "s.toml", "--data", data, cwd=tmp_path).fails("s.toml", *words, rc=2)
    assert not (tmp_path / "runs").exists()


def test_seeds_of_a_file_and_one_of_the_command_are_refused(cli, data, tmp_path):
    (tmp_path / "s.toml").write_text(SWEEP)
    command = ("train", "s.toml", "--data", data, "--seed", 7)
    cli(*command, cwd=tmp_path).fails("s.toml", "run 1", "seeds is [0, 1]", "--seed 7", rc=2)
    assert not (tmp_path / "runs").exists()


def test_of_several_ranks_one_speaks(cli, data, tmp_path):
    (tmp_path / "bad.py").write_text(BAD)
    options = ("--data", data / "nowhere", "--epochs", "1")
    for rank, told in (("0", ["runs/bad:", "runs/mean_lr:"]), ("1", [])):
        command = ("train", "./bad.py", "mean_lr", *options)
        result = cli(*command, cwd=tmp_path, env={"RANK": rank})
        assert result.rc == 1, result
        assert [line for line in result.stdout.splitlines() if line.endswith(":")] == told
        assert ("failed: " in result.stdout) == (rank == "0")


def test_a_setting_that_none_has(cli, data, tmp_path):
    result = cli("train", "mean_lr", "lstm", "--data", data, "--set", "widht=3", cwd=tmp_path)
    result.fails("widht", rc=2)
    cli("train", "s.toml", "mean_lr", "--data", data, cwd=tmp_path).fails("alone", rc=2)
    assert not (tmp_path / "runs").exists()


def test_steps_that_end_in_the_first_phase(cli, data, tmp_path):
    short = ("--set", "max_steps=1", "--set", "hidden_size=8", "--data", data)
    one = cli("train", "lstm_pretrained", *short, "-o", "one", cwd=tmp_path).succeeds()
    assert "first phase" in one.stdout
    several = cli("train", "mean_lr", "lstm_pretrained", *short, cwd=tmp_path).succeeds()
    assert table(several.stdout).keys() == {"runs/mean_lr"}
