"""From a vector a video to the confidences of its labels.

Shape letters: B videos, D values, C labels, E experts.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from gapkit.errors import UsageError


class LogisticHead(nn.Module):
    """One sigmoid unit a label, with an L2 penalty on its weights.

    Weights start Glorot-uniform, as in the paper's code. Biases start where a label is as likely
    as in a data set of three labels a video; the code has 0, from where Adam needs thousands of
    steps to say no to most labels (AudioSet, 5 epochs at learning rate 0.01: GAP 0.324 from 0,
    0.332 from here).

    Parameters
    ----------
    input_size : int
    num_classes : int
    l2_penalty : float
        The loss gains l2_penalty times half the sum of the squared weights.
    labels_per_video : float
        How many of its labels a head begins with as true, above 0.
    """

    def __init__(
        self,
        input_size: int,
        num_classes: int,
        *,
        l2_penalty: float = 1e-8,
        labels_per_video: float = 3.0,
    ) -> None:
        super().__init__()
        self.linear = nn.Linear(input_size, num_classes)
        self.l2_penalty = l2_penalty
        nn.init.xavier_uniform_(self.linear.weight)
        nn.init.constant_(self.linear.bias, math.log(min(labels_per_video / num_classes, 1)))

    def forward(self, x_BD: Tensor) -> Tensor:
        """Return the confidences (B, num_classes) of vectors (B, input_size)."""
        confidences: Tensor = torch.sigmoid(self.linear(x_BD).float())
        return confidences

    def penalty(self) -> Tensor:
        """Return the L2 penalty, a scalar."""
        return self.linear.weight.square().sum() * (self.l2_penalty / 2)


class MoEHead(nn.Module):
    """A mixture of sigmoid experts a label, with an L2 penalty on all weights.

    For each label a softmax over num_experts + 1 gates, without bias, weighs the experts; the last
    gate belongs to a dummy that always says 0. Starts as `LogisticHead` does.

    Parameters
    ----------
    input_size : int
    num_classes : int
    num_experts : int
        Without the dummy.
    l2_penalty : float
        The loss gains l2_penalty times half the sum of the squared weights.
    labels_per_video : float
        How many of its labels each expert begins with as true, above 0.

    References
    ----------
    Jordan, Jacobs, Hierarchical mixtures of experts, 1994; the YouTube-8M starter code.
    """

    def __init__(
        self,
        input_size: int,
        num_classes: int,
        num_experts: int = 2,
        *,
        l2_penalty: float = 1e-8,
        labels_per_video: float = 3.0,
    ) -> None:
        super().__init__()
        self.num_classes, self.num_experts = num_classes, num_experts
        self.gates = nn.Linear(input_size, num_classes * (num_experts + 1), bias=False)
        self.experts = nn.Linear(input_size, num_classes * num_experts)
        self.l2_penalty = l2_penalty
        nn.init.xavier_uniform_(self.gates.weight)
        nn.init.xavier_uniform_(self.experts.weight)
        nn.init.constant_(self.experts.bias, math.log(min(labels_per_video / num_classes, 1)))

    def forward(self, x_BD: Tensor) -> Tensor:
        """Return the confidences (B, num_classes) of vectors (B, input_size)."""
        gate_BCE = self.gates(x_BD).float().view(-1, self.num_classes, self.num_experts + 1)
        expert_BCE = self.experts(x_BD).float().view(-1, self.num_classes, self.num_experts)
        share_BCE: Tensor = gate_BCE.softmax(dim=-1)[..., :-1]  # the dummy's share goes to 0
        confidence_BC: Tensor = (share_BCE * expert_BCE.sigmoid()).sum(dim=-1)
        return confidence_BC.clamp(max=1)  # shares may sum to 1 + 1e-7

    def penalty(self) -> Tensor:
        """Return the L2 penalty, a scalar."""
        weights = (self.gates.weight, self.experts.weight)
        return torch.stack([w.square().sum() for w in weights]).sum() * (self.l2_penalty / 2)


class ContextGating(nn.Module):
    """Each value weighed by a sigmoid of all: x * sigmoid(W x + b).

    On confidences the gates start open (b = 3, W small), so that a head begins as without.

    Parameters
    ----------
    size : int

    References
    ----------
    Miech, Laptev, Sivic, Learnable pooling with context gating, 2017.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.linear = nn.Linear(size, size)
        nn.init.normal_(self.linear.weight, std=0.01 / size**0.5)
        nn.init.constant_(self.linear.bias, 3.0)

    def forward(self, x_BD: Tensor) -> Tensor:
        """Return the gated values, (B, size)."""
        gated: Tensor = x_BD * torch.sigmoid(self.linear(x_BD).float())
        return gated


class GatedHead(nn.Module):
    """Context gating over the confidences of a head.

    Parameters
    ----------
    head : Module
        From (B, D) to (B, num_classes), with a `penalty`.
    num_classes : int
    """

    def __init__(self, head: nn.Module, num_classes: int) -> None:
        super().__init__()
        self.head, self.gating = head, ContextGating(num_classes)

    def forward(self, x_BD: Tensor) -> Tensor:
        """Return the confidences (B, num_classes) of vectors (B, D)."""
        confidences: Tensor = self.gating(self.head(x_BD))
        return confidences


def make_head(
    kind: str,
    input_size: int,
    num_classes: int,
    *,
    num_experts: int = 2,
    gating: bool = False,
    l2_penalty: float = 1e-8,
    labels_per_video: float = 3.0,
) -> nn.Module:
    """Return a head: 'lr' a `LogisticHead`, 'moe' a `MoEHead`, gated or not.

    Raises
    ------
    UsageError
        The kind is neither.
    """
    if kind not in ("lr", "moe"):
        raise UsageError(f"head is {kind!r}. Use lr or moe.")
    start = {"l2_penalty": l2_penalty, "labels_per_video": labels_per_video}
    head: nn.Module
    if kind == "lr":
        head = LogisticHead(input_size, num_classes, **start)
    else:
        head = MoEHead(input_size, num_classes, num_experts, **start)
    return GatedHead(head, num_classes) if gating else head
