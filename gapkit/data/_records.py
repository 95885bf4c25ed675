"""Videos from the records of YouTube-8M and AudioSet, frame level and video level."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gapkit.data._tfrecord import messages, read_records
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

    def cut(self, num_frames: int) -> Video:
        """The video with its first frames alone."""
        features = {name: frames[:num_frames] for name, frames in self.features.items()}
        return replace(self, features=features)

    @property
    def feature_sizes(self) -> dict[str, int]:
        """Values a frame (or a video) by feature."""
        return {name: array.shape[-1] for name, array in self.features.items()}


def read_videos(
    path: Path,
    *,
    on_bytes: Callable[[int], object] | None = None,
    on_error: Callable[[str], object] | None = None,
) -> Iterator[Video]:
    """Yield the videos of a TFRecord file; a fault names file, record and video.

    `on_error` is told of what can't be read, and the rest is read, instead of an error.
    """
    # An Example reads as a SequenceExample without feature lists: field 1 is `Features` in both.
    parse = messages().SequenceExample.FromString
    for record, data in enumerate(read_records(path, on_bytes=on_bytes, on_error=on_error)):
        if data is None:
            continue
        try:
            video = _to_video(parse(data))
        except DataError as error:
            if on_error is not None:
                on_error(f"{path}: record {record}: {error}")
                continue
            raise DataError(f"{path}: record {record}: {error}") from None
        except Exception as error:  # protobuf's DecodeError, whose class is loaded with it
            if type(error).__name__ != "DecodeError":
                raise
            if on_error is not None:
                on_error(f"{path}: record {record}: neither Example nor SequenceExample.")
                continue
            raise DataError(
                f"{path}: record {record}: neither Example nor SequenceExample. "
                f"Import YouTube-8M or AudioSet records."
            ) from None
        yield video


def _to_video(message: Any) -> Video:
    context = message.context.feature
    key = next((name for name in _ID_KEYS if name in context), None)
    if key is None or not context[key].bytes_list.value:
        raise DataError(
            f"no id: neither 'video_id' nor 'id' is among its features {sorted(context)}."
        )
    video_id = context[key].bytes_list.value[0].decode("utf-8", "replace")
    labels = np.array(context["labels"].int64_list.value if "labels" in context else [], np.int64)
    lists = message.feature_lists.feature_list
    if lists:
        level = "frame"
        features = {
            name: _frames(lists[stored], stored, video_id)
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
