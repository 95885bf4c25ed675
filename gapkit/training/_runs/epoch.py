"""What an epoch brought: a line of metrics.jsonl."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

from gapkit.metrics import Score


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """What an epoch brought; a line of metrics.jsonl."""

    epoch: int
    """From 1"""
    num_examples: int
    """Videos seen since the start"""
    loss: float
    """Mean over the epoch's videos"""
    videos_per_second: float
    """In training, validation left out"""
    wait_share: float
    """Of the training time, spent waiting for data"""
    score: Score
    """Of the holdout"""
    is_best: bool
    """Whether no epoch before had a higher GAP"""

    def to_record(self) -> dict[str, Any]:
        """Return the line of metrics.jsonl: its own fields beside the score's."""
        own = {key: value for key, value in vars(self).items() if key != "score"}
        return {**own, **vars(self.score)}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        """Return the epoch of a line."""
        of_score = {field.name for field in fields(Score)}
        result = Score(**{key: value for key, value in record.items() if key in of_score})
        own = {key: value for key, value in record.items() if key not in of_score}
        return cls(**own, score=result)


@dataclass(frozen=True, kw_only=True)
class Pretraining:
    """What an epoch of a first phase without labels brought; a line of metrics.jsonl."""

    epoch: int
    """From 1"""
    loss: float
    """Mean over the epoch's videos"""

    def to_record(self) -> dict[str, Any]:
        """Return the line of metrics.jsonl."""
        return {"phase": "pretraining", **vars(self)}
