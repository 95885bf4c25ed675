"""Predictors: the protocol, and how one is found by name."""

from __future__ import annotations

import contextlib
import difflib
import importlib
import importlib.util
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from gapkit._settings import make_config
from gapkit.batch import Batch
from gapkit.errors import TRAIN_EXTRA, GapkitError, PredictorError

__all__ = [
    "Listing",
    "Plugin",
    "Predictor",
    "find_entry_point",
    "find_predictor",
    "list_predictors",
]

GROUP = "gapkit.predictors"


@runtime_checkable
class Predictor(Protocol):
    """Whatever gives the confidences of a batch of videos.

    A predictor that has a `config` with the fields `stride` or `max_frames` is given crops cut so;
    otherwise it is given all frames at the store's own stride.
    """

    def predict(self, batch: Batch) -> NDArray[np.float32]:
        """Return the confidence of each label of each video: (B, num_classes), in [0, 1]."""
        ...


@dataclass(frozen=True, kw_only=True)
class Listing:
    """A predictor that an installed package offers."""

    name: str
    """What it is called on the command line"""
    package: str
    """The package that brings it, with its version"""
    target: str
    """Where it lies: module:object"""


@dataclass(frozen=True, kw_only=True)
class Plugin:
    """A predictor that was found, not built yet."""

    name: str
    """As it was asked for"""
    is_entry_point: bool
    """Whether an installed package offers it by this name"""
    target: Any
    """An instance with `predict`, or a callable (num_classes, feature_sizes, config)"""
    config_class: type[Any] | None
    """The frozen `Config` beside it"""

    def configure(self, settings: Mapping[str, Any], *, parse: bool = True) -> Any:
        """Return its config with the given fields set; `parse` converts strings to their types.

        Raises
        ------
        UsageError
            A field is unknown, or a value is not of its type or range.
        """
        return make_config(self.config_class, settings, f"predictor {self.name!r}", parse=parse)

    def build(self, num_classes: int, feature_sizes: Mapping[str, int], config: Any) -> Predictor:
        """Return the predictor for a data set.

        Raises
        ------
        PredictorError
            It can't be built, or has no `predict`.
        """
        made = self.target
        if not _is_instance(made):
            with _blaming(self.name, "can't be built"):
                made = made(num_classes, dict(feature_sizes), config)
        if not callable(getattr(made, "predict", None)):
            raise PredictorError(
                f"predictor {self.name!r}: {type(made).__name__} has no method predict(batch). "
                f"Give it one that returns (num_videos, num_classes) confidences."
            )
        predictor: Predictor = made
        return predictor


def list_predictors() -> list[Listing]:
    """Return what installed packages offer, by name, without importing any of them."""
    return [
        Listing(
            name=entry.name,
            package=f"{entry.dist.name} {entry.dist.version}" if entry.dist else "",
            target=entry.value,
        )
        for entry in sorted(_entries().values(), key=lambda entry: entry.name)
    ]


def find_predictor(name: str) -> Plugin:
    """Return the predictor of a name.

    Parameters
    ----------
    name : str
        The name of an entry point of the group 'gapkit.predictors', `module:object`, or the path
        of a `.py` file, whose `predictor` is taken.

    Raises
    ------
    PredictorError
        There is none of that name (the nearest one is offered), it can't be imported, or it is
        neither an instance with `predict` nor callable.
    """
    if name in _entries():
        return find_entry_point(name)
    if name.endswith(".py"):
        module = _load_file(name)
        if not hasattr(module, "predictor"):
            raise PredictorError(
                f"{name}: has no `predictor`. Name the predictor so in the file, an instance with "
                f"predict(batch) or a callable (num_classes, feature_sizes, config)."
            )
        return _plugin(name, module.predictor, module)
    if ":" in name:
        module, target = _load_object(name)
        return _plugin(name, target, module)
    return find_entry_point(name)


def find_entry_point(name: str) -> Plugin:
    """Return the predictor that an installed package offers by a name.

    Raises
    ------
    PredictorError
        There is none of that name (the nearest one is offered), or it can't be imported.
    """
    entries = _entries()
    if name in entries:
        offers = {
            e.value: e.dist.name if e.dist else "" for e in entry_points(group=GROUP, name=name)
        }
        if len(offers) > 1:
            raise PredictorError(
                f"predictor {name!r} is offered by {' and '.join(sorted(offers.values()))}. "
                f"Uninstall one, or name it as module:object."
            )
        with _blaming(name, "can't be loaded"):
            target = entries[name].load()
        module = sys.modules.get(entries[name].module)
        return _plugin(name, target, module, is_entry_point=True)
    near = difflib.get_close_matches(name, entries, n=1, cutoff=0.4)
    hint = f"Did you mean {near[0]!r}? " if near else ""
    raise PredictorError(
        f"no predictor {name!r}. {hint}gapkit predictors lists them; a module:object or the path "
        f"of a .py file will do too."
    )


def _entries() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=GROUP)}


def _plugin(
    name: str, target: Any, module: ModuleType | None, *, is_entry_point: bool = False
) -> Plugin:
    if not (_is_instance(target) or callable(target)):
        raise PredictorError(
            f"predictor {name!r} is {type(target).__name__}, neither an instance with "
            f"predict(batch) nor a callable (num_classes, feature_sizes, config)."
        )
    config_class = getattr(target, "Config", None) or getattr(module, "Config", None)
    return Plugin(
        name=name, is_entry_point=is_entry_point, target=target, config_class=config_class
    )


def _is_instance(target: Any) -> bool:
    return not isinstance(target, type) and callable(getattr(target, "predict", None))


def _load_file(name: str) -> ModuleType:
    path = Path(name)
    if not path.is_file():
        raise PredictorError(f"{name}: no such file. Name a .py file that holds a `predictor`.")
    spec = importlib.util.spec_from_file_location(f"gapkit_plugin_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise PredictorError(f"{name}: can't be loaded as Python.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    with _blaming(name, "can't be loaded"), _importing_from(path.parent):
        spec.loader.exec_module(module)
    return module


def _load_object(name: str) -> tuple[ModuleType, Any]:
    module_name, _, attributes = name.partition(":")
    with _blaming(name, "can't be loaded"), _importing_from(Path.cwd()):
        module = importlib.import_module(module_name)
        target: Any = module
        for attribute in attributes.split("."):
            target = getattr(target, attribute)
    return module, target


@contextlib.contextmanager
def _importing_from(folder: Path) -> Iterator[None]:
    """Let a plug-in import what lies in a folder, while it is imported itself."""
    sys.path.insert(0, str(folder.resolve()))
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):
            sys.path.remove(str(folder.resolve()))


@contextlib.contextmanager
def _blaming(name: str, what: str) -> Iterator[None]:
    """Name the predictor in whatever its own code raises."""
    try:
        yield
    except GapkitError:
        raise
    except ModuleNotFoundError as error:
        extra = error.name in TRAIN_EXTRA
        package = "'gapkit[train]'" if extra else str(error.name).partition(".")[0]
        raise PredictorError(
            f"predictor {name!r} {what}: it needs {error.name}. Install it: pip install {package}"
        ) from error
    except (Exception, SystemExit) as error:
        reason = " ".join(str(error).split())
        raise PredictorError(
            f"predictor {name!r} {what}: {type(error).__name__}: {reason}"
        ) from error
