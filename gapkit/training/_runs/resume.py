"""Whether what a run folder holds fits the state that is to be gone on from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import nn

from gapkit.errors import DataError
from gapkit.training._runs.epoch import Epoch

_REMEDY = "Train the run again with --overwrite."


def check_where(state: Path, found: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    """Refuse a state that does not say, as the right type, where training was."""
    for name, example in expected.items():
        kind = (int, float) if isinstance(example, float) else type(example)
        if not isinstance(found.get(name), kind):
            there = repr(found[name])[:80] if name in found else "missing"
            raise DataError(f"{state}: can't be resumed from ({name} is {there}). {_REMEDY}")


def read_epochs(metrics: Path, saved: Mapping[str, Any], state: Path) -> tuple[list[Epoch], int]:
    """The epochs that a state knows of, and the bytes that they take of the log."""
    check_where(state, saved, {"metrics_bytes": 0})
    size = int(saved["metrics_bytes"])
    logged = metrics.read_bytes()[:size] if metrics.is_file() else b""
    if len(logged) < size:
        raise DataError(
            f"{metrics}: {len(logged)} bytes, and {size} when the state was saved. {_REMEDY}"
        )
    try:
        records = [json.loads(line) for line in logged.splitlines()]
        return [Epoch.from_record(record) for record in records if "phase" not in record], size
    except (ValueError, TypeError, AttributeError) as error:
        raise DataError(f"{metrics}: damaged ({error}). {_REMEDY}") from None


def check_weights(path: Path, module: nn.Module) -> None:
    """Refuse weights that are not there, cut short, or of another module."""
    expected = {name: list(value.shape) for name, value in module.state_dict().items()}
    try:
        with safe_open(path, "pt") as file:
            found = {name: file.get_slice(name).get_shape() for name in file.keys()}  # noqa: SIM118
    except FileNotFoundError:
        raise DataError(f"{path}: no such file. {_REMEDY}") from None
    except (OSError, SafetensorError) as error:
        raise DataError(f"{path}: damaged or cut short ({error}). {_REMEDY}") from None
    for name in sorted({*found, *expected}):
        if found.get(name) != expected.get(name):
            raise DataError(
                f"{path}: not of this run: {name} is of shape {found.get(name)}, and must be of "
                f"{expected.get(name)}. {_REMEDY}"
            )
