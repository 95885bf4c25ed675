"""Several processes that step as one, started by torchrun."""

from __future__ import annotations

import atexit
import os

import torch
import torch.distributed as dist
from torch import nn

from gapkit.errors import UsageError


def join_ranks() -> bool:
    """Join the processes that torchrun started, once; whether this one speaks for all."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and not dist.is_initialized():
        if torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
        dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
        atexit.register(_leave_ranks)  # threads of a group that is never left abort the process
    return Ranks().rank == 0


def _leave_ranks() -> None:
    if dist.is_initialized():
        dist.destroy_process_group()


class Ranks:
    """A process among those that train together; alone, one of one."""

    def __init__(self) -> None:
        is_joined = dist.is_available() and dist.is_initialized()
        self.rank = dist.get_rank() if is_joined else 0
        self.num_ranks = dist.get_world_size() if is_joined else 1

    def share(self, batch_size: int) -> int:
        """Videos of a step that each rank takes; UsageError where that comes out uneven."""
        if batch_size % self.num_ranks:
            raise UsageError(
                f"batch_size={batch_size} can't be shared by {self.num_ranks} ranks evenly. "
                f"Make it a multiple."
            )
        return batch_size // self.num_ranks

    def add_up(self, module: nn.Module, loss: float) -> float:
        """Sum gradients and loss over ranks, in one message: each brings its share of both."""
        if self.num_ranks == 1:
            return loss
        parameters = list(module.parameters())
        device = parameters[0].device
        is_learning = [float(parameter.grad is not None) for parameter in parameters]
        parts = [torch.tensor([loss, *is_learning], device=device)]
        for parameter in parameters:
            gradient = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            parts.append(gradient.flatten().float())
        message = torch.cat(parts)
        dist.all_reduce(message)
        total, *is_learning = message[: len(parameters) + 1].tolist()
        at = len(parameters) + 1
        for parameter, learns in zip(parameters, is_learning, strict=True):
            if learns:  # on some rank: one that had no video left had no gradient either
                summed = message[at : at + parameter.numel()].view_as(parameter)
                parameter.grad = summed.to(parameter.dtype)
            at += parameter.numel()
        return float(total)

    def any(self, flag: bool) -> bool:
        """Whether a flag is set on some rank."""
        if self.num_ranks == 1:
            return flag
        device = "cuda" if dist.get_backend() == "nccl" else "cpu"
        message = torch.tensor(float(flag), device=device)
        dist.all_reduce(message, dist.ReduceOp.MAX)
        return bool(message)

    def agree(self, module: nn.Module) -> None:
        """Give all ranks the first one's statistics, as those of batch normalisation."""
        if self.num_ranks > 1:
            for buffer in module.buffers():
                dist.broadcast(buffer, 0)
