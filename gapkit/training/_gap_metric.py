"""GAP in a training loop: shaped like a metric of torchmetrics, and one where that is installed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from gapkit.errors import UsageError
from gapkit.metrics import GapAccumulator
from gapkit.training._gather import gather_accumulator, has_ranks

try:  # Lightning takes for a metric what is an instance of its Metric
    from torchmetrics import Metric
except ImportError:
    Metric = nn.Module
_Base: Any = Metric
_IS_TORCHMETRICS = _Base is not nn.Module


class GapMetric(_Base):  # type: ignore[misc]
    """Exact GAP over an epoch, over all ranks, in bounded memory.

    It is `GapAccumulator` with the verbs of torchmetrics: `metric(preds, target)` in each step
    returns the GAP of the batch, `compute()` that of all videos since `reset()`. It is a
    `torchmetrics.Metric` where that is installed, so `self.log("gap", metric)` works in
    Lightning; else a module with the same verbs. It holds no tensors: predictions go to the CPU
    as they come (the cut to top_k is made on their device), and `state_dict()` has nothing.

    Parameters
    ----------
    top_k : int, optional
        Most confident labels to keep of each video; None keeps all.
    ties : {'expected', 'optimistic', 'pessimistic'}
        As in `gapkit.metrics.gap`.
    max_memory : int, optional
        Bytes to hold on each rank before predictions go to a temporary file.
    sync_on_compute : bool
        Whether `compute` gathers the videos of all ranks of torch.distributed, to the bits of one
        process. A rank pads no videos: a sampler that repeats some counts them twice.
    process_group : optional
        The ranks to gather from; None is all.

    Raises
    ------
    UsageError
        A setting is out of its range.

    Examples
    --------
    >>> metric = GapMetric()
    >>> metric.update(torch.tensor([[0.9, 0.1]]), torch.tensor([[1, 0]]))
    >>> metric.update(torch.tensor([[0.6, 0.8]]), torch.tensor([[1, 0]]))
    >>> metric.compute()
    tensor(0.8333, dtype=torch.float64)
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False
    plot_lower_bound = 0.0
    plot_upper_bound = 1.0

    def __init__(
        self,
        *,
        top_k: int | None = 20,
        ties: str = "expected",
        max_memory: int | None = 1 << 28,
        sync_on_compute: bool = True,
        process_group: Any = None,
    ) -> None:
        if _IS_TORCHMETRICS:
            super().__init__(sync_on_compute=sync_on_compute, process_group=process_group)
        else:
            super().__init__()
            self._to_sync, self.process_group, self._is_synced = (
                sync_on_compute,
                process_group,
                False,
            )
        self._max_memory = max_memory
        self._settings: dict[str, Any] = {"top_k": top_k, "ties": ties, "max_memory": max_memory}
        self._accumulator = GapAccumulator(**self._settings)
        self._of_this_rank: GapAccumulator | None = None
        self._forward_cache: Tensor | None = None
        # Says where the value goes; a buffer moves with the module, and is in no state_dict.
        self.register_buffer("_place", torch.empty(0), persistent=False)

    def update(self, preds: Tensor, target: Tensor) -> None:
        """Add videos.

        Parameters
        ----------
        preds : (B, C) float
            Confidences, or anything finite in the same order; bfloat16 too.
        target : (B, C) bool or 0/1

        Raises
        ------
        DataError
            A shape, a type or a value is wrong; nothing of the batch is kept then.
        """
        self._accumulator.update(_widened(preds), target.detach())

    def compute(self) -> Tensor:
        """Return the GAP of all videos since `reset()`, a float64 scalar; 0 without positives.

        Where torch.distributed has ranks, every one of them must call it, and gets the same.
        """
        with self._all_ranks():
            return self._scalar(self._accumulator.compute())

    def forward(self, preds: Tensor, target: Tensor) -> Tensor:
        """Add videos and return the GAP of these alone, on this rank."""
        self.update(preds, target)
        batch = GapAccumulator(**self._settings)
        batch.update(_widened(preds), target.detach())
        self._forward_cache = self._scalar(batch.compute())
        return self._forward_cache

    def reset(self) -> None:
        """Forget all videos."""
        if _IS_TORCHMETRICS:
            super().reset()
        self._accumulator.reset()
        self._of_this_rank, self._is_synced, self._forward_cache = None, False, None

    def sync(
        self,
        dist_sync_fn: Any = None,
        process_group: Any = None,
        should_sync: bool = True,
        distributed_available: Any = None,
    ) -> None:
        """Take the videos of all ranks, until `unsync()`.

        Raises
        ------
        UsageError
            It is synced already, or the ranks have different settings.
        """
        available = distributed_available if callable(distributed_available) else has_ranks
        if not should_sync or not available():
            return
        if self._is_synced:
            raise UsageError("GapMetric is synced already. Call unsync() first.")
        gathered = gather_accumulator(
            self._accumulator,
            max_memory=self._max_memory,
            group=process_group or self.process_group,
        )
        self._of_this_rank, self._accumulator = self._accumulator, gathered
        self._is_synced = True

    def unsync(self, should_unsync: bool = True) -> None:
        """Take the videos of this rank again."""
        if not should_unsync:
            return
        if self._of_this_rank is None:
            raise UsageError("GapMetric is not synced. Call sync() first.")
        self._accumulator, self._of_this_rank = self._of_this_rank, None
        self._is_synced = False

    @contextmanager
    def _all_ranks(self) -> Iterator[None]:
        """Synced, where it is not yet: torchmetrics does it around `compute`."""
        if self._is_synced or not self._to_sync or not has_ranks() or _IS_TORCHMETRICS:
            yield
            return
        self.sync()
        try:
            yield
        finally:
            self.unsync()

    def _scalar(self, value: float) -> Tensor:
        device = self._place.device
        dtype = torch.float32 if device.type == "mps" else torch.float64  # which has no other
        return torch.tensor(value, dtype=dtype, device=device)


def _widened(preds: Tensor) -> Tensor:
    preds = preds.detach()
    return preds.float() if preds.dtype == torch.bfloat16 else preds
