"""Ensembles of sparse predictions."""

from gapkit.ensemble._average import average, check_weights

__all__ = ["average", "check_weights"]
