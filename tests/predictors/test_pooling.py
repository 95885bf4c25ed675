"""NetVLAD, NeXtVLAD, the bag of frames, attention and the chain, against loops."""

import numpy as np
import pytest
import torch
from torch import nn

from gapkit.plugins import find_predictor

SIZES = {"rgb": 6, "audio": 4}


def build(name, **settings):
    plugin = find_predictor(name)
    torch.manual_seed(0)
    module = plugin.build(5, SIZES, plugin.configure(settings)).eval()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)
    return module


@pytest.fixture
def videos():
    """Three videos of 1, 4 and 6 frames; and each one's own frames of norm sqrt(10)."""
    rng = np.random.default_rng(0)
    num_frames = torch.tensor([1, 4, 6])
    features = {
        name: torch.from_numpy(rng.integers(0, 256, (3, 6, size), np.uint8))
        for name, size in SIZES.items()
    }
    frames = []
    for b, n in enumerate(num_frames.tolist()):
        x = np.concatenate([features[f][b, :n].numpy() for f in SIZES], axis=1)
        x = x * (4 / 255) + (4 / 512 - 2)
        frames.append(x / np.linalg.norm(x, axis=1, keepdims=True) * 10**0.5)
    return features, num_frames, frames


def vector_of(module, part, videos):
    """What a part of the module is given in its forward pass."""
    seen = []
    hook = part.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    module(videos[0], videos[1])
    hook.remove()
    return seen[0].detach().numpy()


def linear(layer, x):
    bias = 0 if layer.bias is None else layer.bias.detach().numpy()
    return layer.weight.detach().numpy() @ x + bias


def layer_norm(layer, x):
    gain, shift = (p.detach().numpy() for p in layer.parameters())
    return (x - x.mean()) / np.sqrt(x.var() + layer.eps) * gain + shift


def softmax(x):
    e = np.exp(x - x.max())
    return e / e.sum()


def test_netvlad_sums_what_frames_differ_by_from_centres(videos):
    module = build("netvlad", num_clusters=3, hidden_size=7)
    got = vector_of(module, module.hidden, videos)
    centers = module.centers_KD.detach().numpy()
    for b, x_TD in enumerate(videos[2]):
        vlad = np.zeros((3, 10))
        for x in x_TD:
            share = softmax(layer_norm(module.assign[1], linear(module.assign[0], x)))
            for k in range(3):
                vlad[k] += share[k] * (x - centers[k])
        vlad /= np.linalg.norm(vlad, axis=1, keepdims=True)
        flat = vlad.ravel() / np.linalg.norm(vlad)
        np.testing.assert_allclose(got[b], flat, rtol=0, atol=1e-5)


def test_nextvlad_does_so_in_groups_with_attention(videos):
    module = build("nextvlad", num_clusters=3, num_groups=4, hidden_size=7)
    got = vector_of(module, module.normalize, videos)
    centers = module.centers_KE.detach().numpy()
    for b, x_TD in enumerate(videos[2]):
        vlad = np.zeros((3, 5))
        for x in x_TD:
            wide = linear(module.expand, x)
            attention = 1 / (1 + np.exp(-linear(module.attend, wide)))
            scores = linear(module.assign, wide).reshape(4, 3)
            for g, part in enumerate(wide.reshape(4, 5)):
                share = softmax(scores[g]) * attention[g]
                for k in range(3):
                    vlad[k] += share[k] * (part - centers[k])
        vlad /= np.linalg.norm(vlad, axis=1, keepdims=True)
        np.testing.assert_allclose(got[b], vlad.ravel(), rtol=0, atol=1e-5)


def test_the_bag_keeps_the_strongest_of_each_cluster(videos):
    module = build("dbof", num_clusters=9, hidden_size=7)
    got = vector_of(module, module.hidden, videos)
    for b, x_TD in enumerate(videos[2]):
        projected = [layer_norm(module.project[1], linear(module.project[0], x)) for x in x_TD]
        expected = np.clip(projected, 0, 6).max(axis=0)
        np.testing.assert_allclose(got[b], expected, rtol=0, atol=1e-5)


def test_attention_averages_each_unit_by_its_own_softmax(videos):
    module = build("attention", hidden_size=7, num_layers=3, num_levels=2, num_heads=7)
    for part in module.modules():
        if isinstance(part, nn.BatchNorm1d):
            torch.nn.init.normal_(part.running_mean)
            torch.nn.init.uniform_(part.running_var, 0.5, 2)
    got = vector_of(module, module.top, videos)

    def norm(layer, x):
        mean, var = layer.running_mean.numpy(), layer.running_var.numpy()
        gain, shift = layer.weight.detach().numpy(), layer.bias.detach().numpy()
        return (x - mean) / np.sqrt(var + layer.eps) * gain + shift

    for b, x_TD in enumerate(videos[2]):
        h_TH = [norm(module.scale, x) for x in x_TD]
        levels = []
        for number, layer in enumerate(module.layers):
            h_TH = [np.maximum(norm(layer[1], linear(layer[0], h)), 0) for h in h_TH]
            if number >= 1:
                scores = np.array([linear(module.attend[number - 1], h) for h in h_TH])
                share = np.exp(scores) / np.exp(scores).sum(axis=0)
                levels.append((share * np.array(h_TH)).sum(axis=0))
        np.testing.assert_allclose(got[b], np.concatenate(levels), rtol=0, atol=1e-5)


def test_each_stage_of_a_chain_reads_what_the_one_before_said(videos):
    module = build("chain", num_stages=3, projection_size=4, head="lr")
    stages = [s.detach() for s in module._run_stages(videos[0], videos[1])]
    assert torch.equal(stages[-1], module(videos[0], videos[1]).detach())
    for b, x_TD in enumerate(videos[2]):
        x = (x_TD / 10**0.5).mean(axis=0)
        for stage, head in enumerate(module.heads):
            if stage > 0:
                told = linear(module.projections[stage - 1], stages[stage - 1][b].numpy())
                told = np.maximum(told, 0)
                x = np.concatenate([x, told / max(np.linalg.norm(told), 1e-12)])
            expected = 1 / (1 + np.exp(-linear(head.linear, x)))
            np.testing.assert_allclose(stages[stage][b], expected, rtol=0, atol=1e-5)
