"""The one mechanism of all metrics of videos: settings, values, and their exact ratio."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gapkit import _checks
from gapkit.errors import UsageError
from gapkit.metrics._measures import per_video
from gapkit.metrics._measures.propensity import check_propensities
from gapkit.metrics._ranking.exact_sum import exact_sum
from gapkit.metrics._ranking.join import Ranking, rank
from gapkit.predictions import Labels, Predictions

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from gapkit.metrics._measures.per_video import Ratio


@dataclass(frozen=True)
class VideoMetric:
    """A metric that is a sum over videos over another."""

    values: Callable[..., Ratio]
    """From a ranking and the settings to numerators and denominators, (V,) each"""
    settings: Mapping[str, Any]
    """Names and defaults; `k` or `top_k` is where the rankings are cut"""


VIDEO_METRICS: Mapping[str, VideoMetric] = {
    "hit_at_k": VideoMetric(per_video.hit_values, {"k": 1}),
    "precision_at_k": VideoMetric(per_video.precision_values, {"k": 5}),
    "recall_at_k": VideoMetric(per_video.recall_values, {"k": 5}),
    "map_at_k": VideoMetric(per_video.average_precision_values, {"k": 20}),
    "ndcg_at_k": VideoMetric(per_video.discounted_gain_values, {"k": 5}),
    "perr": VideoMetric(per_video.equal_recall_values, {"top_k": 20}),
    "label_ranking_average_precision": VideoMetric(per_video.label_ranking_values, {"top_k": None}),
    "psp_at_k": VideoMetric(per_video.propensity_values, {"k": 5, "propensities": None}),
}


def video_mean(
    name: str,
    predictions: Predictions | ArrayLike,
    labels: Labels | ArrayLike,
    rated: Labels | ArrayLike | None,
    **settings: Any,
) -> float:
    """A metric's value."""
    settings = check_settings(name, settings)
    return divide_sums(*video_sums(name, predictions, labels, rated, settings))


def divide_sums(numerator: int, denominator: int) -> float:
    """The ratio of two exact sums, rounded once; 0.0 of nothing."""
    return numerator / denominator if denominator else 0.0


def video_sums(
    name: str,
    predictions: Predictions | ArrayLike,
    labels: Labels | ArrayLike,
    rated: Labels | ArrayLike | None,
    settings: Mapping[str, Any],
) -> tuple[int, int]:
    """The exact sums of numerators and denominators, for settings that are checked."""
    numerator_V, denominator_V = measure_videos(name, predictions, labels, rated, settings)
    return exact_sum(numerator_V), exact_sum(denominator_V)


def measure_videos(
    name: str,
    predictions: Predictions | ArrayLike | Ranking,
    labels: Labels | ArrayLike,
    rated: Labels | ArrayLike | None,
    settings: Mapping[str, Any],
) -> Ratio:
    """Numerators and denominators, (V,) each, for settings that are checked."""
    ranking = rank(predictions, labels, settings.get("k", settings.get("top_k")), rated)
    return VIDEO_METRICS[name].values(ranking, **settings)


def check_settings(name: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """All settings of a metric of videos, checked, defaults included."""
    check_name(name, VIDEO_METRICS)
    check_setting_names(name, settings, VIDEO_METRICS[name].settings)
    complete = {**VIDEO_METRICS[name].settings, **settings}
    if "k" in complete:
        complete["k"] = _checks.check_top_k(complete["k"], "k")
    if complete.get("top_k") is not None:
        complete["top_k"] = _checks.check_top_k(complete["top_k"])
    if complete.get("propensities") is not None:
        complete["propensities"] = check_propensities(complete["propensities"])
    return complete


def check_name(name: str, known: Iterable[str]) -> None:
    """Refuse a metric that is not known."""
    known = list(known)
    if name not in known:
        raise UsageError(f"metric {name!r} is not known. Choose one of {', '.join(known)}.")


def check_setting_names(name: str, settings: Iterable[str], known: Iterable[str]) -> None:
    """Refuse settings that a metric does not take."""
    for setting in sorted(set(settings) - set(known)):
        raise UsageError(f"{name} has no setting {setting!r}. It takes {', '.join(known)}.")
