"""`gapkit train` of several predictors, or of a sweep file: runs, and a table of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from gapkit.cli._console import Progress, note, print_table
from gapkit.cli._source import default_name
from gapkit.errors import UsageError

if TYPE_CHECKING:
    from gapkit.training import PlannedRun, SweepResult

SWEEP = ".toml"


def is_several(names: Sequence[str]) -> bool:
    """Whether these are several runs."""
    return len(names) > 1 or names[0].endswith(SWEEP)


def train_several(
    names: Sequence[str],
    data: Path,
    output: Path,
    settings: dict[str, str],
    training: dict[str, Any],
    progress: Progress,
    **options: Any,
) -> None:
    """Train each, tell how it ended, and compare them; exit status 1 where one failed."""
    from gapkit.training import sweep

    planned = _plan(names, settings, training)
    speaks = os.environ.get("RANK", "0") == "0"  # of the processes that torchrun starts one does
    results = []

    def announce(run: PlannedRun) -> None:
        progress.clear()
        if speaks:
            print(f"{output / run.name}:", flush=True)

    for result in sweep(planned, data, output, on_run=announce, progress=progress, **options):
        progress.clear()
        results.append(result)
        if result.error is not None:
            note(f"{result.path}: failed, and the others go on: {result.error}")
    done = [result for result in results if result.epochs]
    if done and speaks:
        print()
        print_comparison(done, data, options["device"], progress)
    failed = [str(result.path) for result in results if result.error is not None]
    if failed:
        if speaks:
            print(f"failed: {', '.join(failed)}")
        raise typer.Exit(1)


def print_comparison(
    results: Sequence[SweepResult], data: Path, device: str, progress: Callable[..., object]
) -> None:
    """Print the last weights of runs side by side, the best first, each against it."""
    from gapkit.data import FrameStore
    from gapkit.metrics import bootstrap_gap, compare_gap
    from gapkit.predicting import predict_split
    from gapkit.training import load_run

    store = FrameStore(data / "val")
    ordered = sorted(results, key=lambda result: -result.epochs[-1].score.gap)
    rows, best = [], None
    for result in ordered:
        run = load_run(result.path, predictor=result.run.predictor, device=device)
        predictions = predict_split(
            run.predictor, store, batch_size=run.batch_size, name=result.run.name
        )
        bars = bootstrap_gap(predictions, store.labels)
        low, high = bars.bca
        behind = ""
        if best is None:
            best = predictions
        else:
            compared = compare_gap(predictions, best, store.labels)
            behind = (
                f"{compared.difference:+.5f} ({compared.bca[0]:+.5f} to {compared.bca[1]:+.5f})"
            )
        last = result.epochs[-1]
        num_parameters = sum(parameter.numel() for parameter in run.predictor.parameters())
        rows.append(
            [
                str(result.path),
                f"{last.score.gap:.5f}",
                f"{low:.5f} to {high:.5f}",
                behind,
                f"{last.score.map:.5f}",
                f"{num_parameters:,}",
                f"{last.videos_per_second:,.0f}",
                str(last.epoch),
            ]
        )
    heads = ["run", "gap", "95 %", "to the best", "map", "parameters", "videos/s", "epochs"]
    print_table(heads, rows)


def _plan(
    names: Sequence[str], settings: dict[str, str], training: dict[str, Any]
) -> list[PlannedRun]:
    from gapkit.training import plan_runs, read_sweep

    if any(name.endswith(SWEEP) for name in names):
        if len(names) > 1:
            raise UsageError(
                f"{' '.join(names)}: a sweep file names all of its runs. Give it alone."
            )
        if settings:
            raise UsageError(f"--set: settings of {names[0]} stand in the file, under [defaults].")
        return read_sweep(names[0], training)
    called = {default_name(name): name for name in names}
    if len(called) < len(names):
        raise UsageError(f"{' '.join(names)}: two runs would have one folder. Use a sweep file.")
    return plan_runs(called, settings, training)
