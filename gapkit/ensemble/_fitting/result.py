"""What a fit of weights has found, and whether it can be trusted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from gapkit.ensemble._averaging.average import average
from gapkit.ensemble._weights import Weights

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gapkit.ensemble._fitting.stack import Stacker
    from gapkit.ensemble._weights import Knots
    from gapkit.metrics import Bootstrap, Comparison
    from gapkit.predictions import Predictions

_MANY = 10**6  # more labels than any row has


@dataclass(frozen=True, kw_only=True)
class FittedWeights:
    """Weights fitted to a holdout, and what they gain on videos that they were not fitted to.

    `gap` is that of the holdout that the weights were fitted to, so it promises too much. The other
    values are out of fold: each video is scored by what was fitted to the other folds.
    """

    weights: NDArray[np.float64]
    """(M,) fitted to all videos; they sum to 1"""
    gap: float
    """Of these weights on all videos: what `gap` says of `apply(members)`"""
    out_of_fold: Bootstrap
    """GAP of the fit, with its interval"""
    uniform: Bootstrap
    """GAP of uniform weights, which need no fit"""
    best_single: Bootstrap
    """GAP of the best member, chosen on the other folds"""
    versus_uniform: Comparison
    """The fit out of fold and uniform weights, on the same videos"""
    names: tuple[str, ...]
    """Of the members"""
    gaps: NDArray[np.float64]
    """(M,) each member's own, on all videos"""
    fold_weights: NDArray[np.float64] = field(repr=False)
    """(num_folds, M) fitted without each fold"""
    method: str
    mode: str
    fill: str
    top_k: int
    calibrate: str | None
    transforms: tuple[Knots, ...] | None = field(repr=False)
    """The map of each member's confidences, fitted to all videos"""
    stacker: Stacker | None = field(repr=False)
    """What follows the mean where the method is 'stack'"""

    @property
    def better_than_uniform(self) -> bool:
        """Whether the fit beats uniform weights out of fold beyond noise.

        So it does where the whole interval of the difference lies above 0. The randomisation test
        is no judge here: its exchanges mix two scales where members are calibrated or stacked.
        """
        return self.versus_uniform.bca[0] > 0

    def to_weights(self) -> Weights:
        """Return what `write_weights` keeps; a stacker is no part of it."""
        return Weights(
            members=self.names,
            weights=tuple(self.weights.tolist()),
            mode=self.mode,
            fill=self.fill,
            transforms=self.transforms,
        )

    def apply(self, members: Sequence[Predictions], *, strict: bool = False) -> Predictions:
        """Return the ensemble of members in the order of those that were fitted.

        Parameters
        ----------
        members : sequence of Predictions
            The same models' predictions of any videos.
        strict : bool
            Refuse members that lack a video.

        Raises
        ------
        UsageError, DataError
            As `average` does.
        """
        return apply_fit(
            members,
            self.weights,
            self.transforms,
            self.stacker,
            top_k=self.top_k,
            mode=self.mode,
            fill=self.fill,
            names=self.names,
            strict=strict,
        )

    @property
    def summary(self) -> str:
        """A table of what was compared, and the verdict."""
        rows = [
            (f"{self.method}, out of fold", self.out_of_fold),
            ("uniform", self.uniform),
            ("best single, out of fold", self.best_single),
        ]
        width = max(len(name) for name, _ in rows)
        level = f"{100 * self.out_of_fold.confidence_level:g} % interval"
        lines = [f"{'':{width}}      GAP  {level}"]
        lines += [
            f"{name:{width}}  {bars.value:.5f}  {bars.bca[0]:.5f} to {bars.bca[1]:.5f}"
            for name, bars in rows
        ]
        return "\n".join([*lines, self._verdict()])

    def __str__(self) -> str:
        return self.summary

    def _verdict(self) -> str:
        if len(self.weights) == 1:
            return "there is one member: its weight is 1, nothing was fitted."
        test = self.versus_uniform
        low, high = test.bca
        by = f"{test.difference:+.5f}, {low:+.5f} to {high:+.5f}"
        if self.better_than_uniform:
            return f"the fit is better than uniform beyond noise ({by})."
        return f"the fit is not better than uniform beyond noise ({by}): use uniform."


def apply_fit(
    members: Sequence[Predictions],
    weights: NDArray[np.float64],
    transforms: Sequence[Knots] | None,
    stacker: Stacker | None,
    *,
    top_k: int,
    mode: str,
    fill: str,
    names: Sequence[str],
    strict: bool = False,
) -> Predictions:
    """The weighted average, mapped by a stacker if there is one."""
    averaged = average(
        members,
        weights.tolist(),
        top_k=top_k if stacker is None else _MANY,
        mode=mode,
        fill=fill,
        names=names,
        transforms=transforms,
        strict=strict,
    )
    return averaged if stacker is None else stacker.apply(averaged, top_k)
