"""How fast a predictor learns at a step."""

from __future__ import annotations

import math

from gapkit.training._loop.config import TrainingConfig


def learning_rate(
    training: TrainingConfig, *, step: int, num_steps: int, num_examples: int
) -> float:
    """The learning rate of a step.

    Parameters
    ----------
    training : TrainingConfig
    step : int
        Steps done, from 0.
    num_steps : int
        Steps that the run will have.
    num_examples : int
        Videos seen.

    Examples
    --------
    >>> paper = TrainingConfig()
    >>> learning_rate(paper, step=31_250, num_steps=99_999, num_examples=4_000_000)
    0.00095
    >>> cosine = TrainingConfig(schedule="cosine", warmup_steps=10)
    >>> [round(learning_rate(cosine, step=n, num_steps=110, num_examples=0), 6) for n in (0, 9, 60)]
    [0.0001, 0.001, 0.0005]
    """
    if step < training.warmup_steps:
        return training.learning_rate * (step + 1) / training.warmup_steps
    if training.schedule == "cosine":
        share = (step - training.warmup_steps) / max(num_steps - training.warmup_steps, 1)
        return training.learning_rate * (1 + math.cos(math.pi * min(share, 1))) / 2
    decays = num_examples // training.decay_examples
    return float(training.learning_rate * training.decay_rate**decays)
