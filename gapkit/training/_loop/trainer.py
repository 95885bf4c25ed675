"""Steps, epochs, and the holdout scored after each."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gapkit.data import FrameStore, Loader
from gapkit.errors import PredictorError
from gapkit.metrics import gap, score
from gapkit.predictions import Predictions
from gapkit.training._loop.augmentation import augment
from gapkit.training._loop.config import TrainingConfig
from gapkit.training._loop.faults import blaming, checked, explain_values
from gapkit.training._loop.losses import make_loss
from gapkit.training._loop.ranks import Ranks
from gapkit.training._loop.schedule import learning_rate
from gapkit.training._loop.shared import predict_shared
from gapkit.training._loop.teacher import Teacher
from gapkit.training._module import TorchPredictor, send
from gapkit.training._runs.averaging import move_mean
from gapkit.training._runs.epoch import Epoch, Pretraining
from gapkit.training._runs.resume import check_where
from gapkit.training._runs.state import read_state, write_state

_SECONDS_BETWEEN = 0.5  # two minibatch GAPs: one takes a millisecond or two

Tell = Callable[[int, int, str], object]


class Trainer:
    """A predictor on its way; what it draws at a step depends on seed and step alone.

    So a state needs no generators: weights, moments and the step say all.
    """

    def __init__(
        self,
        module: TorchPredictor,
        train_store: FrameStore,
        val_store: FrameStore,
        training: TrainingConfig,
        name: str,
        tell: Tell | None = None,
        teacher: Teacher | None = None,
    ) -> None:
        self.module, self.training, self._teacher = module, training, teacher
        self.val_predictions: Predictions | None = None
        self._val_store, self._name, self._tell = val_store, name, tell
        self._optimizer = torch.optim.Adam(module.parameters(), lr=training.learning_rate)
        self._loss = checked(make_loss(training), name)
        self._ranks = Ranks()
        self._loader = Loader(
            train_store,
            batch_size=self._ranks.share(training.batch_size),
            rank=self._ranks.rank,
            num_ranks=self._ranks.num_ranks,
            seed=training.seed,
            run_length=training.run_length,
            stride=getattr(module.config, "stride", None),
            max_frames=getattr(module.config, "max_frames", None),
            starts=getattr(module.config, "starts", None) or "paper",
        )
        self._is_mixed = training.precision == "bfloat16"
        self._minibatch: tuple[Tensor, Tensor] | None = None  # confidences and truth of a step
        self._shown = -math.inf, ""  # when a minibatch GAP was shown, and how
        self._averaged = copy.deepcopy(module) if training.ema_decay else None
        self._num_pretraining = int(getattr(module.config, "pretrain_epochs", 0) or 0)
        self._where: dict[str, Any] = {
            "epoch": 1, "batch": 0, "step": 0, "total_loss": 0.0, "best": -1.0, "num_worse": 0,
            "is_finished": False, "seconds": 0.0, "wait_seconds": 0.0, "all_seconds": 0.0,
        }  # fmt: skip

    @property
    def scored(self) -> TorchPredictor:
        """The predictor whose weights are scored and kept: the mean over steps, if there is one."""
        return self.module if self._averaged is None else self._averaged

    @property
    def num_steps(self) -> int:
        """Steps done."""
        return int(self._where["step"])

    @property
    def is_finished(self) -> bool:
        """Whether nothing is left to do."""
        return bool(self._where["is_finished"])

    def save(self, path: Path, **more: Any) -> None:
        """Write the state to go on from."""
        averaged = None if self._averaged is None else self._averaged.state_dict()
        about = {**self._where, **more}
        write_state(path, self.module, self._optimizer, averaged, about)

    def load(self, path: Path) -> dict[str, Any]:
        """Go on from a state; what more it was saved with."""
        averaged, about = read_state(path, self.module, self._optimizer)
        check_where(path, about, self._where)
        if self._averaged is not None:
            self._averaged.load_state_dict(averaged)
        more = {name: about.pop(name) for name in about.keys() - self._where.keys()}
        self._where |= about
        if self._where["epoch"] <= self._num_epochs and not self._is_out_of_patience:
            self._where["is_finished"] = self._is_out_of_budget()  # an end that was moved is no end
        return more

    def run(self, save: Callable[[], object]) -> Iterator[Epoch | Pretraining]:
        """Yield each epoch as it ends; `save` is called between steps, now and then."""
        where = self._where
        while not where["is_finished"]:
            number = where["epoch"]
            loss = self._run_epoch(save)
            ended: Epoch | Pretraining
            if number <= self._num_pretraining:
                ended = Pretraining(epoch=number, loss=loss)
            else:
                ended = self._validate(loss)
            if where["batch"] >= len(self._loader):  # else the budget ended it
                begin = {"batch": 0, "total_loss": 0.0, "seconds": 0.0, "wait_seconds": 0.0}
                where.update(begin, epoch=number + 1)
            where["is_finished"] = (
                where["epoch"] > self._num_epochs
                or self._is_out_of_budget()
                or self._is_out_of_patience
            )
            yield ended

    @property
    def _num_epochs(self) -> int:
        return self._num_pretraining + self.training.epochs

    @property
    def _num_steps_in_all(self) -> int:
        limit = self.training.max_steps
        num_steps = self._num_epochs * len(self._loader)
        return num_steps if limit is None else min(limit, num_steps)

    def _is_out_of_budget(self) -> bool:
        """Whether steps or minutes have come to an end; every rank asks, and all hear the same."""
        max_steps, max_minutes = self.training.max_steps, self.training.max_minutes
        if max_steps is not None and self._where["step"] >= max_steps:
            return True
        if max_minutes is None:
            return False
        return self._ranks.any(self._where["all_seconds"] >= 60 * max_minutes)

    @property
    def _is_out_of_patience(self) -> bool:
        patience = self.training.patience
        return patience is not None and bool(self._where["num_worse"] >= patience)

    def _run_epoch(self, save: Callable[[], object]) -> float:
        """What is left of an epoch; the mean loss of its videos."""
        where, num_videos = self._where, len(self._loader.store)
        is_pretraining = where["epoch"] <= self._num_pretraining
        own_epoch = where["epoch"] - (0 if is_pretraining else self._num_pretraining)
        what = f"pretraining {own_epoch}" if is_pretraining else f"epoch {own_epoch}"
        self.module.train()
        seed = self.training.seed * 1_000_003 + self._ranks.rank * 15_485_863
        done = min(where["batch"] * self.training.batch_size, num_videos)
        saved = asked = time.perf_counter()
        with torch.random.fork_rng():
            for batch, true_BC in self._loader.epoch(where["epoch"], first_batch=where["batch"]):
                given = time.perf_counter()
                torch.manual_seed(seed + where["step"])
                examples = (where["epoch"] - 1) * num_videos + done
                for group in self._optimizer.param_groups:
                    group["lr"] = learning_rate(
                        self.training,
                        step=where["step"],
                        num_steps=self._num_steps_in_all,
                        num_examples=examples,
                    )
                target_BC: Any = true_BC
                if self._teacher is not None:
                    share_taught = self.training.distillation or 0.0
                    target_BC = self._teacher.blend(batch.ids, true_BC, share_taught)
                num_in_step = min(self.training.batch_size, num_videos - done)
                share = len(batch) / num_in_step
                with blaming(self._name, batch):
                    features, num_frames = self.module.tensors(batch)
                    truth_BC = send(target_BC, num_frames.device).float()
                    loss, norm = self._step(features, num_frames, truth_BC, is_pretraining, share)
                if not math.isfinite(loss + norm):
                    why = explain_values(
                        self.module, batch, self._minibatch, self._name, is_first=examples == 0
                    )
                    is_loss = not math.isfinite(loss)
                    what = f"loss is {loss}" if is_loss else f"gradient's norm is {norm}"
                    raise PredictorError(
                        f"the {what} in epoch {own_epoch} after {examples} videos{why}"
                    )
                done += num_in_step
                where["total_loss"] += loss * num_in_step
                where["step"] += 1
                where["batch"] += 1
                now = time.perf_counter()
                where["wait_seconds"] += given - asked
                where["seconds"] += now - asked
                where["all_seconds"] += now - asked
                if self._tell is not None:
                    waited = 100 * where["wait_seconds"] / where["seconds"]
                    figures = f"loss {loss:.3f}{self._shown_gap(now)}, waits {waited:.0f} %"
                    if where["best"] >= 0:
                        figures += f", best holdout GAP {where['best']:.4f}"
                    self._tell(done, num_videos, f"{what}, {figures}")
                if now - saved >= self.training.save_seconds and done < num_videos:
                    save()
                    saved = now
                if self._is_out_of_budget():
                    break
                asked = time.perf_counter()
        return float(where["total_loss"] / done)

    def _step(
        self,
        features: dict[str, Tensor],
        num_frames: Tensor,
        true_BC: Tensor,
        is_pretraining: bool,
        share_of_step: float,
    ) -> tuple[float, float]:
        """Lower the loss of a batch, in parts; the loss it had, and its gradient's norm.

        All ranks step as one. Either of them not finite changes nothing.
        """
        if not is_pretraining:
            features, num_frames, true_BC = augment(features, num_frames, true_BC, self.training)
        self._optimizer.zero_grad()
        size = max(-(-len(true_BC) // self.training.accumulate), 1)
        total = 0.0
        for begin in range(0, len(true_BC), size):
            part = slice(begin, begin + size)
            inputs = {name: x[part] for name, x in features.items()}, num_frames[part]
            with torch.autocast(num_frames.device.type, torch.bfloat16, enabled=self._is_mixed):
                if is_pretraining:
                    loss = self.module.pretraining_loss(*inputs)
                else:
                    loss, confidence_BC = self.module.compute_loss(
                        *inputs, true_BC[part], self._loss
                    )
                    loss = loss + self.module.penalty()
                    self._minibatch = confidence_BC.detach(), true_BC[part]
            share = share_of_step * len(true_BC[part]) / len(true_BC)
            (loss * share).backward()  # type: ignore[no-untyped-call]
            total += loss.item() * share
        total = self._ranks.add_up(self.module, total)
        if not math.isfinite(total):
            return total, 0.0
        weights = self.module.parameters()
        norm = float(torch.nn.utils.clip_grad_norm_(weights, self.training.clip_norm))
        if not math.isfinite(norm):
            return total, norm
        self._optimizer.step()
        if self._averaged is not None:
            num_steps = self._where["step"] + 1
            keep = min(self.training.ema_decay, num_steps / (num_steps + 9))  # at first it is fast
            move_mean(self._averaged, self.module, 1 - keep)
        return total, norm

    def _shown_gap(self, now: float) -> str:
        """The minibatch GAP for the live line, computed now and then."""
        if self._minibatch is not None and now - self._shown[0] >= _SECONDS_BETWEEN:
            confidence_BC, true_BC = self._minibatch
            value = gap(confidence_BC.float(), true_BC >= 0.5)
            self._shown = now, f", minibatch GAP {value:.3f}"
        return self._shown[1]

    def _validate(self, loss: float) -> Epoch:
        """Score the holdout."""
        where, tell, began = self._where, self._tell, time.perf_counter()
        self._ranks.agree(self.scored)
        predictions = predict_shared(
            self._ranks,
            self.scored,
            self._val_store,
            batch_size=self.training.validation_batch_size,
            name=self._name,
            progress=None if tell is None else lambda done, all_: tell(done, all_, "validation"),
        )
        result = score(predictions, self._val_store.labels)
        is_best = result.gap > where["best"]
        where["best"] = max(where["best"], result.gap)
        where["num_worse"] = 0 if is_best else where["num_worse"] + 1
        num_epochs = where["epoch"] - self._num_pretraining
        num_videos = len(self._loader.store)
        in_epoch = min(where["batch"] * self.training.batch_size, num_videos)
        self.val_predictions = predictions
        where["all_seconds"] += time.perf_counter() - began
        return Epoch(
            epoch=num_epochs,
            num_examples=(num_epochs - 1) * num_videos + in_epoch,
            loss=loss,
            videos_per_second=in_epoch / max(where["seconds"], 1e-9),
            wait_share=where["wait_seconds"] / max(where["seconds"], 1e-9),
            score=result,
            is_best=is_best,
        )
