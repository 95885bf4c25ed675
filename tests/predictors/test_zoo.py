"""What every bundled predictor must do."""

import dataclasses
import json
import re

import numpy as np
import pytest
import torch

from gapkit.batch import Batch
from gapkit.data import FrameStore
from gapkit.errors import UsageError
from gapkit.metrics import gap
from gapkit.plugins import find_predictor, list_predictors
from gapkit.training import TrainingConfig, load_run, train
from gapkit.training._loop.losses import cross_entropy

SIZES = {"rgb": 16, "audio": 8}
RECURRENT = {"hidden_size": 12, "max_frames": 6}
SMALL = {
    "mean_lr": {},
    "moe": {},
    "chain": {"projection_size": 8},
    "dbof": {"num_clusters": 40, "hidden_size": 24},
    "netvlad": {"num_clusters": 4, "hidden_size": 24},
    "nextvlad": {"num_clusters": 4, "num_groups": 4, "hidden_size": 24},
    "attention": {"hidden_size": 48, "dropout": 0.0},
    "lstm_late": {"first_size": 8, "other_size": 6, "fused_size": 16},
    "lstm_pretrained": {**RECURRENT, "decoder_size": 12},
    "bilstm_verticals": {"hidden_size": 8, "num_groups": 3},
    "bilstm_ln": {**RECURRENT, "top_size": 10},
}
NAMES = [p.name for p in list_predictors() if p.target.startswith("gapkit_predictors")]
VIDEO_LEVEL = ("mean_lr", "moe", "chain")


def configure(name, **more):
    plugin = find_predictor(name)
    return plugin, plugin.configure({**SMALL.get(name, RECURRENT), **more})


def build(name, num_classes=12, sizes=SIZES, **more):
    plugin, config = configure(name, **more)
    torch.manual_seed(3)
    return plugin.build(num_classes, sizes, config)


def test_the_zoo_is_whole():
    assert len(NAMES) == 21


@pytest.mark.parametrize("gating", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_padding_and_batch_mates_change_no_prediction(data, name, gating):
    module = build(name, gating=gating)
    with torch.no_grad():  # far from their start, so that the inputs matter
        for parameter in module.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)
    batch = FrameStore(data / "val").crops(np.arange(20), 0)
    assert len(set(batch.num_frames.tolist())) > 2
    expected_BC = module.predict(batch)
    assert expected_BC.shape == (20, 12)
    assert expected_BC.dtype == np.float32
    assert expected_BC.min() >= 0
    assert expected_BC.max() <= 1
    assert expected_BC.std(axis=0).max() > 1e-3
    padded = {}
    for feature, x_BTD in batch.features.items():
        is_padding_BT = np.arange(x_BTD.shape[1]) >= batch.num_frames[:, None]
        filled_BTD = np.where(is_padding_BT[..., None], np.uint8(255), x_BTD)
        padded[feature] = np.concatenate([filled_BTD, filled_BTD[:, ::-1]], axis=1)
    longer = Batch(ids=batch.ids, features=padded, num_frames=batch.num_frames)
    np.testing.assert_allclose(module.predict(longer), expected_BC, rtol=0, atol=1e-5)
    for i in range(0, 20, 5):
        length = int(batch.num_frames[i])
        alone = Batch(
            ids=batch.ids[i : i + 1],
            features={f: x[i : i + 1, :length] for f, x in batch.features.items()},
            num_frames=batch.num_frames[i : i + 1],
        )
        np.testing.assert_allclose(module.predict(alone)[0], expected_BC[i], rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "more"),
    [
        *((name, {}) for name in NAMES),
        ("attention", {"intermediate_loss": 0.3}),
        ("bilstm_attention", {"intermediate_loss": 0.3}),
        ("bilstm_attention", {"multitask": 0.3}),
    ],
)
def test_64_videos_are_learnt_by_heart(name, more):
    sizes, rng = {"rgb": 96, "audio": 32}, np.random.default_rng(0)
    module = build(name, sizes=sizes, **more)
    num_frames_B = rng.integers(1, 7, 64)
    frames = {f: rng.integers(0, 256, (64, 6, size), np.uint8) for f, size in sizes.items()}
    ids = np.array([f"v{i}" for i in range(64)], object)
    batch = Batch(ids=ids, features=frames, num_frames=num_frames_B)
    truth_BC = torch.from_numpy(rng.random((64, 12)) < 0.2).float()
    optimizer = torch.optim.Adam(module.parameters(), lr=0.02)
    features, num_frames = module.tensors(batch)
    module.train()
    for step in range(600):
        optimizer.zero_grad()
        loss, confidence_BC = module.compute_loss(features, num_frames, truth_BC, cross_entropy)
        (loss + module.penalty()).backward()
        torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        optimizer.step()
        if step % 20 == 19 and gap(confidence_BC.detach().numpy(), truth_BC.numpy()) > 0.96:
            break
    assert gap(module.predict(batch), truth_BC.numpy()) > 0.95


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_learns(data, name):
    store, module = FrameStore(data / "train"), build(name)
    features, num_frames = module.tensors(store.crops(np.arange(30), 0))
    truth_BC = torch.from_numpy(store.truth(np.arange(30))).float()
    loss, _ = module.compute_loss(features, num_frames, truth_BC, cross_entropy)
    loss = loss + module.penalty()
    if getattr(module.config, "pretrain_epochs", 0):
        loss = loss + module.pretraining_loss(features, num_frames)
    loss.backward()
    still = [n for n, p in module.named_parameters() if p.grad is None or not p.grad.any()]
    assert still == []


@pytest.mark.parametrize("name", NAMES)
def test_each_trains_resumes_and_reloads_from_its_name(data, tmp_path, name):
    settings = SMALL.get(name, RECURRENT)
    training = TrainingConfig(epochs=1, batch_size=120, learning_rate=0.01)
    told = []
    options = {"settings": settings, "training": training, "device": "cpu"}
    epochs = train(name, data, tmp_path / "run", on_epoch=told.append, **options)
    assert [type(e).__name__ for e in told] == ["Pretraining"] * (name == "lstm_pretrained") + [
        "Epoch"
    ]
    store, module = FrameStore(data / "val"), load_run(tmp_path / "run", device="cpu").predictor
    config = module.config
    crops = store.crops(
        np.arange(len(store)), 0, stride=config.stride, max_frames=config.max_frames
    )
    reloaded = gap(module.predict(crops), store.truth(np.arange(len(store))))
    assert reloaded == pytest.approx(epochs[-1].score.gap, abs=1e-6)
    saved = json.loads((tmp_path / "run" / "config.json").read_text())["config"]
    assert find_predictor(name).configure(saved, parse=False) == config
    more = train(name, data, tmp_path / "run", training={"epochs": 2}, resume=True, device="cpu")
    assert [epoch.epoch for epoch in more] == [1, 2]


@pytest.mark.parametrize("name", NAMES)
def test_video_level_is_read_or_refused_by_name(name):
    module = build(name)
    rng = np.random.default_rng(0)
    features = {f: rng.normal(size=(5, size)).astype(np.float32) for f, size in SIZES.items()}
    batch = Batch(
        ids=np.array(list("abcde"), object), features=features, num_frames=np.ones(5, int)
    )
    if name in VIDEO_LEVEL:
        assert module.predict(batch).shape == (5, 12)
    else:
        with pytest.raises(UsageError, match=r"video level\. Train mean_lr"):
            module.predict(batch)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("lstm_visual", "no 'rgb', but audio"),
        ("lstm_late", "two modalities"),
        ("lstm_pretrained", "a second modality"),
    ],
)
def test_rows_that_need_two_modalities_say_so(name, message):
    with pytest.raises(UsageError, match=message):
        build(name, sizes={"audio": 8})


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        (name, {field.name: 0})
        for name in NAMES
        for field in dataclasses.fields(configure(name)[1])
        if re.match(r"num_|hidden|top|first|other|fused|decoder_|projection|expansion", field.name)
    ],
)
def test_sizes_below_one_are_refused(name, wrong):
    ((field, _),) = wrong.items()
    with pytest.raises(UsageError, match=f"{field} is 0"):
        configure(name, **wrong)


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_of_one_video_of_one_frame_trains(name):
    """The last batch of an epoch may be one."""
    rng = np.random.default_rng(0)
    features = {
        f: torch.from_numpy(rng.integers(0, 256, (1, 1, n), np.uint8)) for f, n in SIZES.items()
    }
    module, truth_BC = build(name).train(), torch.zeros(1, 12)
    loss, _ = module.compute_loss(features, torch.tensor([1]), truth_BC, cross_entropy)
    loss.backward()
    assert torch.isfinite(loss)
    assert all(p.grad is None or torch.isfinite(p.grad).all() for p in module.parameters())


@pytest.mark.parametrize("name", NAMES)
def test_padding_changes_no_gradient(data, name):
    """In training mode too: no statistic is taken over padding."""
    store, gradients = FrameStore(data / "train"), []
    for value in (0, 255):
        module = build(name, max_frames=6).train()
        features, num_frames = module.tensors(store.crops(np.arange(30), 0, stride=10))
        assert len(set(num_frames.tolist())) > 2
        for x_BTD in features.values():
            x_BTD[torch.arange(x_BTD.shape[1]) >= num_frames[:, None]] = value
        truth_BC = torch.from_numpy(store.truth(np.arange(30))).float()
        module.compute_loss(features, num_frames, truth_BC, cross_entropy)[0].backward()
        gradients.append([p.grad for p in module.parameters() if p.grad is not None])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)


def test_the_parts_of_a_first_phase_add_up(data):
    store = FrameStore(data / "train")
    module = build("lstm_pretrained").train()
    features, num_frames = module.tensors(store.crops(np.arange(30), 0, stride=10))
    assert len(set(num_frames.tolist())) > 2
    whole = module.pretraining_loss(features, num_frames).item()
    parts = [slice(0, 10), slice(10, 30)]
    own = [
        module.pretraining_loss({f: x[part] for f, x in features.items()}, num_frames[part]).item()
        for part in parts
    ]
    assert whole == pytest.approx((10 * own[0] + 20 * own[1]) / 30, rel=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_the_penalty_is_a_setting(name):
    one, two = (build(name, l2_penalty=value).penalty().item() for value in (0.1, 0.2))
    assert two == pytest.approx(2 * one, rel=1e-5)
    assert one > 0
    with pytest.raises(UsageError, match=r"l2_penalty is -1"):
        configure(name, l2_penalty=-1.0)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"head": "svm"}, "head=svm"),
        ({"pooling": "max"}, "pooling=max"),
        ({"cell": "rnn"}, "cell=rnn"),
        ({"multitask": 0.5}, "needs pooling"),
        ({"num_layers": 1, "top_size": 5}, "num_layers of 2"),
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong, message):
    with pytest.raises(UsageError, match=message):
        configure("lstm", **wrong)


@pytest.mark.parametrize("name", NAMES)
def test_the_policy_of_crops_is_a_setting_with_the_papers_defaults(name):
    own = dict.fromkeys(("lstm_visual", "lstm_full", "bilstm_full"), "zero")
    own |= dict.fromkeys(("lstm_late", "bilstm_verticals"), "code")
    assert configure(name)[1].starts == own.get(name, "paper")
    assert configure(name, starts="code")[1].starts == "code"
    with pytest.raises(UsageError, match="starts"):
        configure(name, starts="middle")


def test_thirds_are_counted_as_in_the_paper(data):
    """Outputs at ceil(n/3)-1, ceil(2n/3)-1 and n-1, both ways, averaged."""
    module = build("bilstm_attention", max_frames=None)
    batch = FrameStore(data / "val").crops(np.arange(30), 0, stride=4)
    features, num_frames = module.tensors(batch)
    from gapkit.training import concatenate_features

    x_BTD = concatenate_features(features, ["rgb", "audio"]) * 24**0.5
    outputs_BTH, _ = module.lstm(x_BTD, num_frames)
    for b, n in enumerate(num_frames.tolist()):
        steps = [-(-n // 3) - 1, -(-2 * n // 3) - 1, n - 1]
        vector = sum(outputs_BTH[b, step] for step in steps) / 3
        expected = module.head(vector[None])[0]
        torch.testing.assert_close(module(features, num_frames)[b], expected, rtol=0, atol=1e-6)


def test_multitask_adds_the_loss_of_each_third(data):
    store = FrameStore(data / "train")
    module = build("bilstm_attention", multitask=0.5)
    features, num_frames = module.tensors(store.crops(np.arange(9), 0))
    truth_BC = torch.from_numpy(store.truth(np.arange(9))).float()
    total, confidence_BC = module.compute_loss(features, num_frames, truth_BC, cross_entropy)
    (step_BKH,) = module._encode(features, num_frames)
    own = [cross_entropy(module.head(step_BKH[:, k]), truth_BC) for k in range(3)]
    expected = cross_entropy(confidence_BC, truth_BC) + 0.5 * sum(own) / 3
    torch.testing.assert_close(total, expected)
