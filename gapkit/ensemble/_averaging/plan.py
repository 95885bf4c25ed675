"""What an average is asked for, checked; and its blocks as a table."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gapkit import _checks
from gapkit._threads import num_threads
from gapkit.ensemble._averaging.lockstep import Block, Lockstep, Recipe
from gapkit.ensemble._members.sources import Member, Reading, make_member
from gapkit.ensemble._modes import check_fill, check_max, check_mode
from gapkit.ensemble._weights import Weights, check_transforms, check_weights, shares_of, to_json
from gapkit.errors import UsageError
from gapkit.predictions import Predictions

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gapkit.ensemble._weights import Knots

_BLOCK_ENTRIES = 10_000_000  # 60 MB of entries
_LABELS_OF_A_ROW = 20
_FEWEST_ROWS_PER_BLOCK, _MOST_ROWS_PER_BLOCK = 256, 16_384


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to average, and how."""

    members: list[Member]
    recipe: Recipe
    shares: Weights
    rows_per_block: int

    @property
    def provenance(self) -> dict[str, Any]:
        """What the result says of its making."""
        return to_json(self.shares)

    def blocks(self, lockstep: Lockstep) -> Iterator[Block]:
        """The averaged rows, block by block."""
        return lockstep.average(self.recipe, self.rows_per_block, num_threads(1 << 30))


def make_plan(
    members: Sequence[Predictions | str | os.PathLike[str]],
    weights: Sequence[float] | None,
    names: Sequence[str] | None,
    top_k: int,
    mode: str,
    fill: str,
    transforms: Sequence[Knots | None] | None,
) -> Plan:
    """Checked arguments of `average`."""
    top_k = _checks.check_top_k(top_k)
    weight_M = check_weights(weights, len(members))
    check_max(check_mode(mode), weight_M)
    check_fill(fill)
    knots_M = check_transforms(transforms, len(members))
    names = _names(members) if names is None else list(names)
    if len(names) != len(members):
        raise UsageError(f"{len(names)} names for {len(members)} members. Give each its name.")
    rows_per_block = _BLOCK_ENTRIES // (_LABELS_OF_A_ROW * len(members))
    rows_per_block = max(_FEWEST_ROWS_PER_BLOCK, min(rows_per_block, _MOST_ROWS_PER_BLOCK))
    how = Reading(
        rows_per_block=rows_per_block,
        only_probabilities=mode == "logit",
    )
    return Plan(
        members=[
            make_member(member, name, how, knots)
            for member, name, knots in zip(members, names, knots_M, strict=True)
        ],
        recipe=Recipe(weights=weight_M, mode=mode, fill=fill, top_k=top_k),
        shares=Weights(
            members=tuple(names),
            weights=tuple(shares_of(weight_M)),
            mode=mode,
            fill=fill,
            transforms=None
            if transforms is None
            else tuple(None if k is None else tuple(map(tuple, k.tolist())) for k in knots_M),
        ),
        rows_per_block=rows_per_block,
    )


def _names(members: Sequence[Predictions | str | os.PathLike[str]]) -> list[str]:
    return [
        f"member {number}" if isinstance(member, Predictions) else str(member)
        for number, member in enumerate(members, start=1)
    ]


def to_table(lockstep: Lockstep, blocks: list[Block]) -> Predictions:
    """Blocks that follow one another as one table."""
    num_rows = sum(len(block.lengths) for block in blocks)
    k = max((block.labels.shape[1] for block in blocks), default=0)
    start = blocks[0].start if blocks else 0
    return Predictions(
        lockstep.ids.slice(start, num_rows),
        _stack([block.labels for block in blocks], k, lockstep.label_dtype),
        _stack([block.confidences for block in blocks], k, np.float32),
        np.concatenate([np.zeros(0, np.int64), *(block.lengths for block in blocks)]),
        num_classes=lockstep.num_classes,
    )


def _stack(rows: list[NDArray[Any]], k: int, dtype: Any) -> NDArray[Any]:
    """Blocks of rows one below another, all k wide."""
    out = np.zeros((sum(map(len, rows)), k), dtype)
    start = 0
    for rows_NT in rows:
        out[start : start + len(rows_NT), : rows_NT.shape[1]] = rows_NT
        start += len(rows_NT)
    return out
