"""`gapkit`: one line on stderr for whatever goes wrong, and never a traceback for it.

Exit status 1 for an error or an interrupt, 2 for bad usage.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from types import FrameType
from typing import NoReturn

from gapkit.errors import TRAIN_EXTRA, GapkitError, UsageError


class _StoppedError(BaseException):
    """A signal asked the process to end; not a KeyboardInterrupt, which Typer takes for itself."""


def main() -> NoReturn:
    """Run the command line and exit."""
    # A command makes few cycles, and its imports many objects: collections during these, and the
    # last one at exit, took 0.4 of the 1.4 s of `gapkit score`.
    gc.set_threshold(100_000)
    # Arrow's own allocators keep what is freed: 70 MB more, and 0.1 s.
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    status = _run()
    gc.freeze()
    sys.exit(status)


def _run() -> int:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    try:
        from gapkit.cli._app import app

        status = app(prog_name="gapkit", standalone_mode=False)
        sys.stdout.flush()
        return status if isinstance(status, int) else 0
    except _StoppedError as stopped:
        return _fail(f"interrupted by {stopped}. Nothing is left half written.", 1)
    except BrokenPipeError:  # the reader of a pipe has seen enough
        sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115
        return 1
    except GapkitError as error:
        if os.environ.get("GAPKIT_TRACEBACK"):
            raise
        return _fail(str(error), 2 if isinstance(error, UsageError) else 1)
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in TRAIN_EXTRA:
            raise
        return _fail(f"this needs {missing}. Install it: pip install 'gapkit[train]'", 1)
    except MemoryError:
        return _fail("out of memory. Lower --batch-size or read fewer files at once.", 1)
    except OSError as error:
        return _fail(f"{error.filename or 'a file'}: {error.strerror or error}.", 1)
    except Exception as error:
        if not hasattr(error, "format_message"):  # a usage error of Typer has it
            raise
        context = getattr(error, "ctx", None)
        command = context.command_path if context else "gapkit"
        if not sys.argv[1:] or type(error).__name__ == "NoArgsIsHelpError":
            print(error.format_message())
            return 2
        message = " ".join(error.format_message().split())
        status = getattr(error, "exit_code", 1)
        return _fail(f"{message.rstrip('.')}. Try '{command} --help'.", status)


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    signal.signal(number, signal.SIG_IGN)  # once is enough: cleaning up takes a moment
    raise _StoppedError(signal.Signals(number).name)


def _fail(message: str, status: int) -> int:
    print("error:", " ".join(message.split()), file=sys.stderr)
    return status
