"""`dbof`: a deep bag of frames."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from gapkit_predictors._features import FrameConfig, build_head, choose_features, read_frames
from torch import Tensor, nn

from gapkit.training import TorchPredictor


class DeepBagOfFrames(TorchPredictor):
    """Each frame projected to many sparse values, their maximum over frames, a hidden layer.

    As the YouTube-8M starter code has it, but with layer instead of batch normalisation: what
    a frame becomes does not depend on padding or on the other videos of its batch.
    """

    paper_gap: float | None = None

    @dataclass(frozen=True, kw_only=True)
    class Config(FrameConfig):
        """Settings of `dbof`."""

        num_clusters: int = 8192
        """Values that a frame is projected to, 1 or more"""
        hidden_size: int = 1024
        """Units of the hidden layer, 1 or more"""

    def __init__(self, num_classes: int, feature_sizes: Mapping[str, int], config: Config) -> None:
        super().__init__(num_classes, feature_sizes, config)
        self.names = choose_features(config.features, feature_sizes)
        input_size = sum(feature_sizes[name] for name in self.names)
        self.project = nn.Sequential(
            nn.Linear(input_size, config.num_clusters, bias=False),
            nn.LayerNorm(config.num_clusters),
            nn.ReLU6(),
        )
        self.hidden = nn.Sequential(
            nn.Linear(config.num_clusters, config.hidden_size, bias=False),
            nn.LayerNorm(config.hidden_size),
            nn.ReLU6(),
        )
        self.head = build_head(config, config.hidden_size, num_classes)

    def forward(self, features: dict[str, Tensor], num_frames: Tensor) -> Tensor:
        """Return the confidences, (B, num_classes)."""
        cluster_BTK = self.project(read_frames(features, self.names))
        time_T = torch.arange(cluster_BTK.shape[1], device=cluster_BTK.device)
        is_frame_BT1 = (time_T < num_frames[:, None])[..., None]
        strongest_BK = (cluster_BTK * is_frame_BT1).amax(dim=1)  # none is below 0
        confidences: Tensor = self.head(self.hidden(strongest_BK))
        return confidences
