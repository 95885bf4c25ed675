"""Ctrl-C while a command is surely at work: exit status 1, one line, everything as it was."""

import os
import signal
import subprocess
import time

import pytest

# Each predictor leaves a mark when it is called, and then takes a minute.
SLEEPS = """\
import os, time
import numpy as np
class Sleeps:
    def predict(self, batch):
        if os.path.exists(os.environ["MARK"] + "1"):
            open(os.environ["MARK"], "w").close()
            time.sleep(60)
        open(os.environ["MARK"] + "1", "w").close()
        return np.full((len(batch), 12), 0.5)
predictor = Sleeps()
"""
SLEEPS_IN_TRAINING = """\
import os, time
from gapkit.training import LogisticHead, TorchPredictor, concatenate_features, mean_over_frames
class Sleeps(TorchPredictor):
    def __init__(self, num_classes, feature_sizes, config):
        super().__init__(num_classes, feature_sizes, config)
        self.head = LogisticHead(feature_sizes["rgb"], num_classes)
    def forward(self, features, num_frames):
        open(os.environ["MARK"], "w").close()
        time.sleep(60)
predictor = Sleeps
"""


@pytest.fixture
def interrupt(script, tmp_path):
    """Starts a command in a folder, waits until `ready()`, sends a signal; checks what is left."""

    def run(*arguments, cwd, ready, number=signal.SIGINT, env=None):
        process = subprocess.Popen(
            [script, *map(str, arguments)],
            cwd=cwd,
            env={**os.environ, **(env or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            deadline = time.monotonic() + 60
            while not ready():
                assert process.poll() is None, process.communicate()
                assert time.monotonic() < deadline, "the command never got to work"
                time.sleep(0.02)
            process.send_signal(number)
            stdout, stderr = process.communicate(timeout=20)
        finally:
            process.kill()
            process.wait()
        assert process.returncode == 1, stderr
        assert stdout == ""
        (line,) = [line for line in stderr.splitlines() if not line.startswith("note: ")]
        assert line.startswith("error: interrupted")
        assert number.name in line

    return run


@pytest.fixture
def mark(tmp_path):
    (tmp_path / "marks").mkdir()
    return tmp_path / "marks" / "mark"


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_predict_interrupted_in_its_second_batch(
    interrupt, data, folder, mark, snapshot, monkeypatch, number
):
    (folder / "sleeps.py").write_text(SLEEPS)
    (folder / "out.parquet").write_bytes(b"what was there")
    before = snapshot(folder)
    command = ("predict", "sleeps.py", "--data", data, "--batch-size", 16, "-o", "out.parquet")
    env = {"MARK": str(mark), "PYTHONDONTWRITEBYTECODE": "1"}
    interrupt(*command, cwd=folder, ready=mark.exists, number=number, env=env)
    assert snapshot(folder) == before


def test_train_interrupted_in_its_first_epoch(interrupt, data, mean_run, folder, mark, snapshot):
    (folder / "sleeps.py").write_text(SLEEPS_IN_TRAINING)
    (folder / "run").mkdir()
    for path in mean_run.iterdir():
        (folder / "run" / path.name).write_bytes(path.read_bytes())
    before = snapshot(folder)
    command = ("train", "sleeps.py", "--data", data, "-o", "run", "--overwrite")
    env = {"MARK": str(mark), "PYTHONDONTWRITEBYTECODE": "1"}
    interrupt(*command, cwd=folder, ready=mark.exists, env=env)
    assert snapshot(folder) == before


@pytest.mark.parametrize("overwrite", [False, True])
def test_import_interrupted_in_its_second_shard(
    interrupt, cli, corpus, folder, snapshot, overwrite
):
    """The second file is a pipe that nobody writes to: opening it blocks."""
    options = ["--num-classes", 12]
    if overwrite:
        first = ("data", "import", corpus / "val-00000.tfrecord", "-o", folder / "split")
        cli(*first).succeeds()
        options.append("--overwrite")
    os.mkfifo(folder / "pipe")

    def ready():
        return any(folder.glob(".split.import/run-*/features-00001.arrow"))

    shards = folder / "split"
    before = snapshot(shards)
    command = ("data", "import", corpus / "train-00000.tfrecord", "pipe", "-o", "split", *options)
    interrupt(*command, cwd=folder, ready=ready)
    assert snapshot(shards) == before
    left = {path.name for path in folder.iterdir()}
    assert left == {"pipe", ".split.import", *(["split"] if overwrite else [])}
    staged = {path.name for path in (folder / ".split.import").rglob("*") if path.is_file()}
    assert staged == {"lock"} | {
        f"features-00000.arrow{suffix}" for suffix in ("", ".parquet", ".json")
    }


def test_ensemble_interrupted_while_it_reads_a_member(interrupt, cli, submission, folder, snapshot):
    os.mkfifo(folder / "pipe")
    (folder / "out.parquet").write_bytes(b"what was there")
    ends = []

    def ready():
        try:
            ends.append(os.open(folder / "pipe", os.O_WRONLY | os.O_NONBLOCK))
        except OSError:  # nobody reads yet
            return False
        return True

    command = ("ensemble", submission, "pipe", "-o", "out.parquet")
    try:
        interrupt(*command, cwd=folder, ready=ready)
    finally:
        for end in ends:
            os.close(end)
    assert {path.name for path in folder.iterdir()} == {"pipe", "out.parquet"}
    assert (folder / "out.parquet").read_bytes() == b"what was there"


def test_synth_interrupted_leaves_nothing(interrupt, folder):
    def ready():
        return any(folder.glob(".corpus.*/train-00000.tfrecord"))

    interrupt("data", "synth", "-o", "corpus", "--num-videos", 100_000, cwd=folder, ready=ready)
    assert not list(folder.iterdir())


@pytest.mark.slow
def test_ensemble_interrupted_anywhere_leaves_the_old_or_the_new(script, folder):
    """A signal at many moments, whatever is being done then."""
    row = " ".join(f"{label} 0.{label:02d}1" for label in range(20))
    lines = "".join(f"video{n},{row}\n" for n in range(60_000))
    (folder / "a.csv").write_text("VideoId,LabelConfidencePairs\n" + lines)
    command = [script, "ensemble", "a.csv", "a.csv", "a.csv", "-o", "out.csv"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    new = (folder / "out.csv").read_bytes()
    for step in range(25):
        (folder / "out.csv").write_bytes(b"old")
        process = subprocess.Popen(
            command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        time.sleep(0.25 + step * 0.06)  # Python itself takes 0.1 s to install a handler
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=30)
        errors = [line for line in stderr.splitlines() if not line.startswith("note: ")]
        assert {path.name for path in folder.iterdir()} == {"a.csv", "out.csv"}
        if process.returncode == 0:
            assert (folder / "out.csv").read_bytes() == new
        else:
            assert process.returncode == 1
            assert stdout == ""
            assert [line.split(".")[0] for line in errors] == ["error: interrupted by SIGINT"]
            assert (folder / "out.csv").read_bytes() in (b"old", new)
