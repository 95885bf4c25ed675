"""What all accumulators have in common: they merge with their like, and are reset."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Self

from gapkit.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from gapkit.predictions import Labels, Predictions


class Accumulator(ABC):
    """A metric over many updates: update, merge, compute, reset.

    Each video belongs to one update, with all its labels: every row of `labels` counts once. The
    value does not depend on the order of updates and merges, to the bit.
    """

    @property
    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """What must be equal for two accumulators to merge."""

    @abstractmethod
    def update(
        self,
        predictions: Predictions | ArrayLike,
        labels: Labels | ArrayLike,
        *,
        rated: Labels | ArrayLike | None = None,
    ) -> None:
        """Add videos, given as the metric's function takes them."""

    @abstractmethod
    def compute(self) -> Any:
        """The metric of all videos so far."""

    @abstractmethod
    def reset(self) -> None:
        """Forget all videos."""

    def merge(self, other: Self) -> None:
        """Add the videos of another accumulator, which stays as it is.

        Raises
        ------
        UsageError
            The other is of another kind or has other settings.
        """
        if type(other) is not type(self):
            raise UsageError(
                f"{type(other).__name__} does not merge into {type(self).__name__}. "
                f"Merge accumulators of one kind."
            )
        if other.settings != self.settings:
            raise UsageError(
                f"{type(self).__name__} of {_words(other.settings)} does not merge into one of "
                f"{_words(self.settings)}. Make both alike."
            )
        self._add(other)

    @abstractmethod
    def _add(self, other: Self) -> None:
        """Take over the other's state; its settings are the same."""


def _words(settings: dict[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in settings.items())
