"""What goes wrong in a predictor's own code while it is trained, said with its name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from gapkit.errors import GapkitError, PredictorError
from gapkit.predicting import is_out_of_memory, predict_batch

if TYPE_CHECKING:
    from gapkit.batch import Batch
    from gapkit.data import FrameStore
    from gapkit.plugins import Plugin
    from gapkit.training._module import TorchPredictor

Loss = Callable[[Tensor, Tensor], Tensor]
_STAYS = "What was saved before stays."


def prepare(plugin: Plugin, config: Any, store: FrameStore) -> Any:
    """The config as the predictor prepares it; PredictorError names it where that fails."""
    own = getattr(plugin.target, "prepare", None)
    if own is None:
        return config
    try:
        return own(config, store)
    except GapkitError:
        raise
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise PredictorError(
            f"predictor {plugin.name!r} can't be prepared for {store.path}: {reason}"
        ) from error


@contextmanager
def blaming(name: str, batch: Batch) -> Iterator[None]:
    """Name predictor and batch in whatever a step raises; say what to do where memory ran out."""
    try:
        yield
    except GapkitError:
        raise
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        place = f" on the batch of video {batch.ids[0]!r}" if len(batch) else ""
        if is_out_of_memory(error):
            raise PredictorError(
                f"predictor {name!r} ran out of memory with {len(batch)} videos a step. Lower "
                f"--batch-size, or raise accumulate, the parts of a step that are in memory one "
                f"at a time: --set accumulate=2. {_STAYS} ({reason[:200]})"
            ) from None  # its frames hold what is to be freed
        raise PredictorError(
            f"predictor {name!r} failed in training{place}: {reason}. {_STAYS}"
        ) from error


def checked(loss: Loss, name: str) -> Loss:
    """The loss, which refuses confidences of another shape or type by the predictor's name."""

    def check(confidence_BC: Tensor, true_BC: Tensor) -> Tensor:
        given = confidence_BC
        if not isinstance(given, Tensor):
            raise PredictorError(
                f"predictor {name!r} returned {type(given).__name__} in training and must return "
                f"a tensor of shape {tuple(true_BC.shape)}: (videos, labels)."
            )
        if given.shape != true_BC.shape or not given.is_floating_point():
            raise PredictorError(
                f"predictor {name!r} returned {str(given.dtype).removeprefix('torch.')} of shape "
                f"{tuple(given.shape)} in training and must return floats of shape "
                f"{tuple(true_BC.shape)}: (videos, labels)."
            )
        if torch.is_grad_enabled() and not given.requires_grad:
            raise PredictorError(
                f"predictor {name!r} returned confidences without a gradient in training: no "
                f"weight would learn from them. Detach nothing, and compute them with torch alone."
            )
        return loss(given, true_BC)

    return check


def explain_values(
    module: TorchPredictor,
    batch: Batch,
    minibatch: tuple[Tensor, Tensor] | None,
    name: str,
    *,
    is_first: bool,
) -> str:
    """Why a loss may be no finite number: what the predictor says, or steps that are too large."""
    cause = "."
    if len(batch):
        try:
            predict_batch(module, batch, module.num_classes, name)
        except Exception as error:
            cause = f": {error}"
    if cause == ".":
        cause = _wrong_confidence(minibatch, name)
    if cause == ".":
        return f". Lower --lr. {_STAYS}"
    return f"{cause} {_STAYS if is_first else f'If it should be right, lower --lr. {_STAYS}'}"


def _wrong_confidence(minibatch: tuple[Tensor, Tensor] | None, name: str) -> str:
    """What a step's confidences have that no confidence may be."""
    if minibatch is not None:
        confidence = minibatch[0].float().flatten()
        wrong = confidence[~((confidence >= 0) & (confidence <= 1))]
        if len(wrong):
            return (
                f": predictor {name!r} returned {float(wrong[0])} in training, and confidences "
                f"are in [0, 1]."
            )
    return "."
