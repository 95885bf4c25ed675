"""Several runs, one after another: from a list of predictors, or from a sweep file."""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gapkit._settings import describe_settings, make_config, take_settings
from gapkit.errors import GapkitError, UsageError
from gapkit.plugins import find_predictor
from gapkit.training._loop.config import TrainingConfig
from gapkit.training._loop.train import train
from gapkit.training._runs.epoch import Epoch

_OF_A_RUN = ("predictor", "name", "seeds", "init", "teacher")


@dataclass(frozen=True, kw_only=True)
class PlannedRun:
    """A run that is to be trained."""

    name: str
    """Of its folder"""
    predictor: str
    """As `find_predictor` takes it"""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the predictor's config"""
    training: Mapping[str, Any] = field(default_factory=dict)
    """Fields of TrainingConfig"""
    init: str | None = None
    """Run that it starts from"""
    teacher: str | None = None
    """Submission that it learns from"""


def plan_runs(
    predictors: Mapping[str, str], settings: Mapping[str, str], training: Mapping[str, Any]
) -> list[PlannedRun]:
    """One run a predictor; each takes those of the settings that it has.

    Parameters
    ----------
    predictors : mapping of str to str
        The name of a run to its predictor.
    settings : mapping of str to str
        As --set gives them: fields of predictors or of the trainer.
    training : mapping
        Fields of TrainingConfig; they go before `settings`.

    Raises
    ------
    UsageError
        None of the predictors has a setting, or a value is not of its type or range.
    PredictorError
        A predictor can't be found.
    """
    known = {name: _fields_of(predictor) for name, predictor in predictors.items()}
    planned = []
    for name, predictor in predictors.items():
        mine = {
            key: value
            for key, value in settings.items()
            if key in known[name] or not any(key in fields for fields in known.values())
        }
        planned.append(_plan(name, predictor, mine, training))
    return planned


def read_sweep(path: str | os.PathLike[str], training: Mapping[str, Any]) -> list[PlannedRun]:
    """Return the runs of a sweep file.

    It is TOML: a table `[[run]]` a run, with `predictor`, and any settings of the predictor or
    the trainer beside it; `name`, that of its folder, by default the predictor's; `seeds`, a list,
    for a run a seed, in NAME-seedN; `init` and `teacher` as for `train`. What stands in a table
    `[defaults]` goes for all runs that do not say otherwise and have such a setting.

    Parameters
    ----------
    path : path
    training : mapping
        Fields of TrainingConfig that go before the file's.

    Raises
    ------
    UsageError
        The file can't be read, or a run is wrong: file, run and key are named.
    PredictorError
        A predictor can't be found.
    """
    try:
        content = tomllib.loads(Path(path).read_text())
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: can't be read ({error}).") from None
    defaults, runs = content.pop("defaults", {}), content.pop("run", None)
    if content:
        raise UsageError(f"{path}: {next(iter(content))!r} is neither 'defaults' nor 'run'.")
    if not isinstance(runs, list) or not runs or not isinstance(defaults, dict):
        raise UsageError(f"{path}: has no [[run]]. Give each run such a table.")
    planned: list[PlannedRun] = []
    for number, run in enumerate(runs, 1):
        try:
            planned += _read_run(run, defaults, training)
        except GapkitError as error:
            raise type(error)(f"{path}: run {number}: {error}") from None
    known = {key for run in runs for key in (*_fields_of(run["predictor"]), *_OF_A_RUN)}
    for key in defaults:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise UsageError(f"{path}: [defaults]: no run has a setting {key!r}.{hint}")
    names = [run.name for run in planned]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UsageError(f"{path}: two runs are called {twice!r}. Give one of them a name.")
    return planned


@dataclass(frozen=True, kw_only=True)
class SweepResult:
    """What came of a planned run."""

    run: PlannedRun
    path: Path
    """Its folder"""
    epochs: list[Epoch]
    """What `train` returned; empty where it failed"""
    error: GapkitError | None = None
    """Why it failed"""


def sweep(
    runs: Sequence[PlannedRun],
    data: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    on_run: Callable[[PlannedRun], object] | None = None,
    **options: Any,
) -> Iterator[SweepResult]:
    """Train runs one after another, each in its folder of `output`; a failed one stops no other.

    Parameters
    ----------
    runs : sequence of PlannedRun
    data, options
        As for `train`.
    output : path
        Folder of the runs.
    on_run : callable, optional
        Called with each run before it is trained.

    Yields
    ------
    SweepResult
        As each run ends.
    """
    for run in runs:
        if on_run is not None:
            on_run(run)
        path = Path(output) / run.name
        epochs: list[Epoch] = []
        error = None
        own = {"settings": run.settings, "training": run.training}
        sources = {"init": run.init, "teacher": run.teacher}
        given = {key: value for key, value in sources.items() if value is not None}
        try:
            epochs = train(run.predictor, data, path, **{**options, **own, **given})
        except GapkitError as caught:
            error = caught
        yield SweepResult(run=run, path=path, epochs=epochs, error=error)


def _read_run(
    run: Any, defaults: Mapping[str, Any], training: Mapping[str, Any]
) -> Iterator[PlannedRun]:
    if not isinstance(run, dict) or not isinstance(run.get("predictor"), str):
        raise UsageError("'predictor' is missing. Name one.")
    predictor = run["predictor"]
    known = {*_fields_of(predictor), *_OF_A_RUN}
    values = {**{key: value for key, value in defaults.items() if key in known}, **run}
    name = values.get("name", predictor)
    seeds = values.get("seeds")
    if not isinstance(name, str) or name != Path(name).name or name in ("", ".."):
        raise UsageError(f"name is {name!r}. Name a folder, without '/'.")
    if seeds is not None and not (isinstance(seeds, list) and seeds):
        raise UsageError(f"seeds is {seeds!r}. Give a list, as [0, 1, 2].")
    if seeds and "seed" in training:
        raise UsageError(f"seeds is {seeds}, and --seed {training['seed']} is given. Leave one.")
    for key in ("init", "teacher"):
        if not isinstance(values.get(key, ""), str):
            raise UsageError(f"{key} is {values[key]!r}. Give a path, in quotes.")
    settings = {key: _as_text(key, value) for key, value in values.items() if key not in _OF_A_RUN}
    for seed in seeds or [None]:
        more = {} if seed is None else {"seed": _as_text("seeds", seed)}
        planned = _plan(
            name if seed is None else f"{name}-seed{seed}", predictor, settings | more, training
        )
        sources = {key: values.get(key) for key in ("init", "teacher")}
        yield PlannedRun(**{**vars(planned), **sources})


def _plan(
    name: str, predictor: str, settings: Mapping[str, str], training: Mapping[str, Any]
) -> PlannedRun:
    """A run whose settings are known to be of the right names, types and ranges."""
    plugin = find_predictor(predictor)
    own, of_trainer = take_settings(settings, plugin.config_class, TrainingConfig)
    of_trainer |= training
    plugin.configure(own)
    make_config(TrainingConfig, of_trainer, "the trainer", parse=False)
    return PlannedRun(name=name, predictor=predictor, settings=own, training=of_trainer)


def _fields_of(predictor: str) -> set[str]:
    classes = (find_predictor(predictor).config_class, TrainingConfig)
    return {setting.name for config in classes for setting in describe_settings(config)}


def _as_text(key: str, value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (str, int, float)):
        return str(value)
    raise UsageError(f"{key} is {value!r}. Give a number, a word, or true or false.")
