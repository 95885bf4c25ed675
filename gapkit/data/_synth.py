"""Writes a synthetic corpus in the frame-level format of YouTube-8M."""

import csv
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from gapkit.data._synth_truth import FILE_NAME as TRUTH_FILE
from gapkit.data._synth_truth import best_gap, truth_as_json
from gapkit.data._synth_world import (
    VERTICALS,
    Split,
    SynthVideo,
    SynthWorld,
    check_at_least,
)
from gapkit.data._tfrecord import messages, write_records
from gapkit.data._vocabulary import FILE_NAME as VOCABULARY_FILE
from gapkit.errors import UsageError
from gapkit.io import replacing_folder

VAL_SHARE = 5  # one video in so many is in val
VIDEOS_PER_SHARD = 1000
WRITTEN = (VOCABULARY_FILE, TRUTH_FILE, "train-*.tfrecord", "val-*.tfrecord")  # may be replaced


@dataclass(frozen=True, kw_only=True)
class SynthCorpus:
    """What `synthesize` wrote."""

    folder: Path
    """Holds the shards, vocabulary.csv and truth.json."""
    num_train: int
    """Videos of split train."""
    num_val: int
    """Videos of split val."""
    num_written: int
    """Videos that this call wrote: those of both splits, or of its part."""
    best_gap: float
    """GAP on val of a model that knows all but where the labelling machine erred."""
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
    part: tuple[int, int] | None = None,
    overwrite: bool = False,
    progress: Callable[[int, int], object] | None = None,
) -> SynthCorpus:
    """Write a corpus as TFRecords and return what was written; equal arguments, equal bytes.

    The folder gets `train-*.tfrecord`, `val-*.tfrecord`, `vocabulary.csv` (index, name, vertical)
    and `truth.json`: what each label depends on (visual, audio, order, both), and the best GAP that
    the noise of the labels allows. They appear when all are complete: whatever ends the call early
    leaves the folder as it was. A video is in memory at a time, and depends on no other.

    Order labels can't be told from the frames of a whole video without their order, nor from crops
    that span it; a crop of its first few frames (20 of 300, say) holds one half more than the
    other, and gives them away to a mean.

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
    part : (int, int), optional
        (k, n) writes every n-th shard, from the k-th, 1 <= k <= n: the parts of several calls, or
        machines, are together the whole, to the byte.
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
    ['train-00000.tfrecord', 'truth.json', 'val-00000.tfrecord', 'vocabulary.csv']
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
    if part is not None and not 1 <= part[0] <= part[1]:
        raise UsageError(
            f"--part {part[0]}/{part[1]}: no such part. Number the parts of {part[1]} from 1."
        )
    num_val = max(1, num_videos // VAL_SHARE)
    num_train = num_videos - num_val
    shards = [*_shards("train", num_train), *_shards("val", num_val)]
    if part is not None:
        shards = shards[part[0] - 1 :: part[1]]
    with replacing_folder(folder, ours=WRITTEN, overwrite=overwrite) as temporary:
        _write_shards(temporary, world, shards, progress)
        best = best_gap(world, "val", num_val)
        _write_vocabulary(temporary / VOCABULARY_FILE, world)
        truth = truth_as_json(world, num_train, num_val, best)
        (temporary / TRUTH_FILE).write_text(truth, encoding="utf-8")
    return SynthCorpus(
        folder=Path(folder),
        num_train=num_train,
        num_val=num_val,
        num_written=sum(len(shard.indices) for shard in shards),
        best_gap=best,
        world=world,
    )


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


@dataclass(frozen=True, kw_only=True)
class _Shard:
    """A file of the corpus, and the videos that it holds."""

    name: str
    split: Split
    indices: range


def _shards(split: Split, num_videos: int) -> list[_Shard]:
    return [
        _Shard(
            name=f"{split}-{number:05d}.tfrecord",
            split=split,
            indices=range(start, min(start + VIDEOS_PER_SHARD, num_videos)),
        )
        for number, start in enumerate(range(0, num_videos, VIDEOS_PER_SHARD))
    ]


def _write_shards(
    folder: Path,
    world: SynthWorld,
    shards: list[_Shard],
    progress: Callable[[int, int], object] | None,
) -> None:
    num_videos, num_made = sum(len(shard.indices) for shard in shards), 0

    def records(shard: _Shard) -> Iterator[bytes]:
        nonlocal num_made
        for index in shard.indices:
            yield encode(world.video(shard.split, index))
            num_made += 1
            if progress is not None:
                progress(num_made, num_videos)

    for shard in shards:
        with (folder / shard.name).open("wb") as file:
            write_records(file, records(shard))


def _write_vocabulary(path: Path, world: SynthWorld) -> None:
    with path.open("w", encoding="utf-8", newline="") as text:
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(("index", "name", "vertical"))
        for label, (name, vertical) in enumerate(zip(world.names, world.verticals, strict=True)):
            writer.writerow((label, name, VERTICALS[vertical]))
