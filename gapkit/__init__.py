"""gapkit: score, ensemble and train predictors for large multi-label problems.

Names are imported when they are first used, so that `gapkit --help` needs neither NumPy nor Arrow.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gapkit.ensemble import average as average
    from gapkit.errors import GapkitError as GapkitError
    from gapkit.io import read_labels as read_labels
    from gapkit.io import read_predictions as read_predictions
    from gapkit.io import write_labels as write_labels
    from gapkit.io import write_predictions as write_predictions
    from gapkit.metrics import gap as gap
    from gapkit.metrics import gap_from_hits as gap_from_hits
    from gapkit.metrics import score as score
    from gapkit.predictions import Labels as Labels
    from gapkit.predictions import Predictions as Predictions

__version__ = "0.1.0"

_HOMES = {
    "average": "gapkit.ensemble",
    "GapkitError": "gapkit.errors",
    "read_labels": "gapkit.io",
    "read_predictions": "gapkit.io",
    "write_labels": "gapkit.io",
    "write_predictions": "gapkit.io",
    "gap": "gapkit.metrics",
    "gap_from_hits": "gapkit.metrics",
    "score": "gapkit.metrics",
    "Labels": "gapkit.predictions",
    "Predictions": "gapkit.predictions",
}

__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'gapkit' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
