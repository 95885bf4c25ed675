"""Submissions and label files: read by content, written by suffix, whole or not at all.

A submission is Parquet, Arrow IPC or the Kaggle CSV (plain or gzipped).
"""

from gapkit.io._atomic import (
    check_replaceable,
    install_folder,
    make_parent,
    remove_leftovers,
    replacing_file,
    replacing_folder,
    stage_folder,
)
from gapkit.io._columns import labels_to_table
from gapkit.io._formats import check_output, suffix_of
from gapkit.io._labels import holds_labels, read_labels, write_labels
from gapkit.io._problems import Coverage, Distribution, FileReport, Finding, Spot, find_problems
from gapkit.io._submission import (
    open_submission,
    read_predictions,
    scan_predictions,
    write_predictions,
)

__all__ = [
    "Coverage",
    "Distribution",
    "FileReport",
    "Finding",
    "Spot",
    "check_output",
    "check_replaceable",
    "find_problems",
    "holds_labels",
    "install_folder",
    "labels_to_table",
    "make_parent",
    "open_submission",
    "read_labels",
    "read_predictions",
    "remove_leftovers",
    "replacing_file",
    "replacing_folder",
    "scan_predictions",
    "stage_folder",
    "suffix_of",
    "write_labels",
    "write_predictions",
]
