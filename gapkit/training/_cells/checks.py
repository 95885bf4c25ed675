"""What recurrent layers are given, checked where a call comes in."""

from __future__ import annotations

import torch
from torch import Tensor

from gapkit.errors import UsageError


def check_sizes(**sizes: int) -> None:
    """Refuse layers of nothing."""
    for name, size in sizes.items():
        if size < 1:
            raise UsageError(f"{name} is {size}. It must be 1 or more.")


def check_input(x_BTD: Tensor, num_frames: Tensor, input_size: int) -> None:
    """Refuse frames of another shape, and videos of no frames or of more than there are."""
    if x_BTD.ndim != 3 or x_BTD.shape[-1] != input_size:
        raise UsageError(
            f"x is of shape {tuple(x_BTD.shape)}. Give (B, T, {input_size}): values of frames."
        )
    if num_frames.shape != x_BTD.shape[:1]:
        raise UsageError(
            f"num_frames is of shape {tuple(num_frames.shape)}, and x of {tuple(x_BTD.shape)}. "
            f"Give each video one number."
        )
    if are_numbers(num_frames) and num_frames.numel():
        least, most = (int(count) for count in num_frames.aminmax())
        if least < 1 or most > x_BTD.shape[1]:
            raise UsageError(
                f"num_frames holds {least if least < 1 else most}, and the batch has "
                f"{x_BTD.shape[1]} frames a video. Each video has from 1 to {x_BTD.shape[1]}."
            )


def are_numbers(tensor: Tensor) -> bool:
    """Whether the values can be read at once: on the CPU, and nothing traces or maps."""
    return (
        not torch.compiler.is_compiling()
        and not torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
        and not torch._C._are_functorch_transforms_active()
        and type(tensor) is Tensor
        and tensor.device.type == "cpu"
    )
