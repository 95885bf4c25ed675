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
from gapkit.data._vocabulary import Vocabulary, read_names, read_vocabulary
from gapkit.errors import DataError


@dataclass(frozen=True, kw_only=True)
class There:
    """A split in the place of the import."""

    meta: SplitMeta
    num_videos: int
    num_unlabelled: int
    has_other_names: bool


def find_same(output: Path, plan: Plan) -> There | None:
    """The split that is there, if it was made of the same files in the same way.

    In whatever order and under whatever names; and the labels may have got other names since.
    """
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
        and _cuts_alike(store, plan.max_frames)
        and sorted(s.size_bytes for s in meta.sources) == sorted(f.size_bytes for f in plan.inputs)
        and sorted((s.size_bytes, s.crc32c) for s in meta.sources)
        == sorted((file.size_bytes, file.checksum()) for file in plan.inputs)
    )
    if not same:
        return None
    return There(
        meta=meta,
        num_videos=len(store),
        num_unlabelled=int((np.diff(labels.offsets) == 0).sum()),
        has_other_names=plan.vocabulary.names not in (None, labels.label_names),
    )


def _cuts_alike(store: FrameStore, limit: int | None) -> bool:
    """Whether a cut at so many frames would leave the same frames."""
    meta = store.meta
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
    names, verticals = read_names(schema)
    if options.vocabulary is not None and read_vocabulary(options.vocabulary).names != names:
        raise DataError(
            f"{output}: its labels are not named as in {options.vocabulary}. Leave --vocabulary "
            f"out; gapkit data names gives a split names."
        )
    if not _cuts_alike(store, options.max_frames):
        raise DataError(
            f"{output}: was imported with --max-frames {meta.max_frames or 0}, and "
            f"{options.max_frames or 0} would cut its videos otherwise. Pass --max-frames "
            f"{meta.max_frames or 0}, or import all files anew with --overwrite."
        )
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
