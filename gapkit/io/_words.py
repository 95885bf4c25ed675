"""Rows of an id and words separated by blanks, as the Kaggle CSV and lists of labels have them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from gapkit.errors import DataError
from gapkit.io._text import read_columns

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class WordRows:
    """Some lines of a file."""

    ids: pa.StringArray
    words: pa.StringArray
    lengths: NDArray[np.int64]
    """How many words each row has"""
    first_row: int

    @property
    def row_of_word(self) -> NDArray[np.int64]:
        """The row of each word."""
        return np.repeat(np.arange(len(self.ids)), self.lengths)

    def place(self, row: int) -> str:
        """How errors name a row."""
        return f"row {self.first_row + row} (id {self.ids[row].as_py()!r})"

    def parse(self, step: slice, kind: pa.DataType) -> pa.Array:
        """Every word of the step as a number."""
        words = self.words.take(pa.array(np.arange(len(self.words))[step]))
        try:
            return words.cast(kind)
        except pa.ArrowInvalid:
            self._refuse_first(words, self.row_of_word[step], kind)
            raise

    def _refuse_first(
        self, words: pa.StringArray, row_of_word: NDArray[np.int64], kind: pa.DataType
    ) -> None:
        for row, word in zip(row_of_word.tolist(), words.to_pylist(), strict=True):
            try:
                pa.scalar(word).cast(kind)
            except pa.ArrowInvalid:
                what = "a label" if pa.types.is_integer(kind) else "a confidence"
                raise DataError(
                    f"{self.place(row)}: {word!r} is not {what}. "
                    f"Write label and confidence in turn, separated by spaces."
                ) from None


def split_rows(lines: bytes, header: Sequence[str], first_row: int) -> WordRows:
    """The rows of some lines, which stand without their header."""
    text = pa.string()
    table = read_columns(
        pa.BufferReader(lines),
        header,
        dict.fromkeys(header, text),
        first_row=first_row,
        threads=False,
    )
    ids, rows = (pa.concat_arrays(column.chunks or [pa.array([], text)]) for column in table)
    rows = pc.utf8_trim_whitespace(rows)
    lists = pc.utf8_split_whitespace(rows)
    lengths = pc.list_value_length(lists).to_numpy().astype(np.int64)
    lengths[pc.equal(pc.utf8_length(rows), 0).to_numpy(False)] = 0
    words = lists.flatten()
    return WordRows(ids, words.filter(pc.not_equal(words, "")), lengths, first_row)


def offsets_of(lengths: NDArray[Any]) -> NDArray[np.int32]:
    """Where each row begins."""
    offsets = np.zeros(len(lengths) + 1, np.int32)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


def strip_header(lines: bytes) -> bytes:
    """What follows the first line."""
    return lines.partition(b"\n")[2]


def write_two_columns(sink: pa.NativeFile, table: pa.Table) -> None:
    """Append ids and their words, without a header."""
    # pyarrow's "needed" quotes every string; Kaggle's own files have none.
    special = pc.any(pc.match_substring_regex(table.column(0), r'[",\r\n]')).as_py()
    options = csv.WriteOptions(include_header=False, quoting_style="needed" if special else "none")
    csv.write_csv(table, sink, options)
