"""Predictions that are finished: in memory, and as files beside their target from time to time.

A process that is killed leaves the files; the next one with the same fingerprint goes on behind
them. A piece is named by its first video and the one behind its last.
"""

from __future__ import annotations

import secrets
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from gapkit.errors import DataError
from gapkit.io import read_predictions, write_predictions
from gapkit.predictions import Predictions

if TYPE_CHECKING:
    from gapkit.data import FrameStore

PIECE_VIDEOS = 50_000
PIECE_SECONDS = 60.0


class Pieces:
    """The finished predictions of one target.

    Parameters
    ----------
    target : Path
        The file that they become.
    store : FrameStore
        Of the videos.
    fingerprint : str, optional
        Of what they are made of; without one nothing is found, and nothing is left.
    """

    def __init__(self, target: Path, store: FrameStore, fingerprint: str | None) -> None:
        self._is_kept = fingerprint is not None
        self._target, self._store = target, store
        self._folder = _folder_of(target, fingerprint or secrets.token_hex(8))
        self._files: list[Path] = []
        self._held: list[Predictions] = []
        self._num_held = 0
        self._written_at = time.monotonic()
        self.num_found = self._find() if self._is_kept else 0
        """Videos that another process has predicted"""
        self.num_done = self.num_found
        """Videos in all, from the first on"""

    def add(self, block: Predictions) -> None:
        """Take the next videos."""
        self._held.append(block)
        self._num_held += len(block)
        self.num_done += len(block)
        since = time.monotonic() - self._written_at
        if self._num_held >= PIECE_VIDEOS or since >= PIECE_SECONDS:
            self._write()

    def finish(self) -> None:
        """Say that no videos follow: the next target takes its own time."""
        if self._files and self._held:
            self._write()

    def blocks(self) -> Iterator[Predictions]:
        """All of them, in the order of the store."""
        for file in self._files:
            yield read_predictions(file)
        yield from self._held

    def leave(self) -> int:
        """Go without being finished; the videos that the next process will find."""
        if not self._is_kept:
            shutil.rmtree(self._folder, ignore_errors=True)
            return 0
        return self.num_done - self._num_held

    def remove(self) -> None:
        """Remove the files, and those that were made otherwise for the same target."""
        shutil.rmtree(self._folder, ignore_errors=True)
        if self._is_kept:
            for folder in self._target.absolute().parent.glob(_folder_of(self._target, "*").name):
                shutil.rmtree(folder, ignore_errors=True)

    def _write(self) -> None:
        first = self.num_done - self._num_held
        file = self._folder / f"{first:012d}-{self.num_done:012d}.arrow"
        write_predictions(file, Predictions.concat(self._held))  # whole or not at all, and synced
        self._files.append(file)
        self._held, self._num_held = [], 0
        self._written_at = time.monotonic()

    def _find(self) -> int:
        """The videos of the pieces that follow one another from the first video on."""
        found = 0
        for file in sorted(self._folder.glob("*.arrow")):
            first, _, last = file.stem.partition("-")
            if not (first.isdecimal() and last.isdecimal() and int(first) == found < int(last)):
                continue
            try:
                ids = read_predictions(file).ids.tolist()
            except DataError:  # damaged: it is predicted again
                break
            if ids != self._store.ids[found : int(last)].tolist():
                break
            self._files.append(file)
            found = int(last)
        return found


def _folder_of(target: Path, fingerprint: str) -> Path:
    place = target.absolute()
    return place.with_name(f".{place.name}.{fingerprint}.parts")
