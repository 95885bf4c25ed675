"""How members are averaged, and what stands for what a member lacks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gapkit.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

MODES = ("mean", "logit", "rank", "rrf", "max")  # in the order of the kernel's numbers
FILLS = ("zero", "minimum")


def check_mode(mode: str) -> str:
    """One of MODES."""
    if mode not in MODES:
        raise UsageError(f"mode is {mode!r}. It must be one of {', '.join(MODES)}.")
    return mode


def check_fill(fill: str) -> str:
    """One of FILLS."""
    if fill not in FILLS:
        raise UsageError(f"fill is {fill!r}. It must be one of {', '.join(FILLS)}.")
    return fill


def check_max(mode: str, weight_M: NDArray[np.float64]) -> None:
    """The largest confidence knows no weights."""
    wrong = np.flatnonzero(weight_M != weight_M[0])
    if mode == "max" and wrong.size:
        raise UsageError(
            f"weight {wrong[0] + 1} differs from weight 1, and mode 'max' weighs nothing. "
            f"Leave the weights out."
        )


def group_by_weight(
    weight_M: NDArray[np.float64],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The order in which members are added, by rising weight; and which of them share theirs.

    So the sum does not depend on the order in which they were given.
    """
    from gapkit._kernels.average import ALONE, LAST, SHARED

    order_M = np.argsort(weight_M, kind="stable")
    sorted_M = weight_M[order_M]
    group_M = np.full(len(weight_M), ALONE, np.int64)
    is_as_next_M = np.append(sorted_M[1:] == sorted_M[:-1], False)
    is_as_last_M = np.append(False, sorted_M[1:] == sorted_M[:-1])
    group_M[is_as_next_M] = SHARED
    group_M[is_as_last_M & ~is_as_next_M] = LAST
    if sorted_M[0] == sorted_M[-1] == 1:  # nothing to weigh
        group_M[:] = ALONE
    return order_M, group_M
