"""`gapkit score`."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gapkit.cli._console import note, plural, print_table
from gapkit.cli._options import DataFolder, LabelsName, Submissions, TopK, labels_path
from gapkit.errors import DataError, UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from gapkit.metrics import GapContributions, Score, StreamedScore
    from gapkit.predictions import Labels, Predictions

_HEADS = {"gap": "gap", "hit_at_1": "hit@1", "perr": "perr", "map": "map"}


def score(
    files: Submissions,
    labels: LabelsName,
    data: DataFolder = Path("data"),
    top_k: TopK = 20,
    ties: Annotated[
        str, typer.Option(help="expected, optimistic or pessimistic: worth of equal confidences.")
    ] = "expected",
    interval: Annotated[
        bool, typer.Option("--interval", help="Standard errors and GAP's 95 % interval (BCa).")
    ] = False,
    by_label: Annotated[
        int | None,
        typer.Option("--by-label", metavar="N", min=1, help="The N worst and best labels, too."),
    ] = None,
    all_metrics: Annotated[
        bool, typer.Option("--all", help="Every metric: precision@k, ndcg@k, psp@k, ...")
    ] = False,
    sketch: Annotated[
        bool, typer.Option("--sketch", help="In fixed memory, GAP between bounds: for huge files.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="A list of objects, for machines.")
    ] = False,
) -> None:
    """Score submissions by GAP and more, a row a file."""
    if sketch and (interval or by_label or all_metrics):
        raise UsageError("--sketch goes with none of --interval, --by-label and --all.")
    Thread(target=_import_kernels, daemon=True).start()
    from gapkit.io import read_labels, read_predictions

    path = labels_path(labels, data)
    with ThreadPoolExecutor(1) as reader:  # the first file while Numba is imported
        ahead = [] if sketch else [reader.submit(read_predictions, files[0])]
        truth = read_labels(path)
    if truth.num_positives == 0:
        note(f"{path}: no video has a label, so every metric is 0.")
    results = []
    for file in files:
        try:
            if sketch:
                result = _sketch_file(file, truth, top_k, ties)
            else:
                predictions = ahead.pop().result() if ahead else read_predictions(file)
                result = _measure(predictions, truth, top_k, ties, interval, by_label, all_metrics)
                del predictions  # before the next file is read
        except DataError as error:
            text = str(error)
            raise DataError(text if text.startswith(str(file)) else f"{file}: {text}") from None
        results.append({"file": str(file), **result})
    if as_json:
        print(json.dumps(results, indent=1))
        return
    print(f"{path}: {plural(len(truth), 'video')}, {plural(truth.num_positives, 'positive')}")
    print_table(*_table(results))
    for result in results:
        if all_metrics:
            print(f"\n{result['file']}")
            print_table(
                ["metric", "value"],
                [[name, f"{value:.5f}"] for name, value in result["metrics"].items()],
            )
        if by_label:
            _print_labels(result)
    for result in results:
        if result["missing"] == result["num_videos"] > 0:
            note(f"{result['file']}: has none of the labelled videos. Is it of another split?")


def _import_kernels() -> None:
    """What a score of a large file needs, 0.6 s of it Numba, while files are read."""
    import numpy as np

    from gapkit._kernels import ids, ranges, rows

    for kernel in (ids.build_table, rows.first_label_twice, ids.find, ranges.plan_ranges):
        kernel.load()
    for kernel in (rows.check_rows, rows.mark_hits):
        kernel.load(np.uint16)
    for kernel in (ranges.count_bins, ranges.scatter, ranges.sum_ranges):
        kernel.load(np.uint32)
    for kernel in (ranges.count_labels, ranges.scatter_labels):
        kernel.load(np.uint32)


def _measure(
    predictions: Predictions,
    truth: Labels,
    top_k: int,
    ties: str,
    interval: bool,
    by_label: int | None,
    all_metrics: bool,
) -> dict[str, Any]:
    from gapkit.metrics import compute_metrics, gap_contributions
    from gapkit.metrics import score as score_predictions

    result: dict[str, Any] = vars(score_predictions(predictions, truth, top_k=top_k, ties=ties))
    if interval:
        result = {**result, **_error_bars(predictions, truth, top_k, ties)}
    if all_metrics:
        metrics = compute_metrics(predictions, truth, top_k=top_k, ties=ties)
        result = {**result, "metrics": metrics}
    if by_label:
        contributions = gap_contributions(predictions, truth, top_k=top_k, ties=ties)
        result = {**result, **_worst_and_best(contributions, truth, by_label)}
    return result


def _error_bars(predictions: Predictions, truth: Labels, top_k: int, ties: str) -> dict[str, Any]:
    from gapkit.metrics import bootstrap

    bars = {
        "gap": bootstrap("gap", predictions, truth, top_k=top_k, ties=ties),
        "hit_at_1": bootstrap("hit_at_k", predictions, truth, k=1),
        "perr": bootstrap("perr", predictions, truth, top_k=top_k),
        "map": bootstrap("mean_average_precision", predictions, truth, top_k=top_k, ties=ties),
    }
    return {
        "standard_errors": {name: bar.standard_error for name, bar in bars.items()},
        "gap_interval": list(bars["gap"].bca),
    }


def _worst_and_best(
    contributions: GapContributions, truth: Labels, count: int
) -> dict[str, list[dict[str, Any]]]:
    """The labels that lose most of GAP, and those that keep most of what they could add."""
    import numpy as np

    positives_C = contributions.positives_by_label
    lost_C = contributions.lost_by_label
    share_C = lost_C / np.maximum(positives_C / max(positives_C.sum(), 1), 1e-300)
    true_L = np.flatnonzero(positives_C)
    worst = true_L[np.argsort(-lost_C[true_L], kind="stable")][:count]
    best = true_L[np.lexsort((-positives_C[true_L], share_C[true_L]))][:count]

    def describe(chosen: NDArray[np.integer[Any]]) -> list[dict[str, Any]]:
        return [
            {
                "label": label,
                "name": truth.label_names[label] if truth.label_names else None,
                "positives": int(positives_C[label]),
                "gap": float(contributions.by_label[label]),
                "lost": float(lost_C[label]),
                "lost_share": float(share_C[label]),
            }
            for label in chosen.tolist()
        ]

    return {"worst_labels": describe(worst), "best_labels": describe(best)}


def _sketch_file(file: Path, truth: Labels, top_k: int, ties: str) -> dict[str, Any]:
    from gapkit.io import scan_predictions
    from gapkit.metrics import score_blocks

    result: StreamedScore = score_blocks(scan_predictions(file), truth, top_k=top_k, ties=ties)
    return {**vars(result), "gap_bounds": list(result.gap_bounds)}


def _table(results: list[dict[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """One row a file: metrics, with error bars or bounds where there are any."""
    first = results[0]
    names = [name for name in _HEADS if name in first]
    span = "gap_interval" if "gap_interval" in first else "gap_bounds"
    heads = ["file", *(_HEADS[name] for name in names)]
    if span in first:
        heads.append("gap, 95 %" if span == "gap_interval" else "gap between")
    rows = []
    for result in results:
        errors = result.get("standard_errors", {})
        row = [
            result["file"],
            *(
                f"{result[name]:.5f}" + (f" ±{errors[name]:.5f}" if errors else "")
                for name in names
            ),
        ]
        if span in first:
            digits = 5 if span == "gap_interval" else 7
            row.append(" to ".join(f"{value:.{digits}f}" for value in result[span]))
        rows.append([*row, f"{result['missing']:,}", f"{result['ignored']:,}"])
    return [*heads, "missing", "ignored"], rows


def _print_labels(result: dict[str, Any]) -> None:
    for key, title in (
        ("worst_labels", "labels that lose most of GAP"),
        ("best_labels", "labels that lose the smallest share of what they could add"),
    ):
        print(f"\n{result['file']}: {title}")
        print_table(
            ["label", "name", "positives", "adds", "loses", "share lost"],
            [
                [
                    str(row["label"]),
                    row["name"] or "",
                    f"{row['positives']:,}",
                    f"{row['gap']:.5f}",
                    f"{row['lost']:.5f}",
                    f"{100 * row['lost_share']:.1f} %",
                ]
                for row in result[key]
            ],
            left=2,
        )


def print_scores(files: list[Path], scores: list[Score]) -> None:
    """One row a file, all metrics."""
    print_table(
        *_table([{"file": str(file), **vars(s)} for file, s in zip(files, scores, strict=True)])
    )
