"""Videos from the records of YouTube-8M and AudioSet, frame level and video level."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from gapkit.data._tfrecord import Fault, messages, read_records
from gapkit.data._wire import Scanned, scan_frames
from gapkit.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ID_KEYS = ("video_id", "id")
_FRAME_FEATURES = {"rgb": "rgb", "audio": "audio", "audio_embedding": "audio"}
_VIDEO_FEATURES = ("mean_rgb", "mean_audio")
_KNOWN_CLASSES = {
    # (frame or mean sizes, key of the id): labels of the release
    ((1024, 128), "video_id"): 4716,  # YouTube-8M 2017
    ((1024, 128), "id"): 3862,  # YouTube-8M 2018
}
_AUDIOSET_CLASSES = 527


@dataclass(frozen=True, kw_only=True)
class Video:
    """One record."""

    id: str
    labels: NDArray[np.int64]
    features: dict[str, NDArray[Any]]
    """By name: (T, D) uint8 frames, or (D,) float32 at video level"""
    level: str
    """'frame' or 'video'"""
    known_classes: int | None
    """Number of labels of the release that such a record is from, if it is known"""

    @property
    def num_frames(self) -> int:
        """Frames, 1 at video level."""
        return len(next(iter(self.features.values()))) if self.level == "frame" else 1

    @property
    def feature_sizes(self) -> dict[str, int]:
        """Values a frame (or a video) by feature."""
        return {name: array.shape[-1] for name, array in self.features.items()}


def read_videos(
    path: Path,
    *,
    on_bytes: Callable[[int], object] | None = None,
    on_fault: Callable[[Fault], object] | None = None,
    check: Callable[[Video], object] | None = None,
    file: BinaryIO | None = None,
) -> Iterator[Video]:
    """Yield the videos of a TFRecord file; a fault names file, record and byte.

    With `on_fault`, records that can't be read are told to it and left out, and so are those that
    `check` raises a DataError of. `file` is read in place of the path.
    """
    begin, end, record = 0, 0, -1

    def count_bytes(taken: int) -> None:
        nonlocal begin, end, record
        begin, end, record = end, end + taken, record + 1
        if on_bytes is not None:
            on_bytes(taken)

    for data in read_records(path, on_bytes=count_bytes, on_fault=on_fault, file=file):
        try:
            video = _parse(data)
            if check is not None:
                check(video)
        except DataError as error:
            message = f"{path}: record {record} at byte {begin}: {error}"
            if on_fault is None:
                raise DataError(message) from None
            on_fault(Fault(message=message, ends_file=False))
        else:
            yield video


def _parse(data: bytes) -> Video:
    scanned = scan_frames(data)
    # An Example reads as a SequenceExample without feature lists: field 1 is `Features` in both.
    parse = messages().SequenceExample.FromString
    try:
        message = parse(data if scanned is None else scanned.context)
    except Exception as error:  # protobuf's DecodeError, whose class is loaded with it
        if type(error).__name__ != "DecodeError":
            raise
        raise DataError(
            "neither Example nor SequenceExample. Import YouTube-8M or AudioSet records."
        ) from None
    return _to_video(message.context.feature, message.feature_lists.feature_list, scanned)


def _to_video(context: Any, lists: Any, scanned: Scanned | None) -> Video:
    key = next((name for name in _ID_KEYS if name in context), None)
    if key is None or not context[key].bytes_list.value:
        raise DataError(
            f"no id: neither 'video_id' nor 'id' is among its features {sorted(context)}."
        )
    video_id = context[key].bytes_list.value[0].decode("utf-8", "replace")
    true = context["labels"].int64_list.value if "labels" in context else ()
    labels = np.fromiter(true, np.int64, len(true))  # in half the time of np.array
    lists = lists if scanned is None else scanned.frames
    if lists:
        level = "frame"
        features = {
            name: lists[stored] if scanned else _frames(lists[stored], stored, video_id)
            for stored, name in _FRAME_FEATURES.items()
            if stored in lists
        }
    else:
        level = "video"
        features = {
            name: np.array(context[name].float_list.value, np.float32)
            for name in _VIDEO_FEATURES
            if name in context
        }
    if not features:
        raise DataError(
            f"video {video_id!r} has neither frames (rgb, audio, audio_embedding) nor means "
            f"(mean_rgb, mean_audio), but {sorted([*context, *lists])}."
        )
    lengths = {name: len(frames) for name, frames in features.items()}
    if level == "frame" and len(set(lengths.values())) > 1:
        raise DataError(f"video {video_id!r} has frames of different number: {lengths}.")
    for name, values in features.items():
        if level == "video" and not (values.size and np.isfinite(values).all()):
            raise DataError(f"video {video_id!r}: {name} is empty or not finite throughout.")
    sizes = tuple(array.shape[-1] for array in features.values())
    is_audioset = "audio_embedding" in lists
    return Video(
        id=video_id,
        labels=labels,
        features=features,
        level=level,
        known_classes=_AUDIOSET_CLASSES if is_audioset else _KNOWN_CLASSES.get((sizes, key)),
    )


def _frames(feature_list: Any, name: str, video_id: str) -> NDArray[np.uint8]:
    frames = [feature.bytes_list.value for feature in feature_list.feature]
    if not frames:
        raise DataError(f"video {video_id!r} has no frames in {name!r}. Leave it out of the file.")
    sizes = {len(frame[0]) if len(frame) == 1 else 0 for frame in frames}
    if len(sizes) != 1 or 0 in sizes:
        raise DataError(
            f"video {video_id!r}: the frames of {name!r} are not one string of bytes each, all of "
            f"one size."
        )
    joined = b"".join(frame[0] for frame in frames)
    return np.frombuffer(joined, np.uint8).reshape(len(frames), -1)
