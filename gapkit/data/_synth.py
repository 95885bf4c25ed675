"""Writes a synthetic corpus in the frame-level format of YouTube-8M."""

import csv
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from gapkit.data._synth_world import (
    VERTICALS,
    Split,
    SynthVideo,
    SynthWorld,
    check_at_least,
)
from gapkit.data._tfrecord import messages, write_records
from gapkit.data._vocabulary import FILE_NAME as VOCABULARY_FILE
from gapkit.io import replacing_folder

VAL_SHARE = 5  # one video in so many is in val
VIDEOS_PER_SHARD = 1000
WRITTEN = (VOCABULARY_FILE, "train-*.tfrecord", "val-*.tfrecord")  # all that overwrite may delete


@dataclass(frozen=True, kw_only=True)
class SynthCorpus:
    """What `synthesize` wrote."""

    folder: Path
    """Holds the shards and vocabulary.csv."""
    num_train: int
    """Videos of split train."""
    num_val: int
    """Videos of split val."""
    world: SynthWorld
    """Knows each label's kind, and makes each video again."""


def synthesize(
    folder: str | os.PathLike[str],
    *,
    num_videos: int,
    num_classes: int,
    seed: int = 0,
    rgb_size: int = 1024,
    audio_size: int = 128,
    max_frames: int = 300,
    overwrite: bool = False,
    progress: Callable[[int, int], object] | None = None,
) -> SynthCorpus:
    """Write a corpus as TFRecords and return what was written; equal arguments, equal bytes.

    The folder gets `train-*.tfrecord`, `val-*.tfrecord` and `vocabulary.csv` (index, name,
    vertical). They appear when all are complete: whatever ends the call early leaves the folder as
    it was.

    Parameters
    ----------
    folder : str or path
        Made with its parents where missing.
    num_videos : int
        Of both splits, 2 or more. A fifth, rounded down, but at least one is in val.
    num_classes : int
        Labels, 2 or more.
    seed : int
        From 0 to 2**32 - 1.
    rgb_size, audio_size : int
        Values of a frame, 1 or more each.
    max_frames : int
        Frames of the longest video, 1 or more; the shortest has 0.4 of them.
    overwrite : bool
        Replace a corpus in the folder. A folder that holds anything else is refused all the same.
    progress : callable, optional
        Called with (videos made, num_videos) after each.

    Returns
    -------
    SynthCorpus
        The folder, the videos of each split, and the world that they come from.

    Raises
    ------
    UsageError
        A number is out of its range.
    DataError
        The folder is not empty, or can't be written.
    GapkitError
        The packages tfrecord or crc32c are missing.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     corpus = synthesize(folder, num_videos=6, num_classes=4, rgb_size=8, audio_size=4)
    ...     sorted(path.name for path in corpus.folder.iterdir())
    ['train-00000.tfrecord', 'val-00000.tfrecord', 'vocabulary.csv']
    >>> corpus.num_train, corpus.num_val, corpus.world.kinds[0]
    (5, 1, 'visual')
    """
    check_at_least("num_videos", num_videos, 2)
    world = SynthWorld(
        num_classes=num_classes,
        rgb_size=rgb_size,
        audio_size=audio_size,
        max_frames=max_frames,
        seed=seed,
    )
    num_val = max(1, num_videos // VAL_SHARE)
    corpus = SynthCorpus(
        folder=Path(folder), num_train=num_videos - num_val, num_val=num_val, world=world
    )
    with replacing_folder(folder, ours=WRITTEN, overwrite=overwrite) as temporary:
        _write(temporary, corpus, progress)
    return corpus


def encode(video: SynthVideo) -> bytes:
    """Return a video as the data of one record: a SequenceExample of YouTube-8M's schema."""
    example = messages().SequenceExample()
    example.context.feature["id"].bytes_list.value.append(video.id.encode())
    example.context.feature["labels"].int64_list.value.extend(video.labels.tolist())
    for name, frames_TD in (("rgb", video.rgb), ("audio", video.audio)):
        features = example.feature_lists.feature_list[name].feature
        for frame_D in frames_TD:
            features.add().bytes_list.value.append(frame_D.tobytes())
    data: bytes = example.SerializeToString(deterministic=True)
    return data


def _write(
    folder: Path, corpus: SynthCorpus, progress: Callable[[int, int], object] | None
) -> None:
    """Write the shards of both splits and the vocabulary into an empty folder."""
    world, num_videos = corpus.world, corpus.num_train + corpus.num_val
    num_made = 0

    def records(split: Split, indices: range) -> Iterator[bytes]:
        nonlocal num_made
        for index in indices:
            yield encode(world.video(split, index))
            num_made += 1
            if progress is not None:
                progress(num_made, num_videos)

    splits: tuple[tuple[Split, int], ...] = (("train", corpus.num_train), ("val", corpus.num_val))
    for split, num_of_split in splits:
        for shard, start in enumerate(range(0, num_of_split, VIDEOS_PER_SHARD)):
            indices = range(start, min(start + VIDEOS_PER_SHARD, num_of_split))
            with (folder / f"{split}-{shard:05d}.tfrecord").open("wb") as file:
                write_records(file, records(split, indices))
    with (folder / VOCABULARY_FILE).open("w", encoding="utf-8", newline="") as text:
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(("index", "name", "vertical"))
        for label, (name, vertical) in enumerate(zip(world.names, world.verticals, strict=True)):
            writer.writerow((label, name, VERTICALS[vertical]))
