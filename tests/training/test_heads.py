"""Head and loss against numbers computed with NumPy."""

import numpy as np
import pytest
import torch

from gapkit.training import LogisticHead
from gapkit.training._loop.losses import cross_entropy


def test_confidences_are_the_logistic_function_of_a_linear_map():
    torch.manual_seed(0)
    head = LogisticHead(7, 5)
    x = torch.randn(4, 7) * 3
    weight, bias = (p.detach().numpy().astype(np.float64) for p in head.parameters())
    expected = 1 / (1 + np.exp(-(x.numpy() @ weight.T + bias)))
    np.testing.assert_allclose(head(x).detach(), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("l2_penalty", [1e-8, 0.5])
def test_penalty_is_half_the_sum_of_the_squared_weights(l2_penalty):
    head = LogisticHead(7, 5, l2_penalty=l2_penalty)
    expected = l2_penalty * 0.5 * (head.linear.weight.detach().numpy() ** 2).sum()
    assert head.penalty().item() == pytest.approx(expected, rel=1e-6)


def test_start_is_glorot_and_as_likely_as_three_labels_a_video():
    torch.manual_seed(0)
    head = LogisticHead(100, 50)
    bound = (6 / 150) ** 0.5
    assert 0.95 * bound < head.linear.weight.abs().max() <= bound
    np.testing.assert_allclose(head.linear.bias.detach(), np.log(3 / 50), rtol=1e-6)
    assert torch.isfinite(LogisticHead(4, 1).linear.bias).all()


def test_loss_is_summed_over_labels_and_averaged_over_videos():
    rng = np.random.default_rng(0)
    p = rng.random((6, 4)).astype(np.float32)
    p[0], p[1] = 0, 1  # where a logarithm without the epsilon is infinite
    y = (rng.random((6, 4)) < 0.5).astype(np.float32)
    exact = p.astype(np.float64)
    terms = y * np.log(exact + 1e-5) + (1 - y) * np.log(1 - exact + 1e-5)
    loss = cross_entropy(torch.from_numpy(p), torch.from_numpy(y))
    assert loss.shape == ()
    assert loss.item() == pytest.approx(-terms.sum(axis=1).mean(), rel=1e-4)


def test_gradient_of_the_loss_is_finite_at_the_ends():
    p = torch.tensor([[0.0, 1.0, 0.0, 1.0]], requires_grad=True)
    cross_entropy(p, torch.tensor([[0.0, 1.0, 1.0, 0.0]])).backward()
    assert torch.isfinite(p.grad).all()
