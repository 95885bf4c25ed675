"""Each loss equals a loop over videos and labels, written from its paper."""

import math

import numpy as np
import pytest
import torch

from gapkit.training import TrainingConfig
from gapkit.training._loop.losses import cross_entropy, make_loss

EPSILON = 1e-5


def draw(seed=0):
    rng = np.random.default_rng(seed)
    return rng.random((7, 11), np.float32), (rng.random((7, 11)) < 0.3).astype(np.float32)


def loop(confidence_BC, true_BC, cost):
    rows = zip(confidence_BC.tolist(), true_BC.tolist(), strict=True)
    return np.mean([sum(map(cost, *row)) for row in rows])


def log(x):
    return math.log(x + EPSILON)


COSTS = {
    "cross_entropy": ({}, lambda p, y: -log(p) if y else -log(1 - p)),
    "focal": (
        {"loss": "focal"},
        lambda p, y: -((1 - p) ** 2) * log(p) if y else -(p**2) * log(1 - p),
    ),
    "asymmetric": (
        {"loss": "asymmetric"},
        lambda p, y: -log(p) if y else -(max(p - 0.05, 0) ** 4) * log(1 - max(p - 0.05, 0)),
    ),
    "ignored": (
        {"ignore_negatives": 0.15},
        lambda p, y: -log(p) if y else (-log(1 - p) if p >= 0.15 else 0),
    ),
    "smoothed": (
        {"label_smoothing": 0.1},
        lambda p, y: -0.9 * y * log(p) - (1 - 0.9 * y) * log(1 - p),
    ),
    "bootstrapped": (
        {"bootstrapping": 0.2},
        lambda p, y: -(0.8 * y + 0.2 * p) * log(p) - (1 - 0.8 * y - 0.2 * p) * log(1 - p),
    ),
}


@pytest.mark.parametrize("name", COSTS)
def test_loss_equals_a_loop(name):
    settings, cost = COSTS[name]
    confidence_BC, true_BC = draw()
    loss = make_loss(TrainingConfig(**settings))
    value = loss(torch.from_numpy(confidence_BC), torch.from_numpy(true_BC)).item()
    assert value == pytest.approx(loop(confidence_BC, true_BC, cost), rel=1e-5)


@pytest.mark.parametrize("name", COSTS)
def test_gradient_equals_differences_of_the_loop(name):
    settings, cost = COSTS[name]
    confidence_BC, true_BC = (x.astype(np.float64) for x in draw())
    confidence = torch.from_numpy(confidence_BC.astype(np.float32)).requires_grad_()
    make_loss(TrainingConfig(**settings))(confidence, torch.from_numpy(true_BC).float()).backward()
    for b, c in ((0, 0), (1, 2), (2, 1)):
        step_BC = np.zeros_like(confidence_BC)
        step_BC[b, c] = 1e-6
        ends = [loop(confidence_BC + sign * step_BC, true_BC, cost) for sign in (1, -1)]
        slope = (ends[0] - ends[1]) / 2e-6
        assert confidence.grad[b, c].item() == pytest.approx(slope, rel=2e-3, abs=1e-4)


def test_default_loss_is_the_papers():
    pair = [torch.from_numpy(x) for x in draw()]
    assert make_loss(TrainingConfig())(*pair) == cross_entropy(*pair)


def test_undersampling_keeps_positives_and_a_share_of_negatives():
    confidence_BC = torch.full((400, 500), 0.5)
    true_BC = torch.zeros(400, 500)
    true_BC[:, :10] = 1
    torch.manual_seed(0)
    loss = make_loss(TrainingConfig(negative_share=0.2))(confidence_BC, true_BC).item()
    assert loss / math.log(2) == pytest.approx(10 + 0.2 * 490, rel=0.01)


def test_an_unknown_loss_is_refused():
    from gapkit.errors import UsageError

    with pytest.raises(UsageError, match="hinge"):
        TrainingConfig(loss="hinge")
