"""Heads on what lies below the top: in the loss of training, in nothing else."""

import numpy as np
import pytest
import torch
from gapkit_predictors.lstm import Prototype

from gapkit.data import FrameStore
from gapkit.errors import UsageError
from gapkit.plugins import find_predictor
from gapkit.training import load_run, train
from gapkit.training._loop.losses import cross_entropy

RECURRENT = {"hidden_size": 6, "max_frames": 6}
SMALL = {
    "attention": {"hidden_size": 16, "dropout": 0.0},
    "bilstm_attention": RECURRENT,
    "bilstm_adaptive": {**RECURRENT, "top_size": 5},
    "bilstm_ln": {**RECURRENT, "top_size": 5, "num_layers": 4},
    "gru": {**RECURRENT, "num_layers": 3},
}
NUM_HEADS = {"attention": 2, "bilstm_attention": 1, "bilstm_adaptive": 1, "bilstm_ln": 3, "gru": 2}


def build(name, **more):
    plugin = find_predictor(name)
    torch.manual_seed(3)
    return plugin.build(12, {"rgb": 16, "audio": 8}, plugin.configure({**SMALL[name], **more}))


@pytest.fixture(scope="module")
def store(data):
    return FrameStore(data / "train")


def inputs(module, store, num_videos=20):
    index_B = np.arange(num_videos)
    truth_BC = torch.from_numpy(store.truth(index_B)).float()
    return *module.tensors(store.crops(index_B, 0)), truth_BC


def without(module, name):
    """The predictor of weight 0 with the weights of another one; layers lie in one module there."""
    plain = build(name)
    weights, given = module.state_dict(), {}
    for key in plain.state_dict():
        own = key
        if key not in weights:  # a layer of `lstm` that has a module of its own
            kind, _, rest = key.partition(".")
            assert kind == "lstm"
            if rest.startswith("cells."):
                number, _, tail = rest.removeprefix("cells.").partition(".")
                ways = 2 if plain.config.bidirectional else 1
                layer, way = divmod(int(number), ways)
                own = f"between.{layer - 1}.cells.{way}.{tail}"
            else:
                layer = int(rest.partition("_l")[2][0])
                own = f"between.{layer - 1}.{rest.replace(f'_l{layer}', '_l0')}"
        given[key] = weights[own]
    plain.load_state_dict(given)
    return plain


@pytest.mark.parametrize("name", SMALL)
def test_predictions_are_those_without_to_the_bit(store, name):
    module = build(name, intermediate_loss=0.5)
    plain, batch = without(module, name), store.crops(np.arange(20), 0)
    np.testing.assert_array_equal(plain.predict(batch), module.predict(batch))
    assert len(module.intermediate_heads) == NUM_HEADS[name]
    assert not [key for key in plain.state_dict() if "intermediate" in key or "between" in key]


@pytest.mark.parametrize("name", SMALL)
def test_every_head_learns_from_the_truth(store, name):
    module = build(name, intermediate_loss=0.5)
    features, num_frames, true_BC = inputs(module, store)
    module.compute_loss(features, num_frames, true_BC, cross_entropy)[0].backward()
    still = [n for n, p in module.named_parameters() if p.grad is None or not p.grad.any()]
    assert still == []


@pytest.mark.parametrize("name", SMALL)
def test_the_loss_is_the_plain_one_and_the_mean_of_the_heads(store, name):
    module = build(name, intermediate_loss=0.5).eval()
    features, num_frames, true_BC = inputs(module, store)
    total, confidence_BC = module.compute_loss(features, num_frames, true_BC, cross_entropy)
    plain = without(module, name).eval()
    expected, own_BC = plain.compute_loss(features, num_frames, true_BC, cross_entropy)
    torch.testing.assert_close(confidence_BC, own_BC, rtol=0, atol=0)
    layers = module._encode(features, num_frames)
    if isinstance(module, Prototype):
        layers = [layer_BKH.mean(dim=1) for layer_BKH in layers[:-1]]
    heads = zip(module.intermediate_heads, layers, strict=True)
    losses = [cross_entropy(head(x_BH), true_BC) for head, x_BH in heads]
    torch.testing.assert_close(total, expected + 0.5 * sum(losses) / len(losses))


@pytest.mark.parametrize("name", ["attention", "bilstm_attention"])
def test_a_run_with_it_trains_and_reloads(data, tmp_path, name):
    settings = {**SMALL[name], "intermediate_loss": 0.3}
    training = {"epochs": 2, "batch_size": 48, "learning_rate": 0.01}
    options = {"settings": settings, "training": training, "device": "cpu"}
    first, second = train(name, data, tmp_path / "run", **options)
    assert second.loss < first.loss
    assert load_run(tmp_path / "run", device="cpu").predictor.config.intermediate_loss == 0.3


@pytest.mark.parametrize("name", ["attention", "bilstm_attention"])
def test_a_weight_out_of_range_is_refused(name):
    with pytest.raises(UsageError, match=r"intermediate_loss is -1"):
        build(name, intermediate_loss=-1.0)
    if name != "attention":
        with pytest.raises(UsageError, match="num_layers of 2"):
            build(name, intermediate_loss=0.1, num_layers=1)
