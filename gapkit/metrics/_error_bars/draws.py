"""Draws of videos, many at a time, in threads.

Shape letters: V videos, R rows, L lanes, D draws.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from gapkit._threads import in_threads, num_threads

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gapkit.metrics._error_bars.reweighting import Reweighted, Weights

    Fill = Callable[[Weights, range], None]

_MAX_GROUPS = 200  # of videos, left out one after another


def evaluate_draws(
    metrics: Sequence[Reweighted], num_draws: int, fill: Fill
) -> list[NDArray[np.float64]]:
    """Each metric's values of all draws, (D,).

    `fill(weight_RL, draws)` writes the weights of the draws of a block to the first columns. It is
    called for one block after another, whatever the number of threads.
    """
    from gapkit._kernels.reweight import LANES

    num_blocks = -(-num_draws // LANES)
    values_MD = np.empty((len(metrics), num_blocks * LANES))
    blocks = iter(range(num_blocks))
    lock = Lock()

    def work(_: int) -> None:
        weight_RL = np.zeros((metrics[0].num_rows, LANES), np.uint8)
        while True:
            with lock:
                block = next(blocks, None)
                if block is None:
                    return
                start = block * LANES
                fill(weight_RL, range(start, min(start + LANES, num_draws)))
            for metric, value_D in zip(metrics, values_MD, strict=True):
                metric.evaluate(weight_RL, value_D[start : start + LANES])

    steps = num_draws * sum(metric.num_steps for metric in metrics)
    in_threads(work, range(min(num_threads(steps), num_blocks)))
    return [value_D[:num_draws] for value_D in values_MD]


def draw_videos(rng: np.random.Generator) -> Fill:
    """As many videos as there are, with replacement."""
    from gapkit._kernels.reweight import count_draws

    def fill(weight_VL: Weights, draws: range) -> None:
        weight_VL[:] = 0
        for lane in range(len(draws) if len(weight_VL) else 0):
            count_draws(rng.integers(len(weight_VL), size=len(weight_VL)), lane, weight_VL)

    return fill


def leave_out_groups(metrics: Sequence[Reweighted]) -> list[NDArray[np.float64]]:
    """Each metric without one group of videos after another: every 200th, from each place on."""
    num_groups = max(min(metrics[0].num_rows, _MAX_GROUPS), 1)

    def fill(weight_VL: Weights, draws: range) -> None:
        weight_VL[:] = 1
        for lane, group in enumerate(draws):
            weight_VL[group::num_groups, lane] = 0

    return evaluate_draws(metrics, num_groups, fill)


def swap_files(rng: np.random.Generator) -> Fill:
    """Pairs of draws: each video of one file or the other by a coin's toss, and what is left."""

    def fill(weight_RL: Weights, draws: range) -> None:
        num_videos = len(weight_RL) // 2
        for lane in range(0, len(draws), 2):
            is_first_V = rng.integers(2, size=num_videos, dtype=np.uint8)
            for column, taken_V in ((lane, is_first_V), (lane + 1, 1 - is_first_V)):
                weight_RL[:num_videos, column] = taken_V
                weight_RL[num_videos:, column] = 1 - taken_V

    return fill
