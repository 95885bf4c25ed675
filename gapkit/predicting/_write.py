"""A split's predictions as submissions: streamed, resumed, all files or none."""

from __future__ import annotations

import os
import re
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gapkit import __version__
from gapkit.errors import UsageError
from gapkit.io import open_submission, suffix_of
from gapkit.predicting._blocks import check_starts, default_batch_size, predict_blocks
from gapkit.predicting._fingerprint import fingerprint_of
from gapkit.predicting._pieces import Pieces

if TYPE_CHECKING:
    from gapkit.data import FrameStore
    from gapkit.plugins import Predictor

_ONE = ""  # the name of a predictor that was given without one


@dataclass(frozen=True)
class _Output:
    target: Path
    checkpoints: list[str]
    starts: list[int]


def write_split(
    predictor: Predictor | Mapping[str, Predictor],
    store: FrameStore,
    path: str | os.PathLike[str],
    *,
    starts: Sequence[int] = (0,),
    separate: bool = False,
    full: bool = False,
    batch_size: int | None = None,
    top_k: int = 20,
    provenance: Mapping[str, Any] | None = None,
    fingerprint: str | None = None,
    name: str | None = None,
    progress: Callable[[int, int], object] | None = None,
    tell: Callable[[str], object] | None = None,
) -> list[Path]:
    """Write a split's predictions as a submission, streamed; return the files written.

    Memory holds a batch and up to 50,000 rows of a target. Each minute, or 50,000 videos, what is
    finished is written beside the target; these files are gone when it is there.

    Parameters
    ----------
    predictor : Predictor, or mapping of str to Predictor
        Checkpoints by name. The mapping may load what it is asked for: to be averaged they are
        held all at once, separate ones one after another.
    store, starts, full, batch_size, top_k, name, tell
        As for `predict_blocks`.
    path : path
        Its suffix chooses the format.
    separate : bool
        Write one file a start and checkpoint, `p.start0.parquet` for `p.parquet` (of several
        checkpoints `p.CHECKPOINT.start0.parquet`), instead of their average.
    provenance : mapping, optional
        What made the predictions; `split`, `starts` and the checkpoints are added.
    fingerprint : str, optional
        What the predictor is made of, as `fingerprint_of` says it. With one, a prediction that
        was killed is taken up where it was, if split and options are the same.
    progress : callable, optional
        Called with the videos done and the videos in all, of all files.

    Raises
    ------
    PredictorError, UsageError, DataError
        As `predict_blocks` and `gapkit.io.open_submission` do. Files that were there stay.
    """
    check_starts(starts)
    checkpoints = predictor if isinstance(predictor, Mapping) else {_ONE: predictor}
    if not checkpoints:
        raise UsageError("checkpoints are []. Give at least one.")
    size = default_batch_size(store.num_classes) if batch_size is None else batch_size
    outputs = _outputs(Path(path), list(checkpoints), list(starts), separate)
    began = time.perf_counter()
    with ExitStack() as stack:
        finished = []
        for number, output in enumerate(outputs):
            about = [output.checkpoints, output.starts, full, size, top_k]
            pieces = _open_pieces(output.target, store, fingerprint, about)
            stack.callback(_leave, pieces, tell)
            finished.append(pieces)
            if pieces.num_found and tell is not None:
                tell(
                    f"{output.target}: {pieces.num_found:,} videos were predicted before: "
                    f"going on behind them"
                )
            if pieces.num_done == len(store):
                continue
            before = number * len(store)
            for block in predict_blocks(
                [checkpoints[key] for key in output.checkpoints],
                store,
                starts=output.starts,
                full=full,
                batch_size=size,
                top_k=top_k,
                first=pieces.num_done,
                name=name,
                progress=_shifted(progress, before, len(store) * len(outputs)),
                tell=tell,
            ):
                pieces.add(block)
            pieces.finish()
        _write_all(outputs, finished, store, top_k, provenance)
        stack.pop_all()
    for pieces in finished:
        pieces.remove()
    if tell is not None:
        num_new = sum(len(store) - pieces.num_found for pieces in finished)
        crops = len(checkpoints) * len(starts)
        tell(_throughput(num_new // len(outputs), crops, time.perf_counter() - began))
    return [output.target for output in outputs]


def _outputs(
    path: Path, checkpoints: list[str], starts: list[int], separate: bool
) -> list[_Output]:
    """The files and what is averaged in each."""
    suffix = suffix_of(path)
    if not separate:
        return [_Output(path, checkpoints, starts)]
    stem = path.name.removesuffix(suffix)
    outputs = []
    for checkpoint in checkpoints:
        middle = f".{checkpoint}" if len(checkpoints) > 1 else ""
        for start in starts:
            target = path.with_name(f"{stem}{middle}.start{start}{suffix}")
            outputs.append(_Output(target, [checkpoint], [start]))
    return outputs


def _open_pieces(
    target: Path, store: FrameStore, fingerprint: str | None, options: list[Any]
) -> Pieces:
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/", str(target)):  # a URI: its pieces lie here
        target, fingerprint = Path(tempfile.gettempdir()) / target.name, None
    if fingerprint is not None:
        split = [store.path / "split.json", store.path / "labels.parquet"]
        fingerprint = fingerprint_of(split, [fingerprint, __version__, *options])
    return Pieces(target, store, fingerprint)


def _write_all(
    outputs: Sequence[_Output],
    finished: Sequence[Pieces],
    store: FrameStore,
    top_k: int,
    provenance: Mapping[str, Any] | None,
) -> None:
    """All files appear, or none."""
    with ExitStack() as stack:
        for output, pieces in zip(outputs, finished, strict=True):
            about = {**(provenance or {}), "split": str(store.path), "starts": output.starts}
            if len(output.checkpoints) > 1:
                about["checkpoints"] = output.checkpoints
            elif output.checkpoints != [_ONE]:
                (about["checkpoint"],) = output.checkpoints
            write = stack.enter_context(
                open_submission(
                    output.target, num_classes=store.num_classes, top_k=top_k, provenance=about
                )
            )
            for block in pieces.blocks():
                write(block)


def _leave(pieces: Pieces, tell: Callable[[str], object] | None) -> None:
    num_left = pieces.leave()
    if num_left and tell is not None:
        tell(f"{num_left:,} videos are kept: the same command goes on behind them")


def _shifted(
    progress: Callable[[int, int], object] | None, before: int, total: int
) -> Callable[[int, int], object] | None:
    if progress is None:
        return None
    return lambda done, _: progress(before + done, total)


def _throughput(num_videos: int, crops: int, seconds: float) -> str:
    rate = num_videos / max(seconds, 1e-9)
    words = f"{num_videos:,} videos in {seconds:,.1f} s: {rate:,.0f} videos/s"
    return words if crops == 1 else f"{words}, {crops} crops each"
