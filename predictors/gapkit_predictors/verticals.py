"""`bilstm_verticals`: a frame block and a head for each group of labels."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from gapkit_predictors._features import FrameConfig, build_head, choose_features, read_frames
from gapkit_predictors._groups import find_groups
from torch import Tensor, nn

from gapkit.data import FrameStore
from gapkit.errors import DataError
from gapkit.training import LSTM, TorchPredictor


class Verticals(TorchPredictor):
    """A bidirectional LSTM of its own for each group of labels: 25 verticals, or merged ones."""

    paper_gap: float | None = None
    paper_note = "above 0.60 in training after 10,000 batches"

    @dataclass(frozen=True, kw_only=True)
    class Config(FrameConfig):
        """Settings of `bilstm_verticals`; the paper does not say how large its blocks were."""

        groups: str = "auto"
        """verticals; cooccurrence; the path of a CSV index,group; auto is the first there is"""
        num_groups: int | None = None
        """Groups are merged to so many, 1 or more; none keeps them"""
        label_groups: tuple[int, ...] | None = None
        """The group of each label, filled in when training begins"""
        hidden_size: int = 256
        """Units a layer and way of each block, 1 or more"""
        num_layers: int = 1
        """Layers of each block, 1 or more"""
        head: Literal["moe", "lr"] = "lr"
        """moe is a mixture of experts, lr logistic regression"""
        stride: int | None = 12
        """Every how many frames one is read, 1 or more; none is the store's own stride"""
        max_frames: int | None = None
        """Frames read at most, 1 or more; none is all"""
        starts: Literal["paper", "code", "zero"] = "code"
        """Where crops begin in training: drawn from two strides, from one, or at the first frame"""

        def __post_init__(self) -> None:
            super().__post_init__()
            if self.label_groups is not None:
                object.__setattr__(self, "label_groups", tuple(self.label_groups))

    @classmethod
    def prepare(cls, config: Any, store: FrameStore) -> Any:
        """Return the config with the groups of the split's labels."""
        if config.label_groups is not None:
            return config
        found = find_groups(config.groups, config.num_groups, store)
        return dataclasses.replace(config, label_groups=found)

    def __init__(self, num_classes: int, feature_sizes: Mapping[str, int], config: Config) -> None:
        super().__init__(num_classes, feature_sizes, config)
        self.place_C: Tensor
        groups = config.label_groups or (0,) * num_classes  # one group until it is trained
        if len(groups) != num_classes or min(groups) < 0:
            raise DataError(
                f"bilstm_verticals: label_groups names the groups of {len(groups)} labels, and "
                f"there are {num_classes}. Train it on this data again."
            )
        self.names = choose_features(config.features, feature_sizes)
        input_size = sum(feature_sizes[name] for name in self.names)
        self.blocks, self.heads = nn.ModuleList(), nn.ModuleList()
        for group in sorted(set(groups)):
            self.blocks.append(LSTM(input_size, config.hidden_size, config.num_layers, True))
            size = groups.count(group)
            labels_per_video = 3 * size / num_classes  # three in all, not in each group
            self.heads.append(
                build_head(config, 2 * config.hidden_size, size, labels_per_video=labels_per_video)
            )
        # Heads side by side give the labels of group 0, then of 1, ...: where does each stand?
        place_C = np.argsort(np.argsort(groups, kind="stable"))
        self.register_buffer("place_C", torch.as_tensor(place_C), persistent=False)

    def forward(self, features: dict[str, Tensor], num_frames: Tensor) -> Tensor:
        """Return the confidences, (B, num_classes)."""
        x_BTD = read_frames(features, self.names)
        by_group = [
            head(block(x_BTD, num_frames)[1])
            for block, head in zip(self.blocks, self.heads, strict=True)
        ]
        confidence_BC: Tensor = torch.cat(by_group, dim=-1)[:, self.place_C]
        return confidence_BC
