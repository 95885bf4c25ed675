"""What each member of an ensemble is worth, and its table."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """What each of M members is worth to an ensemble, and how alike they are."""

    names: tuple[str, ...]
    """(M,)"""
    weights: NDArray[np.float64]
    """(M,) they sum to 1"""
    gap: float
    """Of the ensemble"""
    gaps: NDArray[np.float64]
    """(M,) of each member alone"""
    leave_one_out: NDArray[np.float64]
    """(M,) GAP of all minus GAP of all others, whose weights keep their ratios"""
    leave_one_out_intervals: NDArray[np.float64]
    """(M, 2) percentile intervals over drawn videos, paired"""
    shapley: NDArray[np.float64]
    """(M,) mean gain of adding the member, over random orders of all; they sum to `gap`"""
    shapley_errors: NDArray[np.float64]
    """(M,) standard error of that mean, from the orders drawn; NaN for a single one"""
    correlations: NDArray[np.float64]
    """(M, M) Pearson's, of the confidences of the labels that both name; NaN where they are alike
    in all or fewer than 2"""
    overlaps: NDArray[np.float64]
    """(M, M) share of the labels of either that both name"""
    order: NDArray[np.int64]
    """(M,) forward selection without replacement, from the best member on"""
    sizes: NDArray[np.int64]
    """(S,) 1, 2, 4, 8, ... and M"""
    size_gaps: NDArray[np.float64]
    """(S,) GAP of the uniform mean of so many first members of `order`"""
    confidence_level: float = field(repr=False)
    """Of the intervals"""

    @property
    def neighbours(self) -> NDArray[np.int64]:
        """(M,) the member whose confidences correlate most with each; itself where none does."""
        other_MM = np.where(np.isnan(self.correlations), -np.inf, self.correlations)
        np.fill_diagonal(other_MM, -np.inf)
        nearest_M = other_MM.argmax(axis=1)
        own_M = np.arange(len(self.names))
        return np.where(np.isfinite(other_MM[own_M, nearest_M]), nearest_M, own_M)

    @property
    def header(self) -> tuple[str, ...]:
        """Of `rows`."""
        level = f"{100 * self.confidence_level:g} % interval"
        return ("member", "gap", "weight", "leave out", level, "shapley", "+-", "nearest", "r")

    @property
    def rows(self) -> list[tuple[str, ...]]:
        """A row a member, as text."""
        rows: list[tuple[str, ...]] = []
        for m, near in enumerate(self.neighbours.tolist()):
            low, high = self.leave_one_out_intervals[m]
            rows.append(
                (
                    self.names[m],
                    f"{self.gaps[m]:.5f}",
                    f"{self.weights[m]:.4f}",
                    f"{self.leave_one_out[m]:+.5f}",
                    f"{low:+.5f} to {high:+.5f}",
                    f"{self.shapley[m]:+.5f}",
                    f"{self.shapley_errors[m]:.5f}",
                    "-" if near == m else self.names[near],
                    "-" if near == m else f"{self.correlations[m, near]:.3f}",
                )
            )
        return rows

    def __str__(self) -> str:
        lines = [self.header, *self.rows]
        widths = [max(len(line[column]) for line in lines) for column in range(len(self.header))]
        text = [
            "  ".join(
                cell.ljust(width) if column in (0, 7) else cell.rjust(width)
                for column, (cell, width) in enumerate(zip(line, widths, strict=True))
            ).rstrip()
            for line in lines
        ]
        best = ", ".join(
            f"{size}: {value:.5f}"
            for size, value in zip(self.sizes.tolist(), self.size_gaps.tolist(), strict=True)
        )
        return "\n".join([*text, f"all: {self.gap:.5f}; best means of so many members: {best}"])
