"""What is true of a synthetic corpus: what tells each label, and how good a model can get."""

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gapkit.data._synth_world import DROP_CHANCE, FALSE_CHANCE, VERTICALS, Split, SynthWorld
from gapkit.metrics import GapAccumulator

FILE_NAME = "truth.json"
TOP_K = 20
_VIDEOS_AT_ONCE = 5000
_MAX_MEMORY = 256 << 20


def label_chances(
    world: SynthWorld, true_labels: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the labels that the machine may give to a video, and the chance of each.

    A true one is dropped by a chance of its own; were all dropped, one of them would be kept.
    """
    count = len(true_labels)
    kept = (1 - DROP_CHANCE) + DROP_CHANCE**count / count
    false_labels, chances = world.false_chances(true_labels)
    return (
        np.concatenate([true_labels, false_labels]),
        np.concatenate([np.full(count, kept), FALSE_CHANCE * chances]),
    )


def best_gap(world: SynthWorld, split: Split, num_videos: int) -> float:
    """Return the GAP of the best predictor on the first videos of a split.

    It sees what is in each video, knows how the machine errs, and tells each label's chance. What
    it can't know is where the machine erred. 1.0 would be a machine without faults.
    """
    accumulator = GapAccumulator(top_k=TOP_K, max_memory=_MAX_MEMORY)
    for first in range(0, num_videos, _VIDEOS_AT_ONCE):
        confidences, hits, num_positives = [], [], 0
        for index in range(first, min(first + _VIDEOS_AT_ONCE, num_videos)):
            labels, true_labels = world.labels(split, index)
            candidates, chances = label_chances(world, true_labels)
            kept = np.argsort(-chances, kind="stable")[:TOP_K]
            confidences.append(chances[kept])
            hits.append(np.isin(candidates[kept], labels))
            num_positives += len(labels)
        chance_P = np.concatenate(confidences).astype(np.float32)
        accumulator.update_hits(chance_P, np.concatenate(hits), num_positives)
    return float(accumulator.compute())


def truth_as_json(world: SynthWorld, num_train: int, num_val: int, best: float) -> str:
    """Return the text of truth.json; each label on a line of its own."""
    about: dict[str, Any] = {
        "version": 1,
        "seed": world.seed,
        "num_videos": {"train": num_train, "val": num_val},
        "feature_sizes": {"rgb": world.rgb_size, "audio": world.audio_size},
        "max_frames": world.max_frames,
        "noise": {"true_label_dropped": DROP_CHANCE, "false_label_added": FALSE_CHANCE},
        "best_gap": {"val": best},
        "top_k": TOP_K,
    }
    labels = []
    for label, kind in enumerate(world.kinds):
        row: dict[str, Any] = {"index": label, "name": world.names[label]}
        row["vertical"] = VERTICALS[world.verticals[label]]
        row["depends_on"] = kind
        row["features"] = {"audio": ["audio"], "both": ["rgb", "audio"]}.get(kind, ["rgb"])
        if kind == "order":
            row["backwards"] = label ^ 1  # the label that the same video would have backwards
        labels.append(json.dumps(row))
    head = json.dumps(about, indent=1).removesuffix("\n}")
    return head + ',\n "labels": [\n  ' + ",\n  ".join(labels) + "\n ]\n}\n"
