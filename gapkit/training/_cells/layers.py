"""Recurrent layers over videos of unequal length, forwards and backwards.

Shape letters: B videos, T frames, D inputs, H units.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def run_layers(
    x_BTD: Tensor,
    num_frames_B: Tensor,
    *,
    num_layers: int,
    bidirectional: bool,
    run_cell: Callable[[Tensor, int, int], Tensor],
) -> tuple[Tensor, Tensor]:
    """Outputs (B, T, H or 2H) of the top layer, zero past num_frames, and the last of each way.

    `run_cell(x_BTD, layer, way)` gives the outputs (B, T, H) of a cell over all frames, padding
    included; way 1 is given each video from its own last frame to its first.
    """
    time_T = torch.arange(x_BTD.shape[1], device=x_BTD.device)
    is_frame_BT = time_T < num_frames_B[:, None]
    # Backwards each video is read from its own last frame; its padding stays where it is.
    reversed_BT = torch.where(is_frame_BT, num_frames_B[:, None] - 1 - time_T, time_T)
    outputs = x_BTD
    for layer in range(num_layers):
        halves = [run_cell(outputs, layer, 0)]
        if bidirectional:
            turned = run_cell(gather_frames(outputs, reversed_BT), layer, 1)
            halves.append(gather_frames(turned, reversed_BT))
        halves = [half * is_frame_BT[..., None] for half in halves]
        outputs = torch.cat(halves, dim=-1)  # (B, T, H or 2H)
    last = [gather_frames(halves[0], num_frames_B[:, None] - 1)[:, 0]]
    if bidirectional:
        last.append(halves[1][:, 0])
    return outputs, torch.cat(last, dim=-1)


def gather_frames(x_BTD: Tensor, time_BK: Tensor) -> Tensor:
    """Return the frames of each video at K times of its own, (B, K, D).

    Parameters
    ----------
    x_BTD : (B, T, D)
    time_BK : (B, K) int64
        From 0 to T - 1.
    """
    return x_BTD.gather(1, time_BK[..., None].expand(-1, -1, x_BTD.shape[-1]))
