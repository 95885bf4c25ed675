"""A run as one file, that runs without its predictor's code: torch.export or ONNX."""

from __future__ import annotations

import importlib.util
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.export import Dim, ExportedProgram

from gapkit.errors import DataError, PredictorError, UsageError
from gapkit.io import replacing_file
from gapkit.predicting import ExportedAbout, ExportedPredictor, OnnxPredictor
from gapkit.predicting._exported import METADATA_KEY
from gapkit.training._module import TorchPredictor, find_device
from gapkit.training._runs.archive import program_to_bytes, read_program
from gapkit.training._runs.run import Run, load_run

if TYPE_CHECKING:
    from numpy.typing import NDArray

SUFFIXES = {"torch": ".pt2", "onnx": ".onnx"}
_MOST = 1 << 20  # videos or frames
_ONNX_PACKAGES = ("onnx", "onnxscript")


class ProgramPredictor(ExportedPredictor):
    """A program of torch.export, whose file is checked to hold no code.

    Parameters
    ----------
    path : path
    device : str
        As torch names it; 'auto' takes a GPU where there is one.

    Raises
    ------
    DataError
        There is no such file, or it is damaged, or not of gapkit, or may hold code.
    UsageError
        There is no such device.
    """

    def __init__(self, path: str | os.PathLike[str], *, device: str = "auto") -> None:
        path = Path(path)
        if not path.is_file():
            raise DataError(f"{path}: no such file. Make it: gapkit export RUN --to torch")
        self._device = find_device(device)
        with _quiet():
            program, about = read_program(path)
            if self._device.type != "cpu":
                from torch.export.passes import move_to_device_pass

                program = move_to_device_pass(program, str(self._device))
            self._module = program.module()
        super().__init__(ExportedAbout.from_json(about, path), path)

    def _run(
        self, inputs: list[NDArray[Any]], num_frames_B: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        tensors = [torch.from_numpy(values).to(self._device) for values in inputs]
        features = dict(zip(self.feature_sizes, tensors, strict=True))
        with torch.inference_mode():
            confidences = self._module(features, torch.from_numpy(num_frames_B).to(self._device))
        result: NDArray[np.float32] = confidences.float().cpu().numpy()
        return result


def load_exported(path: str | os.PathLike[str], *, device: str = "auto") -> ExportedPredictor:
    """Return the predictor of an exported file, `.pt2` or `.onnx`.

    Raises
    ------
    DataError, PredictorError, UsageError
        As `ProgramPredictor` and `OnnxPredictor` do; or the suffix is another one.
    """
    kinds = {".pt2": ProgramPredictor, ".onnx": OnnxPredictor}
    kind = kinds.get(Path(path).suffix)
    if kind is None:
        raise UsageError(f"{path}: neither .pt2 nor .onnx.")
    predictor: ExportedPredictor = kind(path, device=device)
    return predictor


def export_run(
    run: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    checkpoint: str = "last",
    predictor: str | None = None,
    level: str = "frame",
    max_frames: int | None = None,
) -> ExportedPredictor:
    """Write a run as one file, and return the predictor that the file is.

    Any number of videos goes into a batch, and of frames into a crop where the predictor's
    forward can be traced so; a loop over frames can't, and is unrolled for `max_frames` of them:
    shorter crops are padded, and longer ones refused.

    Parameters
    ----------
    run, checkpoint, predictor
        As for `load_run`.
    output : path
        Its suffix says what is written: `.pt2` (torch.export) or `.onnx`.
    level : {'frame', 'video'}
        Of the data that it will read.
    max_frames : int, optional
        Frames that a loop over them is unrolled for; None is the `max_frames` of its config.

    Raises
    ------
    PredictorError
        Its forward can't be traced, or what was traced predicts otherwise, or a package that
        writes ONNX is missing.
    DataError, UsageError
        As `load_run` does; the suffix or the level is another one; max_frames is below 1 or that
        of the config.
    """
    output = Path(output)
    if output.suffix not in SUFFIXES.values():
        raise UsageError(f"{output}: the suffix chooses the format. Use .pt2 or .onnx.")
    if level not in ("frame", "video"):
        raise UsageError(f"level {level!r} is neither frame nor video.")
    if output.suffix == ".onnx":
        _need_onnx(output)
    loaded = load_run(run, checkpoint=checkpoint, predictor=predictor, device="cpu")
    module = loaded.predictor.eval()
    config = module.config
    least = getattr(config, "max_frames", None)
    if max_frames is not None and max_frames < (least or 1):
        raise UsageError(
            f"max_frames is {max_frames}. For predictor {loaded.name!r} it must be {least or 1} "
            f"or more."
        )
    program, fixed_frames = _trace(module, loaded.name, level, max_frames or least)
    about = ExportedAbout(
        predictor=loaded.name,
        num_classes=module.num_classes,
        feature_sizes=module.feature_sizes,
        level=level,
        stride=getattr(config, "stride", None),
        max_frames=least,
        fixed_frames=fixed_frames,
        batch_size=loaded.batch_size,
    )
    with replacing_file(output) as temporary:
        if output.suffix == ".onnx":
            _write_onnx(program, about, temporary)
        else:
            with _quiet():
                temporary.write_bytes(program_to_bytes(program, about.to_json()))
        kind = OnnxPredictor if output.suffix == ".onnx" else ProgramPredictor
        exported: ExportedPredictor = kind(temporary, device="cpu")
        _check_alike(loaded, exported)
    exported.path = output
    return exported


def _trace(
    module: TorchPredictor, name: str, level: str, most: int | None
) -> tuple[ExportedProgram, int | None]:
    """The program, and the number of frames that it is fixed to."""
    videos = Dim("videos", min=1, max=_MOST)
    if level == "video":
        return _export(module, _example(module, None, 2), {0: videos}, videos, name), None
    frames = Dim("frames", min=1, max=_MOST)
    try:
        open_axes = {0: videos, 1: frames}
        return _export(module, _example(module, 4, 3), open_axes, videos, name), None
    except PredictorError as error:
        if most is None:
            raise PredictorError(
                f"{error} A forward that loops over frames needs a number of them: "
                f"pass --max-frames, as 300."
            ) from None
    return _export(module, _example(module, most, 3), {0: videos}, videos, name), most


def _export(
    module: TorchPredictor,
    example: tuple[dict[str, Tensor], Tensor],
    axes: dict[int, Any],
    videos: Any,
    name: str,
) -> ExportedProgram:
    shapes = (dict.fromkeys(example[0], axes), {0: videos})
    try:
        with _quiet(), torch.no_grad():
            return torch.export.export(module, example, dynamic_shapes=shapes, strict=False)
    except Exception as error:  # of torch's many
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise PredictorError(
            f"predictor {name!r} can't be exported: torch can't trace its forward ({reason})."
        ) from None


def _example(
    module: TorchPredictor, num_frames: int | None, num_videos: int, seed: int = 0
) -> tuple[dict[str, Tensor], Tensor]:
    """Random features of some videos, all but the first of them shorter than the crop."""
    generator = torch.Generator().manual_seed(seed)
    features = {}
    for name, size in module.feature_sizes.items():
        if num_frames is None:
            features[name] = torch.randn((num_videos, size), generator=generator)
        else:
            shape = (num_videos, num_frames, size)
            features[name] = torch.randint(256, shape, generator=generator, dtype=torch.uint8)
    most = 1 if num_frames is None else num_frames
    lengths = [max(most - 2 * video, 1) for video in range(num_videos)]
    return features, torch.tensor(lengths)


def _check_alike(loaded: Run, exported: ExportedPredictor) -> None:
    """Compare what was written with the run, at the sizes that tracers get wrong."""
    about = exported.config
    frames = about.fixed_frames or about.max_frames or 9
    for num_videos, num_frames in ((1, 1), (3, frames), (5, 1)):
        length = None if about.level == "video" else num_frames
        features, lengths = _example(loaded.predictor, length, num_videos, seed=1)
        with torch.inference_mode():
            ours = loaded.predictor(features, lengths).float().numpy()
        inputs = [exported._padded(features[name].numpy()) for name in about.feature_sizes]
        theirs = exported._run(inputs, lengths.numpy())
        difference = float(np.abs(ours - theirs).max(initial=0.0))
        if not difference <= 1e-4:
            raise PredictorError(
                f"predictor {loaded.name!r} can't be exported: {num_videos} videos of "
                f"{num_frames} frames come out up to {difference:.3g} apart. Its forward does "
                f"what a trace can't hold (a choice by values, or by the padding)."
            )


def _need_onnx(output: Path) -> None:
    missing = [name for name in _ONNX_PACKAGES if importlib.util.find_spec(name) is None]
    if importlib.util.find_spec("onnxruntime") is None:  # what is written is run once
        missing.append("onnxruntime")
    if missing:
        raise PredictorError(
            f"{output}: writing ONNX needs {' and '.join(missing)}. "
            f"Install: pip install {' '.join(missing)}. Or export to .pt2, which needs torch alone."
        )


def _write_onnx(program: ExportedProgram, about: ExportedAbout, path: Path) -> None:
    import onnx

    with _quiet():
        converted = torch.onnx.export(
            program,
            (),
            dynamo=True,
            external_data=False,
            input_names=[*about.feature_sizes, "num_frames"],
            output_names=["confidences"],
            verbose=False,
        )
    if converted is None:
        raise PredictorError(f"predictor {about.predictor!r} can't be written as ONNX.")
    model = converted.model_proto
    model.metadata_props.append(
        onnx.StringStringEntryProto(key=METADATA_KEY, value=about.to_json())
    )
    path.write_bytes(model.SerializeToString())


@contextmanager
def _quiet() -> Iterator[None]:
    """Torch's exporters warn about themselves."""
    import logging

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        disabled = logging.root.manager.disable
        logging.disable(logging.WARNING)
        try:
            yield
        finally:
            logging.disable(disabled)
