"""Rows of a text that has lines which can't be read: what is around them.

Lines are taken one by one: a text that is fine does not come here.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from gapkit.io._place import Place
from gapkit.io._problems.columns import Block, add_blocks, check_schema
from gapkit.io._problems.lines import Line, LineError, Parse, parser_of
from gapkit.io._problems.report import Spot
from gapkit.io._problems.rows import RowChecks
from gapkit.io._problems.words import find_no_numbers

_READ_BYTES = 1 << 20
_LINES_PER_BLOCK = 1 << 14
_ALTERNATE = "Write label and confidence in turn, separated by spaces."


def salvage_text(place: Place, format_name: str, checks: RowChecks) -> None:
    """Check the lines that can be read."""
    with place.open() as file:
        is_gzip = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        source = pa.CompressedInputStream(file, "gzip") if is_gzip else file
        lines = _lines(source, checks)
        header = next(lines, b"") if checks.num_header_lines else b""
        header_text = header.decode("utf-8", "replace").removeprefix("\ufeff").rstrip("\r")
        parse = parser_of(format_name, header_text)
        is_long = format_name not in ("kaggle", "lists")
        has_confidences = format_name in ("kaggle", "run") or "confidence" in header_text
        names = ["label", "confidence"] if is_long else ["labels", "confidences"]
        kinds: list[pa.DataType] = [pa.int64(), pa.float64()]
        if not is_long:
            kinds = [pa.large_list(kind) for kind in kinds]
        fields = [("id", pa.string()), *zip(names, kinds, strict=True)]
        schema = pa.schema(fields if has_confidences else fields[:2])
        check_schema(schema, checks)
        add_blocks(_blocks(lines, parse, schema, is_long, checks), schema, checks)


def _lines(source: pa.NativeFile, checks: RowChecks) -> Iterator[bytes]:
    """Lines without their ends; a text that breaks off, or ends within a line, is told."""
    rest, num_lines = b"", 0
    while True:
        try:
            block = source.read(_READ_BYTES)
        except (OSError, pa.ArrowException) as error:
            reason = " ".join(str(error).split())
            checks.problems.add_file(
                "damaged",
                f"damaged or cut short after {num_lines:,} lines ({reason}). "
                f"Write or copy it anew.",
            )
            return
        if not block:
            break
        *lines, rest = (rest + block).split(b"\n")
        num_lines += len(lines)
        yield from lines
    if rest:
        checks.problems.add_file(
            "no_end", "its last line has no end: cut short? If not, end it with a new line."
        )


def _blocks(
    lines: Iterator[bytes], parse: Parse, schema: pa.Schema, is_long: bool, checks: RowChecks
) -> Iterator[Block]:
    found: list[tuple[int, Line]] = []
    for number, raw in enumerate(lines):
        if not raw.strip():
            continue
        try:
            line = parse(raw.decode().rstrip("\r"))
        except LineError as error:
            kind, what, remedy = error.args
            _add(checks, kind, number, _id_of(raw), what, remedy)
            continue
        except UnicodeDecodeError:
            _add(checks, "not_utf8", number, None, "its bytes are no UTF-8", "Write it as UTF-8.")
            continue
        if line is not None:
            found.append((number, line))
        if len(found) == _LINES_PER_BLOCK:
            yield _to_block(found, schema, is_long, checks)
            found = []
    yield _to_block(found, schema, is_long, checks)


def _to_block(
    found: list[tuple[int, Line]], schema: pa.Schema, is_long: bool, checks: RowChecks
) -> Block:
    """The lines as columns, without those that have words which are no numbers."""
    columns = [
        (pa.int64(), "label", [line.labels for _, line in found]),
        (pa.float64(), "confidence", [line.confidences for _, line in found]),
    ][: len(schema) - 1]
    is_kept_N = np.ones(len(found), np.bool_)
    for kind, what, rows in columns:
        words = pa.array([word for row in rows for word in row], pa.string())
        row_of_word = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
        for place in find_no_numbers(words, kind).tolist():
            row = int(row_of_word[place])
            if is_kept_N[row]:
                is_kept_N[row] = False
                number, line = found[row]
                remedy = "Write a number." if is_long else _ALTERNATE
                wrong = f"{words[place].as_py()!r} is not a {what}"
                _add(checks, "no_number", number, line.id, wrong, remedy)
    kept = np.flatnonzero(is_kept_N).tolist()
    arrays = [pa.array([found[row][1].id for row in kept], pa.string())]
    for kind, _, rows in columns:
        words = pa.array([word for row in kept for word in rows[row]], pa.string())
        offsets = np.concatenate([[0], np.cumsum([len(rows[row]) for row in kept])])
        values = words.cast(kind)
        arrays.append(
            values
            if is_long
            else pa.LargeListArray.from_arrays(pa.array(offsets, pa.int64()), values)
        )
    numbers = np.array([found[row][0] for row in kept], np.int64)
    return numbers, pa.RecordBatch.from_arrays(arrays, schema=schema)


def _id_of(raw: bytes) -> str:
    """What stands before the first comma or blank."""
    text = raw.decode("utf-8", "replace")
    return (text.partition(",")[0] if "," in text else text.split()[0])[:80]


def _add(
    checks: RowChecks, kind: str, number: int, id_: str | None, what: str, remedy: str
) -> None:
    line = number + (checks.num_header_lines or 0) + 1
    checks.problems.add_spot(kind, Spot(row=number, id=id_, line=line, what=what), remedy)
