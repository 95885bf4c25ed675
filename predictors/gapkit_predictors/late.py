"""`lstm_late`: one recurrent layer a modality, then one over both (late fusion)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from gapkit_predictors._features import FrameConfig, build_head, choose_features, read_frames
from torch import Tensor, nn

from gapkit.errors import UsageError
from gapkit.training import LayerNormLSTM, TorchPredictor


class LateFusion(TorchPredictor):
    """A bidirectional layer-normalised layer a modality, one of 1200 over their outputs."""

    paper_gap: float | None = None
    paper_note = "in the final ensemble"

    @dataclass(frozen=True, kw_only=True)
    class Config(FrameConfig):
        """Settings of `lstm_late`; sizes as in the paper's code."""

        first_size: int = 512
        """Units a way over the first modality, 1 or more"""
        other_size: int = 150
        """Units a way over each other modality, 1 or more"""
        fused_size: int = 1200
        """Units of the layer over all, 1 or more"""
        head: Literal["moe", "lr"] = "lr"
        """moe is a mixture of experts, lr logistic regression"""
        stride: int | None = 6
        """Every how many frames one is read, 1 or more; none is the store's own stride"""
        max_frames: int | None = None
        """Frames read at most, 1 or more; none is all"""
        starts: Literal["paper", "code", "zero"] = "code"
        """Where crops begin in training: drawn from two strides, from one, or at the first frame"""

    def __init__(self, num_classes: int, feature_sizes: Mapping[str, int], config: Config) -> None:
        super().__init__(num_classes, feature_sizes, config)
        self.names = choose_features(config.features, feature_sizes)
        if len(self.names) < 2:
            raise UsageError(
                f"lstm_late fuses two modalities or more, and reads only {self.names[0]!r} here. "
                f"Train lstm or bilstm on it."
            )
        self.layers = nn.ModuleDict()
        for name in self.names:
            size = config.first_size if name == self.names[0] else config.other_size
            self.layers[name] = LayerNormLSTM(feature_sizes[name], size, bidirectional=True)
        both_size = 2 * config.first_size + 2 * config.other_size * (len(self.names) - 1)
        self.fused = LayerNormLSTM(both_size, config.fused_size)
        self.head = build_head(config, config.fused_size, num_classes)

    def forward(self, features: dict[str, Tensor], num_frames: Tensor) -> Tensor:
        """Return the confidences, (B, num_classes)."""
        outputs = [  # each modality normalised on its own
            self.layers[name](read_frames(features, [name]), num_frames)[0] for name in self.names
        ]
        _, last_BH = self.fused(torch.cat(outputs, dim=-1), num_frames)
        confidences: Tensor = self.head(last_BH)
        return confidences
