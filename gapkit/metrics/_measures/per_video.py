"""What single videos are worth: each metric of videos as a ratio of two sums over them.

A function takes a ranking and gives numerator and denominator of each of the V labelled videos; the
metric is the sum of the one over the sum of the other. For a mean the denominator is 1 for a video
that counts, and the numerator its value.

Shape letters: V labelled videos, N rows of the ranking, K kept predictions of each, H hits among
the first k, P true labels of all videos.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from gapkit.errors import DataError
from gapkit.metrics._measures.propensity import estimate_propensities

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gapkit.metrics._ranking.join import Ranking

    Values = NDArray[np.float64]
    Ratio = tuple[Values, Values]


def hit_values(ranking: Ranking, *, k: int) -> Ratio:
    """1 for a hit among the first k."""
    return (_count_hits(ranking, k) > 0).astype(np.float64), np.ones(ranking.num_videos)


def precision_values(ranking: Ranking, *, k: int) -> Ratio:
    """Hits among the first k, over k."""
    return _count_hits(ranking, k) / float(k), np.ones(ranking.num_videos)


def recall_values(ranking: Ranking, *, k: int) -> Ratio:
    """Hits among the first k, over the true labels."""
    return _over(ranking, _count_hits(ranking, k), ranking.true_by_video)


def average_precision_values(ranking: Ranking, *, k: int) -> Ratio:
    """Sum of the precision at each hit among the first k, over the most that are possible."""
    video_H, rank_H = _hits(ranking, k)
    start = np.flatnonzero(np.diff(video_H, prepend=-1))  # hits of one video stand together
    number_H = np.arange(1, len(video_H) + 1) - np.repeat(start, np.diff(start, append=len(rank_H)))
    return _over(ranking, _add(ranking, video_H, number_H / rank_H), _possible_hits(ranking, k))


def discounted_gain_values(ranking: Ranking, *, k: int) -> Ratio:
    """Sum of 1 / log2(rank + 1) over the hits among the first k, over the largest possible."""
    video_H, rank_H = _hits(ranking, k)
    possible_V = _possible_hits(ranking, k)
    last = max(int(possible_V.max(initial=0)), int(rank_H.max(initial=0)))
    discounts = np.array([0.0, *(1 / math.log2(rank + 1) for rank in range(1, last + 1))])
    gain_V = _add(ranking, video_H, discounts[rank_H])
    return _over(ranking, gain_V, np.cumsum(discounts)[possible_V])


def equal_recall_values(ranking: Ranking, *, top_k: int | None) -> Ratio:
    """Hits among as many predictions as labels are true, over these."""
    video_H, rank_H = _hits(ranking, top_k)
    is_early_H = rank_H <= ranking.true_by_video[video_H]
    hits_V = np.bincount(video_H[is_early_H], minlength=ranking.num_videos)
    return _over(ranking, hits_V, ranking.true_by_video)


def label_ranking_values(ranking: Ranking, *, top_k: int | None) -> Ratio:
    """Mean over the true labels of the share of true ones among what is as confident."""
    from gapkit._kernels.by_video import sum_tied_precision

    sum_N = np.empty(len(ranking.videos))
    sum_tied_precision(
        np.ascontiguousarray(ranking.confidences[:, :top_k]),
        np.ascontiguousarray(ranking.hits[:, :top_k]),
        np.minimum(ranking.lengths, ranking.hits[:, :top_k].shape[1]),
        sum_N,
    )
    sum_V = _add(ranking, ranking.videos, sum_N)
    mean_V, is_true_V = _over(ranking, sum_V, ranking.true_by_video)
    return np.where(is_true_V, mean_V, 1.0), np.ones(ranking.num_videos)


def propensity_values(ranking: Ranking, *, k: int, propensities: Values | None) -> Ratio:
    """Sum of 1 / propensity over the hits among the first k, and the largest possible."""
    if propensities is None:
        propensities = estimate_propensities(ranking.positives_by_label, ranking.num_videos)
    needed = int(ranking.true_labels.max()) + 1 if ranking.num_positives else 0
    if len(propensities) < needed:
        raise DataError(
            f"{len(propensities)} propensities, but label {needed - 1} is true. "
            f"Give {needed} or more, one a label."
        )
    video_H, _ = _hits(ranking, k)
    label_H = ranking.labels[:, :k][ranking.hits[:, :k]]
    gain_V = _add(ranking, video_H, 1 / propensities[label_H])
    order_C = np.argsort(propensities, kind="stable")  # adds up without regard to labels' order
    place_C = np.empty_like(order_C)
    place_C[order_C] = np.arange(len(order_C))
    video_P = np.repeat(np.arange(ranking.num_videos), ranking.true_by_video)
    key_P = np.sort(video_P * max(len(order_C), 1) + place_C[ranking.true_labels])
    start_V = np.cumsum(ranking.true_by_video) - ranking.true_by_video
    is_first_P = np.arange(len(key_P)) - start_V[video_P] < k
    rarest = propensities[order_C[key_P[is_first_P] - video_P[is_first_P] * len(order_C)]]
    best_V = _add(ranking, video_P[is_first_P], 1 / rarest)
    return np.minimum(gain_V, best_V), best_V  # the two sums may be rounded apart


def _hits(ranking: Ranking, k: int | None) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Each hit among the first k of its video, best first: video, rank from 1; (H,)."""
    hit_NK = ranking.hits[:, :k]
    place_H = np.flatnonzero(hit_NK)
    row_H = place_H // max(hit_NK.shape[1], 1)  # divmod takes three times as long
    return ranking.videos[row_H], place_H - row_H * hit_NK.shape[1] + 1


def _count_hits(ranking: Ranking, k: int) -> NDArray[np.int64]:
    """Hits among the first k of each video, (V,)."""
    return np.bincount(_hits(ranking, k)[0], minlength=ranking.num_videos)


def _add(ranking: Ranking, video_H: NDArray[np.int64], value_H: Values) -> Values:
    """The sum of each video's values, one after another from the first: (V,)."""
    sum_V = np.bincount(video_H, weights=value_H, minlength=ranking.num_videos)
    return np.asarray(sum_V, np.float64)


def _possible_hits(ranking: Ranking, k: int) -> NDArray[np.int64]:
    """Hits that the best first k would hold, (V,)."""
    return np.minimum(ranking.true_by_video, min(k, np.iinfo(np.int64).max))


def _over(ranking: Ranking, value_V: NDArray[Any], possible_V: NDArray[Any]) -> Ratio:
    """Shares of what is possible, of the videos that have a true label."""
    is_counted_V = ranking.true_by_video > 0
    share_V = np.divide(value_V, possible_V, out=np.zeros(len(value_V)), where=is_counted_V)
    return share_V, is_counted_V.astype(np.float64)
