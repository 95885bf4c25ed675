"""All problems of a file with their places, and what its rows look like."""

from gapkit.io._problems.find import find_problems
from gapkit.io._problems.report import Coverage, Distribution, FileReport, Finding, Spot

__all__ = ["Coverage", "Distribution", "FileReport", "Finding", "Spot", "find_problems"]
