"""The scanner of frames against protobuf's own parse."""

import numpy as np
import pytest
import records
from hypothesis import given
from hypothesis import strategies as st

from gapkit.data._tfrecord import messages
from gapkit.data._wire import scan_frames


def parse(data):
    """Context and frames by protobuf; None where frames differ in size, or are none."""
    message = messages().SequenceExample.FromString(data)
    lists = {
        name: [list(feature.bytes_list.value) for feature in feature_list.feature]
        for name, feature_list in message.feature_lists.feature_list.items()
    }
    for frames in lists.values():
        sizes = {len(frame[0]) if len(frame) == 1 else 0 for frame in frames}
        if len(sizes) != 1 or 0 in sizes:
            return None
    return message.context, {name: [f[0] for f in frames] for name, frames in lists.items()}


def check(data):
    """What the scanner finds is what protobuf finds; it may leave a record to it."""
    scanned = scan_frames(data)
    if scanned is None:
        return False
    context, lists = parse(data)
    assert messages().SequenceExample.FromString(scanned.context).context == context
    assert {name: [row.tobytes() for row in rows] for name, rows in scanned.frames.items()} == lists
    return True


@pytest.mark.parametrize("size", [1, 2, 127, 128, 1024, 20_000])
@pytest.mark.parametrize("num_frames", [1, 2, 300])
def test_frames_equal_those_of_protobuf(size, num_frames):
    frames = records.draw_frames(np.random.default_rng(0), num_frames, {"rgb": size, "audio": 3})
    assert check(records.frame_record("v", [3, 1], frames))


def test_what_is_not_frames_of_one_size_is_left_to_protobuf():
    frames = records.draw_frames(np.random.default_rng(0), 4, {"rgb": 3})
    assert scan_frames(records.frame_record("v", [1], {})) is None
    assert scan_frames(records.frame_record("v", [1], {"rgb": frames["rgb"][:0]})) is None
    assert scan_frames(records.video_record("v", [1], {"mean_rgb": [1.0]})) is None
    message = messages().SequenceExample()
    for value in (b"ab", b"abc"):
        feature = message.feature_lists.feature_list["rgb"].feature.add()
        feature.bytes_list.value.append(value)
    assert scan_frames(message.SerializeToString()) is None
    message.feature_lists.feature_list["rgb"].feature[0].int64_list.value.append(1)
    assert scan_frames(message.SerializeToString()) is None


@given(st.data())
def test_changed_bytes_never_make_it_disagree_with_protobuf(data):
    rng = np.random.default_rng(0)
    record = bytearray(
        records.frame_record("v", [3], records.draw_frames(rng, 3, {"rgb": 2, "audio": 1}))
    )
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(record) - 1))
        record[at] = data.draw(st.sampled_from([0x0A, 0x12, 0, 1, 2, 5, 0x80, 0xFF]))
    record = bytes(record[: data.draw(st.integers(0, len(record)))])
    try:
        messages().SequenceExample.FromString(record)
    except Exception:  # protobuf refuses: so must the scanner, or its context
        scanned = scan_frames(record)
        if scanned is not None:
            with pytest.raises(Exception, match="pars"):
                messages().SequenceExample.FromString(scanned.context)
        return
    check(record)
