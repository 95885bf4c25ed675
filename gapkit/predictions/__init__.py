"""The two tables of gapkit: sparse top-k predictions, and the true labels."""

from gapkit.predictions._labels import Labels
from gapkit.predictions._predictions import Predictions

__all__ = ["Labels", "Predictions"]
