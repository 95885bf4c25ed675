"""Ensembles of sparse predictions."""

from gapkit.ensemble._average import average

__all__ = ["average"]
