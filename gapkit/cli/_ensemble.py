"""`gapkit ensemble`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gapkit.cli._console import Progress, note, plural
from gapkit.cli._options import Submissions, TopK, parse_numbers
from gapkit.errors import UsageError


def ensemble(
    files: Submissions,
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to write.")] = Path(
        "ensemble.parquet"
    ),
    weights: Annotated[
        str, typer.Option(help="uniform, or one number a file: 0.5,0.3,0.2.")
    ] = "uniform",
    top_k: TopK = 20,
) -> None:
    """Average submissions into one.

    A label or a video that a file lacks counts as confidence 0 there.
    """
    from gapkit.ensemble import average, check_weights
    from gapkit.io import check_output, read_predictions, write_predictions

    check_output(output)
    if any(output.exists() and file.exists() and file.samefile(output) for file in files):
        raise UsageError(f"{output} is among the files to average. Choose another -o.")
    numbers = None if weights == "uniform" else parse_numbers(weights, "--weights", float)
    check_weights(numbers, len(files))
    members = []
    with Progress("reading", "files") as progress:
        for number, file in enumerate(files, start=1):
            members.append(read_predictions(file))
            progress(number, len(files))
    result = average(members, numbers, top_k=top_k, names=[str(file) for file in files])
    write_predictions(output, result)
    for file, member in zip(files, members, strict=True):
        if len(member) < len(result):
            lacking = plural(len(result) - len(member), "video")
            note(f"{file}: lacks {lacking} of the others, counted as confidence 0 there.")
    how = "mean" if numbers is None else "weighted mean"
    print(
        f"{output}: {plural(len(result), 'video')}, {how} of {plural(len(members), 'member')}, "
        f"top {result.top_k}"
    )
