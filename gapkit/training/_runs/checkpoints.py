"""The weights that a run folder holds: by name, and loaded when they are asked for."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from gapkit.errors import DataError, UsageError
from gapkit.training._module import TorchPredictor
from gapkit.training._runs.run import Run, load_run, weights_file

_NUMBERED = re.compile(r"checkpoint-(\d+)")


def list_checkpoints(path: str | os.PathLike[str]) -> list[str]:
    """Return the names of a run's numbered checkpoints, the earliest first.

    Examples
    --------
    >>> list_checkpoints("no such folder")
    []
    """
    found = [_NUMBERED.fullmatch(file.stem) for file in Path(path).glob("*.safetensors")]
    return [match[0] for match in sorted(filter(None, found), key=lambda match: int(match[1]))]


class Checkpoints(Mapping[str, TorchPredictor]):
    """Checkpoints of a run; each is loaded when it is asked for, and the latest one is kept.

    Parameters
    ----------
    path : path
        Folder of the run.
    names : sequence of str
        Stems of its weights, as `last`; `all` alone stands for all numbered ones.
    predictor, device
        As for `load_run`.

    Raises
    ------
    DataError, PredictorError
        As `load_run` does, of the first; a file of another one is missing.
    UsageError
        A name stands twice, or there is none.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        names: Sequence[str],
        *,
        predictor: str | None = None,
        device: str = "auto",
    ) -> None:
        self._path, self._predictor, self._device = Path(path), predictor, device
        self.names = list_checkpoints(path) if list(names) == ["all"] else list(names)
        """What is loaded, in this order"""
        if not self.names:
            if list(names) == ["all"] and self._path.is_dir():
                raise DataError(
                    f"{path}: holds no checkpoint-NUMBER.safetensors. Name its checkpoints: "
                    f"last,best"
                )
            raise UsageError("checkpoints are []. Name at least one.")
        twice = [name for name in self.names if self.names.count(name) > 1]
        if twice:
            raise UsageError(f"checkpoint {twice[0]!r} is named twice.")
        self._latest = self._load(self.names[0])
        self.files = [weights_file(self._path, name) for name in self.names]
        """Their files"""

    @property
    def run(self) -> Run:
        """The run as it was loaded last."""
        return self._latest

    def __getitem__(self, name: str) -> TorchPredictor:
        if name not in self.names:
            raise KeyError(name)
        if self._latest.checkpoint != name:
            self._latest = self._load(name)
        return self._latest.predictor

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)

    def _load(self, name: str) -> Run:
        return load_run(self._path, checkpoint=name, predictor=self._predictor, device=self._device)
