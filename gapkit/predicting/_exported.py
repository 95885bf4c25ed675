"""Predictors in a file of their own, which says what they take; those of ONNX need no torch."""

from __future__ import annotations

import json
import os
from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gapkit.errors import DataError, PredictorError, UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gapkit.batch import Batch

METADATA_KEY = "gapkit"
VERSION = 1


@dataclass(frozen=True, kw_only=True)
class ExportedAbout:
    """What an exported file says of itself."""

    predictor: str
    """Name of the predictor that it was made from"""
    num_classes: int
    """Labels"""
    feature_sizes: dict[str, int]
    """Values a frame (or a video) by feature, in the order of the inputs"""
    level: str
    """'frame' or 'video'"""
    stride: int | None
    """Of the crops; None is the store's own"""
    max_frames: int | None
    """Frames read at most; None is all"""
    fixed_frames: int | None
    """Frames that every input has, padded; None where any number will do"""
    batch_size: int
    """Videos a batch, 1 or more"""

    def to_json(self) -> str:
        """Return what is stored in the file."""
        return json.dumps({"version": VERSION, **asdict(self)})

    @classmethod
    def from_json(cls, text: str | bytes | None, path: Path) -> ExportedAbout:
        """Return what a file says; DataError where it says nothing, or nonsense."""
        try:
            about = json.loads(text or "null")
        except ValueError:
            about = None
        kinds: dict[str, Any] = {
            "predictor": str,
            "num_classes": int,
            "feature_sizes": dict,
            "level": str,
            "stride": int | None,
            "max_frames": int | None,
            "fixed_frames": int | None,
            "batch_size": int,
        }
        if not isinstance(about, dict) or about.get("version") != VERSION:
            raise DataError(
                f"{path}: not exported by gapkit, or by another version of it. "
                f"Make it with gapkit export RUN."
            )
        for field in fields(cls):
            value = about.get(field.name)
            if not isinstance(value, kinds[field.name]) or (isinstance(value, int) and value < 1):
                raise DataError(f"{path}: {field.name!r} is {value!r}. Export the run again.")
        if not all(isinstance(size, int) for size in about["feature_sizes"].values()):
            raise DataError(f"{path}: 'feature_sizes' are no numbers. Export the run again.")
        return cls(**{field.name: about[field.name] for field in fields(cls)})


class ExportedPredictor(ABC):
    """A predictor that was exported; `config` says how its crops are cut."""

    def __init__(self, about: ExportedAbout, path: Path) -> None:
        self.config = about
        self.path = path
        self.name = about.predictor
        self.num_classes = about.num_classes
        self.feature_sizes = dict(about.feature_sizes)
        self.batch_size = about.batch_size

    def predict(self, batch: Batch) -> NDArray[np.float32]:
        """Return the confidences of a batch, (B, num_classes)."""
        num_dims = 3 if self.config.level == "frame" else 2
        inputs = []
        for name in self.feature_sizes:
            if name not in batch.features:
                raise UsageError(f"{self.path}: the data has no feature {name!r}.")
            values = batch.features[name]
            if values.ndim != num_dims:
                raise UsageError(
                    f"{self.path}: exported for data at {self.config.level} level, and this is "
                    f"not. Export the run again with another --level."
                )
            inputs.append(self._padded(values))
        return self._run(inputs, batch.num_frames)

    @abstractmethod
    def _run(
        self, inputs: list[NDArray[Any]], num_frames_B: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """The confidences of the features, which are in the order of `feature_sizes`."""

    def _padded(self, values: NDArray[Any]) -> NDArray[Any]:
        fixed = self.config.fixed_frames
        if fixed is None or values.ndim == 2 or values.shape[1] == fixed:
            return values
        if values.shape[1] > fixed:
            raise UsageError(
                f"{self.path}: exported for up to {fixed} frames, and a crop has "
                f"{values.shape[1]}. Export the run again with --max-frames {values.shape[1]}, or "
                f"predict without --full."
            )
        padded = np.zeros((values.shape[0], fixed, values.shape[2]), values.dtype)
        padded[:, : values.shape[1]] = values
        return padded


class OnnxPredictor(ExportedPredictor):
    """An ONNX file, run by onnxruntime.

    Parameters
    ----------
    path : path
    device : str
        'auto' and 'cuda' take a GPU where onnxruntime has one; 'cpu' none.

    Raises
    ------
    DataError
        There is no such file, or it is damaged or not of gapkit.
    PredictorError
        onnxruntime is not installed.
    UsageError
        'cuda' without a GPU that onnxruntime can use, or another device.
    """

    def __init__(self, path: str | os.PathLike[str], *, device: str = "auto") -> None:
        path = Path(path)
        if not path.is_file():
            raise DataError(f"{path}: no such file. Make it: gapkit export RUN --to onnx")
        try:
            import onnxruntime
        except ModuleNotFoundError:
            raise PredictorError(
                f"{path}: needs onnxruntime to run. Install it: pip install onnxruntime"
            ) from None
        there = onnxruntime.get_available_providers()
        on_gpu = "CUDAExecutionProvider" in there and device != "cpu"
        if device not in ("auto", "cpu") and not (on_gpu and device.startswith("cuda")):
            raise UsageError(f"device {device!r} is not to be had from onnxruntime. Try cpu.")
        providers = ["CUDAExecutionProvider"] * on_gpu + ["CPUExecutionProvider"]
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(path, options, providers=providers)
        except Exception as error:  # its errors have no common class
            reason = " ".join(str(error).split())[:200]
            raise DataError(f"{path}: damaged or no ONNX ({reason}). Export it again.") from None
        found = self._session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
        super().__init__(ExportedAbout.from_json(found, path), path)

    def _run(
        self, inputs: list[NDArray[Any]], num_frames_B: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        names = [given.name for given in self._session.get_inputs()]
        wanted = dict(
            zip([*self.feature_sizes, "num_frames"], [*inputs, num_frames_B], strict=True)
        )
        # An input that the predictor does not read is no input of the file.
        feed = {name: wanted[name] for name in names if name in wanted}
        (confidence_BC,) = self._session.run(None, feed)
        return np.asarray(confidence_BC, np.float32)
