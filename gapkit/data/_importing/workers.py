"""Shards made side by side, each in a process of its own.

A worker is a fresh interpreter that takes tasks as lines on stdin and answers in lines on stdout:
it needs no `if __name__ == "__main__"` in the script that imports, and ends with its parent, a
killed one included, when stdin does.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from gapkit import errors
from gapkit.data._importing.part import Watch, make_part
from gapkit.data._importing.task import Part, Places, Task
from gapkit.errors import GapkitError

_COMMAND = "from gapkit.data._importing.workers import serve; serve()"


def make_parts(
    tasks: Sequence[Task],
    places: Places,
    *,
    workers: int,
    watch: Watch,
    accept: Callable[[Part], object],
) -> None:
    """Make all parts, and hand each over when it is finished; the first error ends all."""
    if workers == 1 or len(tasks) == 1:
        for task in tasks:
            accept(make_part(task, places, watch))
        return
    with _Pool(min(workers, len(tasks)), tasks, places) as answers:
        left = len(tasks)
        while left:
            answer = answers.get()
            if "error" in answer:
                raise _to_error(answer)
            if "part" in answer:
                accept(Part.from_json(answer["part"]))
                left -= 1
            else:
                watch(*answer["watch"])


class _Pool:
    """Workers, and one thread each that gives it tasks and passes its answers on; a context."""

    def __init__(self, workers: int, tasks: Sequence[Task], places: Places) -> None:
        self._tasks: queue.SimpleQueue[Task] = queue.SimpleQueue()
        for task in tasks:
            self._tasks.put(task)
        self._answers: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._head = json.dumps([str(places.folder), str(places.run)])
        self._processes = [_start() for _ in range(workers)]
        self._threads = [
            threading.Thread(target=self._drive, args=(process,), daemon=True)
            for process in self._processes
        ]

    def __enter__(self) -> queue.SimpleQueue[dict[str, Any]]:
        for thread in self._threads:
            thread.start()
        return self._answers

    def __exit__(self, *error: object) -> None:
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.wait()
        for thread in self._threads:
            thread.join()
        for process in self._processes:
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    _close(pipe)

    def _drive(self, process: subprocess.Popen[str]) -> None:
        stdin, stdout = process.stdin, process.stdout
        if stdin is None or stdout is None:
            return
        head = self._head + "\n"
        while True:
            try:
                task = self._tasks.get_nowait()
            except queue.Empty:
                return
            answer: dict[str, Any] = {}
            try:
                stdin.write(f"{head}{task.to_json()}\n")
                stdin.flush()
                head = ""
                while not answer.keys() & {"part", "error"}:
                    answer = json.loads(stdout.readline())
                    self._answers.put(answer)
            except (OSError, ValueError):  # its pipes have ended
                status = process.wait()
                self._answers.put({"error": "died", "status": status, "path": task.path})
                return


def _start() -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", _COMMAND],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)},
        start_new_session=True,  # Ctrl-C is for the parent, which ends its workers
    )


def _close(pipe: Any) -> None:
    with contextlib.suppress(OSError):  # what is not written yet has no reader
        pipe.close()


def _to_error(answer: dict[str, Any]) -> Exception:
    if answer["error"] == "died":
        return GapkitError(
            f"{answer['path']}: the worker that imported it ended with status {answer['status']}, "
            f"out of memory perhaps. Lower --workers; what is finished stays."
        )
    if answer["error"] == "os":
        return OSError(answer["errno"], answer["message"], answer["path"])
    kind = getattr(errors, answer["error"], GapkitError)
    error: Exception = kind(answer["message"])
    return error


def serve() -> None:
    """Be a worker: make parts until stdin ends."""
    lines: queue.SimpleQueue[str] = queue.SimpleQueue()
    stdin, stdout = sys.stdin, sys.stdout
    sys.stdout = sys.stderr

    def read_lines() -> None:
        for line in stdin:
            lines.put(line)
        os._exit(1)  # the parent is no more, whatever is being done

    threading.Thread(target=read_lines, daemon=True).start()
    folder, run = json.loads(lines.get())
    places = Places(folder=Path(folder), run=Path(run))

    def answer(**what: Any) -> None:
        try:
            print(json.dumps(what), file=stdout, flush=True)
        except BrokenPipeError:
            os._exit(1)  # as above

    while True:
        task = Task.from_json(lines.get())
        try:
            part = make_part(task, places, lambda *step: answer(watch=step))
            answer(part=part.to_json())
        except GapkitError as error:
            answer(error=type(error).__name__, message=str(error))
        except OSError as error:
            path = str(error.filename or places.run / task.shard)
            answer(error="os", errno=error.errno, message=error.strerror, path=path)
        except MemoryError:
            answer(error="GapkitError", message=f"{task.path}: out of memory. Lower --workers.")
        except Exception:
            message = traceback.format_exc()
            answer(error="GapkitError", message=f"{task.path}: a worker failed: {message}")
