"""What an import finds in its place: a complete split of the same files, or one that grows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from gapkit.data._importing.assemble import Before
from gapkit.data._importing.plan import Input, Options, Plan
from gapkit.data._pending import read_holdout
from gapkit.data._split import LABELS_FILE, SPLIT_FILE, SplitMeta
from gapkit.data._store import FrameStore
from gapkit.data._vocabulary import Vocabulary, read_names
from gapkit.errors import DataError


@dataclass(frozen=True, kw_only=True)
class There:
    """A split in the place of the import."""

    meta: SplitMeta
    num_videos: int
    num_unlabelled: int


def find_same(output: Path, plan: Plan) -> There | None:
    """The split that is there, if it was made of the same files in the same way."""
    if not (output / SPLIT_FILE).is_file():
        return None
    try:
        store = FrameStore(output)
        labels = store.labels
        store.open_shards()
    except DataError:
        return None  # not complete, whatever it was made of
    meta = store.meta
    same = (
        meta.num_classes == plan.vocabulary.num_classes
        and meta.stride == plan.stride
        and labels.label_names == plan.vocabulary.names
        and _cuts_alike(store, plan)
        and [(s.name, s.size_bytes) for s in meta.sources]
        == [(file.path.name, file.size_bytes) for file in plan.inputs]
        and [source.crc32c for source in meta.sources] == [f.checksum() for f in plan.inputs]
    )
    unlabelled = int((np.diff(labels.offsets) == 0).sum())
    return There(meta=meta, num_videos=len(store), num_unlabelled=unlabelled) if same else None


def _cuts_alike(store: FrameStore, plan: Plan) -> bool:
    """Whether the cut at max_frames would leave the same frames."""
    meta, limit = store.meta, plan.max_frames
    if meta.level == "video" or meta.max_frames == limit:
        return True
    longest = int(store.num_frames.max(initial=0))
    return meta.num_cut == 0 and (limit is None or longest <= limit)


def find_before(output: Path, options: Options) -> Before:
    """The split that grows; DataError where it can't, or where the options are not its own."""
    store = FrameStore(output)
    meta = store.meta
    schema = pq.read_schema(output / LABELS_FILE)
    if "row" in schema.names or read_holdout(output) is not None:
        raise DataError(
            f"{output}: is part of a holdout, and can't grow. Import the files as another split, "
            f"or all files anew with --overwrite, and hold out again."
        )
    for name, told, there in (
        ("num-classes", options.num_classes, meta.num_classes),
        ("stride", options.stride, meta.stride),
    ):
        if told not in (None, there):
            raise DataError(
                f"{output}: --{name} is {there} there, not {told}. Leave the option out, or "
                f"import all files anew with --overwrite."
            )
    if options.vocabulary is not None:
        raise DataError(
            f"{output}: has its labels already: --vocabulary is for a new split. Leave it out; "
            f"gapkit data names gives a split names."
        )
    if meta.level == "frame" and meta.num_cut and options.max_frames != meta.max_frames:
        raise DataError(
            f"{output}: its videos were cut at {meta.max_frames} frames. "
            f"Pass --max-frames {meta.max_frames}."
        )
    names, verticals = read_names(schema)
    vocabulary = Vocabulary(
        num_classes=meta.num_classes, names=names, verticals=verticals, source=str(output)
    )
    return Before(path=output, meta=meta, vocabulary=vocabulary)


def new_files(inputs: list[Input], before: Before) -> list[Input]:
    """The files that the split was not made from, by size and checksum; each once."""
    known = {(source.size_bytes, source.crc32c) for source in before.meta.sources}
    sizes = {size for size, _ in known}
    return [
        file
        for file in inputs
        if file.size_bytes not in sizes or (file.size_bytes, file.checksum()) not in known
    ]
