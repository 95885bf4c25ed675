"""Dequantising, normalising, the mean over frames: against NumPy from the formulas."""

import numpy as np
import pytest
import torch

from gapkit.training import concatenate_features, mean_over_frames


@pytest.fixture
def frames():
    rng = np.random.default_rng(0)
    return {
        "rgb": rng.integers(256, size=(3, 4, 6), dtype=np.uint8),
        "audio": rng.integers(256, size=(3, 4, 2), dtype=np.uint8),
    }


def as_tensors(features):
    return {name: torch.from_numpy(values) for name, values in features.items()}


def dequantize(q):
    """As the YouTube-8M starter code: from 0..255 to [-2, 2], the middle of each step."""
    largest, smallest = 2.0, -2.0
    scalar = (largest - smallest) / 255
    return q * scalar + (largest - smallest) / 512 + smallest


def test_every_quantised_value_is_read_as_the_starter_code_does():
    q = np.arange(256, dtype=np.uint8).reshape(1, 1, 256)
    x = concatenate_features(as_tensors({"rgb": q}), ["rgb"], normalize=False)
    assert x.dtype == torch.float32
    np.testing.assert_allclose(x[0, 0], dequantize(np.arange(256.0)), rtol=0, atol=1e-6)
    np.testing.assert_allclose(x[0, 0, [0, 255]], [-2 + 1 / 128, 2 + 1 / 128], rtol=0, atol=1e-6)


def test_features_stand_side_by_side_in_the_order_of_the_names(frames):
    x = concatenate_features(as_tensors(frames), ["audio", "rgb"], normalize=False)
    expected = np.concatenate([dequantize(frames["audio"]), dequantize(frames["rgb"])], axis=-1)
    np.testing.assert_allclose(x, expected, rtol=0, atol=1e-6)
    alone = concatenate_features(as_tensors(frames), ["rgb"], normalize=False)
    np.testing.assert_allclose(alone, dequantize(frames["rgb"]), rtol=0, atol=1e-6)


def test_normalising_divides_each_frame_by_its_norm_over_all_features(frames):
    x = concatenate_features(as_tensors(frames), ["rgb", "audio"])
    joined = np.concatenate([dequantize(frames["rgb"]), dequantize(frames["audio"])], axis=-1)
    expected = joined / np.sqrt((joined**2).sum(axis=-1, keepdims=True))
    np.testing.assert_allclose(x, expected, rtol=0, atol=1e-6)


def test_video_level_values_are_taken_as_they_are():
    values = np.array([[3.0, 4.0], [0.0, 0.0]], np.float32)
    features = as_tensors({"mean_rgb": values})
    plain = concatenate_features(features, ["mean_rgb"], normalize=False)
    np.testing.assert_array_equal(plain, values)
    unit = concatenate_features(features, ["mean_rgb"])
    np.testing.assert_allclose(unit, [[0.6, 0.8], [0, 0]], rtol=0, atol=1e-7)


def test_mean_is_over_each_videos_own_frames():
    x_BTD = np.random.default_rng(1).normal(size=(3, 4, 5)).astype(np.float32)
    lengths = [4, 1, 3]
    mean_BD = mean_over_frames(torch.from_numpy(x_BTD), torch.tensor(lengths))
    for row, x_TD, length in zip(mean_BD, x_BTD, lengths, strict=True):
        np.testing.assert_allclose(row, x_TD[:length].mean(axis=0), rtol=0, atol=1e-6)
