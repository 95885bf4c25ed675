"""Learnable pooling: `netvlad` and `nextvlad`.

Shape letters: B videos, T frames, D values a frame, G groups, K clusters, E values a group.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from gapkit_predictors._features import FrameConfig, build_head, choose_features, read_frames
from torch import Tensor, nn

from gapkit.errors import UsageError
from gapkit.training import ContextGating, TorchPredictor


class _Pooled(TorchPredictor):
    """A pooled vector, a hidden layer with context gating, a head."""

    paper_gap: float | None = None

    def _add_top(self, pooled_size: int, hidden_size: int) -> None:
        self.hidden = nn.Sequential(
            nn.Linear(pooled_size, hidden_size, bias=False),
            nn.LayerNorm(hidden_size),
            nn.ReLU6(),
            ContextGating(hidden_size),
        )
        self.head = build_head(self.config, hidden_size, self.num_classes)


def _is_frame(x_BTD: Tensor, num_frames_B: Tensor) -> Tensor:
    return torch.arange(x_BTD.shape[1], device=x_BTD.device) < num_frames_B[:, None]


class NetVLAD(_Pooled):
    """What frames differ by from the centres that they are softly assigned to, summed.

    Miech et al. 2017, with layer instead of batch normalisation, all features side by side, and 64
    clusters where they had 256, whose hidden layer alone has 300 M weights.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config(FrameConfig):
        """Settings of `netvlad`."""

        num_clusters: int = 64
        """Centres, 1 or more"""
        hidden_size: int = 1024
        """Units of the hidden layer, 1 or more"""

    def __init__(self, num_classes: int, feature_sizes: Mapping[str, int], config: Config) -> None:
        super().__init__(num_classes, feature_sizes, config)
        self.names = choose_features(config.features, feature_sizes)
        size, num_clusters = sum(feature_sizes[n] for n in self.names), config.num_clusters
        self.assign = nn.Sequential(nn.Linear(size, num_clusters), nn.LayerNorm(num_clusters))
        self.centers_KD = nn.Parameter(torch.randn(num_clusters, size) / size**0.5)
        self._add_top(num_clusters * size, config.hidden_size)

    def forward(self, features: dict[str, Tensor], num_frames: Tensor) -> Tensor:
        """Return the confidences, (B, num_classes)."""
        x_BTD = read_frames(features, self.names)
        share_BTK = self.assign(x_BTD).softmax(dim=-1)
        share_BTK = share_BTK * _is_frame(x_BTD, num_frames)[..., None]
        # sum over t of share * (x - center)
        vlad_BKD = share_BTK.transpose(1, 2) @ x_BTD
        vlad_BKD = vlad_BKD - share_BTK.sum(dim=1)[..., None] * self.centers_KD
        vlad_BKD = F.normalize(vlad_BKD, dim=-1)  # within each cluster, then over all
        vector = F.normalize(vlad_BKD.flatten(1), dim=-1)
        confidences: Tensor = self.head(self.hidden(vector))
        return confidences


class NeXtVLAD(_Pooled):
    """NetVLAD over groups of an expanded frame, each group weighed by an attention of its own.

    Lin, Xiao, Fan 2018, with layer instead of batch normalisation.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config(FrameConfig):
        """Settings of `nextvlad`."""

        num_clusters: int = 128
        """Centres, 1 or more"""
        num_groups: int = 8
        """Groups that an expanded frame is cut into, 1 or more; divides its size"""
        expansion: int = 2
        """Times that a frame is expanded, 1 or more"""
        hidden_size: int = 2048
        """Units of the hidden layer, 1 or more"""

    def __init__(self, num_classes: int, feature_sizes: Mapping[str, int], config: Config) -> None:
        super().__init__(num_classes, feature_sizes, config)
        self.names = choose_features(config.features, feature_sizes)
        size = sum(feature_sizes[name] for name in self.names)
        wide, num_groups = size * config.expansion, config.num_groups
        num_clusters = config.num_clusters
        if wide % num_groups:
            raise UsageError(f"num_groups={num_groups} does not divide {wide} expanded values.")
        self.expand = nn.Linear(size, wide)
        self.attend = nn.Linear(wide, num_groups)
        self.assign = nn.Linear(wide, num_groups * num_clusters)
        self.centers_KE = nn.Parameter(torch.randn(num_clusters, wide // num_groups))
        nn.init.normal_(self.centers_KE, std=(wide // num_groups) ** -0.5)
        self.normalize = nn.LayerNorm(num_clusters * wide // num_groups)
        self._add_top(num_clusters * wide // num_groups, config.hidden_size)

    def forward(self, features: dict[str, Tensor], num_frames: Tensor) -> Tensor:
        """Return the confidences, (B, num_classes)."""
        x_BTD = self.expand(read_frames(features, self.names))
        num_groups, (num_clusters, _) = self.config.num_groups, self.centers_KE.shape
        attention_BTG = self.attend(x_BTD).sigmoid() * _is_frame(x_BTD, num_frames)[..., None]
        share_BTGK = self.assign(x_BTD).unflatten(-1, (num_groups, num_clusters)).softmax(dim=-1)
        share_BTGK = share_BTGK * attention_BTG[..., None]
        group_BTGE = x_BTD.unflatten(-1, (num_groups, -1))
        # sum over t and g of attention * share * (x - center)
        vlad_BKE = torch.einsum("btgk,btge->bke", share_BTGK, group_BTGE)
        vlad_BKE = vlad_BKE - share_BTGK.sum(dim=(1, 2))[..., None] * self.centers_KE
        vector = self.normalize(F.normalize(vlad_BKE, dim=-1).flatten(1))
        confidences: Tensor = self.head(self.hidden(vector))
        return confidences
