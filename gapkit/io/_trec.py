"""Lines of TREC files: words between blanks, without a header."""

from __future__ import annotations

from typing import NoReturn

import pyarrow as pa

from gapkit.errors import DataError
from gapkit.io._place import Place
from gapkit.io._text import open_text, read_columns

_TYPES = {"id": pa.string(), "label": pa.int64(), "confidence": pa.float64(), "rel": pa.int64()}
_WHAT = {
    "label": "a label: a docid must be a whole number from 0",
    "confidence": "a score",
    "rel": "a relevance, a whole number",
}
_NUMBER = {"label": int, "confidence": float, "rel": int}


def read_trec(place: Place, num_words: int, columns: dict[str, int]) -> pa.Table:
    """Some words of each line, by name and place."""
    names = [f"word {n}" for n in range(num_words)]
    for name, n in columns.items():
        names[n] = name
    types = {name: _TYPES[name] for name in columns}
    with open_text(place) as stream:
        head = stream.read(4096).partition(b"\n")[0]
    for delimiter in (" ", "\t"):
        if head.count(delimiter.encode()) != num_words - 1:
            continue
        try:
            with open_text(place) as stream:
                table = read_columns(stream, names, types, delimiter=delimiter, quoted=False)
        except pa.ArrowInvalid:
            break
        if not any(column.null_count for column in table.columns):
            return table
    return _read_any_blanks(place, names, types)


def _read_any_blanks(place: Place, names: list[str], types: dict[str, pa.DataType]) -> pa.Table:
    """Words separated by several blanks of any kind; what is wrong in a line is found here."""
    with open_text(place) as stream:
        lines = stream.read().split(b"\n")
    plain = b"\n".join(b" ".join(line.split()) for line in lines)
    try:
        return read_columns(pa.BufferReader(plain), names, types, delimiter=" ", quoted=False)
    except pa.ArrowInvalid as error:
        _refuse_first(lines, names, error)


def _refuse_first(lines: list[bytes], names: list[str], error: pa.ArrowInvalid) -> NoReturn:
    for number, line in enumerate(lines, 1):
        words = line.decode("utf-8", "replace").split()
        if words and len(words) != len(names):
            raise DataError(
                f"line {number}: {len(words)} words where {len(names)} were expected. "
                f"Separate them by blanks."
            ) from None
        for name, word in zip(names, words, strict=False):
            try:
                _NUMBER.get(name, str)(word)
            except ValueError:
                raise DataError(f"line {number}: {word!r} is not {_WHAT[name]}.") from None
    raise error


def check_ids(ids: pa.StringArray) -> None:
    """Refuse ids that a line of words can't hold."""
    import pyarrow.compute as pc

    is_odd_N = pc.match_substring_regex(ids, r"^$|[\s\x0b]").to_numpy(zero_copy_only=False)
    if is_odd_N.any():
        row = int(is_odd_N.argmax())
        raise DataError(
            f"id {ids[row].as_py()!r} is empty or has a blank, which TREC files can't hold. "
            f"Write .parquet or .csv."
        )
