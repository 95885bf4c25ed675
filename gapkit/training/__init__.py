"""The bundled trainer, and the torch modules that predictors are built from.

A predictor that can be trained is a `TorchPredictor`: a torch module whose `forward(features,
num_frames)` returns confidences.
"""

from gapkit.training._config import TrainingConfig
from gapkit.training._epoch import Epoch, Pretraining
from gapkit.training._heads import LogisticHead
from gapkit.training._inputs import concatenate_features, mean_over_frames
from gapkit.training._layer_norm_lstm import LayerNormLSTM
from gapkit.training._module import TorchPredictor
from gapkit.training._run import Run, load_run
from gapkit.training._train import train

__all__ = [
    "Epoch",
    "LayerNormLSTM",
    "LogisticHead",
    "Pretraining",
    "Run",
    "TorchPredictor",
    "TrainingConfig",
    "concatenate_features",
    "load_run",
    "mean_over_frames",
    "train",
]
