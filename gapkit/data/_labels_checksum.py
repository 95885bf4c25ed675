"""The checksum of labels.parquet in split.json, when the labels are written anew.

It is taken out first and put in last: whoever is killed between leaves a split without it, never
one with a wrong one.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from gapkit.data._checksum import file_checksum
from gapkit.data._split import LABELS_FILE, SPLIT_FILE, SplitMeta
from gapkit.io import replacing_file


def forget_labels_checksum(split: Path) -> None:
    """Take it out, before labels.parquet is replaced."""
    meta = SplitMeta.read(split)
    if LABELS_FILE in meta.checksums:
        kept = {name: crc for name, crc in meta.checksums.items() if name != LABELS_FILE}
        _rewrite(split, replace(meta, checksums=kept))


def note_labels_checksum(split: Path) -> None:
    """Put it in; an older split has no checksums, and gets none."""
    meta = SplitMeta.read(split)
    if meta.checksums:
        checksum = file_checksum(split / LABELS_FILE)
        _rewrite(split, replace(meta, checksums={**meta.checksums, LABELS_FILE: checksum}))


def _rewrite(split: Path, meta: SplitMeta) -> None:
    with replacing_file(split / SPLIT_FILE) as temporary:
        temporary.write_text(meta.to_json())
