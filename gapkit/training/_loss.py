"""The loss of the paper."""

from __future__ import annotations

from torch import Tensor

_EPSILON = 1e-5


def cross_entropy(confidence_BC: Tensor, true_BC: Tensor) -> Tensor:
    """Binary cross entropy summed over labels and averaged over videos, a scalar.

    1e-5 is added inside each logarithm, as in the YouTube-8M starter code.
    """
    positive_BC = true_BC * (confidence_BC + _EPSILON).log()
    negative_BC = (1 - true_BC) * (1 - confidence_BC + _EPSILON).log()
    return -(positive_BC + negative_BC).sum(dim=1).mean()
