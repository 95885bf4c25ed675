"""Slow, obvious answers that `gapkit.metrics` is tested against; free of gapkit.

Tables are those of `oracles`: predictions {id: [(label, confidence), ...]}, labels {id: {label,
...}}. `rated`, where given, is {id: {label, ...}}: the pairs that somebody judged. What is rational
is computed in exact fractions, and turned into a float at the end.
"""

import math
from fractions import Fraction
from itertools import combinations, groupby, permutations, product

import numpy as np
import oracles
from oracles import (
    _exact_sum,
    _mean,
    _precisions_at_hits,
    _precisions_of_group,
    _ranked,
    _tied_groups,
)


def keep(predictions, labels, top_k=None, rated=None):
    """Per labelled video the predictions that count, [(label, confidence, hit), ...], ranked."""
    kept = {}
    for name, true in labels.items():
        row = predictions.get(name, [])
        if rated is not None:
            judged = rated.get(name, set())
            if not true <= judged:
                raise ValueError(f"{name}: labels {true - judged} are true but not rated")
            row = [(label, confidence) for label, confidence in row if label in judged]
        ranked = _ranked(row)[:top_k]
        kept[name] = [(label, confidence, label in true) for label, confidence in ranked]
    return kept


# GAP and what is like it


def gap(predictions, labels, *, top_k=20, ties="expected", rated=None):
    kept = keep(predictions, labels, top_k, rated)
    return float(_average_precision(_pool(kept), _num_positives(labels), ties))


def average_precision(
    predictions, labels, *, top_k=20, ties="expected", rated=None, num_classes=None
):
    """One value a label, NaN for those that are true nowhere."""
    values = _average_precisions(predictions, labels, top_k, ties, rated)
    num_classes = _num_classes(predictions, labels) if num_classes is None else num_classes
    return [float(values.get(label, math.nan)) for label in range(num_classes)]


def mean_average_precision(predictions, labels, *, top_k=20, ties="expected", rated=None):
    return _mean(list(_average_precisions(predictions, labels, top_k, ties, rated).values()))


def label_map_at_k(predictions, labels, k=100_000, *, top_k=None, ties="expected", rated=None):
    return _mean(list(_average_precisions(predictions, labels, top_k, ties, rated, k).values()))


def label_map_at_k_by_enumeration(
    predictions, labels, k=100_000, *, top_k=None, ties="expected", rated=None
):
    """The same from every order of the tied predictions, each cut after rank k."""
    rules = {"expected": lambda values: sum(values) / len(values), "optimistic": max}
    rule = rules.get(ties, min)
    means = []
    for pairs, num_positives in _lists_of_labels(predictions, labels, top_k, rated).values():
        sums = [sum(_precisions_at_hits(ranking[:k]), Fraction(0)) for ranking in _orders_of(pairs)]
        means.append(rule(sums) / min(k, num_positives))
    return _mean(means)


def precision_recall_curve(predictions, labels, *, top_k=20, rated=None):
    """(precision, recall, thresholds): one point a threshold, then precision 1 at recall 0.

    Recall without positives is 0.
    """
    pairs = _pool(keep(predictions, labels, top_k, rated))
    thresholds = sorted({confidence for confidence, _ in pairs})
    precision, recall = [], []
    for threshold in thresholds:
        at_least = [hit for confidence, hit in pairs if confidence >= threshold]
        precision.append(float(Fraction(sum(at_least), len(at_least))))
        recall.append(float(Fraction(sum(at_least), max(_num_positives(labels), 1))))
    return [*precision, 1.0], [*recall, 0.0], thresholds


# Video by video


def hit_at_k(predictions, labels, k=1, *, rated=None):
    return _mean([Fraction(any(hits)) for hits, _ in _hits(predictions, labels, k, rated)])


def precision_at_k(predictions, labels, k=5, *, rated=None):
    return _mean([Fraction(sum(hits), k) for hits, _ in _hits(predictions, labels, k, rated)])


def recall_at_k(predictions, labels, k=5, *, rated=None):
    return _mean(
        [
            Fraction(sum(hits), num_true)
            for hits, num_true in _hits(predictions, labels, k, rated)
            if num_true
        ]
    )


def map_at_k(predictions, labels, k=20, *, rated=None):
    return _mean(
        [
            sum(_precisions_at_hits(hits), Fraction(0)) / min(k, num_true)
            for hits, num_true in _hits(predictions, labels, k, rated)
            if num_true
        ]
    )


def ndcg_at_k(predictions, labels, k=5, *, rated=None):
    def gain(hits):
        return math.fsum(1 / math.log2(rank + 1) for rank, hit in enumerate(hits, 1) if hit)

    values = [
        gain(hits) / gain([True] * min(k, num_true))
        for hits, num_true in _hits(predictions, labels, k, rated)
        if num_true
    ]
    return math.fsum(values) / len(values) if values else 0.0


def perr(predictions, labels, *, top_k=20, rated=None):
    return _mean(
        [
            Fraction(sum(hits[:num_true]), num_true)
            for hits, num_true in _hits(predictions, labels, top_k, rated)
            if num_true
        ]
    )


def label_ranking_average_precision(predictions, labels, *, top_k=None, rated=None):
    values = []
    for name, row in keep(predictions, labels, top_k, rated).items():
        shares = [
            Fraction(
                sum(other >= own and hit for _, other, hit in row),
                sum(other >= own for _, other, _ in row),
            )
            for _, own, hit in row
            if hit
        ]
        num_true = len(labels[name])
        values.append(sum(shares, Fraction(0)) / num_true if num_true else Fraction(1))
    return _mean(values)


def label_propensities(labels, *, a=0.55, b=1.5, num_classes=None):
    """Jain et al. 2016, equation 2; 1 where c is negative, which would say more than 1."""
    num_classes = _num_classes({}, labels) if num_classes is None else num_classes
    c = (math.log(len(labels)) - 1) * (b + 1) ** a if labels else 0.0
    counts = [sum(label in true for true in labels.values()) for label in range(num_classes)]
    return [1 / (1 + max(c, 0) * math.exp(-a * math.log(count + b))) for count in counts]


def psp_at_k(predictions, labels, k=5, *, propensities=None, rated=None):
    if propensities is None:
        propensities = label_propensities(labels)
    gained, best = Fraction(0), Fraction(0)
    for name, row in keep(predictions, labels, k, rated).items():
        gained += sum(1 / Fraction(float(propensities[label])) for label, _, hit in row if hit)
        weights = [1 / Fraction(float(propensities[label])) for label in labels[name]]
        best += sum(sorted(weights, reverse=True)[:k])
    return float(gained / best) if best else 0.0


# Diagnosis


def gap_contributions(
    predictions, labels, *, top_k=20, ties="expected", rated=None, num_classes=None
):
    """The sum of each group of tied predictions, shared equally by its hits, over num_positives."""
    num_classes = _num_classes(predictions, labels) if num_classes is None else num_classes
    num_positives = _num_positives(labels)
    by_label = [Fraction(0)] * num_classes
    by_video = dict.fromkeys(labels, Fraction(0))
    kept = keep(predictions, labels, top_k, rated)
    pooled = [(name, *prediction) for name, row in kept.items() for prediction in row]
    pooled.sort(key=lambda prediction: -prediction[2])
    num_above = hits_above = 0
    for _, tied in groupby(pooled, key=lambda prediction: prediction[2]):
        group = list(tied)
        hits = [(name, label) for name, label, _, hit in group if hit]
        terms = _precisions_of_group(num_above, hits_above, len(group), len(hits), ties)
        for name, label in hits:
            share = _exact_sum(terms) / len(hits) / num_positives
            by_label[label] += share
            by_video[name] += share
        num_above += len(group)
        hits_above += len(hits)
    positives = [sum(label in true for true in labels.values()) for label in range(num_classes)]
    lost = [
        Fraction(count, max(num_positives, 1)) - gained
        for count, gained in zip(positives, by_label, strict=True)
    ]
    return {
        "gap": gap(predictions, labels, top_k=top_k, ties=ties, rated=rated),
        "by_label": [float(value) for value in by_label],
        "by_video": [float(value) for value in by_video.values()],
        "positives_by_label": positives,
        "lost_by_label": [float(value) for value in lost],
    }


def gap_losses(predictions, labels, *, top_k=20, ties="expected", rated=None):
    num_positives = _num_positives(labels)
    kept = keep(predictions, labels, top_k, rated)
    moved = [
        (confidence, place < sum(hit for _, _, hit in row))
        for row in kept.values()
        for place, (_, confidence, _) in enumerate(row)
    ]
    now = _average_precision(_pool(kept), num_positives, ties)
    sorted_rows = _average_precision(moved, num_positives, ties)
    ceiling = Fraction(sum(hit for _, hit in moved), max(num_positives, 1))
    return {
        "gap": float(now),
        "unpredicted": float(1 - ceiling) if num_positives else 0.0,
        "within_videos": float(sorted_rows - now),
        "between_videos": float(ceiling - sorted_rows),
    }


def gap_ceiling(predictions, labels, *, top_k=20, rated=None):
    pairs = _pool(keep(predictions, labels, top_k, rated))
    return float(Fraction(sum(hit for _, hit in pairs), max(_num_positives(labels), 1)))


def gap_by_k(predictions, labels, *, top_k=20, ties="expected", rated=None):
    return [gap(predictions, labels, top_k=k, ties=ties, rated=rated) for k in range(1, top_k + 1)]


def gap_bands(predictions, labels, *, missing_rate, top_k=20, ties="expected", rated=None):
    pairs = sorted(_pool(keep(predictions, labels, top_k, rated)), reverse=True)
    num_misses = sum(not hit for _, hit in pairs)
    num_added = round(missing_rate * num_misses)
    num_positives = _num_positives(labels) + num_added

    def with_hits_at(chosen):
        numbers = iter(range(num_misses))
        added = [
            (confidence, hit or next(numbers) in chosen) for confidence, hit in pairs
        ]  # misses are counted from the most confident on
        return float(_average_precision(added, num_positives, ties))

    return {
        "worst": with_hits_at(range(num_misses - num_added, num_misses)),
        "mean": float(_mean_sum_of_added(pairs, num_added) / max(num_positives, 1)),
        "best": with_hits_at(range(num_added)),
        "gap": gap(predictions, labels, top_k=top_k, ties=ties, rated=rated),
        "num_added": num_added,
    }


def gaps_of_all_added(predictions, labels, num_added, *, top_k=20, ties="expected"):
    """GAP for every choice of num_added misses that become hits; ties by enumeration."""
    pairs = _pool(keep(predictions, labels, top_k))
    misses = [position for position, (_, hit) in enumerate(pairs) if not hit]
    return [
        oracles.gap_by_enumeration(
            [confidence for confidence, _ in pairs],
            [hit or position in chosen for position, (_, hit) in enumerate(pairs)],
            _num_positives(labels) + num_added,
            ties,
        )
        for chosen in combinations(misses, num_added)
    ]


METRICS = {
    function.__name__: function
    for function in (
        gap,
        mean_average_precision,
        label_map_at_k,
        hit_at_k,
        precision_at_k,
        recall_at_k,
        map_at_k,
        ndcg_at_k,
        perr,
        label_ranking_average_precision,
        psp_at_k,
        gap_ceiling,
    )
}


# Tables for the tests


def padded(predictions):
    """ids, labels (N, k), confidences (N, k) float32 and lengths (N,), rows as they stand."""
    k = max((len(row) for row in predictions.values()), default=0)
    labels = np.zeros((len(predictions), k), dtype=np.int64)
    confidences = np.zeros((len(predictions), k), dtype=np.float32)
    for n, row in enumerate(predictions.values()):
        labels[n, : len(row)] = [label for label, _ in row]
        confidences[n, : len(row)] = [confidence for _, confidence in row]
    return list(predictions), labels, confidences, np.array([*map(len, predictions.values())], int)


def dense_tables(confidences, truth):
    """Dense arrays as tables with ids '0', '1', ...; every label is predicted."""
    rows = oracles.top_k_rows(confidences, None)
    true = [set(np.flatnonzero(row).tolist()) for row in np.asarray(truth)]
    return {str(n): row for n, row in enumerate(rows)}, {str(n): row for n, row in enumerate(true)}


def random_tables(seed, num_videos=60, k=20, num_classes=40, decimals=2):
    """Tables with ties, absent and unknown ids, short and empty rows; the last labels never true.

    Rows of labels stand in another order, and some videos have none.
    """
    rng = np.random.default_rng(seed)
    predictions, labels = {}, {}
    for n in rng.permutation(num_videos):
        length = rng.choice([k, k, k, 0, rng.integers(k + 1)])
        row = rng.choice(num_classes, size=length, replace=False).tolist()
        confidences = (rng.random(length) ** 2).round(decimals).astype(np.float32).tolist()
        if rng.random() < 0.9:
            predictions[f"v{n}"] = list(zip(row, confidences, strict=True))
    for n in rng.permutation(num_videos):
        num_true = min(rng.poisson(3), num_classes - 3)
        true = rng.choice(num_classes - 3, size=num_true, replace=False)
        if rng.random() < 0.9:
            labels[f"v{n}"] = set(true.tolist())
    return predictions, labels


def small_tables(num_truths=4):
    """Every table of two videos and two labels: rows empty, of one or two predictions, two levels.

    The second video takes the last num_truths of the truths none, 0, 1, both.
    """
    rows = [
        [],
        *([(label, level)] for label, level in product((0, 1), (0.25, 0.5))),
        *([(1, first), (0, second)] for first, second in product((0.25, 0.5), repeat=2)),
    ]
    truths = [set(), {0}, {1}, {0, 1}]
    for first, second, true, other in product(rows, rows, truths, truths[-num_truths:]):
        yield {"a": first, "b": second}, {"b": true, "a": other}


def _num_positives(labels):
    return sum(len(true) for true in labels.values())


def _num_classes(predictions, labels):
    seen = {label for row in predictions.values() for label, _ in row}.union(*labels.values())
    return max(seen, default=-1) + 1


def _pool(kept):
    return [(confidence, hit) for row in kept.values() for _, confidence, hit in row]


def _hits(predictions, labels, k, rated):
    """Per video the first k predictions as hits or misses, and how many labels are true."""
    kept = keep(predictions, labels, k, rated)
    return [([hit for _, _, hit in row], len(labels[name])) for name, row in kept.items()]


def _lists_of_labels(predictions, labels, top_k, rated):
    """Per label that is true anywhere its (confidence, hit) pairs, and where it is true."""
    kept = keep(predictions, labels, top_k, rated)
    return {
        own: (
            [(c, hit) for row in kept.values() for label, c, hit in row if label == own],
            sum(own in true for true in labels.values()),
        )
        for own in sorted(set().union(*labels.values()))
    }


def _average_precisions(predictions, labels, top_k, ties, rated, k=None):
    lists = _lists_of_labels(predictions, labels, top_k, rated)
    return {label: _average_precision(*lists[label], ties, k) for label in lists}


def _groups(pairs):
    return _tied_groups([confidence for confidence, _ in pairs], [hit for _, hit in pairs])


def _orders_of(pairs):
    orders_of_groups = [list(permutations(group)) for group in _groups(pairs)]
    for orders in product(*orders_of_groups):
        yield [hit for order in orders for hit in order]


def _average_precision(pairs, num_positives, ties, k=None):
    """Sum of precision at the hits among the first k ranks, over min(k, num_positives)."""
    if num_positives == 0:
        return Fraction(0)
    terms = []
    num_above = hits_above = 0
    for group in _groups(pairs):
        num_tied, num_hits = len(group), sum(group)
        first = num_above + 1 + (num_tied - num_hits if ties == "pessimistic" else 0)
        precisions = _precisions_of_group(num_above, hits_above, num_tied, num_hits, ties)
        terms += precisions if k is None else precisions[: max(k - first + 1, 0)]
        num_above += num_tied
        hits_above += num_hits
    return _exact_sum(terms) / (num_positives if k is None else min(k, num_positives))


def _mean_sum_of_added(pairs, num_added):
    """Mean sum of precision at hits over all choices of misses that become hits, and all orders.

    At a rank it is the chance of a hit there, plus for each rank above the chance of a hit at both,
    over the rank. Hits stay hits; a miss is one by `one`, two misses are both by `two`.
    """
    num_misses = sum(not hit for _, hit in pairs)
    one = Fraction(num_added, max(num_misses, 1))
    two = one * Fraction(num_added - 1, max(num_misses - 1, 1))
    terms = []
    num_above = hits_above = 0
    for group in _groups(pairs):
        n, t = len(group), sum(group)
        here = (t + (n - t) * one) / n
        with_miss_above = (t * one + (n - t) * two) / n
        above = hits_above * here + (num_above - hits_above) * with_miss_above
        both_here = t * (t - 1) + 2 * t * (n - t) * one + (n - t) * (n - t - 1) * two
        both_here /= max(n * (n - 1), 1)
        terms += [(here + above + j * both_here) / (num_above + 1 + j) for j in range(n)]
        num_above += n
        hits_above += t
    return _exact_sum(terms)
