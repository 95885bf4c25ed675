"""The mean of all frames, then a head: `mean_lr` (the Kaggle baseline) and `moe`.

They read data at video level as well.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from gapkit_predictors._features import FrameConfig, build_head, choose_features
from torch import Tensor

from gapkit.training import TorchPredictor, concatenate_features, mean_over_frames


class MeanLR(TorchPredictor):
    """Mean over frames, visual and audio side by side, and one sigmoid unit a label."""

    paper_gap: float | None = 0.74711
    paper_note: str | None = "the baseline of the contest"

    @dataclass(frozen=True, kw_only=True)
    class Config(FrameConfig):
        """Settings of `mean_lr`."""

        head: Literal["moe", "lr"] = "lr"
        """moe is a mixture of experts, lr logistic regression"""
        max_frames: int | None = None
        """Frames read at most, 1 or more; none is all"""
        normalize: bool = True
        """Whether each frame is divided by its L2 norm"""

    def __init__(self, num_classes: int, feature_sizes: Mapping[str, int], config: Config) -> None:
        super().__init__(num_classes, feature_sizes, config)
        self.names = choose_features(config.features, feature_sizes)
        self.normalize = config.normalize
        input_size = sum(feature_sizes[name] for name in self.names)
        self.head = build_head(config, input_size, num_classes)

    def forward(self, features: dict[str, Tensor], num_frames: Tensor) -> Tensor:
        """Return the confidences, (B, num_classes)."""
        x = concatenate_features(features, self.names, normalize=self.normalize)
        if x.ndim == 3:  # frames: (B, T, D)
            x = mean_over_frames(x, num_frames)
        confidences: Tensor = self.head(x)
        return confidences


class MoE(MeanLR):
    """Mean over frames, and a mixture of experts a label."""

    paper_gap = None
    paper_note = None

    @dataclass(frozen=True, kw_only=True)
    class Config(MeanLR.Config):
        """Settings of `moe`."""

        head: Literal["moe", "lr"] = "moe"
        """moe is a mixture of experts, lr logistic regression"""
