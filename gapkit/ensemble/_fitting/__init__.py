"""Weights, calibrations and stackers, fitted on a holdout."""
