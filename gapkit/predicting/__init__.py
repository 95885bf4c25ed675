"""Any predictor over any split: validation, `gapkit predict` and so `gapkit score` go through here.

Needs no torch.
"""

from gapkit.predicting._blocks import default_batch_size, predict_blocks, predict_split
from gapkit.predicting._call import is_out_of_memory, predict_batch
from gapkit.predicting._exported import ExportedAbout, ExportedPredictor, OnnxPredictor
from gapkit.predicting._fingerprint import fingerprint_of
from gapkit.predicting._write import write_split

__all__ = [
    "ExportedAbout",
    "ExportedPredictor",
    "OnnxPredictor",
    "default_batch_size",
    "fingerprint_of",
    "is_out_of_memory",
    "predict_batch",
    "predict_blocks",
    "predict_split",
    "write_split",
]
