"""Products with a weight that is used again and again, on the CPU in float32.

Shape letters: P rows, D inputs, N outputs.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor


def prepare_product(weight_ND: Tensor) -> Callable[[Tensor], Tensor]:
    """Return the function from x_PD to F.linear(x_PD, weight_ND), fast in repetition.

    oneDNN multiplies by a weight it has packed once at 190 to 218 GFLOP/s on two AMD cores, where
    F.linear reaches 125 to 140 at 64 rows, and 23 instead of 60 at one.
    """
    if torch.backends.mkldnn.enabled and _has_packed_product():
        packed = torch.ops.mkldnn._reorder_linear_weight(weight_ND)
        return lambda x_PD: _multiply(x_PD, packed)
    return lambda x_PD: F.linear(x_PD, weight_ND)


@cache
def _has_packed_product() -> bool:
    """Whether oneDNN can be asked: torch promises nothing about these operations, so try them."""
    weight_ND = torch.arange(-6.0, 6.0).view(3, 4)
    x_PD = torch.arange(8.0).view(2, 4)
    try:
        y_PN = _multiply(x_PD, torch.ops.mkldnn._reorder_linear_weight(weight_ND))
    except (AttributeError, NotImplementedError, RuntimeError, TypeError):
        return False
    return y_PN.shape == (2, 3) and torch.allclose(y_PN, F.linear(x_PD, weight_ND), rtol=1e-2)


def _multiply(x_PD: Tensor, packed: Tensor) -> Tensor:
    y_PN: Tensor = torch.ops.mkldnn._linear_pointwise(x_PD, packed, None, "none", [], "")
    return y_PN
