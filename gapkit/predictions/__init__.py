"""The two tables of gapkit: sparse top-k predictions, and the true labels."""

from gapkit.predictions._changes import Changes, ConfidenceChange, find_changes
from gapkit.predictions._labels import Labels
from gapkit.predictions._predictions import Predictions

__all__ = ["Changes", "ConfidenceChange", "Labels", "Predictions", "find_changes"]
