"""Any predictor over any split: validation, `gapkit predict` and so `gapkit score` go through here.

Needs no torch.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gapkit.errors import GapkitError, PredictorError, UsageError
from gapkit.io import open_submission, suffix_of
from gapkit.predictions import Predictions

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gapkit.batch import Batch
    from gapkit.data import FrameStore
    from gapkit.plugins import Predictor

__all__ = ["predict_blocks", "predict_split", "write_split"]


def predict_blocks(
    predictor: Predictor,
    store: FrameStore,
    *,
    starts: Sequence[int] = (0,),
    batch_size: int = 128,
    top_k: int = 20,
    name: str | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> Iterator[Predictions]:
    """Yield the predictions of a split, a batch at a time, in the order of the store.

    Parameters
    ----------
    predictor : Predictor
        Its `config` may say how crops are cut (`stride`, `max_frames`).
    store : FrameStore
    starts : sequence of int
        A crop from each; their confidences are averaged, dense, before the cut to top_k.
    batch_size : int
        Videos a call of the predictor.
    top_k : int
        Labels to keep of each video.
    name : str, optional
        What errors call the predictor.
    progress : callable, optional
        Called with the videos done and the videos in all.

    Raises
    ------
    PredictorError
        The predictor raises, or returns another shape, a NaN or a value outside [0, 1].
    UsageError
        No starts, a negative one, or batch_size below 1.
    """
    _check_starts(starts)
    if batch_size < 1:
        raise UsageError(f"batch_size is {batch_size}. It must be 1 or more.")
    name = name or type(predictor).__name__
    config = getattr(predictor, "config", None)
    cut = {key: getattr(config, key, None) for key in ("stride", "max_frames")}
    for begin in range(0, len(store), batch_size):
        index_B = np.arange(begin, min(begin + batch_size, len(store)))
        total_BC = np.zeros((len(index_B), store.num_classes), np.float64)
        for start in starts:
            batch = store.crops(index_B, start, **cut)
            total_BC += _call(predictor, batch, store.num_classes, name)
        mean_BC = (total_BC / len(starts)).astype(np.float32)
        yield Predictions.from_dense(mean_BC, batch.ids, top_k=top_k)
        if progress is not None:
            progress(int(index_B[-1]) + 1, len(store))


def predict_split(predictor: Predictor, store: FrameStore, **options: Any) -> Predictions:
    """Return the predictions of a whole split; options as for `predict_blocks`."""
    return Predictions.concat(list(predict_blocks(predictor, store, **options)))


def write_split(
    predictor: Predictor,
    store: FrameStore,
    path: str | os.PathLike[str],
    *,
    starts: Sequence[int] = (0,),
    separate: bool = False,
    top_k: int = 20,
    provenance: Mapping[str, Any] | None = None,
    **options: Any,
) -> list[Path]:
    """Write a split's predictions as a submission, streamed; return the files written.

    Parameters
    ----------
    predictor, store, starts, top_k, options
        As for `predict_blocks`.
    path : path
        Its suffix chooses the format.
    separate : bool
        Write one file a start, `p.start0.parquet` for `p.parquet`, instead of their average.
    provenance : mapping, optional
        What made the predictions; `split` and `starts` are added.

    Raises
    ------
    PredictorError, UsageError, DataError
        As `predict_blocks` and `gapkit.io.open_submission` do. Files that were there stay.
    """
    path = Path(path)
    _check_starts(starts)
    suffix = suffix_of(path)
    stem = path.name.removesuffix(suffix)
    groups = [(path.with_name(f"{stem}.start{start}{suffix}"), [start]) for start in starts]
    outputs = groups if separate else [(path, list(starts))]
    with ExitStack() as stack:  # all files appear, or none
        for target, group in outputs:
            about = {**(provenance or {}), "split": str(store.path), "starts": group}
            write = stack.enter_context(
                open_submission(
                    target, num_classes=store.num_classes, top_k=top_k, provenance=about
                )
            )
            for block in predict_blocks(predictor, store, starts=group, top_k=top_k, **options):
                write(block)
    return [target for target, _ in outputs]


def _check_starts(starts: Sequence[int]) -> None:
    if not starts or min(starts) < 0:
        raise UsageError(f"starts are {list(starts)}. Give at least one, each 0 or more.")


def _call(
    predictor: Predictor, batch: Batch, num_classes: int, name: str
) -> NDArray[np.floating[Any]]:
    try:
        returned = predictor.predict(batch)
    except GapkitError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())
        raise PredictorError(
            f"predictor {name!r} failed on the batch from video {batch.ids[0]!r} on: "
            f"{type(error).__name__}: {reason}"
        ) from error
    try:
        confidence_BC = np.asarray(returned)
    except (TypeError, ValueError) as error:
        raise PredictorError(f"predictor {name!r} returned no array: {error}") from error
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
