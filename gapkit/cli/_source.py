"""What `gapkit predict` and `export` are given: a run, an exported file, or a predictor's name."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gapkit.errors import DataError, PredictorError, UsageError

if TYPE_CHECKING:
    from gapkit.data import FrameStore
    from gapkit.plugins import Predictor

EXPORTED = (".pt2", ".onnx")


@dataclass(frozen=True, kw_only=True)
class Source:
    """What predicts a split."""

    predictor: Predictor | Mapping[str, Predictor]
    about: dict[str, Any]
    """What a submission says of it"""
    batch_size: int | None
    """None where it has none of its own"""
    files: list[Path]
    """What it is made of"""


def open_source(
    name: str,
    store: FrameStore,
    *,
    checkpoints: Sequence[str] | None,
    predictor: str | None,
    device: str,
) -> Source:
    """What predicts `store`, which must be of its sizes."""
    if Path(name).is_dir():
        return _open_run(name, store, checkpoints or ["last"], predictor, device)
    if checkpoints is not None:
        raise UsageError(f"{name}: no run folder, so there is no {checkpoints[0]!r} to choose.")
    if name.endswith(EXPORTED):
        return _open_exported(name, store, device)
    if "/" in name and ":" not in name and not name.endswith(".py"):
        raise DataError(f"{name}: no such run folder. Train it, or name a predictor.")
    return _open_predictor(name, store)


def default_name(name: str) -> str:
    """What a run or a submission is called after its predictor or run."""
    path = Path(name.rpartition(":")[2]).resolve()
    for suffix in (".py", *EXPORTED):
        if path.name.endswith(suffix):
            return path.name.removesuffix(suffix)
    return path.name


def _open_run(
    name: str, store: FrameStore, checkpoints: Sequence[str], predictor: str | None, device: str
) -> Source:
    from gapkit.training import Checkpoints

    weights = Checkpoints(name, checkpoints, predictor=predictor, device=device)
    run = weights.run
    _check_sizes(name, run.predictor, store)
    files = [Path(name) / "config.json", *weights.files, *_code_of(type(run.predictor).__module__)]
    return Source(
        predictor=weights,
        about={"predictor": run.name, "run": name},
        batch_size=run.batch_size,
        files=files,
    )


def _open_exported(name: str, store: FrameStore, device: str) -> Source:
    from gapkit.training import load_exported

    exported = load_exported(name, device=device)
    _check_sizes(name, exported, store)
    return Source(
        predictor=exported,
        about={"predictor": exported.name, "exported": name},
        batch_size=exported.batch_size,
        files=[Path(name)],
    )


def _open_predictor(name: str, store: FrameStore) -> Source:
    from gapkit.plugins import find_predictor

    plugin = find_predictor(name)
    model = plugin.build(store.num_classes, store.feature_sizes, plugin.configure({}))
    training = sys.modules.get("gapkit.training")
    if training is not None and isinstance(model, training.TorchPredictor):
        raise PredictorError(
            f"predictor {name!r} has no weights yet. Train it: gapkit train {name}, then "
            f"gapkit predict runs/{default_name(name)}"
        )
    return Source(
        predictor=model,
        about={"predictor": name},
        batch_size=None,
        files=_code_of(type(model).__module__),
    )


def _check_sizes(name: str, model: Any, store: FrameStore) -> None:
    for what in ("num_classes", "feature_sizes"):
        trained, there = getattr(model, what), getattr(store, what)
        if trained != there:
            raise DataError(
                f"{store.path}: {what} is {there}, and {name} was trained on {trained}. "
                f"Predict a split of the data that it was trained on."
            )


def _code_of(module: str) -> list[Path]:
    file = getattr(sys.modules.get(module), "__file__", None)
    return [Path(file)] if file else []
