"""Weights that maximise GAP on a holdout, and what of the gain is real."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gapkit._threads import num_threads
from gapkit.ensemble._fitting.calibrate import check_calibration, fit_members
from gapkit.ensemble._fitting.folds import assign_folds, pick_folds
from gapkit.ensemble._fitting.result import FittedWeights, apply_fit
from gapkit.ensemble._fitting.search import SEARCHES, best_single
from gapkit.ensemble._fitting.stack import Stacker, fit_stacker
from gapkit.ensemble._fitting.table import Table, Trial, lay_out, read_members
from gapkit.ensemble._members.pieces import transform_table
from gapkit.errors import UsageError
from gapkit.metrics import bootstrap_gap, compare_gap, gap
from gapkit.predictions import Labels, Predictions

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gapkit.ensemble._weights import Knots

METHODS = (*SEARCHES, "stack")


def fit_weights(
    members: Sequence[Predictions | str | os.PathLike[str]],
    labels: Labels,
    *,
    method: str = "greedy",
    num_folds: int = 5,
    seed: int = 0,
    top_k: int = 20,
    mode: str = "mean",
    fill: str = "zero",
    calibrate: str | None = None,
    names: Sequence[str] | None = None,
    num_resamples: int = 1000,
    confidence_level: float = 0.95,
) -> FittedWeights:
    """Return the weights of the largest GAP on a holdout, and whether they beat uniform ones.

    Whatever is fitted is fitted once to all videos, for use, and once without each fold, to be
    scored on it: the pooled predictions of all folds give an honest GAP. Read
    `better_than_uniform` before the weights.

    Parameters
    ----------
    members : sequence of Predictions or path
        Predictions of the holdout; all in memory.
    labels : Labels
        The holdout's truth. Predicted ids without labels are left out.
    method : {'greedy', 'coordinate', 'stack'}
        Forward selection with replacement, up to 25 picks, the best prefix, or uniform where that
        is better; coordinate ascent from uniform; or greedy weights, then for each label a scale
        and a bias of the mean's log odds, shrunk towards those of all labels.
    num_folds : int
        From 2 to the number of labelled videos. A video's fold depends on its id and the seed, not
        on the order of rows.
    seed : int
        Of the folds and the resamples.
    top_k, mode, fill
        As in `average`; the mode 'max' has no weights.
    calibrate : {None, 'temperature', 'isotonic'}
        Map each member's confidences to shares of hits before they are averaged: by a logistic
        curve of their log odds, or by any rising curve.
    names : sequence of str, optional
        What errors and the result call the members.
    num_resamples, confidence_level
        As in `gapkit.metrics.bootstrap_gap`.

    Returns
    -------
    FittedWeights
        Printed, it says what was compared. Of one member the weight is 1.

    Raises
    ------
    UsageError
        No members; an unknown method, mode, fill or calibration; a seed, top_k or number of folds
        out of range.
    DataError
        A member without a video of the labels, labels without a positive, negative confidences.

    References
    ----------
    Caruana et al., Ensemble Selection from Libraries of Models, 2004; here as in AutoGluon, without
    its bags of models. GAP is found within some 1e-6 while weights are sought, and exactly for all
    that is returned.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> truth = rng.random((300, 8)) < 0.3
    >>> good, bad = (truth + a * rng.random((300, 8)) for a in (1.2, 9))
    >>> ids = [str(n) for n in range(300)]
    >>> members = [Predictions.from_dense(c / c.max(), ids, top_k=5) for c in (good, bad)]
    >>> fitted = fit_weights(members, Labels.from_dense(truth, ids))
    >>> fitted.weights[0] > 0.9, fitted.better_than_uniform
    (np.True_, True)
    """
    if method not in METHODS:
        raise UsageError(f"method is {method!r}. It must be one of {', '.join(METHODS)}.")
    check_calibration(calibrate)
    if method == "stack" and mode != "mean":
        raise UsageError(f"mode is {mode!r}. The method 'stack' starts from the mode 'mean'.")
    tables, names = read_members(members, names)
    fold_V = assign_folds(labels, num_folds, seed)
    how = _How(
        method=method,
        members=tables,
        labels=labels,
        names=tuple(names),
        top_k=top_k,
        mode=mode,
        fill=fill,
        calibrate=calibrate,
    )
    plain = how.lay_out(tables)
    confidence = how.lay_confidences(plain)
    everything = np.arange(len(labels))
    jobs = [everything, *(np.flatnonzero(fold_V != fold) for fold in range(num_folds))]

    def fit(videos: NDArray[np.int64]) -> _Fit:
        return how.fit(plain, confidence, videos)

    with ThreadPoolExecutor(min(num_threads(len(plain.lows) * len(members)), len(jobs))) as pool:
        final, *fits = pool.map(fit, jobs)
    uniform = how.apply(np.ones(len(members)), None, None)
    fitted = pick_folds(
        [how.apply(f.weights, f.transforms, f.stacker) for f in fits], labels, fold_V
    )
    single = pick_folds([how.apply(f.single, None, None) for f in fits], labels, fold_V)
    settings: dict[str, Any] = {
        "top_k": top_k,
        "num_resamples": num_resamples,
        "confidence_level": confidence_level,
        "seed": seed,
    }
    return FittedWeights(
        weights=final.weights,
        gap=gap(how.apply(final.weights, final.transforms, final.stacker), labels, top_k=top_k),
        out_of_fold=bootstrap_gap(fitted, labels, **settings),
        uniform=bootstrap_gap(uniform, labels, **settings),
        best_single=bootstrap_gap(single, labels, **settings),
        versus_uniform=compare_gap(fitted, uniform, labels, **settings),
        names=tuple(names),
        gaps=np.array([gap(table, labels, top_k=top_k) for table in tables]),
        fold_weights=np.array([f.weights for f in fits]),
        method=method,
        mode=mode,
        fill=fill,
        top_k=top_k,
        calibrate=calibrate,
        transforms=final.transforms,
        stacker=final.stacker,
    )


@dataclass(frozen=True, kw_only=True)
class _Fit:
    """What was fitted to some of the videos."""

    weights: NDArray[np.float64]
    transforms: tuple[Knots, ...] | None
    stacker: Stacker | None
    single: NDArray[np.float64]
    """All weight on the best member"""


@dataclass(frozen=True, kw_only=True)
class _How:
    """The members, and what is fitted to them."""

    members: list[Predictions]
    labels: Labels
    names: tuple[str, ...]
    top_k: int
    mode: str
    fill: str
    method: str
    calibrate: str | None

    def lay_out(self, members: list[Predictions]) -> Table:
        return lay_out(
            members,
            self.labels,
            names=self.names,
            top_k=self.top_k,
            mode=self.mode,
            fill=self.fill,
        )

    def lay_confidences(self, plain: Table) -> Table:
        """The table whose values are confidences, which calibration starts from."""
        if self.calibrate is None or (self.mode, self.fill) == ("mean", "zero"):
            return plain
        return lay_out(
            self.members,
            self.labels,
            names=self.names,
            top_k=self.top_k,
            mode="mean",
            fill="zero",
        )

    def fit(self, plain: Table, confidence: Table, videos: NDArray[np.int64]) -> _Fit:
        trial = Trial(plain, videos)
        single = best_single(trial)
        transforms = None
        if self.calibrate is not None:
            predictions = [confidence.predictions_of(m, videos) for m in range(len(self.members))]
            transforms = fit_members(predictions, self.calibrate, self.names)
            mapped = [
                transform_table(member, np.array(knots))
                for member, knots in zip(self.members, transforms, strict=True)
            ]
            trial = Trial(self.lay_out(mapped), videos)
        weights = np.ones(1)
        if len(self.members) > 1:
            weights = SEARCHES.get(self.method, SEARCHES["greedy"])(trial)
        stacker = None
        if self.method == "stack":
            trial.set(weights)
            entries, means = trial.means()
            table = trial.table
            stacker = fit_stacker(
                table.labels[entries], means, table.hits[entries], table.num_classes
            )
        return _Fit(weights=weights, transforms=transforms, stacker=stacker, single=single)

    def apply(
        self,
        weights: NDArray[np.float64],
        transforms: tuple[Knots, ...] | None,
        stacker: Stacker | None,
    ) -> Predictions:
        return apply_fit(
            self.members,
            weights,
            transforms,
            stacker,
            top_k=self.top_k,
            mode=self.mode,
            fill=self.fill,
            names=self.names,
        )
