"""Weights of an ensemble: checked, and kept in a file."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gapkit.ensemble._modes import check_fill, check_mode
from gapkit.errors import DataError, UsageError
from gapkit.io import replacing_file

if TYPE_CHECKING:
    from numpy.typing import NDArray

Knots = tuple[tuple[float, float], ...]


def check_weights(weights: Sequence[float] | None, num_members: int) -> NDArray[np.float64]:
    """Return one weight a member, as float64: finite, not negative, not all 0.

    Equal weights become 1; others keep their ratios to the last bit.

    Examples
    --------
    >>> check_weights([3, 1], 2).tolist()
    [0.75, 0.25]
    >>> check_weights(None, 2).tolist()
    [1.0, 1.0]
    """
    if num_members == 0:
        raise UsageError("an ensemble of no members. Name at least one.")
    if weights is None:
        return np.ones(num_members)
    try:
        weight_M = np.array(weights, np.float64)
    except (TypeError, ValueError):
        raise UsageError(f"weights {weights!r} are not numbers.") from None
    if weight_M.shape != (num_members,):
        raise UsageError(
            f"{weight_M.size} weights for {num_members} members. Give each member one weight."
        )
    wrong = np.flatnonzero(~(np.isfinite(weight_M) & (weight_M >= 0)))
    if wrong.size:
        raise UsageError(
            f"weight {wrong[0] + 1} is {weight_M[wrong[0]]:g}. Weights are 0 or more, and finite."
        )
    if not weight_M.any():
        raise UsageError("all weights are 0. Give at least one member a weight above 0.")
    if (weight_M == weight_M[0]).all():
        return np.ones(num_members)
    # A power of two, so that no ratio is rounded, and their sum can't overflow.
    return np.asarray(np.ldexp(weight_M, -math.frexp(float(weight_M.max()))[1]), np.float64)


def shares_of(weight_M: NDArray[np.float64]) -> list[float]:
    """Weights that sum to 1, whatever the order of the members."""
    total = math.fsum(weight_M)
    return [float(weight) / total for weight in weight_M]


@dataclass(frozen=True, kw_only=True)
class Weights:
    """What an ensemble was made with, or shall be made with: one weight a member, and how.

    Raises
    ------
    UsageError
        Weights or transforms do not fit the members, or an unknown mode or fill.

    Examples
    --------
    >>> Weights(members=("a.parquet", "b.parquet"), weights=(0.75, 0.25)).mode
    'mean'
    """

    members: tuple[str, ...]
    """Their names; other files are matched by order, since a test set's have other names"""
    weights: tuple[float, ...]
    """One a member, as `check_weights` takes them"""
    mode: str = "mean"
    """As in `average`"""
    fill: str = "zero"
    """As in `average`"""
    transforms: tuple[Knots | None, ...] | None = None
    """A rising piecewise linear map of each member's confidences, by its knots (x, y), or None"""

    def __post_init__(self) -> None:
        check_weights(self.weights, len(self.members))
        check_mode(self.mode)
        check_fill(self.fill)
        check_transforms(self.transforms, len(self.members))


def check_transforms(
    transforms: Sequence[Sequence[Sequence[float]] | None] | None, num_members: int
) -> list[NDArray[np.float64] | None]:
    """One map a member: its knots as (n, 2), x rising and y not falling; or None."""
    if transforms is None:
        return [None] * num_members
    if len(transforms) != num_members:
        raise UsageError(
            f"{len(transforms)} transforms for {num_members} members. Give each member one or None."
        )
    checked: list[NDArray[np.float64] | None] = []
    for number, knots in enumerate(transforms, start=1):
        if knots is None:
            checked.append(None)
            continue
        try:
            knot_N2 = np.array(knots, np.float64)
        except (TypeError, ValueError):
            raise UsageError(f"transform {number}: its knots are not pairs of numbers.") from None
        if knot_N2.ndim != 2 or knot_N2.shape[1] != 2 or not np.isfinite(knot_N2).all():
            raise UsageError(f"transform {number}: its knots are not pairs (x, y), all finite.")
        step_N2 = np.diff(knot_N2, axis=0)
        fault = np.flatnonzero((step_N2[:, 0] <= 0) | (step_N2[:, 1] < 0))
        if fault.size:
            first, second = knot_N2[fault[0]].tolist(), knot_N2[fault[0] + 1].tolist()
            raise UsageError(
                f"transform {number}: knot {second} follows {first}. x must rise, y must not fall."
            )
        checked.append(knot_N2)
    return checked


def read_weights(path: str | os.PathLike[str]) -> Weights:
    """Return the weights of a JSON file, or those that a submission was made with.

    Raises
    ------
    DataError
        The file is absent, or neither JSON of `write_weights` nor a submission with weights.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            head = file.read(6)
        if head[:4] == b"PAR1" or head == b"ARROW1":
            about = _metadata(path, is_parquet=head[:4] == b"PAR1")
        else:
            about = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise DataError(f"{path}: no such file.") from None
    except IsADirectoryError:
        raise DataError(f"{path} is a folder. Name a file of weights.") from None
    except (OSError, ValueError, pa.ArrowException) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{path}: neither JSON nor a submission ({reason}).") from None
    if not isinstance(about, dict) or not isinstance(about.get("weights"), list):
        raise DataError(f"{path}: holds no weights. Write it with write_weights.")
    if not isinstance(about.get("members"), list) or not all(
        isinstance(name, str) for name in about["members"]
    ):
        raise DataError(f"{path}: its members are not a list of names.")
    try:
        return Weights(
            members=tuple(about["members"]),
            weights=tuple(about["weights"]),
            mode=about.get("mode", "mean"),
            fill=about.get("fill", "zero"),
            transforms=_to_tuples(about.get("transforms")),
        )
    except (UsageError, TypeError, ValueError) as error:
        raise DataError(f"{path}: {error}") from None


def write_weights(path: str | os.PathLike[str], weights: Weights) -> None:
    """Write weights as JSON, whole or not at all.

    Raises
    ------
    DataError
        The folder can't be written.
    """
    with replacing_file(path) as temporary:
        temporary.write_text(json.dumps(to_json(weights), indent=1) + "\n")


def to_json(weights: Weights) -> dict[str, Any]:
    """What is written: lists, and no transforms where there are none."""
    about = {key: value for key, value in asdict(weights).items() if value is not None}
    written: dict[str, Any] = json.loads(json.dumps(about))
    return written


def _metadata(path: Path, *, is_parquet: bool) -> Any:
    if is_parquet:
        schema = pq.read_schema(path)
    else:
        with pa.memory_map(str(path)) as source:
            schema = pa.ipc.open_file(source).schema
    metadata: Mapping[bytes, bytes] = schema.metadata or {}
    return json.loads(metadata.get(b"gapkit", b"{}"))


def _to_tuples(transforms: Any) -> tuple[Knots | None, ...] | None:
    if transforms is None:
        return None
    return tuple(
        None if knots is None else tuple((float(x), float(y)) for x, y in knots)
        for knots in transforms
    )
