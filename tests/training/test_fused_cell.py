"""The fused cell against the formula in float64, and where it leaves the work to the formula."""

import copy

import numpy as np
import pytest
import torch

from gapkit._kernels import layer_norm_cell as kernels
from gapkit.training import LayerNormLSTM
from gapkit.training._cells import fused_cell, layer_norm_lstm, products
from gapkit.training._cells.steps import packed_steps

LENGTHS = [7, 1, 4, 7, 2]


def make(num_layers=1, bidirectional=False, *, input_size=5, hidden_size=6, seed=0):
    """A cell with parameters far from their start, gains and shifts included."""
    torch.manual_seed(seed)
    cell = LayerNormLSTM(input_size, hidden_size, num_layers, bidirectional)
    with torch.no_grad():
        for name, parameter in cell.named_parameters():
            size = 0.4 if name[:4] in ("gain", "shif") else 0.4 / hidden_size**0.5
            parameter.add_(torch.randn_like(parameter) * size)
    return cell


def make_x(batch_size, num_frames, input_size=5):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(batch_size, num_frames, input_size, generator=generator)


def outputs_and_grads(cell, x_BTD, lengths):
    """Outputs, last and the gradients of a sum with weights of its own for each entry."""
    cell.zero_grad()
    x_BTD = x_BTD.detach().clone().requires_grad_()
    outputs, last = cell(x_BTD, torch.tensor(lengths))
    generator = torch.Generator().manual_seed(2)
    loss = sum((y * torch.randn(y.shape, generator=generator)).sum() for y in (outputs, last))
    loss.backward()
    grads = {name: parameter.grad for name, parameter in cell.named_parameters()}
    return {"outputs": outputs.detach(), "last": last.detach(), "x": x_BTD.grad} | grads


def assert_close(found, expected):
    """Within 3e-6 of the largest entry of each tensor."""
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        size = max(float(values.abs().max()), 1e-3)
        error = float((found[name].double() - values.double()).abs().max())
        assert error <= 3e-6 * size, (name, error, size)


@pytest.fixture(name="fused_calls", autouse=True)
def count_fused_calls(monkeypatch):
    calls = []

    def run(*arguments):
        calls.append(len(arguments[0]))
        return fused_cell.run_fused_cell(*arguments)

    monkeypatch.setattr(layer_norm_lstm, "run_fused_cell", run)
    return calls


@pytest.fixture(name="few_threads", params=[1, 2])
def set_threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("num_layers", "bidirectional", "hidden_size", "lengths"),
    [
        (1, False, 6, LENGTHS),
        (2, False, 16, LENGTHS),
        (2, True, 37, LENGTHS),
        (1, True, 130, [3, 9, 9, 1]),
        (1, False, 1, [2, 3]),
        (2, True, 19, [1]),
        (2, True, 19, [5]),
        (1, True, 33, [1, 1, 1]),
        (1, False, 64, [40, 33]),
    ],
)
def test_values_and_gradients_equal_the_formula(
    num_layers, bidirectional, hidden_size, lengths, fused_calls
):
    cell = make(num_layers, bidirectional, hidden_size=hidden_size)
    x_BTD = make_x(len(lengths), max(lengths) + 2)
    found = outputs_and_grads(cell, x_BTD, lengths)
    assert fused_calls == [sum(lengths)] * num_layers * (1 + bidirectional)
    expected = outputs_and_grads(copy.deepcopy(cell).double(), x_BTD.double(), lengths)
    assert len(fused_calls) == num_layers * (1 + bidirectional)
    assert_close(found, expected)


def test_fallback_product_gives_the_same(monkeypatch):
    cell, x_BTD = make(2, True, hidden_size=24), make_x(len(LENGTHS), 7)
    expected = outputs_and_grads(copy.deepcopy(cell).double(), x_BTD.double(), LENGTHS)
    monkeypatch.setattr(products, "_has_packed_product", lambda: False)
    assert_close(outputs_and_grads(cell, x_BTD, LENGTHS), expected)


def test_same_bits_in_each_run(few_threads):
    cell, x_BTD = make(2, True, hidden_size=50), make_x(len(LENGTHS), 7)
    first = outputs_and_grads(cell, x_BTD, LENGTHS)
    for _ in range(3):
        again = outputs_and_grads(cell, x_BTD, LENGTHS)
        assert all(torch.equal(again[name], values) for name, values in first.items())


def test_same_bits_without_gradients_and_without_graph(fused_calls):
    cell, x_BTD = make(2, True, hidden_size=20), make_x(len(LENGTHS), 7)
    lengths = torch.tensor(LENGTHS)
    expected = cell(x_BTD, lengths)
    for mode in (torch.no_grad, torch.inference_mode):
        with mode():
            found = cell(x_BTD, lengths)
        assert all(torch.equal(f, e) for f, e in zip(found, expected, strict=True))
        assert not any(values.requires_grad for values in found)
    assert len(fused_calls) == 3 * 4


@pytest.mark.parametrize("is_fused", [True, False])
def test_what_padding_holds_reaches_nothing(is_fused, monkeypatch):
    if not is_fused:
        monkeypatch.setattr(layer_norm_lstm, "can_fuse", lambda *tensors: False)
    cell, x_BTD = make(2, True), make_x(len(LENGTHS), 9)
    is_padding_BT = torch.arange(9) >= torch.tensor(LENGTHS)[:, None]
    expected = outputs_and_grads(cell, x_BTD, LENGTHS)
    for value in (torch.nan, torch.inf):
        filled_BTD = x_BTD.masked_fill(is_padding_BT[..., None], value)
        found = outputs_and_grads(cell, filled_BTD, LENGTHS)
        assert all(torch.equal(found[name], values) for name, values in expected.items())
        assert (found["x"][is_padding_BT] == 0).all()


def test_nan_in_a_frame_reaches_the_rest_of_its_video_alone():
    cell, x_BTD = make(), make_x(2, 5)
    x_BTD[0, 2, 0] = torch.nan
    outputs, _ = cell(x_BTD, torch.tensor([5, 5]))
    assert outputs[0, 2:].isnan().all()
    assert outputs[0, :2].isfinite().all()
    assert outputs[1].isfinite().all()


def test_huge_inputs_give_what_the_formula_gives():
    cell, x_BTD = make(hidden_size=40), make_x(3, 6) * 1e4
    with torch.no_grad():
        cell.gain_l0.mul_(60)
    expected = outputs_and_grads(copy.deepcopy(cell).double(), x_BTD.double(), [6, 6, 6])
    found = outputs_and_grads(cell, x_BTD, [6, 6, 6])
    np.testing.assert_allclose(found["outputs"], expected["outputs"], rtol=0, atol=2e-3)
    assert all(values.isfinite().all() for values in found.values())


def test_frozen_parameters_get_no_gradient():
    cell = make(2, True)
    cell.weight_hh_l0.requires_grad_(False)
    cell.weight_ih_l1_reverse.requires_grad_(False)
    cell.gain_l0.requires_grad_(False)
    expected = outputs_and_grads(copy.deepcopy(cell).requires_grad_(True), make_x(5, 7), LENGTHS)
    found = outputs_and_grads(cell, make_x(5, 7), LENGTHS)
    frozen = {name for name, values in found.items() if values is None}
    assert frozen == {"weight_hh_l0", "weight_ih_l1_reverse", "gain_l0"}
    for name in expected.keys() - frozen:
        assert torch.equal(found[name], expected[name])


def test_second_backward_over_a_kept_graph_gives_the_same():
    cell = make(2, True)
    outputs, _ = cell(make_x(5, 7), torch.tensor(LENGTHS))
    parameters = list(cell.parameters())
    first = torch.autograd.grad(outputs.square().sum(), parameters, retain_graph=True)
    again = torch.autograd.grad(outputs.square().sum(), parameters)
    assert all(torch.equal(f, a) for f, a in zip(first, again, strict=True))


def test_gradients_of_gradients_equal_the_formula(fused_calls):
    cell, x_BTD = make(2, True), make_x(5, 7)

    def penalty_grads(cell, x_BTD):
        x_BTD = x_BTD.clone().requires_grad_()
        outputs, last = cell(x_BTD, torch.tensor(LENGTHS))
        loss = outputs.square().sum() + last.sum()
        (grad,) = torch.autograd.grad(loss, x_BTD, create_graph=True)
        names, parameters = zip(*cell.named_parameters(), strict=True)
        found = torch.autograd.grad(grad.square().sum(), (x_BTD, *parameters))
        return dict(zip(("x", *names), found, strict=True))

    found = penalty_grads(cell, x_BTD)
    assert len(fused_calls) == 4
    expected = penalty_grads(copy.deepcopy(cell).double(), x_BTD.double())
    for name, values in expected.items():
        scale = float(values.abs().max())
        torch.testing.assert_close(found[name].double(), values, rtol=0, atol=2e-5 * scale)


def transformed(kind, cell, x_BTD, lengths):
    """Last outputs by way of what looks into a module, or runs it another way."""
    if kind == "compile":
        return torch.compile(cell, backend="eager")(x_BTD, lengths)[1]
    if kind == "export":
        return torch.export.export(cell, (x_BTD, lengths)).module()(x_BTD, lengths)[1]
    if kind == "vmap":
        return torch.vmap(cell)(x_BTD[None], lengths[None])[1][0]
    if kind == "func":
        return torch.func.vjp(lambda x: cell(x, lengths)[1], x_BTD)[0]
    if kind == "jvp":
        return torch.func.jvp(lambda x: cell(x, lengths)[1], (x_BTD,), (x_BTD,))[0]
    if kind == "dual":
        with torch.autograd.forward_ad.dual_level():
            dual = torch.autograd.forward_ad.make_dual(x_BTD, x_BTD)
            return torch.autograd.forward_ad.unpack_dual(cell(dual, lengths)[1]).primal
    if kind == "double":
        return copy.deepcopy(cell).double()(x_BTD.double(), lengths)[1].float()
    assert kind == "no kernels"
    return cell(x_BTD, lengths)[1]


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")  # torch's own, in jvp
@pytest.mark.parametrize(
    "kind", ["compile", "export", "vmap", "func", "jvp", "dual", "double", "no kernels"]
)
def test_formula_runs_where_kernels_cannot(kind, fused_calls, monkeypatch):
    cell, x_BTD, lengths = make(2, True), make_x(5, 7), torch.tensor(LENGTHS)
    expected = cell(x_BTD, lengths)[1]
    assert len(fused_calls) == 4
    if kind == "no kernels":
        monkeypatch.setattr(fused_cell, "HAS_KERNELS", False)
    found = transformed(kind, cell, x_BTD, lengths)
    assert len(fused_calls) == 4
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


def test_autocast_takes_the_formula(fused_calls):
    cell, lengths = make(), torch.tensor(LENGTHS)
    expected = cell(make_x(5, 7), lengths)[1]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = cell(make_x(5, 7), lengths)[1]
    assert len(fused_calls) == 1
    torch.testing.assert_close(found.float(), expected, rtol=0, atol=0.1)


def test_steps_hold_each_frame_once_and_mirror_twice_is_nothing():
    steps = packed_steps(torch.tensor(LENGTHS), 8)
    assert steps.sizes == [5, 4, 3, 3, 2, 2, 2]
    assert steps.begins == [0, 5, 9, 12, 15, 17, 19]
    frames = sorted(b * 8 + t for b, length in enumerate(LENGTHS) for t in range(length))
    assert sorted(steps.frame.tolist()) == frames
    assert torch.equal(steps.mirrored[steps.mirrored], torch.arange(sum(LENGTHS)))
    for b, length in enumerate(LENGTHS):
        assert steps.frame[steps.first[b]] == b * 8
        assert steps.frame[steps.last[b]] == b * 8 + length - 1
        assert steps.mirrored[steps.first[b]] == steps.last[b]


def test_sigmoid_and_tanh_are_within_3e_7_of_themselves():
    x_N = np.concatenate([np.linspace(-80, 80, 20_001), np.geomspace(1e-30, 1, 2_001)])
    x_N = x_N.astype(np.float32)
    exact_N = x_N.astype(np.float64)
    sigmoid_N = np.array([kernels.sigmoid(x) for x in x_N], np.float64)
    tanh_N = np.array([kernels.tanh(x) for x in x_N], np.float64)
    np.testing.assert_allclose(sigmoid_N, 1 / (1 + np.exp(-exact_N)), rtol=3e-7)
    np.testing.assert_allclose(tanh_N, np.tanh(exact_N), rtol=3e-7)
    for x, low, high in ((np.inf, 1, 1), (-np.inf, 0, -1)):
        assert abs(kernels.sigmoid(np.float32(x)) - low) < 1e-30
        assert abs(kernels.tanh(np.float32(x)) - high) < 3e-7
    assert np.isnan(kernels.sigmoid(np.float32(np.nan)))
    assert np.isnan(kernels.tanh(np.float32(np.nan)))
