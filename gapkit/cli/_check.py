"""`gapkit check`."""

from __future__ import annotations

import sys

import typer

from gapkit.cli._console import plural
from gapkit.cli._options import Submissions
from gapkit.errors import GapkitError


def check(files: Submissions) -> None:
    """Check submissions; exit status 1 if one is wrong.

    Format, checksums, ids, labels and confidences of each are read.
    """
    from gapkit.io import read_predictions

    wrong = False
    for file in files:
        try:
            found = read_predictions(file)
        except GapkitError as error:
            print("error:", " ".join(str(error).split()), file=sys.stderr)
            wrong = True
            continue
        counted = [
            row[:length] for row, length in zip(found.confidences, found.lengths, strict=True)
        ]
        filled = [row for row in counted if len(row)]
        highest = max((row[0] for row in filled), default=0.0)
        lowest = min((row[-1] for row in filled), default=0.0)
        classes = "unknown" if found.num_classes is None else f"{found.num_classes:,}"
        print(
            f"{file}: ok, {plural(len(found), 'video')}, "
            f"{plural(int(found.lengths.sum()), 'prediction')}, top {found.top_k}, "
            f"num_classes {classes}, confidences from {lowest:.6g} to {highest:.6g}"
        )
        short = int((found.lengths < found.top_k).sum())
        if short:
            print(f"  {plural(short, 'video')} with fewer than {found.top_k} labels")
        if lowest < 0 or highest > 1:
            print("  some confidences lie outside [0, 1]: they are ranked, but not probabilities")
    if wrong:
        raise typer.Exit(1)
