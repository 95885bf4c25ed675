"""The bundled trainer: Adam on random crops, the holdout scored by exact GAP after each epoch."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from gapkit._settings import make_config
from gapkit.data import FrameStore
from gapkit.errors import DataError, UsageError
from gapkit.plugins import find_predictor
from gapkit.training._loop.config import TrainingConfig
from gapkit.training._loop.faults import prepare
from gapkit.training._loop.ranks import join_ranks
from gapkit.training._loop.teacher import Teacher
from gapkit.training._loop.trainer import Trainer
from gapkit.training._module import find_device
from gapkit.training._runs.epoch import Epoch, Pretraining
from gapkit.training._runs.provenance import find_commit, find_versions, fingerprint
from gapkit.training._runs.run import RunWriter, build_module, read_begun, to_json
from gapkit.training._runs.start import start_from

_MUST_STAY = (
    "trained_from", "num_classes", "feature_sizes", "fingerprint", "teacher_fingerprint",
)  # fmt: skip
_MAY_CHANGE = ("epochs", "max_steps", "max_minutes", "patience", "keep_every", "save_seconds")
_AS_BEGUN = ("init", "commit", "versions")
_DISTILLATION = 0.5  # the share of a teacher where none is said


def train(
    name: str,
    data: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    settings: Mapping[str, Any] | None = None,
    training: TrainingConfig | Mapping[str, Any] | None = None,
    device: str = "auto",
    overwrite: bool = False,
    resume: bool = False,
    init: str | os.PathLike[str] | None = None,
    teacher: str | os.PathLike[str] | None = None,
    on_epoch: Callable[[Epoch | Pretraining], object] | None = None,
    on_note: Callable[[str], object] | None = None,
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
    training : TrainingConfig or mapping, optional
        Or some of its fields.
    device : str
        As torch names it; 'auto' takes a GPU where there is one.
    overwrite : bool
        Replace a run that is there.
    resume : bool
        Go on in `output` to the bit as if it had not been interrupted, with the settings that it
        was begun with; how long it trains may be another. Without a checkpoint there, begin; with
        a finished run, return what it brought.
    init : path, optional
        Run whose last weights it starts from, where names and shapes fit: a head for other labels
        starts anew. Resumed, none or that which the run was begun with.
    teacher : path, optional
        Submission of split `train`, in any format that gapkit reads, whose confidences are the
        share `distillation` of the target (a half by default); with all of it the split needs no
        labels. Resumed, that which the run was begun with.
    on_epoch : callable, optional
        Called with each Epoch, and with each Pretraining of a predictor that has such a phase.
    on_note : callable, optional
        Called with a line on how many weights of `init` fitted, and which did not.
    progress : callable, optional
        Called with the videos done and the videos in all of the epoch, and what is being done:
        behind the first comma stand the loss and more.

    Raises
    ------
    PredictorError
        The predictor can't be found or trained, or the loss is no longer finite.
    DataError
        A split is missing, or the two don't go together, or the output can't be written, or the
        teacher can't be read, lacks a video of split `train` or is of other labels.
    UsageError
        A setting is unknown or out of range, or it or `init` is not the one that a resumed run was
        begun with; distillation without a teacher.
    """
    output, is_first = Path(output), join_ranks()
    begun = read_begun(output) if resume else None
    if begun is not None:
        _check_init(output, begun.get("init"), init)
        settings = {**(begun["config"] or {}), **(settings or {})}
        training = {**begun["training"], **_given(training)}
        teacher = teacher or begun.get("teacher")
    chosen = make_config(TrainingConfig, _given(training), "the trainer", parse=False)
    training = _settle_distillation(chosen, teacher is not None)
    plugin = find_predictor(name)
    config = plugin.configure(settings or {})
    train_store, val_store = FrameStore(Path(data) / "train"), FrameStore(Path(data) / "val")
    learning_from = [] if training.distillation == 1 else [train_store]
    _check_splits(train_store, val_store, own_stride=getattr(config, "stride", None) is None)
    _check_labels([*learning_from, val_store])
    taught_by = None if teacher is None else Teacher(teacher, train_store)
    config = prepare(plugin, config, train_store)
    module = build_module(
        plugin, train_store.num_classes, train_store.feature_sizes, config, seed=training.seed
    ).to(find_device(device))
    if init is not None and begun is None:
        fitted = start_from(module, Path(init))
        if on_note is not None and is_first:
            on_note(fitted)
    about = {
        "predictor": name if plugin.is_entry_point else None,
        "trained_from": name,
        "config": None if config is None else json.loads(to_json(asdict(config), name)),
        "num_classes": train_store.num_classes,
        "feature_sizes": train_store.feature_sizes,
        "training": asdict(training),
        "data": str(data),
        "init": None if init is None else str(init),
        "teacher": None if taught_by is None else taught_by.path,
        "teacher_fingerprint": None if taught_by is None else taught_by.fingerprint,
        "fingerprint": fingerprint([train_store, val_store]),
        "commit": find_commit(),
        "versions": find_versions(),
    }
    trainer = Trainer(module, train_store, val_store, training, name, progress, taught_by)
    if begun is not None:
        _check_same(output, begun, about)
        about |= {key: begun.get(key) for key in _AS_BEGUN}
    with RunWriter(
        output, about, overwrite=overwrite, resume=begun is not None, writes=is_first
    ) as writer:
        epochs = writer.resume(trainer) if begun is not None else []
        for ended in trainer.run(save=lambda: writer.save(trainer)):
            writer.checkpoint(trainer, ended)
            if isinstance(ended, Epoch):
                epochs.append(ended)
            if on_epoch is not None and is_first:
                on_epoch(ended)
    return epochs


def _given(training: TrainingConfig | Mapping[str, Any] | None) -> dict[str, Any]:
    return asdict(training) if isinstance(training, TrainingConfig) else dict(training or {})


def _settle_distillation(training: TrainingConfig, is_taught: bool) -> TrainingConfig:
    """The config with the teacher's share of the target said."""
    if not is_taught and training.distillation:
        raise UsageError(
            f"distillation is {training.distillation}, and there is no teacher. Name a submission "
            f"of split train: --teacher FILE"
        )
    if is_taught and training.distillation is None:
        return replace(training, distillation=_DISTILLATION)
    return training


def _check_init(run: Path, there: str | None, asked: str | os.PathLike[str] | None) -> None:
    """Refuse to resume a run with weights to start from that are not those it was begun with."""
    if asked is None or (there is not None and Path(there).resolve() == Path(asked).resolve()):
        return
    raise UsageError(
        f"{run}: was begun with init={there!r}, and this is {str(asked)!r}. "
        f"Resume it without --init, or choose another -o."
    )


def _check_same(run: Path, there: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
    """Refuse to go on with a run that was begun otherwise."""
    was, now = _settled(there), _settled(asked)
    differing = [key for key in {**was, **now} if was.get(key) != now.get(key)]
    if differing:
        before, here = (
            ", ".join(f"{key[1]}={values.get(key)!r:.80}" for key in differing)
            for values in (was, now)
        )
        raise UsageError(
            f"{run}: was begun with {before}, and this is {here}. "
            f"Resume it as it was begun, or choose another -o."
        )


def _settled(about: Mapping[str, Any]) -> dict[tuple[str, str], Any]:
    """What a run is begun with and goes on with, by where it stands and its name."""
    return {
        **{("", key): about.get(key) for key in _MUST_STAY},
        **{("config", key): value for key, value in (about["config"] or {}).items()},
        **{
            ("training", key): value
            for key, value in about["training"].items()
            if key not in _MAY_CHANGE
        },
    }


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


def _check_labels(stores: Sequence[FrameStore]) -> None:
    for store in stores:
        if store.labels.num_positives == 0:
            raise DataError(f"{store.path}: none of its {len(store)} videos has a label.")
