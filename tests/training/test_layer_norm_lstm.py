"""The cell against a NumPy loop from the formulas, each video alone at its own length."""

from itertools import product

import numpy as np
import oracles
import pytest
import torch

from gapkit.errors import UsageError
from gapkit.training import GRU, LSTM, LayerNormLSTM

LENGTHS = [7, 1, 4, 7, 2]
T, D, H = 7, 5, 6
KINDS = list(product((1, 2), (False, True)))  # num_layers, bidirectional


def make(num_layers, bidirectional, *, input_size=D, hidden_size=H, seed=0):
    """A cell with parameters far from their start, gains and shifts included."""
    torch.manual_seed(seed)
    cell = LayerNormLSTM(input_size, hidden_size, num_layers, bidirectional)
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.4)
    return cell


def expected_outputs(cell, x_TD):
    """All outputs of the top layer and the last, for one video without padding."""
    parameters = {name: value.detach().numpy() for name, value in cell.named_parameters()}
    outputs = x_TD
    for layer in range(cell.num_layers):
        halves = []
        for direction in ("", "_reverse") if cell.bidirectional else ("",):
            names = (
                f"{n}_l{layer}{direction}" for n in ("weight_ih", "weight_hh", "gain", "shift")
            )
            weights = [parameters[name] for name in names]
            halves.append(oracles.layer_norm_lstm(outputs, *weights, reverse=bool(direction)))
        outputs = np.concatenate(halves, axis=1)
    last = [halves[0][-1]] + [half[0] for half in halves[1:]]
    return outputs, np.concatenate(last)


@pytest.fixture(name="x_BTD")
def make_x():
    return torch.randn(len(LENGTHS), T, D, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(("num_layers", "bidirectional"), KINDS)
def test_outputs_and_last_equal_the_oracle(x_BTD, num_layers, bidirectional):
    cell = make(num_layers, bidirectional)
    outputs, last = cell(x_BTD, torch.tensor(LENGTHS))
    width = H * (1 + bidirectional)
    assert outputs.shape == (len(LENGTHS), T, width)
    assert last.shape == (len(LENGTHS), width)
    for b, length in enumerate(LENGTHS):
        all_TH, last_H = expected_outputs(cell, x_BTD[b, :length].numpy())
        np.testing.assert_allclose(outputs[b, :length].detach(), all_TH, rtol=0, atol=1e-5)
        np.testing.assert_allclose(last[b].detach(), last_H, rtol=0, atol=1e-5)


def test_outputs_over_many_frames_equal_the_oracle():
    cell = make(2, True, seed=3)
    x_BTD = torch.randn(2, 60, D, generator=torch.Generator().manual_seed(4))
    outputs, last = cell(x_BTD, torch.tensor([60, 45]))
    for b, length in enumerate((60, 45)):
        all_TH, last_H = expected_outputs(cell, x_BTD[b, :length].numpy())
        np.testing.assert_allclose(outputs[b, :length].detach(), all_TH, rtol=0, atol=1e-5)
        np.testing.assert_allclose(last[b].detach(), last_H, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("num_layers", "bidirectional"), KINDS)
def test_padding_changes_nothing_and_comes_out_as_zero(x_BTD, num_layers, bidirectional):
    cell = make(num_layers, bidirectional)
    lengths = torch.tensor(LENGTHS)
    outputs, last = cell(x_BTD, lengths)
    is_padding_BT = torch.arange(T) >= lengths[:, None]
    assert (outputs[is_padding_BT] == 0).all()
    filled_BTD = torch.where(is_padding_BT[..., None], 1e4, x_BTD)
    longer_BTD = torch.cat([filled_BTD, torch.full((len(LENGTHS), 3, D), -7.0)], dim=1)
    for padded_BTD in (filled_BTD, longer_BTD):
        padded_outputs, padded_last = cell(padded_BTD, lengths)
        torch.testing.assert_close(padded_outputs[:, :T], outputs, rtol=0, atol=1e-6)
        torch.testing.assert_close(padded_last, last, rtol=0, atol=1e-6)
        assert (padded_outputs[:, T:] == 0).all()


def test_padding_gets_no_gradient(x_BTD):
    x_BTD.requires_grad_()
    lengths = torch.tensor(LENGTHS)
    outputs, last = make(2, True)(x_BTD, lengths)
    (outputs.square().sum() + last.square().sum()).backward()
    is_padding_BT = torch.arange(T) >= lengths[:, None]
    assert (x_BTD.grad[is_padding_BT] == 0).all()
    assert (x_BTD.grad[~is_padding_BT] != 0).any(dim=-1).all()


@pytest.mark.parametrize(("num_layers", "bidirectional"), [(1, False), (2, True)])
def test_gradients_equal_finite_differences(num_layers, bidirectional):
    cell = make(num_layers, bidirectional, input_size=2, hidden_size=3).double()
    generator = torch.Generator().manual_seed(2)
    x_BTD = torch.randn(2, 3, 2, generator=generator, dtype=torch.float64, requires_grad=True)
    lengths = torch.tensor([3, 2])
    names = [name for name, _ in cell.named_parameters()]

    def run(x_BTD, *values):
        parameters = dict(zip(names, values, strict=True))
        return torch.func.functional_call(cell, parameters, (x_BTD, lengths))

    assert torch.autograd.gradcheck(run, (x_BTD, *cell.parameters()))


def test_parameters_have_the_names_and_shapes_of_the_design():
    cell = LayerNormLSTM(D, H, num_layers=2, bidirectional=True)
    expected = {}
    for layer, size in ((0, D), (1, 2 * H)):
        for direction in ("", "_reverse"):
            suffix = f"_l{layer}{direction}"
            expected[f"weight_ih{suffix}"] = (4 * H, size)
            expected[f"weight_hh{suffix}"] = (4 * H, H)
            expected[f"gain{suffix}"] = (5, H)
            expected[f"shift{suffix}"] = (5, H)
    assert {name: tuple(value.shape) for name, value in cell.state_dict().items()} == expected
    single = set(LayerNormLSTM(D, H).state_dict())
    assert single == {"weight_ih_l0", "weight_hh_l0", "gain_l0", "shift_l0"}


def test_start_is_glorot_and_orthogonal_with_plain_normalisation():
    torch.manual_seed(0)
    cell = LayerNormLSTM(40, 30)
    assert (cell.gain_l0 == 1).all()
    assert (cell.shift_l0 == 0).all()
    bound = (6 / (40 + 30)) ** 0.5  # each gate is a matrix of its own
    assert 0.9 * bound < cell.weight_ih_l0.abs().max() <= bound
    for gate in cell.weight_hh_l0.detach().view(4, 30, 30):
        torch.testing.assert_close(gate @ gate.T, torch.eye(30), rtol=0, atol=1e-5)


@pytest.mark.parametrize("cell", [LayerNormLSTM, LSTM, GRU])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["fused", "eager"])
@pytest.mark.parametrize(
    ("shape", "num_frames", "words"),
    [
        ((4, T, D), [5], "num_frames is of shape \\(1,\\)"),
        ((2, T, D), [5, 5, 5], "num_frames is of shape \\(3,\\)"),
        ((2, T, D), [5, 0], "num_frames holds 0"),
        ((2, T, D), [5, T + 1], f"num_frames holds {T + 1}"),
        ((2, T, D + 1), [5, 5], f"Give \\(B, T, {D}\\)"),
        ((T, D), [5], f"Give \\(B, T, {D}\\)"),
    ],
)
def test_an_input_that_does_not_fit_is_refused(cell, dtype, shape, num_frames, words):
    module = cell(D, H).to(dtype)
    with pytest.raises(UsageError, match=words):
        module(torch.ones(shape, dtype=dtype), torch.tensor(num_frames))


@pytest.mark.parametrize("cell", [LayerNormLSTM, LSTM, GRU])
@pytest.mark.parametrize("name", ["input_size", "hidden_size", "num_layers"])
def test_layers_of_nothing_are_refused(cell, name):
    sizes = {"input_size": D, "hidden_size": H, "num_layers": 1, name: 0}
    with pytest.raises(UsageError, match=f"{name} is 0"):
        cell(**sizes)
