"""Videos changed at random before a step; whatever is random comes from torch's generator.

Shape letters: B videos, T frames, D values a frame, C labels.
"""

from __future__ import annotations

import torch
from torch import Tensor

from gapkit.training._inputs import dequantize
from gapkit.training._loop.config import TrainingConfig

Features = dict[str, Tensor]


def augment(
    features: Features, num_frames_B: Tensor, true_BC: Tensor, training: TrainingConfig
) -> tuple[Features, Tensor, Tensor]:
    """Features, frames that count and truth, as the config has them changed."""
    if training.half_videos:
        features, num_frames_B = _halve(features, num_frames_B, training.half_videos)
    if training.feature_noise:
        features = {
            name: x + training.feature_noise * torch.randn_like(x)
            for name, x in _values(features, num_frames_B).items()
        }
    if training.mixup:
        features, num_frames_B, true_BC = _mix(features, num_frames_B, true_BC, training.mixup)
    return features, num_frames_B, true_BC


def _halve(features: Features, num_frames_B: Tensor, share: float) -> tuple[Features, Tensor]:
    """Some videos cut to their first or second half (of an odd number the larger)."""
    is_frames = next(iter(features.values())).ndim == 3
    if not is_frames:
        return features, num_frames_B
    draw_B = torch.rand(len(num_frames_B), device=num_frames_B.device)
    half_B = (num_frames_B + 1) // 2
    is_second_B = draw_B < share / 2
    shift_B = torch.where(is_second_B, num_frames_B - half_B, 0)
    kept_B = torch.where(draw_B < share, half_B, num_frames_B)
    halved = {}
    for name, x_BTD in features.items():
        time_BT = torch.arange(x_BTD.shape[1], device=x_BTD.device) + shift_B[:, None]
        time_BT = time_BT.clamp(max=x_BTD.shape[1] - 1)
        halved[name] = x_BTD.gather(1, time_BT[..., None].expand(-1, -1, x_BTD.shape[2]))
    return halved, kept_B


def _mix(
    features: Features, num_frames_B: Tensor, true_BC: Tensor, alpha: float
) -> tuple[Features, Tensor, Tensor]:
    """Each video mixed with another one frame by frame, and its labels in the same share."""
    device = true_BC.device
    other_B = torch.randperm(len(true_BC), device=device)
    concentration_B = torch.full((len(true_BC),), alpha, device=device)
    first_B, second_B = (torch._standard_gamma(concentration_B) + 1e-20 for _ in range(2))
    share_B = first_B / (first_B + second_B)
    mixed = {}
    for name, x in _values(features, num_frames_B).items():
        share = share_B.view(-1, *[1] * (x.ndim - 1))
        mixed[name] = share * x + (1 - share) * x[other_B]
    share_B1 = share_B[:, None]
    true_BC = share_B1 * true_BC + (1 - share_B1) * true_BC[other_B]
    return mixed, torch.maximum(num_frames_B, num_frames_B[other_B]), true_BC


def _values(features: Features, num_frames_B: Tensor) -> Features:
    """Dequantised features, 0 past each video's frames."""
    values = {}
    for name, x in features.items():
        values[name] = dequantize(x)
        if x.ndim == 3:
            is_frame_BT = torch.arange(x.shape[1], device=x.device) < num_frames_B[:, None]
            values[name] = values[name] * is_frame_BT[..., None]
    return values
