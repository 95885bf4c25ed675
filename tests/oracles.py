"""Slow, obvious answers that gapkit is tested against; written from the formulas, free of gapkit.

A table of predictions is a dict {id: [(label, confidence), ...]}, each row in any order; a table of
labels is a dict {id: {label, ...}}. Confidences are compared as the exact numbers that they are:
whoever wants float32 rounds before.
"""

import csv
import gzip
import io
from fractions import Fraction
from itertools import groupby, permutations, product
from pathlib import Path

import numpy as np

TIES = ("expected", "optimistic", "pessimistic")


def gap_from_hits(confidences, hits, num_positives, ties="expected"):
    """Global Average Precision by exact fractions; the closed form for tied predictions."""
    if ties not in TIES:
        raise ValueError(f"ties={ties!r}")
    if num_positives == 0:
        return 0.0
    terms = []
    num_above = hits_above = 0
    for group in _tied_groups(confidences, hits):
        terms += _precisions_of_group(num_above, hits_above, len(group), sum(group), ties)
        num_above += len(group)
        hits_above += sum(group)
    return float(_exact_sum(terms) / int(num_positives))


def gap_by_enumeration(confidences, hits, num_positives, ties="expected"):
    """Global Average Precision as the mean, largest or smallest over all orders of the tied."""
    if num_positives == 0:
        return 0.0
    orders_of_groups = [list(permutations(group)) for group in _tied_groups(confidences, hits)]
    gaps = []
    for orders in product(*orders_of_groups):
        ranking = [hit for order in orders for hit in order]
        gaps.append(sum(_precisions_at_hits(ranking), Fraction(0)) / int(num_positives))
    rules = {"expected": lambda gaps: sum(gaps) / len(gaps), "optimistic": max, "pessimistic": min}
    return float(rules[ties](gaps))


def starter_code_gap(confidences, hits, num_positives):
    """Global Average Precision by the rule of the YouTube-8M starter code, in floats, without ties.

    The pooled list by falling confidence; at each hit the precision there times the recall gained,
    1 / num_positives. The starter code shuffles ties by a seed; here they are refused.
    """
    confidences = [float(confidence) for confidence in confidences]
    if len(set(confidences)) < len(confidences):
        raise ValueError("the rule is only defined without ties")
    ranking = sorted(zip(confidences, hits, strict=True), key=lambda pair: pair[0], reverse=True)
    num_hits = 0
    total = 0.0
    for position, (_, hit) in enumerate(ranking):
        if hit:
            num_hits += 1
            total += num_hits / (position + 1) * (1 / num_positives)
    return total


def top_k_rows(dense, k):
    """Per row the k largest as [(label, confidence), ...]; equal confidences by rising label."""
    return [_ranked(enumerate(row.tolist()))[:k] for row in np.asarray(dense)]


def score_tables(predictions, labels, num_classes=None, top_k=20, ties="expected"):
    """Every metric of `gapkit score` as a dict; over the labelled videos, 0.0 where there is none.

    A labelled video without a row of predictions is missing, and counts; a predicted id that labels
    lack is ignored, and does not.
    """
    for row in [*([label for label, _ in row] for row in predictions.values()), *labels.values()]:
        if len(set(row)) < len(row):
            raise ValueError(f"the same label twice in {row}")
        if row and (min(row) < 0 or (num_classes is not None and max(row) >= num_classes)):
            raise ValueError(f"a label of {row} is out of range")
    kept = {name: _ranked(predictions.get(name, []))[:top_k] for name in labels}
    pooled = [
        (label, confidence, label in true)
        for name, true in labels.items()
        for label, confidence in kept[name]
    ]
    num_positives = sum(len(true) for true in labels.values())

    hits_at_1 = []
    precisions_at_equal_recall = []
    for name, true in labels.items():
        predicted = [label for label, _ in kept[name]]
        hits_at_1.append(Fraction(bool(predicted) and predicted[0] in true))
        if true:
            num_hits = len(true.intersection(predicted[: len(true)]))
            precisions_at_equal_recall.append(Fraction(num_hits, len(true)))

    average_precisions = []
    for label in sorted(set().union(*labels.values())):
        of_label = [(confidence, hit) for other, confidence, hit in pooled if other == label]
        average_precisions.append(
            gap_from_hits(
                [confidence for confidence, _ in of_label],
                [hit for _, hit in of_label],
                sum(label in true for true in labels.values()),
                ties,
            )
        )

    return {
        "gap": gap_from_hits(
            [confidence for _, confidence, _ in pooled],
            [hit for _, _, hit in pooled],
            num_positives,
            ties,
        ),
        "hit_at_1": _mean(hits_at_1),
        "perr": _mean(precisions_at_equal_recall),
        "map": _mean([Fraction(value) for value in average_precisions]),
        "num_videos": len(labels),
        "num_positives": num_positives,
        "missing": len(labels.keys() - predictions.keys()),
        "ignored": len(predictions.keys() - labels.keys()),
    }


def ensemble(members, weights=None, top_k=20):
    """The weighted mean of the members as {id: [(label, np.float32), ...]}, rows ranked and cut.

    Confidences are summed as float64 in the order of the members, divided by the sum of the
    weights, rounded to float32, then ordered. What a member lacks counts as confidence 0; what no
    member names is not in the row, what only a member of weight 0 names is there with 0.
    """
    if weights is None:
        weights = [1.0] * len(members)
    weights = [float(weight) for weight in weights]
    result = {}
    for name in dict.fromkeys(name for member in members for name in member):
        sums = {}
        for member, weight in zip(members, weights, strict=True):
            for label, confidence in member.get(name, []):
                sums[label] = sums.get(label, 0.0) + weight * float(confidence)
        means = {label: np.float32(total / sum(weights)) for label, total in sums.items()}
        result[name] = _ranked(means.items())[:top_k]
    return result


def layer_norm_lstm(
    x_TD,
    weight_ih,
    weight_hh,
    gain,
    shift,
    *,
    reverse=False,
    forget_bias=1.0,
    epsilon=1e-5,
):
    """Outputs (T, H) of one layer-normalised LSTM layer over one video of T true frames, float64.

    T frames, D features, H units. weight_ih (4H, D), weight_hh (4H, H), gates in the order i f g o;
    gain and shift (5, H), the fifth row the state's. The normalised state is the one carried on
    (TensorFlow's LayerNormBasicLSTMCell). With `reverse` frames are read from the last to the
    first, and each output stands at the position of its frame.
    """
    x_TD, weight_ih, weight_hh, gain, shift = (
        np.asarray(array, dtype=np.float64) for array in (x_TD, weight_ih, weight_hh, gain, shift)
    )
    T, H = len(x_TD), weight_hh.shape[1]

    def normalise(v_H, row):
        mean = sum(v_H) / H
        variance = sum((v_H - mean) ** 2) / H
        return (v_H - mean) / np.sqrt(variance + epsilon) * gain[row] + shift[row]

    h_H, c_H = np.zeros(H), np.zeros(H)
    h_TH = np.zeros((T, H))
    for t in reversed(range(T)) if reverse else range(T):
        a_4H = weight_ih @ x_TD[t] + weight_hh @ h_H
        i_H = _sigmoid(normalise(a_4H[0 * H : 1 * H], 0))
        f_H = _sigmoid(normalise(a_4H[1 * H : 2 * H], 1) + forget_bias)
        g_H = np.tanh(normalise(a_4H[2 * H : 3 * H], 2))
        o_H = _sigmoid(normalise(a_4H[3 * H : 4 * H], 3))
        c_H = normalise(f_H * c_H + i_H * g_H, 4)
        h_H = o_H * np.tanh(c_H)
        h_TH[t] = h_H
    return h_TH


def read_kaggle_csv(path):
    """A submission in the Kaggle format, plain or gzipped, as {id: [(label, confidence), ...]}."""
    content = Path(path).read_bytes()
    if content.startswith(b"\x1f\x8b"):
        content = gzip.decompress(content)
    header, *rows = csv.reader(io.StringIO(content.decode("utf-8"), newline=""))
    if header != ["VideoId", "LabelConfidencePairs"]:
        raise ValueError(f"not a Kaggle CSV: {header}")
    predictions = {}
    for name, pairs in rows:
        if name in predictions:
            raise ValueError(f"id {name!r} twice")
        words = pairs.split()
        predictions[name] = [
            (int(label), float(confidence))
            for label, confidence in zip(words[::2], words[1::2], strict=True)
        ]
    return predictions


def crop(frames, start, stride, max_frames):
    """Every stride-th frame from start on (the last frame where start lies past it), max_frames."""
    return frames[min(start, len(frames) - 1) :: stride][:max_frames]


def _tied_groups(confidences, hits):
    """Hits by falling confidence, one list for each distinct confidence."""
    pairs = [
        (float(confidence), int(hit)) for confidence, hit in zip(confidences, hits, strict=True)
    ]
    pairs.sort(key=lambda pair: pair[0], reverse=True)
    return [[hit for _, hit in group] for _, group in groupby(pairs, key=lambda pair: pair[0])]


def _precisions_of_group(r, p, n, t, ties):
    """Terms of the sum for n tied predictions, t of them hits, after r ranks and p hits."""
    if ties == "optimistic":
        return [Fraction(p + i, r + i) for i in range(1, t + 1)]
    if ties == "pessimistic":
        return [Fraction(p + i, r + n - t + i) for i in range(1, t + 1)]
    if t == 0:
        return []
    if n == 1:
        return [Fraction(t * (p + 1), r + 1)]
    return [
        Fraction(t, n) * (p + 1 + Fraction((j - 1) * (t - 1), n - 1)) / (r + j)
        for j in range(1, n + 1)
    ]


def _precisions_at_hits(ranking):
    return [Fraction(sum(ranking[:rank]), rank) for rank, hit in enumerate(ranking, start=1) if hit]


def _exact_sum(fractions):
    """Their sum, by halves: many times faster than one by one where denominators grow long."""
    if len(fractions) < 2:
        return sum(fractions, Fraction(0))
    half = len(fractions) // 2
    return _exact_sum(fractions[:half]) + _exact_sum(fractions[half:])


def _ranked(pairs):
    """(label, confidence) by falling confidence, then rising label."""
    return sorted(pairs, key=lambda pair: (-pair[1], pair[0]))


def _mean(values):
    return float(sum(values, Fraction(0)) / len(values)) if values else 0.0


def _sigmoid(v):
    return 1 / (1 + np.exp(-v))
