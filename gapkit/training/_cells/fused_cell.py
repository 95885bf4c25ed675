"""One layer of layer-normalised cells in one direction, on the CPU, in products and two kernels.

All inputs go through one product, each step through one more, and a kernel does what lies between
them. The gradients of the weights are one product over all steps.

Shape letters: P rows of all steps, B rows of one step, D inputs, H units, 4 gates i f g o, 5 those
and the state, X 4H.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

from gapkit.training._cells.checks import are_numbers
from gapkit.training._cells.layer_norm_cell import run_cell
from gapkit.training._cells.products import prepare_product
from gapkit.training._cells.steps import Steps

try:
    from gapkit._kernels.layer_norm_cell import step_backward, step_forward
except ImportError:  # no Numba for this Python
    HAS_KERNELS = False
else:
    HAS_KERNELS = True


def can_fuse(num_frames: Tensor, *tensors: Tensor) -> bool:
    """Whether `run_fused_cell` can take these: plain float32 on the CPU, and nothing traces."""
    return (
        are_numbers(num_frames)
        and HAS_KERNELS
        and not torch.is_autocast_enabled("cpu")
        and num_frames.numel() > 0
        and all(_is_plain(tensor) for tensor in tensors)
    )


def _is_plain(tensor: Tensor) -> bool:
    return (
        type(tensor) in (Tensor, nn.Parameter)
        and tensor.device.type == "cpu"
        and tensor.dtype == torch.float32
        and tensor.layout == torch.strided
        and forward_ad.unpack_dual(tensor).tangent is None  # type: ignore[no-untyped-call]
    )


def run_fused_cell(
    x_PD: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    gain_5H: Tensor,
    shift_5H: Tensor,
    steps: Steps,
    reverse: bool,
) -> Tensor:
    """Outputs (P, H) at their frames, equal to `run_cell`'s."""
    h_PH: Tensor = _FusedCell.apply(  # type: ignore[no-untyped-call]
        x_PD, weight_ih, weight_hh, gain_5H, shift_5H, steps, reverse
    )
    return h_PH


class _FusedCell(torch.autograd.Function):
    """Keeps normalised gates and states, 5 values a unit; the way back finds the rest from them."""

    @staticmethod
    def forward(
        ctx: Any,
        x_PD: Tensor,
        weight_ih: Tensor,
        weight_hh: Tensor,
        gain_5H: Tensor,
        shift_5H: Tensor,
        steps: Steps,
        reverse: bool,
    ) -> Tensor:
        num_rows, num_units = len(x_PD), weight_hh.shape[1]
        gate_PX = prepare_product(weight_ih)(steps.mirror(x_PD, reverse))
        gate_P4H = gate_PX.view(-1, 4, num_units)
        cell_PH, h_PH = (gate_PX.new_empty(num_rows, num_units) for _ in range(2))
        scale_P5 = gate_PX.new_empty(num_rows, 5)
        state_BH = gate_PX.new_zeros(steps.sizes[0], num_units)
        recurrent_B4H = gate_PX.new_zeros(steps.sizes[0], 4, num_units)
        parameters = [t.detach().contiguous().numpy() for t in (gain_5H, shift_5H)]
        filled = [t.numpy() for t in (state_BH, cell_PH, scale_P5, h_PH)]
        multiply = prepare_product(weight_hh) if len(steps.sizes) > 1 else None
        before = 0
        for begin, size in zip(steps.begins, steps.sizes, strict=True):
            if multiply and begin:
                recurrent_B4H = multiply(h_PH[before : before + size]).view(-1, 4, num_units)
            step_forward(gate_P4H.numpy(), recurrent_B4H.numpy(), *parameters, begin, *filled)
            before = begin
        ctx.steps, ctx.reverse = steps, reverse
        ctx.save_for_backward(
            x_PD, weight_ih, weight_hh, gain_5H, shift_5H, gate_P4H, cell_PH, scale_P5, h_PH
        )
        return steps.mirror(h_PH, reverse)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        steps, reverse, needs_grad = ctx.steps, ctx.reverse, ctx.needs_input_grad
        x_PD, weight_ih, weight_hh, gain_5H, shift_5H, *kept, h_PH = ctx.saved_tensors
        if torch.is_grad_enabled():  # gradients of the gradients are wanted
            return _differentiable_grads(ctx.saved_tensors[:5], needs_grad, steps, reverse, *grads)
        grad_PX, grad_gain_5H, grad_shift_5H = _run_back(
            kept, weight_hh, gain_5H, shift_5H, steps.mirror(grads[0], reverse), steps
        )
        grad_x = grad_weight_ih = grad_weight_hh = None
        if needs_grad[0]:
            grad_x = steps.mirror(grad_PX @ weight_ih, reverse)
        if needs_grad[1]:
            grad_weight_ih = grad_PX.t() @ steps.mirror(x_PD, reverse)
        if needs_grad[2]:
            begins = zip(steps.begins, steps.sizes[1:], strict=False)
            before_PH = [h_PH[begin : begin + size] for begin, size in begins]
            grad_weight_hh = (
                grad_PX[steps.sizes[0] :].t() @ torch.cat(before_PH)
                if before_PH
                else torch.zeros_like(weight_hh)
            )
        return grad_x, grad_weight_ih, grad_weight_hh, grad_gain_5H, grad_shift_5H, None, None


def _run_back(
    kept: list[Tensor],
    weight_hh: Tensor,
    gain_5H: Tensor,
    shift_5H: Tensor,
    grad_h_PH: Tensor,
    steps: Steps,
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of the gates' sums, the gains and the shifts."""
    num_rows, num_units = grad_h_PH.shape
    grad_P4H = grad_h_PH.new_empty(num_rows, 4, num_units)
    grad_PX = grad_P4H.flatten(1)
    grad_gain_5H, grad_shift_5H = torch.zeros_like(gain_5H), torch.zeros_like(shift_5H)
    grad_state_BH = grad_h_PH.new_zeros(steps.sizes[0], num_units)
    recurrent_BH = grad_h_PH.new_empty(0, num_units)
    read = [t.contiguous().numpy() for t in (*kept, gain_5H, shift_5H, grad_h_PH)]
    filled = [t.numpy() for t in (grad_state_BH, grad_P4H, grad_gain_5H, grad_shift_5H)]
    multiply = prepare_product(weight_hh.t().contiguous()) if len(steps.sizes) > 1 else None
    begins = [-1, *steps.begins, num_rows]
    for before, begin, end in reversed(list(zip(begins, begins[1:], begins[2:], strict=False))):
        step_backward(*read, recurrent_BH.numpy(), begin, end, before, *filled)
        if multiply and begin:
            recurrent_BH = multiply(grad_PX[begin:end])
    return grad_PX, grad_gain_5H, grad_shift_5H


def _differentiable_grads(
    inputs: tuple[Tensor, ...],
    needs_grad: tuple[bool, ...],
    steps: Steps,
    reverse: bool,
    grad_h_PH: Tensor,
) -> tuple[Tensor | None, ...]:
    """The gradients with a graph of their own, by way of torch's own operations."""
    x_PD, weight_ih, weight_hh, gain_5H, shift_5H = inputs
    h_PH = run_cell(x_PD, weight_ih, weight_hh, gain_5H, shift_5H, steps, reverse)
    wanted = [tensor for tensor, needed in zip(inputs, needs_grad, strict=False) if needed]
    found = iter(torch.autograd.grad(h_PH, wanted, grad_h_PH, create_graph=True))
    return tuple(next(found) if needed else None for needed in needs_grad)
