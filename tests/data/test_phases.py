import numpy as np
import oracles
import pytest

from gapkit.data._phases import crop_length, cut_crop, phase_order, position_of

SIZES = [(T, stride) for T in (1, 2, 4, 5, 6, 11, 13) for stride in (1, 2, 3, 5, 7, 20)]


@pytest.mark.parametrize(("num_frames", "stride"), SIZES)
def test_phase_order_is_frames_by_phase(num_frames, stride):
    expected = sorted(range(num_frames), key=lambda frame: (frame % stride, frame))
    order = phase_order(num_frames, stride)
    assert order.tolist() == expected
    positions = position_of(np.arange(num_frames), num_frames, stride)
    assert order[positions].tolist() == list(range(num_frames))
    assert [position_of(frame, num_frames, stride) for frame in expected] == list(range(num_frames))


@pytest.mark.parametrize(("num_frames", "layout_stride"), SIZES)
def test_every_crop_equals_the_oracle(num_frames, layout_stride):
    frames = np.arange(num_frames)[:, None] + np.array([0, 100])
    stored = frames[phase_order(num_frames, layout_stride)]
    for start in [*range(num_frames + 2), 1000]:
        for stride in (1, 2, 3, 5, 6, 10, 14):
            for max_frames in (1, 2, 3, 45, None):
                expected = oracles.crop(frames, start, stride, max_frames)
                length = crop_length(num_frames, start, stride, max_frames)
                assert length == len(expected)
                crop = cut_crop(stored, layout_stride, start, stride, int(length))
                assert np.array_equal(crop, expected)


def test_a_crop_of_the_layout_stride_is_a_contiguous_view():
    stored = np.arange(130, dtype=np.uint8).reshape(13, 10)[phase_order(13, 5)]
    crop = cut_crop(stored, 5, 2, 5, 3)
    assert crop.base is not None
    assert crop.flags.c_contiguous


def test_lengths_of_many_videos_equal_those_of_each():
    num_frames, start = np.array([1, 7, 30]), np.array([0, 9, 4])
    expected = [
        len(oracles.crop(range(T), s, 5, 3)) for T, s in zip(num_frames, start, strict=True)
    ]
    assert crop_length(num_frames, start, 5, 3).tolist() == expected
