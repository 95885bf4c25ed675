"""The bundled trainer: Adam on random crops, the holdout scored by exact GAP after each epoch."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

import gapkit
from gapkit.data import FrameStore, Loader
from gapkit.errors import DataError, PredictorError, UsageError
from gapkit.metrics import Score, score
from gapkit.plugins import find_predictor
from gapkit.predicting import predict_split
from gapkit.training._loss import cross_entropy
from gapkit.training._module import TorchPredictor, find_device
from gapkit.training._run import RunWriter, build_module


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """How a predictor is trained; the defaults are the paper's."""

    epochs: int = 5
    """Passes over the training split, 1 or more"""
    batch_size: int = 128
    """Videos a step, 1 or more"""
    learning_rate: float = 0.001
    """Of Adam, above 0"""
    decay_rate: float = 0.95
    """The learning rate is multiplied by it every `decay_examples`, in (0, 1]"""
    decay_examples: int = 4_000_000
    """Videos, 1 or more"""
    clip_norm: float = 1.0
    """The gradient's norm at most, above 0"""
    seed: int = 0
    """Of the weights, the order of videos and the starts of crops, 0 or more"""
    validation_batch_size: int = 128
    """Videos a batch on the holdout; at the same size a prediction repeats to the bit"""

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "decay_examples", "validation_batch_size"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} is {getattr(self, name)}. It must be 1 or more.")
        for name in ("learning_rate", "clip_norm"):
            if not 0 < getattr(self, name) <= 1e30:
                raise UsageError(f"{name} is {getattr(self, name)}. It must be in (0, 1e30].")
        if not 0 < self.decay_rate <= 1:
            raise UsageError(f"decay_rate is {self.decay_rate}. It must be in (0, 1].")
        if self.seed < 0:
            raise UsageError(f"seed is {self.seed}. It must be 0 or more.")


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """What an epoch brought; a line of metrics.jsonl."""

    epoch: int
    """From 1"""
    num_examples: int
    """Videos seen since the start"""
    loss: float
    """Mean over the epoch's videos"""
    videos_per_second: float
    """In training, validation left out"""
    score: Score
    """Of the holdout"""
    is_best: bool
    """Whether no epoch before had a higher GAP"""

    def to_record(self) -> dict[str, Any]:
        """Return the line of metrics.jsonl: its own fields beside the score's."""
        own = {key: value for key, value in vars(self).items() if key != "score"}
        return {**own, **vars(self.score)}


def train(
    name: str,
    data: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    settings: Mapping[str, Any] | None = None,
    training: TrainingConfig | None = None,
    device: str = "auto",
    overwrite: bool = False,
    on_epoch: Callable[[Epoch], object] | None = None,
    progress: Callable[[int, int, str], object] | None = None,
) -> list[Epoch]:
    """Train a predictor on split `train`, score it on `val` after each epoch, keep last and best.

    Parameters
    ----------
    name : str
        Of the predictor, as `find_predictor` takes it.
    data : path
        Folder with the splits `train` and `val`.
    output : path
        Folder of the run. It appears with the first epoch's checkpoint and is whole from then on.
    settings : mapping, optional
        Fields of the predictor's config.
    training : TrainingConfig, optional
    device : str
        As torch names it; 'auto' takes a GPU where there is one.
    overwrite : bool
        Replace a run that is there.
    on_epoch : callable, optional
        Called with each Epoch.
    progress : callable, optional
        Called with the videos done and the videos in all of the epoch, and what is being done.

    Raises
    ------
    PredictorError
        The predictor can't be found or trained, or the loss is no longer finite.
    DataError
        A split is missing, or the two don't go together, or the output can't be written.
    UsageError
        A setting is unknown or out of range.
    """
    training = training or TrainingConfig()
    plugin = find_predictor(name)
    config = plugin.configure(settings or {})
    train_store, val_store = FrameStore(Path(data) / "train"), FrameStore(Path(data) / "val")
    _check_splits(train_store, val_store, own_stride=getattr(config, "stride", None) is None)
    module = build_module(
        plugin, train_store.num_classes, train_store.feature_sizes, config, seed=training.seed
    ).to(find_device(device))
    about = {
        "predictor": name if plugin.is_entry_point else None,
        "trained_from": name,
        "config": None if config is None else asdict(config),
        "num_classes": train_store.num_classes,
        "feature_sizes": train_store.feature_sizes,
        "training": asdict(training),
        "data": str(data),
        "versions": {
            "gapkit": gapkit.__version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
        },
    }
    epochs: list[Epoch] = []
    with RunWriter(Path(output), about, overwrite=overwrite) as writer:
        for epoch in _run_epochs(module, train_store, val_store, training, name, progress):
            epochs.append(epoch)
            writer.checkpoint(module, epoch.to_record(), is_best=epoch.is_best)
            if on_epoch is not None:
                on_epoch(epoch)
    return epochs


def _run_epochs(
    module: TorchPredictor,
    train_store: FrameStore,
    val_store: FrameStore,
    training: TrainingConfig,
    name: str,
    progress: Callable[[int, int, str], object] | None,
) -> Iterator[Epoch]:
    """Train an epoch, score the holdout, and again."""
    optimizer = torch.optim.Adam(module.parameters(), lr=training.learning_rate)
    loader = Loader(
        train_store,
        batch_size=training.batch_size,
        seed=training.seed,
        stride=getattr(module.config, "stride", None),
        max_frames=getattr(module.config, "max_frames", None),
    )

    def tell(what: str) -> Callable[[int, int], object] | None:
        return None if progress is None else lambda done, total: progress(done, total, what)

    best = -1.0
    for number in range(1, training.epochs + 1):
        began = time.perf_counter()
        loss = _train_epoch(module, optimizer, loader, training, number, tell(f"epoch {number}"))
        seconds = time.perf_counter() - began
        predictions = predict_split(
            module,
            val_store,
            batch_size=training.validation_batch_size,
            name=name,
            progress=tell("validation"),
        )
        result = score(predictions, val_store.labels)
        yield Epoch(
            epoch=number,
            num_examples=number * len(train_store),
            loss=loss,
            videos_per_second=len(train_store) / seconds,
            score=result,
            is_best=result.gap > best,
        )
        best = max(best, result.gap)


def _train_epoch(
    module: TorchPredictor,
    optimizer: torch.optim.Optimizer,
    loader: Loader,
    training: TrainingConfig,
    number: int,
    tell: Callable[[int, int], object] | None,
) -> float:
    """One pass over the training split; the mean loss of its videos."""
    module.train()
    num_videos = len(loader.store)
    total_loss, done = 0.0, 0
    for batch, true_BC in loader.epoch(number):
        examples = (number - 1) * num_videos + done
        for group in optimizer.param_groups:
            decays = examples // training.decay_examples
            group["lr"] = training.learning_rate * training.decay_rate**decays
        confidence_BC = module(*module.tensors(batch))
        truth_BC = torch.from_numpy(true_BC).to(confidence_BC.device, torch.float32)
        loss = cross_entropy(confidence_BC, truth_BC) + module.penalty()
        if not torch.isfinite(loss):
            raise PredictorError(
                f"the loss is {loss.item()} in epoch {number} after {examples} videos. "
                f"Lower --lr. What was saved before stays."
            )
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(module.parameters(), training.clip_norm)
        optimizer.step()
        total_loss += loss.item() * len(batch)
        done += len(batch)
        if tell is not None:
            tell(done, num_videos)
    return total_loss / num_videos


def _check_splits(train_store: FrameStore, val_store: FrameStore, *, own_stride: bool) -> None:
    same = ["num_classes", "feature_sizes", "level"]
    if own_stride:  # crops are cut at the store's own stride
        same.append("stride")
    for what in same:
        ours, theirs = getattr(train_store, what), getattr(val_store, what)
        if ours != theirs:
            raise DataError(
                f"{val_store.path}: {what} is {theirs}, and {ours} in {train_store.path}. "
                f"Import both splits from one data set, with the same options."
            )
    for store in (train_store, val_store):
        if store.labels.num_positives == 0:
            raise DataError(f"{store.path}: none of its {len(store)} videos has a label.")
