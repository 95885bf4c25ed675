"""`gapkit diff`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gapkit.cli._console import plural, print_table
from gapkit.cli._options import DataFolder, TopK, labels_path
from gapkit.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from gapkit.predictions import Changes, Labels, Predictions


def diff(
    before: Annotated[Path, typer.Argument(metavar="A", help="A submission.")],
    after: Annotated[Path, typer.Argument(metavar="B", help="Another, to hold against it.")],
    labels: Annotated[
        str | None, typer.Option("--labels", help="What moved GAP, too: a split or a file.")
    ] = None,
    data: DataFolder = Path("data"),
    top_k: TopK = 20,
    top: Annotated[int, typer.Option("--top", metavar="N", help="How many to name.", min=0)] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="One object, for machines.")] = False,
) -> None:
    """Tell what changed from one submission to another.

    Videos, labels and confidences; with --labels GAP of both, the difference with its interval,
    and which videos and labels moved it most.
    """
    from gapkit.io import read_labels, read_predictions
    from gapkit.predictions import find_changes

    truth = None if labels is None else read_labels(labels_path(labels, data))
    a, b = read_predictions(before), read_predictions(after)
    changes = find_changes(a, b, num_largest=top)
    if changes.only_before == len(a) > 0 and changes.only_after == len(b) > 0:
        raise DataError(f"{before} and {after} have no video in common. Are they of one split?")
    moved = None if truth is None else _moves(a, b, truth, top_k, top)
    if as_json:
        print(json.dumps({"a": str(before), "b": str(after), **_to_json(changes), "gap": moved}))
        return
    names = truth.label_names if truth is not None else None
    print(f"A: {before}, {plural(len(a), 'video')}\nB: {after}, {plural(len(b), 'video')}")
    _print_changes(changes, names, top)
    if moved is not None:
        _print_moves(moved, names)


def _to_json(changes: Changes) -> dict[str, Any]:
    found = asdict(changes)
    for name in ("gone_by_label", "new_by_label"):
        found[name] = found[name].tolist()
    return found


def _print_changes(changes: Changes, names: list[str] | None, top: int) -> None:
    rows = [
        ("videos only in A", changes.only_before),
        ("videos only in B", changes.only_after),
        ("videos in both, identical", changes.identical),
        ("videos in both, other confidences", changes.same_labels),
        ("videos in both, other labels", changes.other_labels),
    ]
    print_table(["", "count"], [[name, f"{count:,}"] for name, count in rows])
    spearman = "not defined" if changes.spearman is None else f"{changes.spearman:.4f}"
    print(
        f"labels in both over labels in either (Jaccard, mean over videos): {changes.overlap:.4f}\n"
        f"confidences of labels in both: Spearman's correlation {spearman}, "
        f"mean absolute change {changes.mean_change:.4g}"
    )
    if changes.largest:
        print("\nlargest changes of confidence")
        print_table(
            ["id", "label", "A", "B", "change"],
            [
                [
                    change.id,
                    _named(change.label, names),
                    f"{change.before:.4f}",
                    f"{change.after:.4f}",
                    f"{change.after - change.before:+.4f}",
                ]
                for change in changes.largest
            ],
            left=2,
        )
    net_C = changes.new_by_label - changes.gone_by_label
    chosen = _largest(changes.new_by_label + changes.gone_by_label, top)
    if chosen:
        print("\nlabels that came into, or left, the rows of most videos")
        print_table(
            ["label", "new", "gone", "net"],
            [
                [
                    _named(label, names),
                    f"{changes.new_by_label[label]:,}",
                    f"{changes.gone_by_label[label]:,}",
                    f"{net_C[label]:+,}",
                ]
                for label in chosen
            ],
        )


def _moves(a: Predictions, b: Predictions, truth: Labels, top_k: int, top: int) -> dict[str, Any]:
    """GAP of both, and the videos and labels whose parts of it changed most."""
    from gapkit.metrics import compare_gap, gap_contributions

    compared = compare_gap(b, a, truth, top_k=top_k)
    part_a = gap_contributions(a, truth, top_k=top_k)
    part_b = gap_contributions(b, truth, top_k=top_k)
    by_video = part_b.by_video - part_a.by_video
    by_label = _padded(part_b.by_label, part_a.by_label.size)
    by_label -= _padded(part_a.by_label, by_label.size)
    return {
        "a": compared.value_b,
        "b": compared.value_a,
        "difference": compared.difference,
        "interval": list(compared.bca),
        "p": compared.p_randomisation,
        "videos": [
            {"id": truth.id_column[row].as_py(), "moved": float(by_video[row])}
            for row in _largest(by_video, top)
        ],
        "labels": [
            {"label": label, "moved": float(by_label[label])} for label in _largest(by_label, top)
        ],
    }


def _print_moves(moved: dict[str, Any], names: list[str] | None) -> None:
    low, high = moved["interval"]
    print(
        f"\nGAP {moved['a']:.5f} (A), {moved['b']:.5f} (B): {moved['difference']:+.5f}, "
        f"95 % interval {low:+.5f} to {high:+.5f}, p = {moved['p']:.3g}"
    )
    for what, rows in (
        ("videos", [[row["id"], f"{row['moved']:+.6f}"] for row in moved["videos"]]),
        (
            "labels",
            [[_named(row["label"], names), f"{row['moved']:+.6f}"] for row in moved["labels"]],
        ),
    ):
        if rows:
            print(f"\n{what} that moved GAP most")
            print_table([what[:-1], "moved"], rows)


def _largest(values: NDArray[np.number[Any]], count: int) -> list[int]:
    """Places of the values farthest from 0, falling; 0 itself is left out."""
    import numpy as np

    order = np.argsort(-np.abs(values), kind="stable")[:count]
    return [place for place in order.tolist() if values[place] != 0]


def _padded(values: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    import numpy as np

    return np.pad(values, (0, max(size - values.size, 0)))


def _named(label: int, names: list[str] | None) -> str:
    return f"{label} {names[label]}" if names and label < len(names) else str(label)
