"""Means of weights: over the steps of a run, and over its checkpoints."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor, nn

from gapkit.data import FrameStore
from gapkit.errors import DataError, UsageError
from gapkit.io import replacing_file
from gapkit.metrics import score
from gapkit.predicting import predict_split
from gapkit.training._runs.checkpoints import Checkpoints
from gapkit.training._runs.run import CHECKPOINTS, STATE_FILE, Run

METHODS = ("uniform", "greedy")


def move_mean(mean: nn.Module, module: nn.Module, share: float) -> None:
    """Move the weights of a mean by a share of the way to a module's; counters are taken over."""
    theirs = module.state_dict()
    with torch.no_grad():
        for name, value in mean.state_dict().items():
            if value.is_floating_point():
                value.lerp_(theirs[name], share)
            else:
                value.copy_(theirs[name])


@dataclass(frozen=True, kw_only=True)
class Averaged:
    """What a mean over checkpoints is made of."""

    path: Path
    """File of the weights"""
    gaps: dict[str, float]
    """GAP of each checkpoint, in the order in which they were tried; empty where none was asked"""
    members: list[str]
    """Checkpoints in the mean"""
    gap: float | None
    """GAP of the mean; None where none was asked"""


def average_checkpoints(
    run: str | os.PathLike[str],
    checkpoints: Sequence[str] = ("all",),
    *,
    method: str = "uniform",
    split: str | os.PathLike[str] | None = None,
    name: str = "average",
    predictor: str | None = None,
    device: str = "auto",
    overwrite: bool = False,
    progress: Callable[[int, int, str], object] | None = None,
) -> Averaged:
    """Write the mean of a run's checkpoints beside them, as a checkpoint of its own.

    Batch statistics are averaged as weights are. Of one run the mean is mostly better than its
    best member; of weights too far apart it is worse than each, which `greedy` can't fall for.

    Parameters
    ----------
    run : path
        Folder of the run.
    checkpoints : sequence of str
        Stems of its weights; `all` alone stands for the numbered ones (`keep_every` writes them).
    method : {'uniform', 'greedy'}
        The mean of all; or from the best one on, the next best is taken in where the mean's GAP
        on `split` does not fall by it.
    split : path, optional
        Folder of a split, as data/val; without it nothing is scored, and greedy can't be.
    name : str
        Stem of the file, as `gapkit predict --checkpoints` takes it.
    predictor, device
        As for `load_run`.
    overwrite : bool
        Replace weights of that name.
    progress : callable, optional
        Called with the videos done, the videos in all, and what is being scored.

    Raises
    ------
    DataError
        Weights are missing or damaged, the split has no labels, or the name is taken.
    UsageError
        The method or the name is none, or there are fewer than two checkpoints.

    References
    ----------
    Wortsman et al., Model soups, 2022.
    """
    path = Path(run) / f"{name}.safetensors"
    _check(path, name, method, split, overwrite)
    found = Checkpoints(run, checkpoints, predictor=predictor, device=device)
    if len(found) < 2:
        raise UsageError(f"{run}: a mean takes 2 checkpoints or more, and this is {found.names}.")
    weights = {member: _copy(found[member]) for member in found}
    gaps: dict[str, float] = {}
    members, reached = list(found.names), None
    if split is None:
        values = _mean(list(weights.values()))
    else:
        measure = _Measure(FrameStore(split), found.run, progress)
        gaps = {member: measure(values, member) for member, values in weights.items()}
        if method == "greedy":
            gaps = dict(sorted(gaps.items(), key=lambda item: -item[1]))
            members = _choose(weights, gaps, measure)
        values = _mean([weights[member] for member in members])
        reached = measure(values, "the mean")
    with replacing_file(path) as temporary:
        temporary.write_bytes(save(values))
    return Averaged(path=path, gaps=gaps, members=members, gap=reached)


class _Measure:
    """The GAP of weights on a split."""

    def __init__(
        self, store: FrameStore, run: Run, progress: Callable[[int, int, str], object] | None
    ) -> None:
        if store.labels.num_positives == 0:
            raise DataError(f"{store.path}: has no labels to score against. Name another split.")
        self._store, self._run, self._progress = store, run, progress

    def __call__(self, weights: Mapping[str, Tensor], what: str) -> float:
        self._run.predictor.load_state_dict(weights)
        tell = self._progress
        predictions = predict_split(
            self._run.predictor,
            self._store,
            batch_size=self._run.batch_size,
            name=what,
            progress=None if tell is None else lambda done, all_: tell(done, all_, what),
        )
        return score(predictions, self._store.labels).gap


def _choose(
    weights: Mapping[str, Mapping[str, Tensor]], best_first: Iterable[str], measure: _Measure
) -> list[str]:
    """The best checkpoint, and of the others those that the GAP does not fall by."""
    members: list[str] = []
    best = -1.0
    for candidate in best_first:
        wider = [*members, candidate]
        reached = measure(_mean([weights[member] for member in wider]), f"with {candidate}")
        if reached >= best:
            members, best = wider, reached
    return members


def _check(
    path: Path, name: str, method: str, split: str | os.PathLike[str] | None, overwrite: bool
) -> None:
    if method not in METHODS:
        raise UsageError(f"method is {method!r}. Use {' or '.join(METHODS)}.")
    if method == "greedy" and split is None:
        raise UsageError("greedy takes in what raises the GAP. Name the split to score.")
    if name in (*CHECKPOINTS, Path(STATE_FILE).stem) or name != Path(name).name or not name:
        raise UsageError(f"name is {name!r}. Choose a file name that the trainer does not write.")
    if path.exists() and not overwrite:
        raise DataError(f"{path}: is there already. Pass --overwrite, or choose another name.")


def _copy(module: nn.Module) -> dict[str, Tensor]:
    return {key: value.detach().cpu().clone() for key, value in module.state_dict().items()}


def _mean(members: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Means in float64; whole numbers are the last member's."""
    mean = {}
    for key, value in members[-1].items():
        if value.is_floating_point():
            total = torch.stack([member[key].double() for member in members]).mean(dim=0)
            mean[key] = total.to(value.dtype)
        else:
            mean[key] = value
    return mean
