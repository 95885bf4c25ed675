"""Splits of videos with features and labels: made from TFRecords, read as crops."""

from gapkit.data._describe import SplitFigures, describe
from gapkit.data._import import ImportResult, import_tfrecords
from gapkit.data._loader import Loader
from gapkit.data._split import missing_split
from gapkit.data._store import FrameStore
from gapkit.data._synth import SynthCorpus, synthesize

__all__ = [
    "FrameStore",
    "ImportResult",
    "Loader",
    "SplitFigures",
    "SynthCorpus",
    "describe",
    "import_tfrecords",
    "missing_split",
    "synthesize",
]
