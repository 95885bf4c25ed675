"""`chain`: heads one after another, each told what those before it said."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from gapkit_predictors._features import FrameConfig, build_head, choose_features
from torch import Tensor, nn

from gapkit.errors import UsageError
from gapkit.training import TorchPredictor, concatenate_features, mean_over_frames


class Chain(TorchPredictor):
    """Mean over frames; each head reads it beside a projection of all confidences before.

    All heads but the last are supported by a loss of their own. Reads video level as well.

    Wang et al., The Monkeytyping solution to the YouTube-8M video understanding challenge, 2017.
    """

    paper_gap: float | None = None

    @dataclass(frozen=True, kw_only=True)
    class Config(FrameConfig):
        """Settings of `chain`."""

        num_stages: int = 3
        """Heads, 1 or more"""
        projection_size: int = 128
        """Values that the confidences of a head are projected to, 1 or more"""
        support: float = 0.1
        """Weight of the mean loss of the heads before the last, 0 or more"""
        max_frames: int | None = None
        """Frames read at most, 1 or more; none is all"""

        def __post_init__(self) -> None:
            super().__post_init__()
            if not 0 <= self.support <= 1e6:
                raise UsageError(f"support is {self.support}. It must be 0 or more.")

    def __init__(self, num_classes: int, feature_sizes: Mapping[str, int], config: Config) -> None:
        super().__init__(num_classes, feature_sizes, config)
        self.names = choose_features(config.features, feature_sizes)
        input_size = sum(feature_sizes[name] for name in self.names)
        self.heads, self.projections = nn.ModuleList(), nn.ModuleList()
        for stage in range(config.num_stages):
            if stage > 0:
                self.projections.append(nn.Linear(num_classes, config.projection_size))
            self.heads.append(
                build_head(config, input_size + stage * config.projection_size, num_classes)
            )

    def forward(self, features: dict[str, Tensor], num_frames: Tensor) -> Tensor:
        """Return the confidences, (B, num_classes)."""
        return self._run_stages(features, num_frames)[-1]

    def compute_loss(
        self,
        features: dict[str, Tensor],
        num_frames: Tensor,
        true_BC: Tensor,
        loss: Callable[[Tensor, Tensor], Tensor],
    ) -> tuple[Tensor, Tensor]:
        """Return the last head's loss with the support of those before it."""
        *before, last_BC = self._run_stages(features, num_frames)
        total = loss(last_BC, true_BC)
        if before:
            own = torch.stack([loss(confidence_BC, true_BC) for confidence_BC in before])
            total = total + self.config.support * own.mean()
        return total, last_BC

    def _run_stages(self, features: dict[str, Tensor], num_frames: Tensor) -> list[Tensor]:
        """The confidences of each head."""
        x_BD = concatenate_features(features, self.names)
        if x_BD.ndim == 3:  # frames: (B, T, D)
            x_BD = mean_over_frames(x_BD, num_frames)
        said: list[Tensor] = []
        for stage, head in enumerate(self.heads):
            if stage > 0:
                told_BP = torch.relu(self.projections[stage - 1](said[-1]))
                # as large as the mean's values, of norm 1 at most
                x_BD = torch.cat([x_BD, torch.nn.functional.normalize(told_BP, dim=-1)], dim=-1)
            said.append(head(x_BD))
        return said
