"""`mean_lr`: the mean of all frames, then logistic regression (the Kaggle baseline)."""

from collections.abc import Mapping
from dataclasses import dataclass

from gapkit_predictors._features import choose_features
from torch import Tensor

from gapkit.training import (
    LogisticHead,
    TorchPredictor,
    concatenate_features,
    mean_over_frames,
)


class MeanLR(TorchPredictor):
    """Mean over frames, visual and audio side by side, and one sigmoid unit a label."""

    @dataclass(frozen=True, kw_only=True)
    class Config:
        """Settings of `mean_lr`."""

        features: str = "all"
        """Which features are read: all, or names separated by '+', as rgb+audio"""
        normalize: bool = True
        """Whether each frame is divided by its L2 norm"""
        stride: int | None = None
        """Every how many frames one is read; none is the store's own stride"""
        max_frames: int | None = None
        """Frames read at most; none is all"""

    def __init__(self, num_classes: int, feature_sizes: Mapping[str, int], config: Config) -> None:
        super().__init__(num_classes, feature_sizes, config)
        self.names = choose_features(config.features, feature_sizes)
        self.normalize = config.normalize
        input_size = sum(feature_sizes[name] for name in self.names)
        self.head = LogisticHead(input_size, num_classes)

    def forward(self, features: dict[str, Tensor], num_frames: Tensor) -> Tensor:
        """Return the confidences, (B, num_classes)."""
        x = concatenate_features(features, self.names, normalize=self.normalize)
        if x.ndim == 3:  # frames: (B, T, D)
            x = mean_over_frames(x, num_frames)
        confidences: Tensor = self.head(x)
        return confidences

    def penalty(self) -> Tensor:
        """Return the head's L2 penalty."""
        return self.head.penalty()
