"""`gapkit check`."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gapkit.cli._console import Progress, plural, print_table
from gapkit.cli._options import DataFolder, labels_path

if TYPE_CHECKING:
    from gapkit.io import Distribution, FileReport
    from gapkit.predictions import Labels

_QUANTILES = ["min", "1 %", "median", "99 %", "max"]


def check(
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILE", help="Submissions, labels files, splits."),
    ],
    labels: Annotated[
        str | None,
        typer.Option("--labels", help="Count the labelled videos that a file lacks, too."),
    ] = None,
    data: DataFolder = Path("data"),
    as_json: Annotated[
        bool, typer.Option("--json", help="A list of objects, for machines.")
    ] = False,
) -> None:
    """Find all problems of submissions; exit status 1 if one is wrong.

    Format, checksums, ids, labels and confidences of each are read: every problem is told with its
    places, then what a file's rows look like.
    """
    from gapkit.io import find_problems, read_labels

    truth = None if labels is None else read_labels(labels_path(labels, data))
    reports = []
    is_ok = True
    for file in files:
        if Path(file).is_dir():
            is_ok &= _check_split(file, as_json=as_json)
            continue
        report = find_problems(file, truth)
        reports.append(report)
        if not as_json:
            _print_report(report, truth)
    if as_json:
        print(json.dumps([{**asdict(r), "is_ok": r.is_ok} for r in reports], indent=1))
    if not (is_ok and all(report.is_ok for report in reports)):
        raise typer.Exit(1)


def _check_split(folder: str, *, as_json: bool) -> bool:
    from gapkit.data import FrameStore, check_split

    with Progress("checking", "shards") as progress:
        problems = check_split(folder, progress=progress)
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    if not problems:
        store = FrameStore(folder)
        checked = "checksums agree" if store.meta.checksums else "of a version without checksums"
        shards = plural(len(store.meta.shards), "shard")
        print(
            f"{folder}: ok, split, {plural(len(store), 'video')}, {shards}, {checked}",
            file=sys.stderr if as_json else sys.stdout,
        )
    return not problems


def _print_report(report: FileReport, truth: Labels | None) -> None:
    for problem in report.problems:
        print(f"error: {report.path}: {' '.join(problem.message.split())}", file=sys.stderr)
    if report.distribution is None:
        return
    verdict = "ok" if report.is_ok else plural(len(report.problems), "problem")
    print(f"{report.path}: {verdict}, {report.kind} ({report.format})")
    for finding in report.notes:
        print(f"  note: {' '.join(finding.message.split())}")
    _print_distribution(report.distribution, truth, is_labels=report.kind == "labels")
    if report.coverage is not None:
        print(
            f"  of {plural(report.coverage.num_labelled, 'labelled video')} it lacks "
            f"{report.coverage.missing:,}; of its own {report.coverage.ignored:,} have no labels"
        )


def _print_distribution(found: Distribution, truth: Labels | None, *, is_labels: bool) -> None:
    classes = "unknown" if found.num_classes is None else f"{found.num_classes:,}"
    noun = "label" if is_labels else "prediction"
    top = "" if is_labels else f"top {found.top_k}, "
    print(
        f"  {plural(found.num_videos, 'video')}, {plural(found.num_predictions, noun)}, {top}"
        f"num_classes {classes}, {plural(found.num_distinct_labels, 'distinct label')}"
    )
    least, median, most = found.labels_per_video
    rows = [["labels a video", f"{least:,}", "", f"{median:,g}", "", f"{most:,}"]]
    for name, values in (
        ("highest confidence of a video", found.first_confidences),
        ("confidences", found.confidences),
    ):
        if values is not None:
            rows.append([name, *(f"{value:.4g}" for value in values)])
    print_table(["", *_QUANTILES], rows, indent=2)
    names = None if truth is None else truth.label_names
    shares = ", ".join(
        f"{label}{f' {names[label]}' if names and label < len(names) else ''} "
        f"({count / max(found.num_videos, 1):.1%})"
        for label, count in found.most_predicted
    )
    if shares:
        print(f"  most frequent labels, with their share of the videos: {shares}")
