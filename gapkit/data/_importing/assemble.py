"""The two files that make finished shards a split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gapkit._ids import IdIndex
from gapkit.data._checksum import file_checksum
from gapkit.data._importing.part import read_part_labels
from gapkit.data._importing.task import Part
from gapkit.data._split import LABELS_FILE, SplitMeta
from gapkit.data._vocabulary import Vocabulary, with_names
from gapkit.errors import DataError
from gapkit.io import labels_to_table
from gapkit.predictions import Labels

_COLUMNS = {"id": pa.string(), "labels": pa.large_list(pa.int64()), "num_frames": pa.int32()}


@dataclass(frozen=True, kw_only=True)
class Before:
    """A split that grows."""

    path: Path
    meta: SplitMeta
    vocabulary: Vocabulary


def gather_labels(
    folder: Path, parts: Sequence[Part], files: Sequence[Path], before: Before | None
) -> pa.Table:
    """Ids, labels and numbers of frames of all parts, after those of the split that grows.

    DataError where an id stands twice: it names both files.
    """
    schema = pa.schema(list(_COLUMNS.items()))
    tables = [read_part_labels(folder, part).cast(schema) for part in parts]
    places = list(files)
    if before is not None:
        old = pq.read_table(before.path / LABELS_FILE).select(list(_COLUMNS))
        tables.insert(0, old.replace_schema_metadata(None).cast(schema))
        places.insert(0, before.path)
    ends = np.cumsum([len(table) for table in tables])
    table = pa.concat_tables(tables).combine_chunks()
    ids = table["id"].combine_chunks()
    duplicate = IdIndex(ids).first_duplicate()
    if duplicate is not None:
        here, there = (places[int(np.searchsorted(ends, row, side="right"))] for row in duplicate)
        raise DataError(
            f"{here}: video {ids[duplicate[0]].as_py()!r} is in {there} already. "
            f"Import each video once."
        )
    return table


def write_split(
    folder: Path, table: pa.Table, meta: SplitMeta, vocabulary: Vocabulary
) -> SplitMeta:
    """Write labels.parquet, then split.json, which says that all is there."""
    labels = Labels(
        table["id"].combine_chunks(),
        table["labels"].combine_chunks(),
        num_classes=meta.num_classes,
        label_names=vocabulary.names,
    )
    named = with_names(labels_to_table(labels), vocabulary)
    named = named.append_column("num_frames", table["num_frames"])
    pq.write_table(named, folder / LABELS_FILE, write_page_checksum=True)
    checksum = file_checksum(folder / LABELS_FILE)
    meta = replace(meta, checksums={**meta.checksums, LABELS_FILE: checksum})
    meta.write(folder)
    return meta
