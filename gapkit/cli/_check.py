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
    from gapkit.data import SplitReport
    from gapkit.io import Distribution, FileReport
    from gapkit.predictions import Labels

_HALF_MOVED = (".import", ".pending")
_QUANTILES = ["min", "1 %", "median", "99 %", "max"]


def check(
    files: Annotated[
        list[str], typer.Argument(metavar="FILE", help="Submissions, labels files or splits.")
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
    """Find all problems of submissions and splits; exit status 1 if one is wrong.

    Format, checksums, ids, labels and confidences of each are read: every problem is told with its
    places, then what a file's rows look like. Of a split (a folder) each file is compared with its
    checksum.
    """
    from gapkit.io import find_problems, read_labels

    truth = None if labels is None else read_labels(labels_path(labels, data))
    reports: list[FileReport | SplitReport] = []
    for file in files:
        if _is_folder(file):
            reports.append(_check_split(file, quiet=as_json))
            continue
        report = find_problems(file, truth)
        reports.append(report)
        if not as_json:
            _print_report(report, truth)
    if as_json:
        print(json.dumps([{**asdict(r), "is_ok": r.is_ok} for r in reports], indent=1))
    if not all(report.is_ok for report in reports):
        raise typer.Exit(1)


def _is_folder(file: str) -> bool:
    """Whether a path is a folder, or a split that an interrupted command left half moved."""
    place = Path(file)
    return place.is_dir() or any(
        place.with_name(f".{place.name}{suffix}").is_dir() for suffix in _HALF_MOVED if place.name
    )


def _check_split(file: str, *, quiet: bool) -> SplitReport:
    from gapkit.data import check_split

    with Progress("checking", "bytes") as progress:
        report = check_split(file, progress=progress)
    if quiet:
        return report
    for problem in report.problems:
        about = " ".join(problem.message.split())
        named = about if about.startswith(file) else f"{file}: {about}"
        print(f"error: {named}", file=sys.stderr)
    if report.num_videos or report.is_ok:
        verdict = "ok" if report.is_ok else plural(len(report.problems), "problem")
        print(
            f"{file}: {verdict}, split of {plural(report.num_videos, 'video')}, "
            f"{plural(report.num_files, 'file')} compared with their checksums"
        )
    for finding in report.notes:
        print(f"  note: {finding.message}")
    return report


def _print_report(report: FileReport, truth: Labels | None) -> None:
    for problem in report.problems:
        print(f"error: {report.path}: {' '.join(problem.message.split())}", file=sys.stderr)
    if report.distribution is None:
        return
    verdict = "ok" if report.is_ok else plural(len(report.problems), "problem")
    print(f"{report.path}: {verdict}, {report.kind} ({report.format})")
    for finding in report.notes:
        print(f"  note: {' '.join(finding.message.split())}")
    _print_distribution(report.distribution, _names(report, truth), report.kind == "labels")
    if report.coverage is not None:
        print(
            f"  of {plural(report.coverage.num_labelled, 'labelled video')} it lacks "
            f"{report.coverage.missing:,}; of its own {report.coverage.ignored:,} have no labels"
        )


def _names(report: FileReport, truth: Labels | None) -> list[str] | None:
    """Of the labels: those of --labels, else a labels file's own."""
    from gapkit.io import read_labels

    if truth is None and report.kind == "labels" and report.is_ok:
        truth = read_labels(report.path)
    return None if truth is None else truth.label_names


def _print_distribution(found: Distribution, names: list[str] | None, is_labels: bool) -> None:
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
    shares = ", ".join(
        f"{label}{f' {names[label]}' if names and label < len(names) else ''} "
        f"({count / max(found.num_videos, 1):.1%})"
        for label, count in found.most_predicted
    )
    if shares:
        print(f"  most frequent labels, with their share of the videos: {shares}")
