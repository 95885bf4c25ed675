"""Run folders: what training leaves, and what predicting starts from.

A run holds config.json, last.safetensors, best.safetensors, state.safetensors, metrics.jsonl.
Nothing is pickled, and the predictor is named by entry point only, so a stranger's run can be
opened.
"""

from __future__ import annotations

import glob
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import torch
from safetensors import SafetensorError
from safetensors.torch import save

from gapkit.errors import DataError, PredictorError, UsageError
from gapkit.io import install_folder, remove_leftovers, replacing_file, stage_folder
from gapkit.plugins import Plugin, find_entry_point, find_predictor
from gapkit.training._module import TorchPredictor, find_device
from gapkit.training._runs.epoch import Epoch, Pretraining
from gapkit.training._runs.events import EVENT_FILES, Events
from gapkit.training._runs.resume import check_weights, read_epochs
from gapkit.training._runs.weights import read_weights

if TYPE_CHECKING:
    from gapkit.training._loop.trainer import Trainer

CONFIG_FILE = "config.json"
METRICS_FILE = "metrics.jsonl"
CHECKPOINTS = ("last", "best")
STATE_FILE = "state.safetensors"
FILES = (CONFIG_FILE, METRICS_FILE, "*.safetensors", EVENT_FILES)
VERSION = 1
_CONFIG_TYPES: dict[str, Any] = {
    "predictor": str | None,
    "trained_from": str,
    "config": dict | None,
    "num_classes": int,
    "feature_sizes": dict,
    "training": dict,
    "teacher": str | None,
}


@dataclass(frozen=True, kw_only=True)
class Run:
    """A trained predictor, ready to predict."""

    predictor: TorchPredictor
    """With the weights of the checkpoint"""
    name: str
    """Of the predictor"""
    path: Path
    """Folder of the run"""
    checkpoint: str
    """Name of its weights, as 'last'"""
    batch_size: int
    """Validation batch size in training: with it a prediction repeats to the bit"""


def load_run(
    path: str | os.PathLike[str],
    *,
    checkpoint: str = "last",
    predictor: str | None = None,
    device: str = "auto",
) -> Run:
    """Return the predictor of a run folder, with its weights.

    Parameters
    ----------
    path : path
    checkpoint : str
        Weights after the last epoch ('last'), of the best GAP on the holdout ('best'), or any
        other NAME.safetensors of the run.
    predictor : str, optional
        The name of its predictor, where it was trained from a `.py` file or `module:object`.
    device : str
        Where the weights go, as torch names it; 'auto' takes a GPU where there is one.

    Raises
    ------
    DataError
        A file of the run is missing or damaged, or its weights do not fit its predictor.
    PredictorError
        Its predictor is not installed.
    UsageError
        The run has no weights of that name.
    """
    path = Path(path)
    about = _read_config(path / CONFIG_FILE)
    weights_path = weights_file(path, checkpoint)
    name = predictor or about["predictor"]
    if name is None:
        raise PredictorError(
            f"{path}: trained from {about['trained_from']!r}, which a run does not load by itself. "
            f"Pass --predictor {about['trained_from']}"
        )
    # A stranger's run must not choose what code is imported: a path comes from the caller alone.
    plugin = find_predictor(name) if predictor else find_entry_point(name)
    config = plugin.configure(about["config"] or {}, parse=False)
    module = build_module(plugin, about["num_classes"], about["feature_sizes"], config, seed=0)
    try:
        module.load_state_dict(read_weights(weights_path))
    except FileNotFoundError:
        raise DataError(f"{weights_path}: no such file. Train the run again.") from None
    except (OSError, SafetensorError) as error:
        raise DataError(
            f"{weights_path}: damaged or cut short ({error}). Train the run again."
        ) from None
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise DataError(
            f"{weights_path}: does not fit predictor {name!r}: {reason[:200]}"
        ) from None
    return Run(
        predictor=module.to(find_device(device)),
        name=name,
        path=path,
        checkpoint=checkpoint,
        batch_size=int(about["training"]["validation_batch_size"]),
    )


def weights_file(path: Path, checkpoint: str) -> Path:
    """The file of a run's weights; UsageError for a name that is neither usual nor there."""
    file = path / f"{checkpoint}.safetensors"
    if checkpoint not in CHECKPOINTS and not (file.parent == path and file.is_file()):
        names = {*CHECKPOINTS, *(other.stem for other in path.glob("*.safetensors"))}
        rest = sorted(names.difference({*CHECKPOINTS, Path(STATE_FILE).stem}))
        raise UsageError(
            f"{path}: checkpoint {checkpoint!r} is not one of {', '.join([*CHECKPOINTS, *rest])}."
        )
    return file


def build_module(
    plugin: Plugin, num_classes: int, feature_sizes: dict[str, int], config: Any, *, seed: int
) -> TorchPredictor:
    """The module of a predictor, with weights from the seed; PredictorError if it is none."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = plugin.build(num_classes, feature_sizes, config)
    if not isinstance(module, TorchPredictor):
        raise PredictorError(
            f"predictor {plugin.name!r} is not a gapkit.training.TorchPredictor, so it can't be "
            f"trained. It needs no training: gapkit predict {plugin.name}"
        )
    if next(module.parameters(), None) is None:
        raise PredictorError(f"predictor {plugin.name!r} has no parameters to train.")
    return module


class RunWriter:
    """Writes a run folder, which takes its place with the first checkpoint and is whole from then.

    Until then it lies beside its place, and leaving the `with` block removes it: what was there
    stays. The state is written last: what a kill leaves half done is done again from it.
    """

    def __init__(
        self,
        path: Path,
        about: Mapping[str, Any],
        *,
        overwrite: bool,
        resume: bool = False,
        writes: bool = True,
    ) -> None:
        self._writes = writes  # of several ranks one does
        self._events = Events()
        self._config = to_json({"version": VERSION, **about}, about["trained_from"], indent=1)
        self._path = path.resolve() if path.is_symlink() else path
        if resume or not writes:
            self._folder = self._path
        else:
            self._folder = stage_folder(self._path, ours=FILES, overwrite=overwrite)
            self._write_config()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._events.close()
        if self._folder != self._path:
            shutil.rmtree(self._folder, ignore_errors=True)

    def resume(self, trainer: Trainer) -> list[Epoch]:
        """Bring a trainer to where the run was; the epochs that it had done."""
        saved = trainer.load(self._folder / STATE_FILE)
        epochs, size = read_epochs(self._folder / METRICS_FILE, saved, self._folder / STATE_FILE)
        for name in CHECKPOINTS if epochs else ():
            check_weights(self._folder / f"{name}.safetensors", trainer.module)
        if self._writes:
            if (self._folder / METRICS_FILE).exists():
                os.truncate(self._folder / METRICS_FILE, size)
            remove_leftovers(self._folder, FILES)
            self._clear_place()
            self._write_config()
        return epochs

    def _clear_place(self) -> None:
        """Remove the folders that a kill left beside the run, once the run itself is there."""
        place = self._path.absolute()
        remove_leftovers(place.parent, [glob.escape(place.name)])

    def _write_config(self) -> None:
        with replacing_file(self._folder / CONFIG_FILE) as temporary:
            temporary.write_text(self._config + "\n")

    def save(self, trainer: Trainer) -> None:
        """Keep what is needed to go on from here."""
        if not self._writes:
            return
        metrics = self._folder / METRICS_FILE
        num_bytes = metrics.stat().st_size if metrics.exists() else 0
        trainer.save(self._folder / STATE_FILE, metrics_bytes=num_bytes)
        if self._folder != self._path:
            install_folder(self._folder, self._path)
            self._folder = self._path
            self._clear_place()

    def checkpoint(self, trainer: Trainer, ended: Epoch | Pretraining) -> None:
        """Keep the weights as all that they are, as last and best; log the epoch; save."""
        if not self._writes:
            return
        scored = trainer.scored.state_dict()
        weights = {name: tensor.cpu().contiguous() for name, tensor in scored.items()}
        names = ["last"]
        if isinstance(ended, Epoch):
            every = trainer.training.keep_every
            names += ["best"] * ended.is_best
            names += [f"checkpoint-{ended.epoch}"] * (
                every is not None and ended.epoch % every == 0
            )
        for name in names:
            with replacing_file(self._folder / f"{name}.safetensors") as temporary:
                temporary.write_bytes(save(weights))  # save_file leaves a file of mode 0600
        with (self._folder / METRICS_FILE).open("a") as file:
            file.write(json.dumps(ended.to_record()) + "\n")
        self.save(trainer)
        self._events.write(self._folder, ended.to_record(), trainer.num_steps)


def read_begun(path: Path) -> dict[str, Any] | None:
    """The config of a run that can be resumed; None where none is.

    Raises
    ------
    DataError
        The run has weights but no state: it can't go on, and must not be lost.
    """
    if (path / STATE_FILE).is_file():
        return _read_config(path / CONFIG_FILE)
    if any((path / f"{name}.safetensors").exists() for name in CHECKPOINTS):
        raise DataError(
            f"{path}: has weights but no {STATE_FILE} to resume from. "
            f"Choose another -o, or replace it with --overwrite."
        )
    return None


def to_json(values: Mapping[str, Any], name: str, *, indent: int | None = None) -> str:
    """A config as JSON; PredictorError names the predictor where that can't be."""
    try:
        return json.dumps(values, indent=indent)
    except TypeError as error:
        raise PredictorError(f"the config of predictor {name!r} can't be JSON: {error}.") from None


def _read_config(path: Path) -> dict[str, Any]:
    try:
        about = json.loads(path.read_text())
    except FileNotFoundError:
        raise DataError(f"{path}: no such file. Name the folder of a run.") from None
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: can't be read ({error}). Train the run again.") from None
    if not isinstance(about, dict) or about.get("version") != VERSION:
        raise DataError(f"{path}: not the config of a run of version {VERSION}.")
    about.setdefault("teacher", None)
    for key, kind in _CONFIG_TYPES.items():
        if key not in about:
            raise DataError(f"{path}: {key!r} is missing. Train the run again.")
        if not isinstance(about[key], kind):
            raise DataError(f"{path}: {key!r} is {about[key]!r}. Train the run again.")
    size = about["training"].get("validation_batch_size")
    if not isinstance(size, int) or size < 1:
        raise DataError(f"{path}: 'validation_batch_size' is {size!r}. Train the run again.")
    return about
