"""One layer of layer-normalised cells in one direction, as its formula has it.

Shape letters: P rows of all steps, B rows of one step, D inputs, H units, 4 gates i f g o, 5 those
and the state.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from gapkit.training._cells.steps import Steps

_EPSILON = 1e-5


def run_cell(
    x_PD: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    gain_5H: Tensor,
    shift_5H: Tensor,
    steps: Steps,
    reverse: bool,
) -> Tensor:
    """Outputs (P, H), each at its frame, by torch's own operations."""
    num_units = weight_hh.shape[1]
    input_P4H = F.linear(steps.mirror(x_PD, reverse), weight_ih).view(-1, 4, num_units)
    h_BH = c_BH = x_PD.new_zeros(steps.sizes[0], num_units)
    outputs = []
    for input_B4H in torch.split(input_P4H, steps.sizes):
        size = input_B4H.shape[0]
        gates_B4H = input_B4H + F.linear(h_BH[:size], weight_hh).view(size, 4, num_units)
        gates_B4H = _normalize(gates_B4H) * gain_5H[:4] + shift_5H[:4]
        i_BH, f_BH, g_BH, o_BH = gates_B4H.unbind(dim=1)
        c_BH = torch.sigmoid(f_BH + 1) * c_BH[:size] + torch.sigmoid(i_BH) * torch.tanh(g_BH)
        c_BH = _normalize(c_BH) * gain_5H[4] + shift_5H[4]
        h_BH = torch.sigmoid(o_BH) * torch.tanh(c_BH)
        outputs.append(h_BH)
    return steps.mirror(torch.cat(outputs), reverse)


def _normalize(x: Tensor) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], eps=_EPSILON)
