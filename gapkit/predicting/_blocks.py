"""Predictions of a split, a batch at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gapkit.errors import PredictorError, UsageError
from gapkit.predicting._call import OutOfMemoryError, is_out_of_memory, predict_batch
from gapkit.predictions import Predictions

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gapkit.batch import Batch
    from gapkit.data import FrameStore
    from gapkit.plugins import Predictor

_BATCH_SIZE = 128
_DENSE_BYTES = 1 << 28  # float64 sums of a batch at most, by default


def default_batch_size(num_classes: int) -> int:
    """Return the videos a call of a predictor that does not say: 128, fewer for very many labels.

    Examples
    --------
    >>> default_batch_size(4716), default_batch_size(1_000_000)
    (128, 33)
    """
    return max(min(_BATCH_SIZE, _DENSE_BYTES // (8 * max(num_classes, 1))), 1)


def predict_blocks(
    predictor: Predictor | Sequence[Predictor],
    store: FrameStore,
    *,
    starts: Sequence[int] = (0,),
    full: bool = False,
    batch_size: int | None = None,
    top_k: int = 20,
    first: int = 0,
    last: int | None = None,
    name: str | None = None,
    progress: Callable[[int, int], object] | None = None,
    tell: Callable[[str], object] | None = None,
) -> Iterator[Predictions]:
    """Yield the predictions of a split, a batch at a time, in the order of the store.

    A batch that does not fit into memory is halved, and so are those after it.

    Parameters
    ----------
    predictor : Predictor, or sequence of Predictor
        Its `config` may say how crops are cut (`stride`, `max_frames`). Of several the
        confidences are averaged, as those of several starts.
    store : FrameStore
    starts : sequence of int
        A crop from each; their confidences are averaged, dense, before the cut to top_k.
    full : bool
        Give the predictor every frame from the start on, whatever its config says.
    batch_size : int, optional
        Videos a call of the predictor; None is `default_batch_size` of the store's labels.
    top_k : int
        Labels to keep of each video.
    first : int
        Place in the store of the first video to predict.
    last : int, optional
        Place behind that of the last one; None is all that follow.
    name : str, optional
        What errors call the predictor.
    progress : callable, optional
        Called with the videos done and the videos in all.
    tell : callable, optional
        Called with a line when batches become smaller.

    Raises
    ------
    PredictorError
        The predictor raises, or returns another shape, a NaN or a value outside [0, 1], or a
        single video does not fit into memory.
    UsageError
        No starts, a negative one, no predictors, or batch_size below 1.
    """
    check_starts(starts)
    predictors = list(predictor) if isinstance(predictor, Sequence) else [predictor]
    if not predictors:
        raise UsageError("predictors are []. Give at least one.")
    size = default_batch_size(store.num_classes) if batch_size is None else batch_size
    if size < 1:
        raise UsageError(f"batch_size is {size}. It must be 1 or more.")
    name = name or type(predictors[0]).__name__
    begin, end = first, len(store) if last is None else min(last, len(store))
    while begin < end:
        index_B = np.arange(begin, min(begin + size, end))
        try:
            mean_BC, ids_B = _average(predictors, store, index_B, starts, full, name)
            block = Predictions.from_dense(mean_BC, ids_B, top_k=top_k)
        except (OutOfMemoryError, MemoryError, RuntimeError) as error:
            if not (isinstance(error, OutOfMemoryError) or is_out_of_memory(error)):
                raise
            if len(index_B) == 1:
                raise PredictorError(
                    f"predictor {name!r} ran out of memory on video {store.ids[begin]!r} alone: "
                    f"{error}. Use another --device or shorter crops."
                ) from None
            size = (len(index_B) + 1) // 2
            if tell is not None:
                tell(f"out of memory with {len(index_B)} videos a batch: going on with {size}")
            continue
        yield block
        begin += len(index_B)
        if progress is not None:
            progress(begin, len(store))


def predict_split(
    predictor: Predictor | Sequence[Predictor], store: FrameStore, **options: Any
) -> Predictions:
    """Return the predictions of a whole split; options as for `predict_blocks`."""
    return Predictions.concat(list(predict_blocks(predictor, store, **options)))


def check_starts(starts: Sequence[int]) -> None:
    """Refuse starts that no crop can have."""
    if not starts or min(starts) < 0:
        raise UsageError(f"starts are {list(starts)}. Give at least one, each 0 or more.")


def _average(
    predictors: Sequence[Predictor],
    store: FrameStore,
    index_B: NDArray[np.int64],
    starts: Sequence[int],
    full: bool,
    name: str,
) -> tuple[NDArray[np.float32], NDArray[np.object_]]:
    """The mean over starts and predictors, dense, and the videos' ids."""
    total_BC = np.zeros((len(index_B), store.num_classes), np.float64)
    for start in starts:
        crops: dict[tuple[int | None, int | None], Batch] = {}
        for predictor in predictors:
            cut = _cut_of(predictor, full)
            if cut not in crops:
                crops[cut] = store.crops(index_B, start, stride=cut[0], max_frames=cut[1])
            total_BC += predict_batch(predictor, crops[cut], store.num_classes, name)
        ids_B = next(iter(crops.values())).ids
    mean_BC = total_BC / (len(starts) * len(predictors))
    return mean_BC.astype(np.float32), ids_B


def _cut_of(predictor: Predictor, full: bool) -> tuple[int | None, int | None]:
    """Stride and max_frames of a predictor's crops."""
    if full:
        return 1, None
    config = getattr(predictor, "config", None)
    return getattr(config, "stride", None), getattr(config, "max_frames", None)
