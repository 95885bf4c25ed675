"""`gapkit ensemble --weights fit` and `--explain`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gapkit.cli._console import Progress, note, plural, print_table
from gapkit.errors import UsageError

if TYPE_CHECKING:
    from gapkit.ensemble import Ensembled, FittedWeights, Weights
    from gapkit.predictions import Predictions


@dataclass(frozen=True, kw_only=True)
class FitOptions:
    """What only --weights fit takes; None where it was not given."""

    method: str | None
    folds: int | None
    calibrate: str | None
    save_weights: Path | None

    def check(self, weights: str, truth: Path | None) -> None:
        """Refuse what has no meaning beside the other options."""
        if weights == "fit":
            if truth is None:
                raise UsageError("--weights fit: to what? Name the holdout's truth by --labels.")
            if self.method == "stack" and self.save_weights is not None:
                raise UsageError(
                    f"--save-weights {self.save_weights}: what --method stack fits is no weights "
                    f"alone. Leave it out, or choose greedy or coordinate."
                )
            return
        given = {
            "--method": self.method,
            "--folds": self.folds,
            "--calibrate": self.calibrate,
            "--save-weights": self.save_weights,
        }
        for option, value in given.items():
            if value is not None:
                raise UsageError(f"{option} {value} goes with --weights fit, not {weights}.")


def fit(
    files: Sequence[Path],
    truth: Path,
    options: FitOptions,
    *,
    mode: str | None,
    fill: str | None,
    top_k: int,
) -> tuple[FittedWeights, list[Predictions]]:
    """Fit weights and print what they gain; the files' tables as well."""
    from gapkit.ensemble import fit_weights, write_weights
    from gapkit.io import read_labels

    labels = read_labels(truth)
    members = read_files(files)
    names = [str(file) for file in files]
    fitted = fit_weights(
        members,
        labels,
        method=options.method or "greedy",
        num_folds=5 if options.folds is None else options.folds,
        calibrate=options.calibrate,
        mode=mode or "mean",
        fill=fill or "zero",
        top_k=top_k,
        names=names,
    )
    print_table(
        ["file", "gap", "weight"],
        [
            [name, f"{gap:.5f}", f"{weight:.4f}"]
            for name, gap, weight in zip(names, fitted.gaps, fitted.weights, strict=True)
        ],
    )
    print(f"\n{fitted}\n")
    if not fitted.better_than_uniform and len(members) > 1:
        note("the fitted weights are written all the same; --weights uniform is as good.")
    if options.save_weights is not None:
        write_weights(options.save_weights, fitted.to_weights())
        print(f"{options.save_weights}: {plural(len(members), 'weight')}")
    return fitted, members


def check_target(output: Path, files: Sequence[Path]) -> None:
    """Refuse before the fit what could not be written after it."""
    from gapkit.io import check_output

    check_output(output)
    if any(output.exists() and file.exists() and file.samefile(output) for file in files):
        raise UsageError(f"{output} is among the files to average. Choose another -o.")


def write_stacked(
    output: Path, fitted: FittedWeights, members: Sequence[Predictions], *, strict: bool
) -> Ensembled:
    """Write what a stacker makes of the tables; it is no average that could be streamed."""
    from gapkit.ensemble import Ensembled
    from gapkit.io import write_predictions

    result = fitted.apply(members, strict=strict)
    write_predictions(output, result)
    return Ensembled(
        num_videos=len(result),
        num_classes=result.num_classes,
        top_k=int(result.lengths.max(initial=0)),
        weights=fitted.to_weights(),
        missing=tuple(len(result) - len(member) for member in members),
    )


def print_explanation(files: Sequence[Path], truth: Path, weights: Weights, top_k: int) -> None:
    """What each file is worth to the ensemble that was made with the weights."""
    from gapkit.ensemble import explain
    from gapkit.io import read_labels

    result = explain(
        read_files(files),
        read_labels(truth),
        weights.weights,
        mode=weights.mode,
        fill=weights.fill,
        transforms=weights.transforms,
        top_k=top_k,
        names=[str(file) for file in files],
    )
    print()
    print_table(result.header, result.rows)
    print("\nbest means of so many members:")
    print_table(
        ["members", "gap", "with"],
        [
            [str(size), f"{gap:.5f}", result.names[result.order[size - 1]]]
            for size, gap in zip(result.sizes.tolist(), result.size_gaps, strict=True)
        ],
    )


def read_files(files: Sequence[Path]) -> list[Predictions]:
    """All tables in memory."""
    from gapkit.io import read_predictions

    members = []
    with Progress("reading", "files") as progress:
        for number, file in enumerate(files, start=1):
            members.append(read_predictions(file))
            progress(number, len(files))
    return members
