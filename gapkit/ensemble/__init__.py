"""Ensembles of sparse predictions.

What fits and explains weights is imported when it is first used: `gapkit ensemble` starts 0.1 s
earlier without it.
"""

import importlib
from typing import TYPE_CHECKING

from gapkit.ensemble._averaging.average import average
from gapkit.ensemble._averaging.files import Ensembled, ensemble_files
from gapkit.ensemble._weights import Weights, check_weights, read_weights, write_weights

if TYPE_CHECKING:
    from gapkit.ensemble._explaining.explain import explain
    from gapkit.ensemble._explaining.result import Explanation
    from gapkit.ensemble._fitting.fit import fit_weights
    from gapkit.ensemble._fitting.result import FittedWeights

_HOMES = {
    "Explanation": "gapkit.ensemble._explaining.result",
    "FittedWeights": "gapkit.ensemble._fitting.result",
    "explain": "gapkit.ensemble._explaining.explain",
    "fit_weights": "gapkit.ensemble._fitting.fit",
}

__all__ = [
    "Ensembled",
    "Explanation",
    "FittedWeights",
    "Weights",
    "average",
    "check_weights",
    "ensemble_files",
    "explain",
    "fit_weights",
    "read_weights",
    "write_weights",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'gapkit.ensemble' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
