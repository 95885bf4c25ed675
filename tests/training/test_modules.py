"""Recurrent layers, heads and pooling against loops written from their formulas."""

import numpy as np
import pytest
import torch

from gapkit.training import GRU, LSTM, ContextGating, GatedHead, LogisticHead, MoEHead, make_head


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def lstm_cell(weights, x_TD):
    """Outputs (T, H); gates i f g o."""
    w_ih, w_hh, b_ih, b_hh = weights
    h = c = np.zeros(w_hh.shape[1])
    outputs = []
    for x in x_TD:
        i, f, g, o = np.split(w_ih @ x + b_ih + w_hh @ h + b_hh, 4)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        outputs.append(h)
    return np.array(outputs)


def gru_cell(weights, x_TD):
    """Outputs (T, H); gates r z n, the reset inside the recurrent part as in cuDNN."""
    w_ih, w_hh, b_ih, b_hh = weights
    h = np.zeros(w_hh.shape[1])
    outputs = []
    for x in x_TD:
        (xr, xz, xn), (hr, hz, hn) = np.split(w_ih @ x + b_ih, 3), np.split(w_hh @ h + b_hh, 3)
        r, z = sigmoid(xr + hr), sigmoid(xz + hz)
        n = np.tanh(xn + r * hn)
        h = (1 - z) * n + z * h
        outputs.append(h)
    return np.array(outputs)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize(("module", "cell"), [(LSTM, lstm_cell), (GRU, gru_cell)])
def test_layers_equal_loops_over_each_videos_own_frames(module, cell, bidirectional):
    torch.manual_seed(0)
    layers = module(5, 4, 2, bidirectional)
    with torch.no_grad():
        for parameter in layers.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)
    x_BTD, num_frames = torch.randn(6, 7, 5), torch.tensor([7, 1, 3, 5, 2, 6])
    outputs, last = (y.detach().numpy() for y in layers(x_BTD, num_frames))
    ways = 2 if bidirectional else 1
    weights = [[p.detach().numpy().astype(float) for p in c.parameters()] for c in layers.cells]
    for b, n in enumerate(num_frames.tolist()):
        h_TH = x_BTD[b, :n].numpy().astype(float)
        for layer in range(2):
            halves = [cell(weights[layer * ways], h_TH)]
            if bidirectional:
                halves.append(cell(weights[layer * ways + 1], h_TH[::-1])[::-1])
            h_TH = np.concatenate(halves, axis=1)
        np.testing.assert_allclose(outputs[b, :n], h_TH, rtol=0, atol=1e-5)
        assert not outputs[b, n:].any()
        expected = np.concatenate([h_TH[n - 1, :4], h_TH[0, 4:]])
        np.testing.assert_allclose(last[b], expected, rtol=0, atol=1e-5)


def test_the_forget_bias_starts_at_one_and_the_others_at_zero():
    cell = LSTM(3, 4).cells[0]
    bias = (cell.bias_ih_l0 + cell.bias_hh_l0).detach().view(4, 4)
    assert bias.tolist() == [[0] * 4, [1] * 4, [0] * 4, [0] * 4]


@pytest.mark.parametrize("num_experts", [1, 2, 4])
def test_experts_are_weighed_by_gates_with_a_dummy_that_says_no(num_experts):
    torch.manual_seed(1)
    head = MoEHead(6, 5, num_experts, l2_penalty=0.5)
    x_BD = torch.randn(3, 6) * 2
    gates = head.gates.weight.detach().numpy().reshape(5, num_experts + 1, 6)
    experts = head.experts.weight.detach().numpy().reshape(5, num_experts, 6)
    bias = head.experts.bias.detach().numpy().reshape(5, num_experts)
    assert head.gates.bias is None
    for b, x in enumerate(x_BD.numpy()):
        for label in range(5):
            share = np.exp(gates[label] @ x)
            share /= share.sum()
            said = sigmoid(experts[label] @ x + bias[label])
            expected = sum(share[e] * said[e] for e in range(num_experts))
            assert head(x_BD)[b, label].item() == pytest.approx(expected, abs=1e-6)
    squares = (gates**2).sum() + (experts**2).sum()
    assert head.penalty().item() == pytest.approx(0.25 * squares, rel=1e-5)


def test_confidences_of_experts_never_exceed_one():
    head = MoEHead(2, 3)
    with torch.no_grad():
        head.gates.weight[:] = 0
        head.gates.weight.view(3, 3, 2)[:, :2] = 50.0
        head.experts.bias[:] = 100.0
    confidences = head(torch.rand(1000, 2))
    assert confidences.max() <= 1
    assert confidences.min() > 0.5


def test_context_gating_weighs_each_value_by_all():
    torch.manual_seed(2)
    gating = ContextGating(4)
    torch.nn.init.normal_(gating.linear.weight)
    x_BD = torch.rand(5, 4)
    weight, bias = (p.detach().numpy() for p in gating.linear.parameters())
    expected = x_BD.numpy() * sigmoid(x_BD.numpy() @ weight.T + bias)
    np.testing.assert_allclose(gating(x_BD).detach(), expected, rtol=0, atol=1e-6)


def test_heads_are_made_by_name():
    assert isinstance(make_head("lr", 3, 4), LogisticHead)
    assert make_head("moe", 3, 4, num_experts=5).num_experts == 5
    assert isinstance(make_head("moe", 3, 4, gating=True), GatedHead)


@pytest.mark.parametrize("kind", ["lr", "moe"])
def test_heads_begin_with_so_many_labels_as_true(kind):
    for labels_per_video, num_classes, expected in ((3, 50, 0.06), (0.5, 50, 0.01), (3, 2, 1)):
        head = make_head(kind, 3, num_classes, labels_per_video=labels_per_video)
        bias = head.linear.bias if kind == "lr" else head.experts.bias
        np.testing.assert_allclose(bias.detach(), np.log(expected), rtol=0, atol=1e-6)


def test_the_penalty_of_a_head_is_what_it_is_made_with():
    for kind in ("lr", "moe"):
        one, two = (make_head(kind, 3, 4, l2_penalty=penalty) for penalty in (0.5, 1.0))
        two.load_state_dict(one.state_dict())
        assert two.penalty().item() == pytest.approx(2 * one.penalty().item(), rel=1e-6)
