"""Searches for the weights of the largest GAP over some videos."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gapkit.ensemble._fitting.table import Trial

if TYPE_CHECKING:
    from numpy.typing import NDArray

_NUM_STEPS = 25  # of the forward selection, as in AutoGluon
_PATIENCE = 10  # steps without a better GAP
_FEW = 8  # members, all of which are tried at each step
_STEPS_OF_A_ROUND = 4
_LEAST_GAIN = 1e-5  # beyond what the bins of a trial are off, and far below any holdout's noise
_FACTORS = (3.0, 1.6, 1.25)  # by which a weight is multiplied and divided
_MAX_SWEEPS = 12


def greedy(trial: Trial) -> NDArray[np.float64]:
    """Forward selection with replacement: the best prefix, or uniform where that is better.

    Each step adds the member that raises GAP most, or lowers it least; of equal ones one that is
    chosen already. Of equal prefixes the shortest is the best. Of many members only every fourth
    step tries all, the three after it the best third of these: half the time, to the same GAP.
    """
    num_members = trial.table.num_members
    trial.set(np.ones(num_members))
    uniform_gap = trial.gap()
    trial.reset()
    best_M, best_gap, best_step = trial.weights.copy(), -1.0, 0
    tried = np.arange(num_members)
    for step in range(_NUM_STEPS):
        starts_round = num_members <= _FEW or step % _STEPS_OF_A_ROUND == 0
        if starts_round:
            tried = np.arange(num_members)
        gap_M = np.full(num_members, -1.0)
        gap_M[tried] = [trial.gap_after(m, 1.0) for m in tried.tolist()]
        if starts_round:
            tried = np.sort(np.argsort(-gap_M, kind="stable")[: max(_FEW, num_members // 3)])
        near_M = np.flatnonzero(gap_M >= gap_M.max() - 1e-12)
        chosen = near_M[np.argmax(trial.weights[near_M] > 0)]
        trial.move(int(chosen), 1.0)
        if gap_M[chosen] > best_gap + _LEAST_GAIN:
            best_M, best_gap, best_step = trial.weights.copy(), float(gap_M[chosen]), step
        if step - best_step >= _PATIENCE:
            break
    if uniform_gap > best_gap + _LEAST_GAIN:
        return np.full(num_members, 1 / num_members)
    return np.asarray(best_M / best_M.sum(), np.float64)


def coordinate(trial: Trial) -> NDArray[np.float64]:
    """Coordinate ascent from uniform weights: one weight after another, others keep their ratios.

    A weight is tried at 0, divided and multiplied by a factor; one that is 0 is tried at the
    uniform weight and at that over the factor. When no weight moves, the factor shrinks.
    """
    num_members = trial.table.num_members
    trial.set(np.ones(num_members))
    best_gap = trial.gap()
    level = 0
    for _ in range(_MAX_SWEEPS):
        has_moved = False
        for m in range(num_members):
            weight = float(trial.weights[m])
            anchor = weight or float(trial.weights.sum()) / num_members
            tries = [anchor / _FACTORS[level], anchor * _FACTORS[level] if weight else anchor]
            if 0 < weight < trial.weights.sum():
                tries.append(0.0)
            gaps = [trial.gap_after(m, new - weight) for new in tries]
            at = int(np.argmax(gaps))
            if gaps[at] > best_gap + _LEAST_GAIN:
                trial.move(m, tries[at] - weight)
                trial.weights[m] = tries[at]
                best_gap, has_moved = gaps[at], True
        if not has_moved:
            level += 1
            if level == len(_FACTORS):
                break
        trial.set(trial.weights / trial.weights.sum() * num_members)
    return np.asarray(trial.weights / trial.weights.sum(), np.float64)


def best_single(trial: Trial) -> NDArray[np.float64]:
    """All weight on the member of the largest GAP, the first of equal ones."""
    trial.reset()
    gap_M = [trial.gap_after(m, 1.0) for m in range(trial.table.num_members)]
    weight_M = np.zeros(len(gap_M))
    weight_M[int(np.argmax(gap_M))] = 1.0
    return weight_M


SEARCHES = {"greedy": greedy, "coordinate": coordinate}
