"""What a run was made with and from."""

from __future__ import annotations

import platform
import subprocess
import zlib
from collections.abc import Sequence
from pathlib import Path

import torch

import gapkit
from gapkit.data import FrameStore


def find_versions() -> dict[str, str]:
    """Versions of what trains."""
    return {
        "gapkit": gapkit.__version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


def fingerprint(stores: Sequence[FrameStore]) -> str:
    """A checksum of the splits' descriptions and labels: other data has another one."""
    crc = 0
    for store in stores:
        for name in ("split.json", "labels.parquet"):
            with (Path(store.path) / name).open("rb") as file:
                while block := file.read(1 << 20):
                    crc = zlib.crc32(block, crc)
    return f"{crc:08x}"


def find_commit() -> str | None:
    """The commit of the current folder, with '+' where files were changed; None without git."""
    try:
        commit = _git("rev-parse", "HEAD")
        return commit + ("+" if _git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def _git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], capture_output=True, text=True, timeout=10, check=True
    )
    return done.stdout.strip()
