"""GAP accumulators over the ranks of torch.distributed: sent as plain arrays, nothing pickled."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.distributed as dist

from gapkit.errors import UsageError
from gapkit.metrics import GapAccumulator

if TYPE_CHECKING:
    from numpy.typing import NDArray

_PREDICTIONS = 1 << 20  # sent at a time
_END = -1


def has_ranks() -> bool:
    """Whether there are other ranks to gather from."""
    return dist.is_available() and dist.is_initialized()


def gather_accumulator(
    local: GapAccumulator, *, max_memory: int | None = None, group: Any = None
) -> GapAccumulator:
    """Return an accumulator of the videos of all ranks; every rank must call it.

    Parameters
    ----------
    local : GapAccumulator
        Of this rank; it stays as it is.
    max_memory : int, optional
        Of the accumulator returned.
    group : process group, optional
        None is all ranks.

    Raises
    ------
    UsageError
        The ranks' accumulators have different settings.
    """
    settings: dict[str, Any] = local.settings
    merged = GapAccumulator(**settings, max_memory=max_memory)
    sources = [
        number if group is None else dist.get_global_rank(group, number)
        for number in range(dist.get_world_size(group))
    ]
    _check_alike(settings, sources, group)
    for source in sources:
        is_mine = dist.get_rank() == source
        blocks = _joined(local) if is_mine else iter(())
        while True:
            confidence_N, hit_N = next(blocks, (np.empty(0, np.float32), None))
            size = _END if hit_N is None else len(hit_N)
            header = np.array([size, confidence_N.itemsize, local.num_positives])
            size, itemsize, positives = _share(header, np.int64, 3, source, group).tolist()
            if size == _END:
                merged.update_hits(np.empty(0, np.float32), np.empty(0, np.bool_), positives)
                break
            confidence_N = _share(confidence_N, f"f{itemsize}", size, source, group)
            hit_N = _share(hit_N, np.bool_, size, source, group)
            merged.update_hits(confidence_N, hit_N, 0)
    return merged


def _check_alike(settings: dict[str, Any], sources: list[int], group: Any) -> None:
    """All ranks refuse settings that are not all the same, or none does."""
    text = repr(settings).encode().ljust(64)[:64]
    mine = np.frombuffer(text, np.uint8)
    for source in sources:
        theirs = _share(mine, np.uint8, len(mine), source, group).tobytes()
        alike = np.array([theirs == text], np.uint8)
        if not all(_share(alike, np.uint8, 1, other, group)[0] for other in sources):
            raise UsageError(
                f"the ranks have a GapMetric of different settings: here {settings}, on rank "
                f"{source} {theirs.decode('utf-8', 'replace').strip()}. Make them alike."
            )


def _joined(
    accumulator: GapAccumulator,
) -> Iterator[tuple[NDArray[np.floating[Any]], NDArray[np.bool_] | None]]:
    """Its predictions, about a million at a time."""
    held: list[tuple[NDArray[np.floating[Any]], NDArray[np.bool_]]] = []
    num_held = 0
    for block in accumulator.blocks():
        held.append(block)
        num_held += len(block[1])
        if num_held >= _PREDICTIONS:
            yield np.concatenate([c for c, _ in held]), np.concatenate([h for _, h in held])
            held, num_held = [], 0
    if held:
        yield np.concatenate([c for c, _ in held]), np.concatenate([h for _, h in held])


def _share(values: Any, dtype: Any, size: int, source: int, group: Any) -> NDArray[Any]:
    """The array of rank `source`, which the others give the type and size of."""
    on_gpu = dist.get_backend(group) == "nccl"
    device = torch.device("cuda", torch.cuda.current_device()) if on_gpu else torch.device("cpu")
    if dist.get_rank() == source:
        shared = torch.from_numpy(np.ascontiguousarray(values).view(np.uint8).copy()).to(device)
    else:
        shared = torch.empty(size * np.dtype(dtype).itemsize, dtype=torch.uint8, device=device)
    dist.broadcast(shared, src=source, group=group)
    received: NDArray[Any] = shared.cpu().numpy().view(dtype)
    return received
