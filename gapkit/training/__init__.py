"""The bundled trainer, and the torch modules that predictors are built from.

A predictor that can be trained is a `TorchPredictor`: a torch module whose `forward(features,
num_frames)` returns confidences.
"""

from typing import TYPE_CHECKING, Any

from gapkit.training._cells.layer_norm_lstm import LayerNormLSTM
from gapkit.training._cells.layers import gather_frames
from gapkit.training._cells.recurrent import GRU, LSTM
from gapkit.training._describe import Description, describe_predictor
from gapkit.training._heads import ContextGating, GatedHead, LogisticHead, MoEHead, make_head
from gapkit.training._inputs import concatenate_features, mean_over_frames
from gapkit.training._loop.config import TrainingConfig
from gapkit.training._loop.sweep import PlannedRun, SweepResult, plan_runs, read_sweep, sweep
from gapkit.training._loop.train import train
from gapkit.training._module import TorchPredictor
from gapkit.training._runs.averaging import Averaged, average_checkpoints
from gapkit.training._runs.checkpoints import Checkpoints, list_checkpoints
from gapkit.training._runs.epoch import Epoch, Pretraining
from gapkit.training._runs.export import ProgramPredictor, export_run, load_exported
from gapkit.training._runs.quantise import quantise_run
from gapkit.training._runs.run import Run, load_run

if TYPE_CHECKING:
    from gapkit.training._gap_metric import GapMetric

__all__ = [
    "GRU",
    "LSTM",
    "Averaged",
    "Checkpoints",
    "ContextGating",
    "Description",
    "Epoch",
    "GapMetric",
    "GatedHead",
    "LayerNormLSTM",
    "LogisticHead",
    "MoEHead",
    "PlannedRun",
    "Pretraining",
    "ProgramPredictor",
    "Run",
    "SweepResult",
    "TorchPredictor",
    "TrainingConfig",
    "average_checkpoints",
    "concatenate_features",
    "describe_predictor",
    "export_run",
    "gather_frames",
    "list_checkpoints",
    "load_exported",
    "load_run",
    "make_head",
    "mean_over_frames",
    "plan_runs",
    "quantise_run",
    "read_sweep",
    "sweep",
    "train",
]


def __getattr__(name: str) -> Any:
    """Import what takes its time (torchmetrics: a second) when it is asked for."""
    if name == "GapMetric":
        from gapkit.training._gap_metric import GapMetric

        return GapMetric
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
