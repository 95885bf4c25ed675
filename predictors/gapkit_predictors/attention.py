"""`attention`: pooling by attention over two levels of a network of frames.

Shape letters: B videos, T frames, N frames of all videos, D values a frame, H units,
A heads, U units a head.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from gapkit_predictors._features import FrameConfig, build_head, choose_features, read_frames
from torch import Tensor, nn

from gapkit.errors import UsageError
from gapkit.training import TorchPredictor


class MultiLevelAttention(TorchPredictor):
    """Frames through a few layers; the last ones averaged over frames, each head its units.

    Yu, Barsim, Kong et al. 2018 and Kong et al. 2019, feature-level, where each unit is a head of
    its own; a few heads that share their units learn more from little data. Padding never enters:
    layers and batch normalisation are given the frames that there are.
    """

    paper_gap: float | None = None

    @dataclass(frozen=True, kw_only=True)
    class Config(FrameConfig):
        """Settings of `attention`."""

        hidden_size: int = 1024
        """Units a layer, 1 or more"""
        num_layers: int = 2
        """Layers over each frame, 1 or more"""
        num_levels: int = 2
        """Of the layers so many last ones are pooled, 1 to num_layers"""
        num_heads: int = 8
        """Weights a frame, each for hidden_size / num_heads units"""
        normalize: bool = True
        """Whether each frame is divided by its L2 norm"""
        dropout: float = 0.25
        """Share of the units left out in training, of a video the same in all frames, in [0, 1)"""
        intermediate_loss: float = 0.0
        """Weight of the mean loss of a head on each level, 0 or more; 0 is without"""
        head: Literal["moe", "lr"] = "lr"
        """moe is a mixture of experts, lr logistic regression"""

        def __post_init__(self) -> None:
            super().__post_init__()
            if self.num_levels > self.num_layers:
                raise UsageError(f"num_levels is {self.num_levels}. It must be 1 to num_layers.")
            if self.hidden_size % self.num_heads:
                raise UsageError(
                    f"num_heads is {self.num_heads}. It must divide {self.hidden_size} units."
                )
            if not 0 <= self.dropout < 1:
                raise UsageError(f"dropout is {self.dropout}. It must be in [0, 1).")
            if not 0 <= self.intermediate_loss <= 1e6:
                raise UsageError(
                    f"intermediate_loss is {self.intermediate_loss}. It must be 0 or more."
                )

    def __init__(self, num_classes: int, feature_sizes: Mapping[str, int], config: Config) -> None:
        super().__init__(num_classes, feature_sizes, config)
        self.normalize = config.normalize
        self.names = choose_features(config.features, feature_sizes)
        input_size = sum(feature_sizes[name] for name in self.names)
        hidden, num_levels = config.hidden_size, config.num_levels
        self.scale = _BatchNorm(input_size)
        self.layers = nn.ModuleList()
        for layer in range(config.num_layers):
            linear = nn.Linear(hidden if layer else input_size, hidden)
            self.layers.append(nn.Sequential(linear, _BatchNorm(hidden), nn.ReLU()))
        self.dropout = nn.Dropout(config.dropout)
        self.attend = nn.ModuleList(nn.Linear(hidden, config.num_heads) for _ in range(num_levels))
        self.top = nn.Sequential(
            nn.Linear(num_levels * hidden, hidden),
            _BatchNorm(hidden),
            nn.ReLU(),
            self.dropout,
        )
        for part in self.modules():
            if isinstance(part, nn.Linear):
                nn.init.xavier_uniform_(part.weight)
                nn.init.zeros_(part.bias)
        self.head = build_head(config, hidden, num_classes)
        for part in self.head.modules():
            if isinstance(part, nn.Linear):  # AudioSet: GAP 0.4061, and 0.4025 without these starts
                part.weight.data.mul_(0.1)
        self.intermediate_heads = nn.ModuleList(
            build_head(config, hidden, num_classes)
            for _ in range(num_levels if config.intermediate_loss else 0)
        )

    def forward(self, features: dict[str, Tensor], num_frames: Tensor) -> Tensor:
        """Return the confidences, (B, num_classes)."""
        levels = self._encode(features, num_frames)
        confidences: Tensor = self.head(self.top(torch.cat(levels, dim=-1)))
        return confidences

    def compute_loss(
        self,
        features: dict[str, Tensor],
        num_frames: Tensor,
        true_BC: Tensor,
        loss: Callable[[Tensor, Tensor], Tensor],
    ) -> tuple[Tensor, Tensor]:
        """Return the loss, with that of a head on each level if there are any, and confidences."""
        levels = self._encode(features, num_frames)
        confidence_BC = self.head(self.top(torch.cat(levels, dim=-1)))
        total = loss(confidence_BC, true_BC)
        if self.config.intermediate_loss:
            heads = zip(self.intermediate_heads, levels, strict=True)
            own = [loss(head(level_BH), true_BC) for head, level_BH in heads]
            total = total + self.config.intermediate_loss * torch.stack(own).mean()
        return total, confidence_BC

    def _encode(self, features: dict[str, Tensor], num_frames: Tensor) -> list[Tensor]:
        """Each pooled level, (B, H)."""
        x_BTD = read_frames(features, self.names, normalize=self.normalize)
        time_T = torch.arange(x_BTD.shape[1], device=x_BTD.device)
        is_frame_BT = time_T < num_frames[:, None]
        # In evaluation padding goes along: an exported program has no shape that values decide.
        rows = x_BTD[is_frame_BT] if self.training else _blank(x_BTD, is_frame_BT, 0.0)
        h, levels = self.scale(rows), []  # (N, H), or (B, T, H) in evaluation
        first_pooled = len(self.layers) - len(self.attend)
        for number, layer in enumerate(self.layers):
            h = layer(h)
            if self.training:  # the same units of all of a video's frames
                kept_BH = self.dropout(h.new_ones(len(is_frame_BT), h.shape[-1]))
                h = h * kept_BH.repeat_interleave(is_frame_BT.sum(dim=1), dim=0)
            if number >= first_pooled:
                score = self.attend[number - first_pooled](h).to(h.dtype)
                if self.training:
                    both = _stand(h, is_frame_BT), _stand(score, is_frame_BT)
                else:
                    both = h, score
                levels.append(_pool(*both, is_frame_BT))
        return levels


class _BatchNorm(nn.BatchNorm1d):
    """Batch normalisation that takes a lone row, as the last batch may be one, as in evaluation."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the normalised rows, (N, H) or (B, T, H)."""
        if self.training and len(x) == 1:
            return F.batch_norm(
                x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
            )
        return super().forward(x.flatten(0, -2)).view_as(x)


def _blank(x_BTD: Tensor, is_frame_BT: Tensor, value: float) -> Tensor:
    """The frames, and a value in place of padding."""
    return x_BTD.masked_fill(~is_frame_BT[..., None], value)


def _stand(x_ND: Tensor, is_frame_BT: Tensor) -> Tensor:
    """Rows of frames at their places, (B, T, D); padding is 0."""
    x_BTD = x_ND.new_zeros(*is_frame_BT.shape, x_ND.shape[-1])
    return x_BTD.masked_scatter(is_frame_BT[..., None], x_ND)


def _pool(h_BTH: Tensor, score_BTA: Tensor, is_frame_BT: Tensor) -> Tensor:
    """Each head's units averaged over a video's frames by the softmax of its scores, (B, H)."""
    weight_BTA = _blank(score_BTA, is_frame_BT, -torch.inf).softmax(dim=1)
    parted_BTAU = h_BTH.view(*score_BTA.shape, -1)
    return (weight_BTA[..., None] * parted_BTAU).sum(dim=1).flatten(1)
