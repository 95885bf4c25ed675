"""Gives the labels of splits that are there already their names."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow.parquet as pq

from gapkit.data._labels_checksum import forget_labels_checksum, note_labels_checksum
from gapkit.data._split import LABELS_FILE, SPLIT_FILE, SplitMeta, no_splits, split_folders
from gapkit.data._vocabulary import Vocabulary, read_vocabulary, with_names
from gapkit.errors import DataError
from gapkit.io import replacing_file


def attach_vocabulary(
    data: str | os.PathLike[str], vocabulary: str | os.PathLike[str]
) -> tuple[Vocabulary, list[Path]]:
    """Give the labels of a split, or of all splits of a folder, names and verticals.

    Parameters
    ----------
    data : path
        A split, or the folder of some.
    vocabulary : path
        CSV with the columns `index` and `name`, or `display_name`; and, where there are any,
        `vertical`, or `vertical1` to `vertical3`.

    Returns
    -------
    Vocabulary, list of path
        What it says, and the splits that have it now.

    Raises
    ------
    DataError
        There is no split, the vocabulary can't be read, or has another number of labels.
    """
    data, found = Path(data), read_vocabulary(Path(vocabulary))
    folders = [data] if (data / SPLIT_FILE).is_file() else split_folders(data)
    if not folders:
        raise DataError(no_splits(data))
    for folder in folders:
        num_classes = SplitMeta.read(folder).num_classes
        if num_classes != found.num_classes:
            raise DataError(
                f"{vocabulary} has {found.num_classes} labels, and {folder} {num_classes}. "
                f"Name the vocabulary of this release."
            )
    for folder in folders:
        table = with_names(pq.read_table(folder / LABELS_FILE), found)
        forget_labels_checksum(folder)
        with replacing_file(folder / LABELS_FILE) as temporary:
            pq.write_table(table, temporary, write_page_checksum=True)
        note_labels_checksum(folder)
    return found, folders
