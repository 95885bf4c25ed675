"""The command line: each command is a thin shell over one library call."""

from gapkit.cli._main import main

__all__ = ["main"]
