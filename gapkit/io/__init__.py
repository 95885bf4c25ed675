"""Submissions and label files: read by content, written by suffix, whole or not at all.

A submission is Parquet, Arrow IPC or the Kaggle CSV (plain or gzipped).
"""

from gapkit.io._atomic import replacing_file, replacing_folder
from gapkit.io._labels import read_labels, write_labels
from gapkit.io._submission import open_submission, read_predictions, write_predictions

__all__ = [
    "open_submission",
    "read_labels",
    "read_predictions",
    "replacing_file",
    "replacing_folder",
    "write_labels",
    "write_predictions",
]
