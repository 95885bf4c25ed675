"""From stored features to what a model reads.

Shape letters: B videos, T frames, D values a frame.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def concatenate_features(
    features: dict[str, Tensor], names: Sequence[str], *, normalize: bool = True
) -> Tensor:
    """Return the named features side by side: (B, T, D), or (B, D) at video level.

    Frames are dequantised (x = q * 4/255 + 4/512 - 2); what lies past num_frames is then not 0.

    Parameters
    ----------
    features : dict of str to Tensor
        (B, T, D) uint8, or (B, D) float32.
    names : sequence of str
    normalize : bool
        Divide each frame (or video) by its L2 norm over all values, as the paper's code does.
    """
    joined = torch.cat([dequantize(features[name]) for name in names], dim=-1)
    return F.normalize(joined, dim=-1) if normalize else joined


def mean_over_frames(x_BTD: Tensor, num_frames_B: Tensor) -> Tensor:
    """Return the mean of each video's own frames, (B, D); padding does not count."""
    is_frame_BT = torch.arange(x_BTD.shape[1], device=x_BTD.device) < num_frames_B[:, None]
    summed_BD = (x_BTD * is_frame_BT[..., None]).sum(dim=1)
    return summed_BD / num_frames_B[:, None]


def dequantize(values: Tensor) -> Tensor:
    """Values in [-2, 2] of uint8 ones; floats stay as they are."""
    if values.dtype != torch.uint8:
        return values
    return values.float() * (4 / 255) + (4 / 512 - 2)
