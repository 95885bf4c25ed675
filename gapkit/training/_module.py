"""A predictor that is a torch module."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from gapkit.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gapkit.batch import Batch
    from gapkit.data import FrameStore


class TorchPredictor(nn.Module):
    """Base of the predictors that the bundled trainer trains.

    A child is built from `(num_classes, feature_sizes, config)` and defines `forward`.

    Parameters
    ----------
    num_classes : int
    feature_sizes : mapping of str to int
        Values a frame (or a video) by feature.
    config : frozen dataclass
        Its fields `stride` and `max_frames`, where it has them, say how crops are cut.
    """

    def __init__(self, num_classes: int, feature_sizes: Mapping[str, int], config: Any) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.feature_sizes = dict(feature_sizes)
        self.config = config

    def forward(self, features: dict[str, Tensor], num_frames: Tensor) -> Tensor:
        """Return the confidences (B, num_classes), in [0, 1].

        Parameters
        ----------
        features : dict of str to Tensor
            (B, T, D) uint8 frames, or (B, D) float32 at video level.
        num_frames : (B,) int64
        """
        raise TypeError(f"{type(self).__name__} must define forward(features, num_frames).")

    @classmethod
    def prepare(cls, config: Any, store: FrameStore) -> Any:
        """Return the config with what it takes from the training split filled in.

        Called once, before the predictor is built to be trained; what it returns is saved with
        the run. A child whose shape depends on the data (groups of labels, say) overrides it.
        """
        return config

    def compute_loss(
        self,
        features: dict[str, Tensor],
        num_frames: Tensor,
        true_BC: Tensor,
        loss: Callable[[Tensor, Tensor], Tensor],
    ) -> tuple[Tensor, Tensor]:
        """Return what a training step lowers, a scalar, and the confidences (B, num_classes).

        A child with several outputs adds their losses here; the penalty is added to it by the
        trainer.

        Parameters
        ----------
        features, num_frames
            As for `forward`; frames may be floats already, where an augmentation made them so.
        true_BC : (B, num_classes) float
            1 where a label is true; between 0 and 1 where videos are mixed or labels smoothed.
        loss : callable
            Of confidences and truth, both (B, num_classes), to a scalar.
        """
        confidence_BC = self(features, num_frames)
        return loss(confidence_BC, true_BC), confidence_BC

    def pretraining_loss(self, features: dict[str, Tensor], num_frames: Tensor) -> Tensor:
        """Return the loss of a first phase without labels, a scalar.

        It is lowered for `config.pretrain_epochs` epochs, where the config has that field.
        """
        raise TypeError(f"{type(self).__name__} must define pretraining_loss to be pretrained.")

    def penalty(self) -> Tensor:
        """Return what the loss adds for the size of weights: the penalties of its heads."""
        parts: list[Any] = [part for part in self.modules() if part is not self]
        found = [part.penalty() for part in parts if callable(getattr(part, "penalty", None))]
        return torch.stack(found).sum() if found else torch.zeros(())

    def predict(self, batch: Batch) -> NDArray[np.float32]:
        """Return the confidences of a batch, (B, num_classes), in evaluation mode."""
        was_training = self.training
        self.eval()
        try:
            with torch.inference_mode():
                confidence_BC: NDArray[np.float32] = (
                    self(*self.tensors(batch)).float().cpu().numpy()
                )
        finally:
            self.train(was_training)
        return confidence_BC

    def tensors(self, batch: Batch) -> tuple[dict[str, Tensor], Tensor]:
        """Return a batch's features and num_frames on the module's device."""
        device = next(self.parameters()).device
        features = {name: send(values, device) for name, values in batch.features.items()}
        return features, send(batch.num_frames, device)


def send(values: NDArray[Any], device: torch.device) -> Tensor:
    """An array as a tensor of a device; to a GPU from pinned memory, which nothing waits for."""
    tensor = torch.from_numpy(values)
    if device.type == "cuda":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def find_device(device: str) -> torch.device:
    """The torch device of a name; UsageError where there is none."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        found = torch.device(device)
        torch.empty(0, device=found)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).split("\n")[0]
        raise UsageError(f"device {device!r} is not to be had ({reason}). Try cpu.") from None
    return found
