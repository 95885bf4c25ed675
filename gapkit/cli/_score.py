"""`gapkit score`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gapkit.cli._console import note, plural, print_table
from gapkit.cli._options import DataFolder, LabelsName, Submissions, TopK, labels_path
from gapkit.errors import DataError

if TYPE_CHECKING:
    from gapkit.metrics import Score


def score(
    files: Submissions,
    labels: LabelsName,
    data: DataFolder = Path("data"),
    top_k: TopK = 20,
    ties: Annotated[
        str, typer.Option(help="expected, optimistic or pessimistic: worth of equal confidences.")
    ] = "expected",
    as_json: Annotated[
        bool, typer.Option("--json", help="A list of objects, for machines.")
    ] = False,
) -> None:
    """Score submissions by GAP and more, a row a file."""
    from gapkit.io import read_labels, read_predictions
    from gapkit.metrics import score as score_predictions

    path = labels_path(labels, data)
    truth = read_labels(path)
    if truth.num_positives == 0:
        note(f"{path}: no video has a label, so every metric is 0.")
    scores = []
    for file in files:
        predictions = read_predictions(file)
        try:
            scores.append(score_predictions(predictions, truth, top_k=top_k, ties=ties))
        except DataError as error:
            raise DataError(f"{file}: {error}") from None
    if as_json:
        print(
            json.dumps(
                [{"file": str(file), **vars(s)} for file, s in zip(files, scores, strict=True)],
                indent=1,
            )
        )
        return
    print(f"{path}: {plural(len(truth), 'video')}, {plural(truth.num_positives, 'positive')}")
    print_scores(files, scores)
    for file, result in zip(files, scores, strict=True):
        if result.missing == result.num_videos > 0:
            note(f"{file}: has none of the labelled videos. Is it of another split?")


def print_scores(files: list[Path], scores: list[Score]) -> None:
    """One row a file, all metrics."""
    print_table(
        ["file", "gap", "hit@1", "perr", "map", "missing", "ignored"],
        [
            [
                str(file),
                *(f"{value:.5f}" for value in (s.gap, s.hit_at_1, s.perr, s.map)),
                f"{s.missing:,}",
                f"{s.ignored:,}",
            ]
            for file, s in zip(files, scores, strict=True)
        ],
    )
