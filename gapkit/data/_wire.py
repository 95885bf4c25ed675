"""Frames out of a SequenceExample by its wire format: views of the record, no object a frame.

A list of frames of one size is a table of bytes whose rows all begin alike: tags and lengths of
Feature, BytesList and value, then the values. Whatever does not look so is left to protobuf.
300 frames of two features take 20 us, and 350 us as protobuf's objects.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_FIRST, _SECOND = 0x0A, 0x12  # tags of the fields 1 and 2 that carry their length


class Scanned(NamedTuple):
    """What a SequenceExample holds."""

    context: bytes
    """Its field 1, tag included: an Example of the same features"""
    frames: dict[str, NDArray[np.uint8]]
    """By name, (T, D), views of the record"""


def scan_frames(data: bytes) -> Scanned | None:
    """The parts of a record; None where it is no plain SequenceExample of frames of one size."""
    try:
        return _scan(data)
    except (IndexError, UnicodeDecodeError):  # past the end: damaged, as protobuf will say
        return None


def _scan(data: bytes) -> Scanned | None:
    context, frames, at = b"", None, 0
    while at < len(data):
        tag, (begin, end) = data[at], _field(data, at, len(data))
        if tag == _FIRST and not context:
            context = data[at:end]
        elif tag == _SECOND and frames is None:
            frames = _lists(data, begin, end)
            if not frames:
                return None
        else:
            return None
        at = end
    return Scanned(context, frames) if frames else None


def _lists(data: bytes, at: int, stop: int) -> dict[str, NDArray[np.uint8]] | None:
    """The entries of a map: field 1 is a name, field 2 a list."""
    lists: dict[str, NDArray[np.uint8]] = {}
    while at < stop:
        begin, end = _field(data, at, stop, _FIRST)
        name_begin, name_end = _field(data, begin, end, _FIRST)
        list_begin, list_end = _field(data, name_end, end, _SECOND)
        frames = _frames(data, list_begin, list_end)
        name = data[name_begin:name_end].decode()
        if frames is None or list_end != end or name in lists:
            return None
        lists[name], at = frames, end
    return lists


def _frames(data: bytes, at: int, stop: int) -> NDArray[np.uint8] | None:
    feature_begin, feature_end = _field(data, at, stop, _FIRST)
    list_begin, list_end = _field(data, feature_begin, feature_end, _FIRST)
    begin, end = _field(data, list_begin, list_end, _FIRST)
    num_frames, rest = divmod(stop - at, end - at)
    if not begin < end == list_end == feature_end or rest:
        return None
    row_bytes = end - at
    for place in range(at, begin):  # strides of bytes: a third of the time of a NumPy comparison
        if data[place:stop:row_bytes].count(data[place]) != num_frames:
            return None
    rows = np.frombuffer(data, np.uint8, stop - at, at).reshape(num_frames, row_bytes)
    return rows[:, begin - at :]


def _field(data: bytes, at: int, stop: int, tag: int | None = None) -> tuple[int, int]:
    """Where the content of the field at a place begins and ends; IndexError past `stop`."""
    if tag is not None and (at >= stop or data[at] != tag):
        raise IndexError
    length, shift, at = 0, 0, at + 1
    while True:
        byte = data[at]
        length |= (byte & 0x7F) << shift
        shift, at = shift + 7, at + 1
        if byte < 0x80:
            break
        if shift > 28:
            raise IndexError
    if at + length > stop:
        raise IndexError
    return at, at + length
