"""The errors that gapkit raises for what a user can get wrong.

Each message is one line: what was wrong with its values, where, and what to do.
"""

TRAIN_EXTRA = ("torch", "safetensors", "tfrecord", "crc32c")
"""Modules that come with `pip install 'gapkit[train]'`."""


class GapkitError(Exception):
    """Base of every error that gapkit raises on purpose."""


class DataError(GapkitError):
    """A file, a split or an array holds something that it must not hold."""


class UsageError(GapkitError):
    """An argument is wrong, whatever the data."""


class PredictorError(GapkitError):
    """A predictor can't be found, loaded or trained, or returns what it must not."""
