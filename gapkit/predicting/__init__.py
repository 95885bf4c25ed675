"""Any predictor over any split: validation, `gapkit predict` and so `gapkit score` go through here.

Needs no torch.
"""

from gapkit.predicting._blocks import default_batch_size, predict_blocks, predict_split
from gapkit.predicting._exported import ExportedAbout, ExportedPredictor, OnnxPredictor
from gapkit.predicting._fingerprint import fingerprint_of
from gapkit.predicting._write import write_split

__all__ = [
    "ExportedAbout",
    "ExportedPredictor",
    "OnnxPredictor",
    "default_batch_size",
    "fingerprint_of",
    "predict_blocks",
    "predict_split",
    "write_split",
]
