"""The line of progress on a terminal."""

import sys
import time

from gapkit.cli._console import Progress


def watch(monkeypatch):
    """Seconds, to be moved on; stderr is a terminal."""
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    return now


def shown(capsys):
    return capsys.readouterr().err.rpartition("\x1b[K")[2]


def test_the_rate_is_that_of_the_phase_whatever_its_figures(monkeypatch, capsys):
    clock = watch(monkeypatch)
    progress = Progress("training", "videos")
    for seconds in range(5):
        clock[0] = 200.0 + seconds
        progress(100 + 50 * seconds, 400, f"epoch 1, loss {7 - seconds}")
    assert shown(capsys) == "epoch 1, loss 3: 75 %, 50 videos/s, 2 s left"
    clock[0] += 1
    progress(20, 400, "validation")
    clock[0] += 2
    progress(40, 400, "validation")
    assert shown(capsys) == "validation: 10 %, 10 videos/s, 36 s left"


def test_what_is_counted_has_the_rate(monkeypatch, capsys):
    clock = watch(monkeypatch)
    progress = Progress("importing", "videos")
    clock[0] += 4
    progress(500, 1000, count=80)
    assert shown(capsys) == "importing: 50 %, 20 videos/s, 4 s left"
