"""CSV of two columns: the Kaggle submission, and labels separated by spaces."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from gapkit._checks import row_place
from gapkit.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

KAGGLE_HEADER = ["VideoId", "LabelConfidencePairs"]


def read_kaggle(source: pa.NativeFile) -> pa.Table:
    """Columns of a submission from `VideoId,LabelConfidencePairs`."""
    ids, words, lengths = _read_two_columns(source, KAGGLE_HEADER)
    odd = np.flatnonzero(lengths % 2)
    if odd.size:
        raise DataError(
            f"{row_place(ids, int(odd[0]))}: {lengths[odd[0]]} words where pairs of label and "
            f"confidence were expected. Separate all by spaces."
        )
    offsets = _offsets(lengths // 2)
    row_of_word = np.repeat(np.arange(len(ids)), lengths)
    columns = {}
    for name, first, kind in (("labels", 0, pa.int64()), ("confidences", 1, pa.float64())):
        take = pa.array(np.arange(first, len(words), 2))
        values = _parse(words.take(take), kind, ids, row_of_word[first::2])
        columns[name] = pa.LargeListArray.from_arrays(offsets, values)
    return pa.table({"id": ids, **columns})


def read_label_lists(source: pa.NativeFile) -> pa.Table:
    """Columns of a labels file from `id,labels`."""
    ids, words, lengths = _read_two_columns(source, ["id", "labels"])
    row_of_word = np.repeat(np.arange(len(ids)), lengths)
    values = _parse(words, pa.int64(), ids, row_of_word)
    lists = pa.LargeListArray.from_arrays(_offsets(lengths), values)
    return pa.table({"id": ids, "labels": lists})


class KaggleWriter:
    """Writes record batches of a submission as Kaggle CSV; float32 in the shortest exact digits."""

    def __init__(self, sink: IO[bytes] | pa.NativeFile) -> None:
        self._sink = sink
        self._sink.write((",".join(KAGGLE_HEADER) + "\n").encode())

    def write_batch(self, batch: pa.RecordBatch) -> None:
        """Append the rows of a batch."""
        lists = batch["labels"]
        pairs = pc.binary_join_element_wise(
            lists.flatten().cast(pa.string()),
            batch["confidences"].flatten().cast(pa.string()),
            " ",
        )
        offsets = pc.subtract(lists.offsets, lists.offsets[0])  # a slice's do not begin at 0
        rows = pc.binary_join(pa.ListArray.from_arrays(offsets, pairs), " ")
        table = pa.table([batch["id"], rows], names=KAGGLE_HEADER)
        # pyarrow's "needed" quotes every string; Kaggle's own files have none.
        special = pc.any(pc.match_substring_regex(batch["id"], r'[",\r\n]')).as_py()
        options = csv.WriteOptions(
            include_header=False, quoting_style="needed" if special else "none"
        )
        csv.write_csv(table, self._sink, options)


def _read_two_columns(
    source: pa.NativeFile, header: list[str]
) -> tuple[pa.StringArray, pa.StringArray, NDArray[np.int64]]:
    """Ids, the words of all second columns, and how many words each row has."""
    text = pa.string()
    table = csv.read_csv(
        source,
        parse_options=csv.ParseOptions(newlines_in_values=False),
        convert_options=csv.ConvertOptions(
            column_types=dict.fromkeys(header, text), strings_can_be_null=False
        ),
    )
    if table.column_names != header:
        raise DataError(
            f"its header is {','.join(table.column_names)[:80]!r} and must be {','.join(header)!r}."
        )
    table = table.combine_chunks()
    ids, rows = (pa.concat_arrays(column.chunks or [pa.array([], text)]) for column in table)
    lists = pc.utf8_split_whitespace(pc.utf8_trim_whitespace(rows))
    words = lists.flatten()
    lengths = pc.list_value_length(lists).to_numpy().astype(np.int64)
    lengths[pc.equal(pc.utf8_length(pc.utf8_trim_whitespace(rows)), 0).to_numpy(False)] = 0
    return ids, words.filter(pc.not_equal(words, "")), lengths


def _parse(
    words: pa.StringArray, kind: pa.DataType, ids: pa.StringArray, row_of_word: NDArray[np.int64]
) -> pa.Array:
    try:
        return words.cast(kind)
    except pa.ArrowInvalid:
        for position, word in enumerate(words.to_pylist()):
            try:
                pa.scalar(word).cast(kind)
            except pa.ArrowInvalid:
                what = "a label" if pa.types.is_integer(kind) else "a confidence"
                raise DataError(
                    f"{row_place(ids, int(row_of_word[position]))}: {word!r} is not {what}. "
                    f"Write label and confidence in turn, separated by spaces."
                ) from None
        raise


def _offsets(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    offsets = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets
