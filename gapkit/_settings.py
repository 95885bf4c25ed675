"""Frozen dataclasses of settings, filled from `key=value` and from JSON."""

from __future__ import annotations

import ast
import dataclasses
import difflib
import inspect
import itertools
import textwrap
import types
import typing
from collections.abc import Mapping
from typing import Any

from gapkit.errors import GapkitError, UsageError

_INTEGER_LIMIT = 2**53  # beyond it floats and JSON are not exact, and products leave 64 bits
_WORDS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Setting:
    """A field of a config."""

    name: str
    default: Any
    meaning: str
    """The line under the field: meaning, unit, range"""


def describe_settings(config_class: type[Any] | None) -> list[Setting]:
    """The fields of a config, each with the line that stands under it."""
    meanings: dict[str, str] = {}
    for base in reversed(config_class.__mro__ if config_class else ()):
        try:
            tree = ast.parse(textwrap.dedent(inspect.getsource(base)))
        except (OSError, TypeError, SyntaxError):  # built in, or made at run time
            continue
        body = tree.body[0].body if isinstance(tree.body[0], ast.ClassDef) else []
        for field, below in itertools.pairwise(body):
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
                is_text = isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant)
                if is_text:
                    meanings[field.target.id] = str(below.value.value)  # type: ignore[attr-defined]
    return [
        Setting(name=field.name, default=field.default, meaning=meanings.get(field.name, ""))
        for field in _fields(config_class)
    ]


def parse_settings(pairs: list[str]) -> dict[str, str]:
    """The settings of a list of 'key=value', each key once.

    Raises
    ------
    UsageError
        A pair has no '=', or a key stands twice.
    """
    settings: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise UsageError(f"--set {pair}: not key=value.")
        if key in settings:
            raise UsageError(f"--set {pair}: {key} is set twice.")
        settings[key] = value
    return settings


def take_settings(
    settings: Mapping[str, str], config_class: type[Any] | None, other: type[Any]
) -> tuple[dict[str, str], dict[str, Any]]:
    """Settings of a predictor, and those that only the other class has, converted to its types."""
    own = [field.name for field in _fields(config_class)]
    hints = typing.get_type_hints(other)
    theirs = {key: value for key, value in settings.items() if key in hints and key not in own}
    mine = {key: value for key, value in settings.items() if key not in theirs}
    for key in mine.keys() - own:
        near = difflib.get_close_matches(key, [*own, *hints], n=1)
        if near:
            raise UsageError(
                f"neither the predictor nor the trainer has a setting {key!r}. "
                f"Did you mean {near[0]!r}?"
            )
    return mine, {
        key: _convert(value, hints[key], key, "the trainer") for key, value in theirs.items()
    }


def _fields(config_class: type[Any] | None) -> tuple[dataclasses.Field[Any], ...]:
    is_config = config_class is not None and dataclasses.is_dataclass(config_class)
    return dataclasses.fields(config_class) if is_config else ()  # type: ignore[arg-type]


def make_config(
    config_class: type[Any] | None, settings: Mapping[str, Any], owner: str, *, parse: bool = True
) -> Any:
    """A config with the given fields, the others at their defaults; None where there is no class.

    `parse` converts strings, as --set gives them, to the types of the fields.

    Raises
    ------
    UsageError
        A field is unknown (the nearest one is offered), or a value is not of its type or range.
    """
    if config_class is None:
        if settings:
            raise UsageError(f"{owner} has no settings, and --set names {next(iter(settings))!r}.")
        return None
    if not dataclasses.is_dataclass(config_class):
        raise UsageError(f"{owner}: its Config is not a dataclass. Make it a frozen one.")
    names = [field.name for field in dataclasses.fields(config_class)]
    hints = typing.get_type_hints(config_class)
    values = {}
    for key, value in settings.items():
        if key not in names:
            near = difflib.get_close_matches(key, names, n=1)
            hint = f"Did you mean {near[0]!r}? " if near else ""
            raise UsageError(f"{owner} has no setting {key!r}. {hint}It has {', '.join(names)}.")
        values[key] = (
            _convert(value, hints[key], key, owner) if parse and isinstance(value, str) else value
        )
    try:
        config = config_class(**values)
    except GapkitError:
        raise
    except (TypeError, ValueError) as error:
        raise UsageError(f"{owner}: {error}") from None
    for key, value in values.items():
        if isinstance(value, int) and abs(value) > _INTEGER_LIMIT:
            raise UsageError(f"{owner}: {key} is {value}. It must be 2**53 or less.")
    return config


def _convert(text: str, hint: Any, key: str, owner: str) -> Any:
    is_union = isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union
    choices = typing.get_args(hint) if is_union else (hint,)
    if type(None) in choices and text.lower() == "none":
        return None
    for kind in choices:
        if kind is bool and text.lower() in _WORDS:
            return _WORDS[text.lower()]
        for option in typing.get_args(kind) if typing.get_origin(kind) is typing.Literal else ():
            if text == str(option):
                return option
        if kind in (int, float, str):
            try:
                return kind(text)
            except ValueError:
                continue
    raise UsageError(f"{owner}: setting {key}={text} is not {_in_words(choices)}.")


def _in_words(choices: tuple[Any, ...]) -> str:
    """'int or none', 'steps, cosine or none'."""
    names = {type(None): "none", int: "int", float: "float", str: "str", bool: "bool"}
    words: list[str] = []
    for kind in choices:
        if typing.get_origin(kind) is typing.Literal:
            words += map(str, typing.get_args(kind))
        else:
            words.append(names.get(kind, str(kind).removeprefix("typing.")))
    return " or ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
