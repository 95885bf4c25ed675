"""A small corpus, a trained run, a submission; and two ways to run the command line."""

import contextlib
import io
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import settings

# A kernel is compiled when it is first called: an example that takes long says nothing.
settings.register_profile("gapkit", deadline=None)
settings.load_profile("gapkit")

# Two torch processes that contend for two cores become twenty times slower.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.pop("GAPKIT_DATA", None)
os.environ.pop("GAPKIT_TRACEBACK", None)

collect_ignore = ["stranger"]
SCRIPT = Path(sys.executable).with_name("gapkit")


@dataclass(frozen=True)
class Result:
    """What a command returned and printed."""

    rc: int
    stdout: str
    stderr: str

    @property
    def errors(self):
        """Lines of stderr that are no notes."""
        return [line for line in self.stderr.splitlines() if not line.startswith("note: ")]

    def succeeds(self):
        assert (self.rc, self.errors) == (0, []), self
        return self

    def fails(self, *words, rc=1):
        """Exit status, nothing on stdout, and one line on stderr that holds the words."""
        assert self.rc == rc, self
        assert self.stdout == ""
        (line,) = self.errors
        assert line.startswith("error: ")
        for word in words:
            assert str(word) in line, (word, line)


@pytest.fixture(scope="session")
def cli():
    """Runs the command line in this process: `cli("score", file, ..., cwd=, env=)`."""
    from gapkit.cli import main

    def run(*args, cwd=None, env=None):
        out, err = io.StringIO(), io.StringIO()
        handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            with (
                contextlib.chdir(cwd or Path.cwd()),
                mock.patch.dict(os.environ, env or {}),
                mock.patch.object(sys, "argv", ["gapkit", *map(str, args)]),
                contextlib.redirect_stdout(out),
                contextlib.redirect_stderr(err),
                pytest.raises(SystemExit) as caught,
            ):
                main()
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
        return Result(caught.value.code or 0, out.getvalue(), err.getvalue())

    return run


@pytest.fixture(scope="session")
def run_cli():
    """Runs the installed script in a process of its own: `run_cli("score", file, cwd=, env=)`."""

    def run(*args, cwd=None, env=None, **options):
        done = subprocess.run(
            [SCRIPT, *map(str, args)],
            cwd=cwd,
            env={**os.environ, **(env or {})},
            capture_output=True,
            text=True,
            timeout=120,
            **options,
        )
        return Result(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture(scope="session")
def script():
    """Path of the installed console script."""
    return SCRIPT


@pytest.fixture(scope="session")
def snapshot():
    """Gives the files below a folder with their bytes, and hidden folders: none shall be left."""

    def take(folder):
        return {
            str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
            for path in sorted(Path(folder).rglob("*"))
            if path.is_file() or path.name.startswith(".")
        }

    return take


@pytest.fixture(scope="session")
def corpus(tmp_path_factory):
    """TFRecords of 240 + 60 synthetic videos of 12 labels."""
    from gapkit.data import synthesize

    folder = tmp_path_factory.mktemp("corpus") / "tfrecords"
    synthesize(
        folder, num_videos=300, num_classes=12, seed=1, rgb_size=16, audio_size=8, max_frames=60
    )
    return folder


@pytest.fixture(scope="session")
def data(corpus, tmp_path_factory):
    """The corpus imported: DATA with the splits train and val."""
    from gapkit.data import import_tfrecords

    folder = tmp_path_factory.mktemp("imported") / "data"
    for split in ("train", "val"):
        import_tfrecords(sorted(corpus.glob(f"{split}-*.tfrecord")), folder / split)
    return folder


@pytest.fixture(scope="session")
def mean_run(data, tmp_path_factory, cli):
    """A run of mean_lr, three epochs."""
    run = tmp_path_factory.mktemp("runs") / "mean_lr"
    options = ("--epochs", 3, "--batch-size", 32, "--lr", 0.02, "--device", "cpu")
    cli("train", "mean_lr", "--data", data, "-o", run, *options).succeeds()
    return run


@pytest.fixture(scope="session")
def submission(mean_run, data, tmp_path_factory, cli):
    """The submission of `mean_run` on val, start 0."""
    path = tmp_path_factory.mktemp("submissions") / "mean_lr.parquet"
    cli("predict", mean_run, "--data", data, "-o", path, "--device", "cpu").succeeds()
    return path
