"""Splits of videos with features and labels: made from TFRecords, read as crops."""

from gapkit.data._check import SplitReport, check_split
from gapkit.data._describe import SplitFigures, describe
from gapkit.data._holdout import HoldoutResult, hold_out
from gapkit.data._import import import_embeddings, import_tfrecords
from gapkit.data._importing.run import ImportResult, ImportStep
from gapkit.data._importing.staging import count_finished as count_finished_shards
from gapkit.data._loader import Loader
from gapkit.data._names import attach_vocabulary
from gapkit.data._split import find_labels, missing_split
from gapkit.data._store import FrameStore
from gapkit.data._synth import SynthCorpus, synthesize

__all__ = [
    "FrameStore",
    "HoldoutResult",
    "ImportResult",
    "ImportStep",
    "Loader",
    "SplitFigures",
    "SplitReport",
    "SynthCorpus",
    "attach_vocabulary",
    "check_split",
    "count_finished_shards",
    "describe",
    "find_labels",
    "hold_out",
    "import_embeddings",
    "import_tfrecords",
    "missing_split",
    "synthesize",
]
