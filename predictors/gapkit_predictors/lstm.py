"""Stacked recurrent layers over a crop, then a head: the paper's prototype and its variants.

Shape letters: B videos, T frames, D values a frame, H units (of both ways), K steps.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from gapkit_predictors._features import FrameConfig, build_head, choose_features, read_frames
from torch import Tensor, nn

from gapkit.errors import UsageError
from gapkit.training import GRU, LSTM, LayerNormLSTM, TorchPredictor, gather_frames

CELLS = {"lstm": LSTM, "lstm_ln": LayerNormLSTM, "gru": GRU}


@dataclass(frozen=True, kw_only=True)
class RecurrentConfig(FrameConfig):
    """Settings of every recurrent predictor."""

    cell: Literal["lstm", "lstm_ln", "gru"] = "lstm"
    """Plain, layer-normalised, or gated recurrent units"""
    hidden_size: int = 1024
    """Units a layer and way, 1 or more"""
    num_layers: int = 2
    """Layers, 1 or more"""
    top_size: int | None = None
    """Units of the top layer where it has others; none has as many"""
    bidirectional: bool = False
    """Whether a second set of cells reads each video backwards"""
    pooling: Literal["last", "thirds", "adaptive"] = "last"
    """Last output; mean of those after each third; or weighed by a small network"""
    multitask: float = 0.0
    """Weight of the mean loss of each third's own output, 0 or more; 0 is off"""
    intermediate_loss: float = 0.0
    """Weight of the mean loss of a head on each layer below the top, 0 or more; 0 is without"""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.cell not in CELLS:
            raise UsageError(f"cell is {self.cell!r}. Use {', '.join(CELLS)}.")
        if self.pooling not in ("last", "thirds", "adaptive"):
            raise UsageError(f"pooling is {self.pooling!r}. Use last, thirds or adaptive.")
        for name in ("multitask", "intermediate_loss"):
            if not 0 <= getattr(self, name) <= 1e6:
                raise UsageError(f"{name} is {getattr(self, name)}. It must be 0 or more.")
        if self.multitask and self.pooling == "last":
            raise UsageError(f"multitask={self.multitask} needs pooling=thirds or adaptive.")
        if self.top_size is not None and self.num_layers < 2:
            raise UsageError("top_size needs num_layers of 2 or more.")
        if self.intermediate_loss and self.num_layers < 2:
            raise UsageError("intermediate_loss needs num_layers of 2 or more.")


class Prototype(TorchPredictor):
    """Random crops: 2 stacked LSTM layers of 1024, the last output of the top layer."""

    paper_gap: float | None = 0.80204

    @dataclass(frozen=True, kw_only=True)
    class Config(RecurrentConfig):
        """Settings of `lstm`."""

    def __init__(
        self, num_classes: int, feature_sizes: Mapping[str, int], config: RecurrentConfig
    ) -> None:
        super().__init__(num_classes, feature_sizes, config)
        self.names = choose_features(config.features, feature_sizes)
        input_size = sum(feature_sizes[name] for name in self.names)
        cell, num_ways = CELLS[config.cell], 2 if config.bidirectional else 1
        num_below = config.num_layers - (config.top_size is not None)
        # Layers that a head stands between are modules of their own.
        num_between = num_below - 1 if config.intermediate_loss else 0
        num_first = num_below - num_between
        self.lstm = cell(input_size, config.hidden_size, num_first, config.bidirectional)
        output_size = config.hidden_size * num_ways
        self.between = nn.ModuleList(
            cell(output_size, config.hidden_size, 1, config.bidirectional)
            for _ in range(num_between)
        )
        self.top = None
        if config.top_size is not None:
            self.top = cell(output_size, config.top_size, 1, config.bidirectional)
            output_size = config.top_size * num_ways
        if config.pooling == "adaptive":
            self.attention = nn.Sequential(
                nn.Linear(output_size, 128), nn.Tanh(), nn.Linear(128, 1)
            )
        self.head = build_head(config, output_size, num_classes)
        self.intermediate_heads = nn.ModuleList(
            build_head(config, config.hidden_size * num_ways, num_classes)
            for _ in range(config.num_layers - 1 if config.intermediate_loss else 0)
        )

    def forward(self, features: dict[str, Tensor], num_frames: Tensor) -> Tensor:
        """Return the confidences, (B, num_classes)."""
        top_BKH = self._encode(features, num_frames)[-1]
        confidences: Tensor = self.head(self._pool(top_BKH))
        return confidences

    def compute_loss(
        self,
        features: dict[str, Tensor],
        num_frames: Tensor,
        true_BC: Tensor,
        loss: Callable[[Tensor, Tensor], Tensor],
    ) -> tuple[Tensor, Tensor]:
        """Return the loss, with those of outputs after each third and of lower layers if set."""
        *below, top_BKH = self._encode(features, num_frames)
        confidence_BC = self.head(self._pool(top_BKH))
        total = loss(confidence_BC, true_BC)
        if self.config.multitask:
            own = [loss(self.head(step_BH), true_BC) for step_BH in top_BKH.unbind(dim=1)]
            total = total + self.config.multitask * torch.stack(own).mean()
        if self.config.intermediate_loss:
            early = [
                loss(head(layer_BKH.mean(dim=1)), true_BC)
                for head, layer_BKH in zip(self.intermediate_heads, below, strict=True)
            ]
            total = total + self.config.intermediate_loss * torch.stack(early).mean()
        return total, confidence_BC

    def _encode(self, features: dict[str, Tensor], num_frames_B: Tensor) -> list[Tensor]:
        """The outputs (B, K, H) that each layer with a head is pooled from, the top one last."""
        blocks = [self.lstm, *self.between, *([] if self.top is None else [self.top])]
        outputs_BTH, steps = read_frames(features, self.names), []
        for block in blocks:
            outputs_BTH, last_BH = block(outputs_BTH, num_frames_B)
            steps.append(self._steps(outputs_BTH, last_BH, num_frames_B))
        return steps

    def _steps(self, outputs_BTH: Tensor, last_BH: Tensor, num_frames_B: Tensor) -> Tensor:
        """The last output, or those after each third: (B, K, H)."""
        if self.config.pooling == "last":
            return last_BH[:, None]
        # Steps ceil(n/3) - 1, ceil(2n/3) - 1 and n - 1, counted from 0.
        thirds_K = torch.arange(1, 4, device=num_frames_B.device)
        step_BK = (num_frames_B[:, None] * thirds_K + 2) // 3 - 1
        return gather_frames(outputs_BTH, step_BK)

    def _pool(self, step_BKH: Tensor) -> Tensor:
        """A vector a video, (B, H)."""
        if self.config.pooling != "adaptive":
            return step_BKH.mean(dim=1)
        weight_BK1: Tensor = self.attention(step_BKH).softmax(dim=1)
        return (weight_BK1 * step_BKH).sum(dim=1)


class Visual(Prototype):
    """The prototype on rgb alone, full length."""

    paper_gap = 0.78105

    @dataclass(frozen=True, kw_only=True)
    class Config(RecurrentConfig):
        """Settings of `lstm_visual`."""

        features: str = "rgb"
        """Which features are read: all, or names separated by '+', as rgb+audio"""
        stride: int | None = 1
        """Every how many frames one is read, 1 or more; none is the store's own stride"""
        max_frames: int | None = None
        """Frames read at most, 1 or more; none is all"""
        starts: Literal["paper", "code", "zero"] = "zero"
        """Where crops begin in training: drawn from two strides, from one, or at the first frame"""


class Full(Prototype):
    """The prototype, full length: no cropping."""

    paper_gap = 0.80224

    @dataclass(frozen=True, kw_only=True)
    class Config(RecurrentConfig):
        """Settings of `lstm_full`."""

        stride: int | None = 1
        """Every how many frames one is read, 1 or more; none is the store's own stride"""
        max_frames: int | None = None
        """Frames read at most, 1 or more; none is all"""
        starts: Literal["paper", "code", "zero"] = "zero"
        """Where crops begin in training: drawn from two strides, from one, or at the first frame"""


class LogisticLSTM(Prototype):
    """The prototype with logistic regression instead of experts."""

    paper_gap = None

    @dataclass(frozen=True, kw_only=True)
    class Config(RecurrentConfig):
        """Settings of `lstm_lr`."""

        head: Literal["moe", "lr"] = "lr"
        """moe is a mixture of experts, lr logistic regression"""


class LayerNormLSTMPredictor(Prototype):
    """The prototype with layer-normalised cells, and one sigmoid unit a label."""

    paper_gap = None
    paper_note = "in the final ensemble"

    @dataclass(frozen=True, kw_only=True)
    class Config(RecurrentConfig):
        """Settings of `lstm_ln`."""

        cell: Literal["lstm", "lstm_ln", "gru"] = "lstm_ln"
        """Plain, layer-normalised, or gated recurrent units"""
        head: Literal["moe", "lr"] = "lr"
        """moe is a mixture of experts, lr logistic regression"""


class GatedRecurrent(Prototype):
    """The prototype with gated recurrent units."""

    paper_gap = None

    @dataclass(frozen=True, kw_only=True)
    class Config(RecurrentConfig):
        """Settings of `gru`."""

        cell: Literal["lstm", "lstm_ln", "gru"] = "gru"
        """Plain, layer-normalised, or gated recurrent units"""


@dataclass(frozen=True, kw_only=True)
class BidirectionalConfig(RecurrentConfig):
    """Settings of every bidirectional predictor."""

    bidirectional: bool = True
    """Whether a second set of cells reads each video backwards"""


class Bidirectional(Prototype):
    """2 stacked bidirectional layers of 1024; the last outputs of both ways."""

    paper_gap = 0.81055

    @dataclass(frozen=True, kw_only=True)
    class Config(BidirectionalConfig):
        """Settings of `bilstm`."""


class BidirectionalFull(Prototype):
    """2 stacked bidirectional layers of 1024, full length."""

    paper_gap = 0.81401

    @dataclass(frozen=True, kw_only=True)
    class Config(BidirectionalConfig):
        """Settings of `bilstm_full`."""

        stride: int | None = 1
        """Every how many frames one is read, 1 or more; none is the store's own stride"""
        max_frames: int | None = None
        """Frames read at most, 1 or more; none is all"""
        starts: Literal["paper", "code", "zero"] = "zero"
        """Where crops begin in training: drawn from two strides, from one, or at the first frame"""


class BidirectionalLayerNorm(Prototype):
    """2 stacked bidirectional layer-normalised layers, 1024 then 768."""

    paper_gap = 0.80761
    paper_note = "after 2.7 epochs"

    @dataclass(frozen=True, kw_only=True)
    class Config(BidirectionalConfig):
        """Settings of `bilstm_ln`."""

        cell: Literal["lstm", "lstm_ln", "gru"] = "lstm_ln"
        """Plain, layer-normalised, or gated recurrent units"""
        top_size: int | None = 768
        """Units of the top layer where it has others; none has as many"""
        head: Literal["moe", "lr"] = "lr"
        """moe is a mixture of experts, lr logistic regression"""


class BidirectionalAttention(Prototype):
    """As `bilstm`; the outputs of both ways after each third, averaged with equal weights."""

    paper_gap = 0.81232

    @dataclass(frozen=True, kw_only=True)
    class Config(BidirectionalConfig):
        """Settings of `bilstm_attention`."""

        pooling: Literal["last", "thirds", "adaptive"] = "thirds"
        """Last output; mean of those after each third; or weighed by a small network"""


class BidirectionalAdaptive(Prototype):
    """As `bilstm_attention`, the three weights from a small network."""

    paper_gap = None
    paper_note = "not trained by its authors"

    @dataclass(frozen=True, kw_only=True)
    class Config(BidirectionalConfig):
        """Settings of `bilstm_adaptive`."""

        pooling: Literal["last", "thirds", "adaptive"] = "adaptive"
        """Last output; mean of those after each third; or weighed by a small network"""
