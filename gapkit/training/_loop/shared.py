"""The holdout shared among ranks.

Shape letters: N videos, K predictions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.distributed as dist

from gapkit.predicting import predict_blocks, predict_split
from gapkit.predictions import Predictions

if TYPE_CHECKING:
    from gapkit.data import FrameStore
    from gapkit.training._loop.ranks import Ranks
    from gapkit.training._module import TorchPredictor

_TOP_K = 20


def predict_shared(
    ranks: Ranks,
    predictor: TorchPredictor,
    store: FrameStore,
    *,
    batch_size: int,
    name: str,
    progress: Callable[[int, int], object] | None = None,
) -> Predictions:
    """Return the predictions of a split on every rank, each of which predicts a part of it.

    Of the batches that one process would make rank r takes every num_ranks-th from the r-th, so
    each video has the same mates and, on machines alike, its prediction the same bits. All ranks
    must call it, with the same weights.

    Parameters
    ----------
    ranks : Ranks
    predictor, store, batch_size, name, progress
        As for `predict_blocks`; progress is that of the rank.
    """
    options: dict[str, Any] = {"batch_size": batch_size, "top_k": _TOP_K, "name": name}
    if ranks.num_ranks == 1:
        return predict_split(predictor, store, progress=progress, **options)
    # Labels and the bits of confidences, 0 but for its own: their sum is what each rank has.
    shape = (2, len(store), min(_TOP_K, store.num_classes))
    both_2NK = torch.zeros(shape, dtype=torch.int32)
    for begin in range(ranks.rank * batch_size, len(store), ranks.num_ranks * batch_size):
        at, last = begin, begin + batch_size
        for block in predict_blocks(predictor, store, first=begin, last=last, **options):
            rows = slice(at, at + len(block))
            both_2NK[0, rows] = torch.from_numpy(block.labels.astype(np.int32))
            both_2NK[1, rows] = torch.from_numpy(block.confidences.view(np.int32))
            at = rows.stop
            if progress is not None:
                progress(at, len(store))
    both_2NK = both_2NK.to(next(predictor.parameters()).device)
    dist.all_reduce(both_2NK)
    label_NK, bits_NK = both_2NK.cpu().numpy()
    return Predictions(
        store.labels.id_column,
        label_NK,
        bits_NK.view(np.float32),
        num_classes=store.num_classes,
    )
