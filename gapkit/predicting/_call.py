"""One call of a predictor, whose answer is checked; and what running out of memory looks like."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gapkit.errors import GapkitError, PredictorError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gapkit.batch import Batch
    from gapkit.plugins import Predictor

# What torch, jax and CUDA say in a RuntimeError.
_NO_MEMORY = ("out of memory", "not enough memory", "can't allocate memory", "resource_exhausted")


class OutOfMemoryError(Exception):
    """A batch was too large for the memory."""


def predict_batch(
    predictor: Predictor, batch: Batch, num_classes: int, name: str
) -> NDArray[np.floating[Any]]:
    """Return a predictor's confidences of a batch, checked: (B, num_classes) floats in [0, 1].

    Parameters
    ----------
    predictor : Predictor
    batch : Batch
        At least one video.
    num_classes : int
    name : str
        What errors call the predictor.

    Raises
    ------
    PredictorError
        It raises, or returns another shape or type, a NaN or a value outside [0, 1].
    OutOfMemoryError
        A smaller batch may do.
    """
    try:
        returned = predictor.predict(batch)
    except GapkitError:
        raise
    except (Exception, SystemExit) as error:
        reason = " ".join(str(error).split())
        if is_out_of_memory(error):
            raise OutOfMemoryError(reason) from None  # its frames hold what is to be freed
        raise PredictorError(
            f"predictor {name!r} failed on the batch from video {batch.ids[0]!r} on: "
            f"{type(error).__name__}: {reason}"
        ) from error
    try:
        confidence_BC = np.asarray(returned)
    except (TypeError, ValueError, RuntimeError) as error:  # torch's, of what has a gradient
        reason = " ".join(str(error).split())
        raise PredictorError(f"predictor {name!r} returned no array: {reason}") from error
    if confidence_BC.shape != (len(batch), num_classes) or confidence_BC.dtype.kind != "f":
        raise PredictorError(
            f"predictor {name!r} returned {confidence_BC.dtype} of shape {confidence_BC.shape} "
            f"and must return floats of shape {(len(batch), num_classes)}: (videos, labels)."
        )
    wrong = np.argwhere(~((confidence_BC >= 0) & (confidence_BC <= 1)))
    if len(wrong):
        row, label = (int(i) for i in wrong[0])
        raise PredictorError(
            f"predictor {name!r} returned {confidence_BC[row, label]} for label {label} of video "
            f"{batch.ids[row]!r}. Confidences must lie in [0, 1]."
        )
    return confidence_BC


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that memory ran out, on this machine or on a device."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(words in text for words in _NO_MEMORY)
