"""How a predictor is trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gapkit.errors import UsageError

_AT_LEAST = {
    "epochs": 1, "batch_size": 1, "decay_examples": 1, "validation_batch_size": 1, "accumulate": 1,
    "patience": 1, "max_steps": 1, "seed": 0, "mixup": 0, "feature_noise": 0, "save_seconds": 0,
    "warmup_steps": 0, "keep_every": 1, "run_length": 1,
}  # fmt: skip
_SHARES = ("ignore_negatives", "label_smoothing", "ema_decay", "bootstrapping", "half_videos")
_WORDS = {
    "loss": ("cross_entropy", "focal", "asymmetric"),
    "schedule": ("steps", "cosine"),
    "precision": ("float32", "bfloat16"),
}


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """How a predictor is trained; the defaults are the paper's."""

    epochs: int = 5
    """Passes over the training split, 1 or more"""
    batch_size: int = 128
    """Videos a step, 1 or more"""
    learning_rate: float = 0.001
    """Of Adam, above 0"""
    schedule: Literal["steps", "cosine"] = "steps"
    """Of the learning rate: the paper's steps, or half a cosine from it to 0 at the last step"""
    warmup_steps: int = 0
    """The learning rate rises from 0 over so many steps, 0 or more"""
    decay_rate: float = 0.95
    """The learning rate is multiplied by it every `decay_examples`, in (0, 1]"""
    decay_examples: int = 4_000_000
    """Videos, 1 or more"""
    clip_norm: float = 1.0
    """The gradient's norm at most, above 0"""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Of a training step; weights, moments and validation are float32 in both"""
    accumulate: int = 1
    """Parts that a step's videos are cut into, one in memory at a time, 1 or more; batch
    normalisation sees a part, as it sees the videos of one rank"""
    loss: Literal["cross_entropy", "focal", "asymmetric"] = "cross_entropy"
    """Of confidences and truth: the paper's, Lin et al. 2017, Ridnik et al. 2021"""
    ignore_negatives: float = 0.0
    """False labels with a confidence below it cost nothing, in [0, 1): 0.15 in the paper"""
    negative_share: float = 1.0
    """Of the false labels so many are drawn anew each step, the others cost nothing, in (0, 1]"""
    label_smoothing: float = 0.0
    """A true label counts 1 minus it, in [0, 1)"""
    bootstrapping: float = 0.0
    """Share of the predictor's own confidence in its target, in [0, 1): the soft kind of Reed et
    al. 2015, whose gradient passes through the target as well"""
    distillation: float | None = None
    """Share of the teacher's confidence in the target (Hinton et al. 2015), in [0, 1]; none is 0.5
    with a teacher"""
    mixup: float = 0.0
    """Videos are mixed in pairs by a draw from Beta(mixup, mixup); 0 is off"""
    half_videos: float = 0.0
    """Probability that a video is cut to its first or second half, in [0, 1)"""
    feature_noise: float = 0.0
    """Standard deviation of what is added to each value of [-2, 2], 0 or more"""
    ema_decay: float = 0.0
    """Of the mean of weights over steps, which is then scored and kept; 0 is off, in [0, 1)"""
    patience: int | None = None
    """Stop after so many epochs without a better GAP on the holdout; none never does"""
    max_steps: int | None = None
    """Stop after so many steps; none is as many as the epochs have"""
    max_minutes: float | None = None
    """Stop after so many minutes of training and validation, above 0; none never does"""
    keep_every: int | None = None
    """Keep the weights of every so-manieth epoch as checkpoint-EPOCH; none keeps last and best"""
    seed: int = 0
    """Of the weights, the order of videos and the starts of crops, 0 to 2**32 - 1"""
    run_length: int | None = None
    """Videos read from disk as one run, see `gapkit.data.Loader`; none reads each for itself"""
    validation_batch_size: int = 128
    """Videos a batch on the holdout; at the same size a prediction repeats to the bit"""
    save_seconds: float = 300.0
    """Between two states that `resume` goes on from within an epoch, 0 or more"""

    def __post_init__(self) -> None:
        for name, least in _AT_LEAST.items():
            value = getattr(self, name)
            if value is not None and not least <= value <= 1e30:
                raise UsageError(f"{name} is {value}. It must be {least} or more.")
        if self.seed >= 2**32:
            raise UsageError(f"seed is {self.seed}. It must be below 2**32.")
        for name in ("learning_rate", "clip_norm", "max_minutes"):
            value = getattr(self, name)
            if value is not None and not 0 < value <= 1e30:
                raise UsageError(f"{name} is {value}. It must be in (0, 1e30].")
        for name in ("decay_rate", "negative_share"):
            if not 0 < getattr(self, name) <= 1:
                raise UsageError(f"{name} is {getattr(self, name)}. It must be in (0, 1].")
        for name in _SHARES:
            if not 0 <= getattr(self, name) < 1:
                raise UsageError(f"{name} is {getattr(self, name)}. It must be in [0, 1).")
        for name, words in _WORDS.items():
            if getattr(self, name) not in words:
                choices = f"{', '.join(words[:-1])} or {words[-1]}"
                raise UsageError(f"{name} is {getattr(self, name)!r}. Use {choices}.")
        if self.distillation is not None and not 0 <= self.distillation <= 1:
            raise UsageError(f"distillation is {self.distillation}. It must be in [0, 1].")
