"""All metrics that are one value, or one a label or threshold, and their accumulators."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from inspect import signature
from typing import TYPE_CHECKING, Any

from gapkit.metrics._accumulators.base import Accumulator
from gapkit.metrics._accumulators.gap import GapAccumulator
from gapkit.metrics._accumulators.label import LabelAccumulator
from gapkit.metrics._accumulators.video_mean import VideoMeanAccumulator
from gapkit.metrics._measures import by_label, by_video, curve, gap, psp
from gapkit.metrics._measures.video_mean import check_name, check_setting_names
from gapkit.metrics._ranking.join import rank

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from gapkit.predictions import Labels, Predictions

_NO_SETTINGS = ("predictions", "labels", "rated")


@dataclass(frozen=True)
class Metric:
    """A metric's function, and what makes an accumulator of the same value."""

    function: Callable[..., Any]
    """From (predictions, labels, settings) to the value"""
    make_accumulator: Callable[..., Accumulator]
    """From the settings alone"""

    @property
    def name(self) -> str:
        """The function's."""
        return self.function.__name__

    @property
    def settings(self) -> tuple[str, ...]:
        """Names of the function's keyword arguments, but `rated`, which belongs to the data."""
        return tuple(
            name for name in signature(self.function).parameters if name not in _NO_SETTINGS
        )


def _of_videos(function: Callable[..., float]) -> Metric:
    return Metric(function, partial(VideoMeanAccumulator, function.__name__))


def _of_labels(function: Callable[..., Any]) -> Metric:
    defaults = {
        name: parameter.default
        for name, parameter in signature(function).parameters.items()
        if name not in _NO_SETTINGS
    }
    return Metric(function, partial(LabelAccumulator, function.__name__, **defaults))


METRICS: Mapping[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric(gap.gap, GapAccumulator),
        _of_labels(curve.precision_recall_curve),
        _of_labels(by_label.average_precision),
        _of_labels(by_label.mean_average_precision),
        _of_labels(by_label.label_map_at_k),
        _of_videos(by_video.hit_at_k),
        _of_videos(by_video.precision_at_k),
        _of_videos(by_video.recall_at_k),
        _of_videos(by_video.map_at_k),
        _of_videos(by_video.ndcg_at_k),
        _of_videos(by_video.perr),
        _of_videos(by_video.label_ranking_average_precision),
        _of_videos(psp.psp_at_k),
    )
}


_SUMMARY: tuple[tuple[str, dict[str, int]], ...] = (
    ("gap", {}),
    ("mean_average_precision", {}),
    ("label_map_at_k", {}),
    ("perr", {}),
    ("map_at_k", {"k": 20}),
    ("label_ranking_average_precision", {}),
    *(("hit_at_k", {"k": k}) for k in (1, 5)),
    *(("precision_at_k", {"k": k}) for k in (1, 3, 5)),
    *(("recall_at_k", {"k": k}) for k in (1, 5, 20)),
    *(("ndcg_at_k", {"k": k}) for k in (3, 5)),
    *(("psp_at_k", {"k": k}) for k in (1, 3, 5)),
)


def compute_metrics(
    predictions: Predictions | ArrayLike,
    labels: Labels | ArrayLike,
    *,
    top_k: int | None = 20,
    ties: str = "expected",
    rated: Labels | ArrayLike | None = None,
) -> dict[str, float]:
    """Return every metric of one value by name, at the usual cuts: 'precision_at_5'.

    Parameters
    ----------
    predictions, labels, top_k, ties, rated
        As in `gap`; top_k and ties go to the metrics that take them.

    Returns
    -------
    dict of str to float

    Raises
    ------
    DataError, UsageError
        As `gap` does.

    Examples
    --------
    >>> compute_metrics([[0.9, 0.1], [0.6, 0.8]], [[1, 0], [1, 0]])["precision_at_1"]
    0.5
    """
    joined: Any = rank(predictions, labels, None, rated)
    values = {}
    for name, settings in _SUMMARY:
        metric = METRICS[name]
        known = {"top_k": top_k, "ties": ties}
        common = {key: known[key] for key in known if key in metric.settings}
        value = metric.function(joined, labels, **common, **settings)
        values[name.removesuffix("_k") + f"_{settings['k']}" if settings else name] = value
    return values


def make_accumulator(name: str, **settings: Any) -> Accumulator:
    """Return an accumulator of a metric, by the name of its function.

    Its `compute()` gives what the function gives for all videos at once, to the bit, in any order
    and grouping of updates and merges.

    Parameters
    ----------
    name : str
        Any metric that is no diagnosis: 'gap', 'hit_at_k', ...
    **settings
        The function's keyword arguments but `rated`, which belongs to each update.

    Returns
    -------
    Accumulator
        With update(predictions, labels), merge(other), compute() and reset(); picklable.

    Raises
    ------
    UsageError
        The metric or a setting is not known, or out of its range.

    Examples
    --------
    >>> accumulator = make_accumulator("recall_at_k", k=1)
    >>> accumulator.update([[0.9, 0.1]], [[True, False]])
    >>> accumulator.compute()
    1.0
    """
    check_name(name, METRICS)
    metric = METRICS[name]
    check_setting_names(name, settings, metric.settings)
    return metric.make_accumulator(**settings)
