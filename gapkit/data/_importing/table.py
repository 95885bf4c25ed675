"""Videos from tables of embeddings: Parquet in bounded memory, .npz as one table.

id        string, or integers
labels    a list of integers a video; may be absent
others    floats or uint8, a list of one size a video: a vector at video level
          uint8, a list of lists of one size a video: frames
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gapkit.data._importing.npz import read_npz
from gapkit.data._importing.task import Task
from gapkit.data._records import Video
from gapkit.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ROWS_BYTES = 16 << 20
ID, LABELS = "id", "labels"
_QUANTISE = "uint8 (round((x + 2 - 4/512) * 255/4), clipped, for x in [-2, 2])"


class Feature(NamedTuple):
    """A column of features."""

    name: str
    level: str
    size: int


def is_npz(path: Path) -> bool:
    """Whether a file is a zip archive, as NumPy writes."""
    try:
        with path.open("rb") as file:
            return file.read(4) in (b"PK\x03\x04", b"PK\x05\x06")
    except OSError as error:
        raise DataError(f"{path}: can't be read: {error.strerror}.") from None


def open_parquet(path: Path) -> pq.ParquetFile:
    """The file, read a little at a time."""
    try:
        return pq.ParquetFile(path, buffer_size=1 << 20, pre_buffer=False)
    except (OSError, pa.ArrowException) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{path}: neither Parquet nor .npz ({reason}).") from None


def find_features(path: Path, head: pa.Table) -> tuple[list[Feature], list[str]]:
    """The features of a table by its first rows, and the columns that are none."""
    if ID not in head.column_names:
        raise DataError(
            f"{path}: has no column {ID!r}, but {', '.join(head.column_names) or 'none'}. "
            f"Name the column of the videos' ids so."
        )
    found, ignored = [], []
    for name in head.column_names:
        if name in (ID, LABELS):
            continue
        type_ = head.schema.field(name).type
        if not _is_list(type_):
            ignored.append(name)
            continue
        is_frames = _is_list(type_.value_type)
        size = _size_of(type_.value_type if is_frames else type_)
        if size is None:  # a list of any size: that of its first row
            lists = _flat(_column(path, head, name, 0)) if is_frames else head[name]
            size = next((len(row) for row in lists if row.is_valid), 0)
        value = _value_type(type_)
        if is_frames and not pa.types.is_uint8(value):
            raise DataError(
                f"{path}: column {name!r}: frames of {value}. Frames are stored as {_QUANTISE}; "
                f"give them so, or their mean at video level."
            )
        if not (pa.types.is_floating(value) or pa.types.is_uint8(value)) or not size:
            raise DataError(
                f"{path}: column {name!r}: {type_}, first row of {size} values: no feature. "
                f"Give lists of float or uint8 of one size, or leave the column out."
            )
        found.append(Feature(name, "frame" if is_frames else "video", int(size)))
    if not found or len({feature.level for feature in found}) > 1:
        raise DataError(
            f"{path}: columns {[(f.name, f.level) for f in found]}: features of one level, video "
            f"or frame, are needed beside {ID!r} and {LABELS!r}."
        )
    return found, ignored


def read_table_videos(task: Task, on_bytes: Callable[[int], object]) -> Iterator[Video]:
    """Yield the videos of a task's rows."""
    path = Path(task.path)
    features = [Feature(name, task.level, size) for name, size in task.feature_sizes.items()]
    row, share = task.num_rows_before, 0.0
    for table, of_all in _tables(path, task):
        _check_columns(path, table, features)
        yield from _videos(path, table, features, row)
        row, share = row + len(table), share + of_all * task.read_bytes
        on_bytes(int(share))
        share -= int(share)


def _tables(path: Path, task: Task) -> Iterator[tuple[pa.Table, float]]:
    """Some rows at a time, and their share of the task's."""
    if task.row_groups is None:
        yield read_npz(path), 1.0
        return
    names = [ID, LABELS, *task.feature_sizes]
    with open_parquet(path) as file:
        groups = list(range(*task.row_groups))
        about = [file.metadata.row_group(group) for group in groups]
        num_rows = sum(group.num_rows for group in about)
        row_bytes = sum(group.total_byte_size for group in about) / max(num_rows, 1)
        # Encoded sizes can be far too small: of frames, what one of the size takes counts.
        row_bytes = max(row_bytes, task.expected_bytes / max(num_rows, 1))
        at_once = int(max(min(_ROWS_BYTES / max(row_bytes, 1), 1 << 16), 1))
        columns = [name for name in names if name in file.schema_arrow.names]
        try:
            for batch in file.iter_batches(at_once, groups, columns, use_threads=False):
                yield pa.Table.from_batches([batch]), batch.num_rows / num_rows
        except (OSError, pa.ArrowException) as error:
            reason = " ".join(str(error).split())
            raise DataError(
                f"{path}: row groups {groups[0]} to {groups[-1]}: damaged ({reason}). "
                f"Download or copy the file again."
            ) from None


def _check_columns(path: Path, table: pa.Table, features: list[Feature]) -> None:
    absent = [name for name in (ID, *(f.name for f in features)) if name not in table.column_names]
    if absent:
        raise DataError(
            f"{path}: has no column {absent[0]!r}, which the first file has. "
            f"Import files of one kind."
        )


def _videos(
    path: Path, table: pa.Table, features: list[Feature], first_row: int
) -> Iterator[Video]:
    id_column = _column(path, table, ID, first_row)
    try:
        ids = id_column.cast(pa.string()).to_pylist() if _is_id(id_column.type) else None
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: column 'id': {error.object!r} is not UTF-8. Give strings."
        ) from None
    except pa.ArrowException:
        ids = None
    if ids is None:
        raise DataError(
            f"{path}: column 'id': {id_column.type}. Ids are strings, or whole numbers."
        )
    labels = _labels(path, table, first_row)
    columns = {f.name: _values(path, table, f, first_row) for f in features}
    sizes = {f.name: f.size for f in features}
    lengths = [ends for _, ends in columns.values() if ends is not None]
    for row, (id_, of_video) in enumerate(zip(ids, labels, strict=True)):
        frames = {
            name: values[row] if ends is None else values[ends[row] : ends[row + 1]]
            for name, (values, ends) in columns.items()
        }
        if lengths:
            counts = {name: len(values) for name, values in frames.items()}
            if len(set(counts.values())) > 1 or 0 in counts.values():
                raise DataError(
                    f"{path}: row {first_row + row} (id {id_!r}): frames {counts}. Give each video "
                    f"frames, as many of each feature."
                )
        yield Video(
            id=id_,
            labels=of_video,
            features={name: frames[name] for name in sizes},
            level=features[0].level,
            known_classes=None,
        )


def _labels(path: Path, table: pa.Table, first_row: int) -> list[NDArray[np.int64]]:
    if LABELS not in table.column_names:
        return [np.zeros(0, np.int64)] * len(table)
    column = _column(path, table, LABELS, first_row)
    if not _is_list(column.type) or not pa.types.is_integer(column.type.value_type):
        raise DataError(f"{path}: column 'labels': {column.type}. Give a list of integers a video.")
    ends = np.concatenate([[0], np.cumsum(column.value_lengths().to_numpy())]).astype(np.int64)
    values = _without_nulls(path, column, _flat(column), LABELS, first_row, 1)
    all_labels: NDArray[np.int64] = values.to_numpy(zero_copy_only=False).astype(np.int64)
    return [all_labels[ends[row] : ends[row + 1]] for row in range(len(column))]


def _values(
    path: Path, table: pa.Table, feature: Feature, first_row: int
) -> tuple[NDArray[Any], NDArray[np.int64] | None]:
    """Vectors (N, D) float32; or all frames (F, D) uint8 and where each video's begin, (N + 1,)."""
    name, size = feature.name, feature.size
    column = _column(path, table, name, first_row)
    is_frames = _is_list(column.type) and _is_list(column.type.value_type)
    if not _is_list(column.type) or is_frames != (feature.level == "frame"):
        raise DataError(
            f"{path}: column {name!r}: {column.type}, and in the first file it is at "
            f"{feature.level} level. Import files of one kind."
        )
    ends = None
    rows = column
    if is_frames:
        lengths = _lengths(column)
        ends = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        rows = _without_nulls(path, column, _flat(column), name, first_row, 1)

    def row_of(place: int) -> int:
        return first_row + (
            place if ends is None else int(np.searchsorted(ends, place, side="right")) - 1
        )

    wrong = np.flatnonzero(_lengths(rows) != size)
    if len(wrong):
        raise DataError(
            f"{path}: column {name!r}: row {row_of(int(wrong[0]))}: "
            f"{_lengths(rows)[wrong[0]]} values, and the first row has {size}. "
            f"Give lists of one size."
        )
    flat = _flat(rows)
    if flat.null_count:
        place = int(np.flatnonzero(flat.is_null().to_numpy(zero_copy_only=False))[0]) // size
        raise DataError(f"{path}: column {name!r}: row {row_of(place)}: a null. Leave it out.")
    if is_frames:
        if not pa.types.is_uint8(flat.type):
            raise DataError(f"{path}: column {name!r}: frames of {flat.type}. Give {_QUANTISE}.")
        return flat.to_numpy().reshape(-1, size), ends
    values_ND = flat.to_numpy(zero_copy_only=False).astype(np.float32).reshape(-1, size)
    odd = np.flatnonzero(~np.isfinite(values_ND).all(axis=1))
    if len(odd):
        raise DataError(
            f"{path}: column {name!r}: row {row_of(int(odd[0]))}: not finite throughout as "
            f"float32. Leave the video out."
        )
    return values_ND, None


def _column(path: Path, table: pa.Table, name: str, first_row: int) -> pa.Array:
    column = table[name].combine_chunks()
    column = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if column.null_count:
        row = int(pc.index(column.is_null(), True).as_py())
        raise DataError(f"{path}: column {name!r}: row {first_row + row}: a null. Leave it out.")
    return column


def _without_nulls(
    path: Path, column: pa.Array, flat: pa.Array, name: str, first_row: int, size: int
) -> pa.Array:
    if flat.null_count:
        place = int(pc.index(flat.is_null(), True).as_py())
        row = int(np.searchsorted(np.cumsum(_lengths(column)), place, side="right"))
        raise DataError(f"{path}: column {name!r}: row {first_row + row}: a null. Leave it out.")
    return flat


def _lengths(column: pa.Array) -> NDArray[np.int64]:
    if pa.types.is_fixed_size_list(column.type):
        return np.full(len(column), column.type.list_size, np.int64)
    lengths: NDArray[np.int64] = column.value_lengths().to_numpy().astype(np.int64)
    return lengths


def _flat(column: pa.Array) -> pa.Array:
    return column.flatten()


def _is_id(type_: pa.DataType) -> bool:
    value = type_.value_type if pa.types.is_dictionary(type_) else type_
    texts = (pa.string(), pa.large_string(), pa.string_view(), pa.binary(), pa.large_binary())
    return value in texts or pa.types.is_integer(value)


def _is_list(type_: pa.DataType) -> bool:
    kinds = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    return any(kind(type_) for kind in kinds)


def _size_of(type_: pa.DataType) -> int | None:
    return type_.list_size if pa.types.is_fixed_size_list(type_) else None


def _value_type(type_: pa.DataType) -> pa.DataType:
    while _is_list(type_):
        type_ = type_.value_type
    return type_
