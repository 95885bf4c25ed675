"""`gapkit ensemble`."""

from __future__ import annotations

import glob
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Annotated

import typer

from gapkit.cli._console import Progress, note, plural
from gapkit.cli._fit import FitOptions, check_target, fit, print_explanation, write_stacked
from gapkit.cli._options import DataFolder, Submissions, TopK, labels_path
from gapkit.errors import DataError, UsageError

if TYPE_CHECKING:
    from gapkit.ensemble import Ensembled, Weights

_KINDS = {"mean": "mean", "logit": "mean log odds", "rank": "mean rank"}


def ensemble(
    files: Submissions,
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to write.")] = Path(
        "ensemble.parquet"
    ),
    weights: Annotated[
        str,
        typer.Option(
            help="uniform; one number a file: 0.5,0.3,0.2; or a file of weights (JSON, or a "
            "submission that was made with them); or fit, to --labels."
        ),
    ] = "uniform",
    mode: Annotated[
        str | None, typer.Option(help="mean (default), logit, rank, rrf or max.")
    ] = None,
    fill: Annotated[
        str | None,
        typer.Option(help="What a label counts that a row lacks: zero (default) or minimum."),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Refuse files that lack a video.")] = (
        False
    ),
    top_k: TopK = 20,
    labels: Annotated[
        str | None,
        typer.Option("--labels", help="Score the result: a split of --data, or a labels file."),
    ] = None,
    data: DataFolder = Path("data"),
    method: Annotated[
        str | None, typer.Option(help="Of --weights fit: greedy (default), coordinate or stack.")
    ] = None,
    folds: Annotated[
        int | None, typer.Option(help="Of --weights fit: folds of videos to test it on, or 5.")
    ] = None,
    calibrate: Annotated[
        str | None, typer.Option(help="Of --weights fit, a file: temperature or isotonic.")
    ] = None,
    save_weights: Annotated[
        Path | None, typer.Option(help="Of --weights fit: write them as JSON, for a test set.")
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="What each file is worth, by --labels.")
    ] = False,
) -> None:
    """Average submissions into one.

    A video that a file lacks counts as confidence 0 there, and so does a label, unless --fill says
    otherwise. Quoted patterns such as 'runs/*.parquet' are expanded.
    """
    Thread(target=_import_kernels, daemon=True).start()
    from gapkit.ensemble import ensemble_files

    files = expand(files)
    truth = None if labels is None else labels_path(labels, data)
    if truth is not None and not truth.is_file():
        raise DataError(f"{truth}: no such file.")
    options = FitOptions(method=method, folds=folds, calibrate=calibrate, save_weights=save_weights)
    options.check(weights, truth)
    if explain and truth is None:
        raise UsageError("--explain: by what truth? Name it by --labels.")
    fitted = None
    if weights == "fit" and truth is not None:
        check_target(output, files)
        fitted, members = fit(files, truth, options, mode=mode, fill=fill, top_k=top_k)
        chosen: Weights | None = fitted.to_weights()
    else:
        chosen = _read_weights(weights, [str(file) for file in files])
    if fitted is not None and fitted.stacker is not None:
        result = write_stacked(output, fitted, members, strict=strict)
    else:
        with Progress("ids", "files") as progress:
            result = ensemble_files(
                files,
                output,
                None if chosen is None else chosen.weights,
                mode=mode or (chosen.mode if chosen else "mean"),
                fill=fill or (chosen.fill if chosen else "zero"),
                transforms=chosen.transforms if chosen else None,
                top_k=top_k,
                strict=strict,
                progress=progress,
            )
    for file, missing in zip(files, result.missing, strict=True):
        if missing:
            lacking = plural(missing, "video")
            note(f"{file}: lacks {lacking} of the others, counted as confidence 0 there.")
    print(
        f"{output}: {plural(result.num_videos, 'video')}, {_describe(result)} of "
        f"{plural(len(files), 'member')}, top {result.top_k}"
    )
    if truth is not None:
        _print_score(output, truth, top_k)
        if explain:
            print_explanation(files, truth, result.weights, top_k)


def expand(files: list[Path]) -> list[Path]:
    """The files with patterns, which the shell left, replaced by what they match."""
    expanded: list[Path] = []
    for file in files:
        if file.exists() or not glob.has_magic(str(file)):
            expanded.append(file)
            continue
        found = sorted(Path(name) for name in glob.glob(str(file), recursive=True))  # noqa: PTH207
        if not found:
            raise DataError(f"{file}: no file matches this pattern.")
        expanded.extend(found)
    return expanded


def _import_kernels() -> None:
    """What an average needs, 0.6 s of it Numba, while ids are read."""
    import numpy as np

    from gapkit._kernels import average, ids, lay, rows

    ids.build_table.load()
    for kernel in (lay.lay_rows, average.average_rows, rows.check_rows):
        kernel.load(np.uint16)


def _read_weights(text: str, names: list[str]) -> Weights | None:
    """What --weights asks for: None for uniform."""
    from gapkit.ensemble import Weights, check_weights, read_weights

    if text == "uniform":
        return None
    try:
        numbers = tuple(float(word) for word in text.split(","))
    except ValueError:
        path = Path(text)
        if not text or not path.is_file():
            raise UsageError(
                f"--weights {text}: neither uniform nor numbers separated by commas nor a file."
            ) from None
        saved = read_weights(path)
        if len(saved.weights) != len(names):
            raise UsageError(
                f"{path}: {plural(len(saved.weights), 'weight')} for "
                f"{plural(len(names), 'member')}. They are matched by order: name as many files."
            ) from None
        return saved
    check_weights(numbers, len(names))
    return Weights(members=tuple(names), weights=numbers)


def _describe(result: Ensembled) -> str:
    """'weighted mean'."""
    weights = result.weights
    is_uniform = len(set(weights.weights)) == 1
    if weights.mode == "max":
        return "maximum"
    kind = _KINDS.get(weights.mode, "mean reciprocal rank")
    return kind if is_uniform else f"weighted {kind}"


def _print_score(output: Path, truth: Path, top_k: int) -> None:
    """The same table as `gapkit score`."""
    from gapkit.cli._score import print_scores
    from gapkit.io import read_labels, read_predictions
    from gapkit.metrics import score

    print_scores([output], [score(read_predictions(output), read_labels(truth), top_k=top_k)])
