"""TensorBoard events of a run, where tensorboard is installed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

EVENT_FILES = "events.out.tfevents.*"
_SCALARS = {
    "loss": "train/loss",
    "videos_per_second": "train/videos_per_second",
    "wait_share": "train/wait_share",
    "gap": "holdout/gap",
    "map": "holdout/map",
    "hit_at_1": "holdout/hit_at_1",
}


class Events:
    """Scalars of a run, an epoch at a time."""

    def __init__(self) -> None:
        self._writer: Any = None

    def write(self, folder: Path, record: Mapping[str, Any], step: int) -> None:
        """Add an epoch; what an interrupted run had written beyond it is hidden."""
        if self._writer is None:
            try:
                from torch.utils.tensorboard import SummaryWriter
            except ImportError:
                return
            self._writer = SummaryWriter(str(folder), purge_step=step)
        phase = "pretraining/" if "phase" in record else ""
        for key, name in _SCALARS.items():
            if key in record:
                self._writer.add_scalar(phase + name, record[key], step)
        self._writer.flush()

    def close(self) -> None:
        """End the file."""
        if self._writer is not None:
            self._writer.close()
