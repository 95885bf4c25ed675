"""What a prediction was made of, in a few letters: the same letters, the same predictions."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def fingerprint_of(files: Iterable[str | os.PathLike[str]], about: Any) -> str:
    """Return a hash of the bytes of files, in their order, and of anything that is JSON.

    Parameters
    ----------
    files : iterable of path
        Of a run: its config and its weights; of a plug-in: its code. One that is not there counts
        as such.
    about : JSON
        Whatever else chooses the predictions.

    Returns
    -------
    str
        16 hexadecimal digits.
    """
    digest = hashlib.sha256(json.dumps(about, sort_keys=True, default=str).encode())
    for file in map(Path, files):
        digest.update(f"\0{file.name}\0".encode())
        if file.is_file():
            with file.open("rb") as opened:
                digest.update(hashlib.file_digest(opened, "sha256").digest())
    return digest.hexdigest()[:16]
