"""`lstm_pretrained`: layers that first learn to reconstruct frames, then labels."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch.nn.functional as F
from gapkit_predictors._features import FrameConfig, build_head, choose_features, read_frames
from torch import Tensor, nn

from gapkit.errors import UsageError
from gapkit.training import LSTM, TorchPredictor


class Pretrained(TorchPredictor):
    """Two bidirectional layers that encode the first feature, visual frames.

    In the first phase, without labels, a layer decodes their outputs into the frames of all
    features, by mean squared error (the paper's code had audio alone as target, and in another
    run all values). Then the encoder's last outputs go to a head.
    """

    paper_gap: float | None = None
    paper_note = "not finished by its authors"

    @dataclass(frozen=True, kw_only=True)
    class Config(FrameConfig):
        """Settings of `lstm_pretrained`."""

        hidden_size: int = 1024
        """Units a layer and way of the encoder, 1 or more"""
        num_layers: int = 2
        """Layers of the encoder, 1 or more"""
        decoder_size: int = 1200
        """Units of the decoder, 1 or more"""
        pretrain_epochs: int = 1
        """Epochs of the first phase, 0 or more"""

    def __init__(self, num_classes: int, feature_sizes: Mapping[str, int], config: Config) -> None:
        super().__init__(num_classes, feature_sizes, config)
        self.names = choose_features(config.features, feature_sizes)
        if len(self.names) < 2:
            raise UsageError(
                f"lstm_pretrained learns to reconstruct a second modality from the first, and "
                f"reads only {self.names[0]!r} here. Train lstm or bilstm on it."
            )
        hidden, size = config.hidden_size, feature_sizes[self.names[0]]
        self.encoder = LSTM(size, hidden, config.num_layers, bidirectional=True)
        self.decoder = LSTM(2 * hidden, config.decoder_size)
        target_size = sum(feature_sizes[name] for name in self.names)
        self.to_frames = nn.Linear(config.decoder_size, target_size)
        self.head = build_head(config, 2 * hidden, num_classes)

    def forward(self, features: dict[str, Tensor], num_frames: Tensor) -> Tensor:
        """Return the confidences, (B, num_classes)."""
        _, last_BH = self.encoder(read_frames(features, self.names[:1]), num_frames)
        confidences: Tensor = self.head(last_BH)
        return confidences

    def pretraining_loss(self, features: dict[str, Tensor], num_frames: Tensor) -> Tensor:
        """Return the mean squared error of the reconstructed frames, padding left out.

        That of each video first: so the parts of a step add up to the step.
        """
        target_BTD = read_frames(features, self.names)
        outputs_BTH, _ = self.encoder(read_frames(features, self.names[:1]), num_frames)
        decoded_BTD = self.to_frames(self.decoder(outputs_BTH, num_frames)[0])
        error_BT = F.mse_loss(decoded_BTD, target_BTD, reduction="none").mean(dim=-1)
        is_frame_BT = num_frames.new_tensor(range(error_BT.shape[1])) < num_frames[:, None]
        return ((error_BT * is_frame_BT).sum(dim=1) / num_frames).mean()
