"""Augmentations: halves are halves, mixtures lie between, padding stays nothing."""

import torch

from gapkit.training import TrainingConfig
from gapkit.training._inputs import dequantize
from gapkit.training._loop.augmentation import augment


def videos():
    """40 videos of 1 to 8 frames whose values tell video and frame apart."""
    num_frames = torch.arange(40) % 8 + 1
    x = torch.arange(40)[:, None, None] * 6 + torch.arange(8)[None, :, None]
    x = x.expand(40, 8, 3) * (torch.arange(8) < num_frames[:, None])[..., None]
    return {"rgb": x.to(torch.uint8)}, num_frames, torch.eye(40)


def test_without_augmentation_nothing_changes():
    features, num_frames, truth = videos()
    same = augment(features, num_frames, truth, TrainingConfig())
    assert same == (features, num_frames, truth)


def test_halves_are_the_first_or_the_second():
    torch.manual_seed(0)
    features, num_frames, truth = videos()
    halved, lengths, same_truth = augment(
        features, num_frames, truth, TrainingConfig(half_videos=0.8)
    )
    assert same_truth is truth
    seen = {"first": 0, "second": 0, "whole": 0}
    for b in range(40):
        n, k = int(num_frames[b]), int(lengths[b])
        got = halved["rgb"][b, :k]
        half = (n + 1) // 2
        whole = features["rgb"][b, :n]
        if k == n and torch.equal(got, whole):
            seen["whole"] += 1
        elif torch.equal(got, whole[:half]):
            seen["first"] += 1
        else:
            assert torch.equal(got, whole[n - half :])
            seen["second"] += 1
    assert min(seen.values()) >= 4


def test_mixed_videos_and_labels_share_one_weight():
    torch.manual_seed(1)
    features, num_frames, truth = videos()
    mixed, lengths, mixed_truth = augment(features, num_frames, truth, TrainingConfig(mixup=0.5))
    torch.testing.assert_close(mixed_truth.sum(dim=1), torch.ones(40))
    is_frame = torch.arange(8) < num_frames[:, None]
    values = dequantize(features["rgb"]) * is_frame[..., None]
    expected = torch.einsum("bv,vtd->btd", mixed_truth, values)
    torch.testing.assert_close(mixed["rgb"], expected, rtol=0, atol=1e-5)
    for b in range(40):
        used = num_frames[mixed_truth[b] > 0]
        assert lengths[b] >= used.max()
    assert (lengths >= num_frames).all()
    assert (mixed_truth.max(dim=1).values < 1).sum() > 20


def test_noise_has_its_size_and_spares_padding():
    torch.manual_seed(2)
    features, num_frames, truth = videos()
    noisy, lengths, _ = augment(features, num_frames, truth, TrainingConfig(feature_noise=0.3))
    assert torch.equal(lengths, num_frames)
    is_frame = torch.arange(8) < num_frames[:, None]
    added = (noisy["rgb"] - dequantize(features["rgb"]))[is_frame]
    assert 0.25 < added.std() < 0.35
