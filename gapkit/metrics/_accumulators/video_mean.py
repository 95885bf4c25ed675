"""Metrics of single videos over many updates."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any, Self

from gapkit.errors import UsageError
from gapkit.metrics._accumulators.base import Accumulator
from gapkit.metrics._measures.video_mean import check_settings, divide_sums, video_sums

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from gapkit.predictions import Labels, Predictions


class VideoMeanAccumulator(Accumulator):
    """A metric of single videos over many updates, exact in any order.

    The value is that of the metric's function on all videos at once, to the bit. It keeps two
    sums, under 1 KB however many the videos (and the propensities of psp_at_k).

    Parameters
    ----------
    metric : str
        'hit_at_k', 'precision_at_k', 'recall_at_k', 'map_at_k', 'ndcg_at_k', 'perr',
        'label_ranking_average_precision' or 'psp_at_k'.
    **settings
        The function's keyword arguments but `rated`, which belongs to each update. psp_at_k needs
        `propensities`: they can't be estimated before all labels are seen.

    Raises
    ------
    UsageError
        The metric or a setting is not known or out of its range.
    DataError
        A propensity is out of range.

    Examples
    --------
    >>> accumulator = VideoMeanAccumulator("hit_at_k", k=1)
    >>> accumulator.update([[0.9, 0.1]], [[True, False]])
    >>> accumulator.update([[0.6, 0.8]], [[True, False]])
    >>> accumulator.compute()
    0.5
    """

    def __init__(self, metric: str, /, **settings: Any) -> None:
        self._metric = metric
        self._settings = check_settings(metric, settings)
        if "propensities" in self._settings and self._settings["propensities"] is None:
            raise UsageError(
                f"an accumulator of {metric} needs propensities: they can't be estimated before "
                f"all labels are seen. Pass those of label_propensities."
            )
        self.reset()

    @property
    def settings(self) -> dict[str, Any]:
        """What must be equal for two accumulators to merge; propensities by their digest."""
        settings = {"metric": self._metric, **self._settings}
        if "propensities" in settings:
            propensity_C = settings["propensities"]
            digest = sha256(propensity_C.tobytes()).hexdigest()[:16]
            settings["propensities"] = f"{len(propensity_C)} of SHA-256 {digest}"
        return settings

    def reset(self) -> None:
        """Forget all videos."""
        self._numerator = 0
        self._denominator = 0

    def update(
        self,
        predictions: Predictions | ArrayLike,
        labels: Labels | ArrayLike,
        *,
        rated: Labels | ArrayLike | None = None,
    ) -> None:
        """Add videos, given as the metric's function takes them; each row of `labels` counts once.

        Raises
        ------
        DataError
            As the metric's function; nothing of the update is kept then.
        """
        numerator, denominator = video_sums(
            self._metric, predictions, labels, rated, self._settings
        )
        self._numerator += numerator
        self._denominator += denominator

    def _add(self, other: Self) -> None:
        self._numerator += other._numerator
        self._denominator += other._denominator

    def compute(self) -> float:
        """The metric of all videos so far, 0.0 without any that counts."""
        return divide_sums(self._numerator, self._denominator)
