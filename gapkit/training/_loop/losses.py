"""Losses of confidences against labels.

Shape letters: B videos, C labels.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from gapkit.training._loop.config import TrainingConfig

_EPSILON = 1e-5
_FOCUS = 2.0  # Lin et al. 2017
_NEGATIVE_FOCUS, _MARGIN = 4.0, 0.05  # Ridnik et al. 2021; positives are not focused


def cross_entropy(confidence_BC: Tensor, true_BC: Tensor) -> Tensor:
    """Binary cross entropy summed over labels and averaged over videos, a scalar.

    1e-5 is added inside each logarithm, as in the YouTube-8M starter code.
    """
    positive_BC = true_BC * (confidence_BC + _EPSILON).log()
    negative_BC = (1 - true_BC) * (1 - confidence_BC + _EPSILON).log()
    return -(positive_BC + negative_BC).sum(dim=1).mean()


def make_loss(training: TrainingConfig) -> Callable[[Tensor, Tensor], Tensor]:
    """The loss that a config asks for: (B, C) confidences and (B, C) truth to a scalar."""

    def loss(confidence_BC: Tensor, true_BC: Tensor) -> Tensor:
        confidence_BC = confidence_BC.float()
        is_negative_BC = true_BC == 0
        if training.label_smoothing:
            true_BC = true_BC * (1 - training.label_smoothing)
        if training.bootstrapping:
            own = training.bootstrapping
            true_BC = (1 - own) * true_BC + own * confidence_BC
        positive_BC = true_BC * (confidence_BC + _EPSILON).log()
        doubt_BC = confidence_BC
        if training.loss == "asymmetric":
            doubt_BC = (confidence_BC - _MARGIN).clamp(min=0)
        negative_BC = (1 - true_BC) * (1 - doubt_BC + _EPSILON).log()
        if training.loss == "focal":
            positive_BC = positive_BC * (1 - confidence_BC) ** _FOCUS
            negative_BC = negative_BC * confidence_BC**_FOCUS
        elif training.loss == "asymmetric":
            negative_BC = negative_BC * doubt_BC**_NEGATIVE_FOCUS
        if training.ignore_negatives:
            is_ignored_BC = is_negative_BC & (confidence_BC < training.ignore_negatives)
            negative_BC = negative_BC.masked_fill(is_ignored_BC, 0)
        if training.negative_share < 1:
            is_left_out_BC = torch.rand_like(confidence_BC) >= training.negative_share
            negative_BC = negative_BC.masked_fill(is_negative_BC & is_left_out_BC, 0)
        return -(positive_BC + negative_BC).sum(dim=1).mean()

    return loss
