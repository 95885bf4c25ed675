"""The trainer: what it writes, that it learns, that it repeats, what it refuses."""

import json
import shutil

import numpy as np
import oracles
import pytest
import torch

from gapkit.batch import Batch
from gapkit.data import FrameStore, import_tfrecords, synthesize
from gapkit.errors import DataError, PredictorError, UsageError
from gapkit.metrics import gap
from gapkit.plugins import find_predictor
from gapkit.predicting import predict_split
from gapkit.training import TrainingConfig, load_run, train

FAST = TrainingConfig(epochs=3, batch_size=48, learning_rate=0.02)
SMALL = {"hidden_size": 12, "num_layers": 1, "max_frames": 6}
BUNDLED = [("mean_lr", {}), ("mean_lr", {"normalize": False}), ("lstm_ln", SMALL)]
NAN = """\
import torch
from gapkit.training import LogisticHead, TorchPredictor
class Nan(TorchPredictor):
    def __init__(self, num_classes, feature_sizes, config):
        super().__init__(num_classes, feature_sizes, config)
        self.head, self.calls = LogisticHead(2, num_classes), 0
    def forward(self, features, num_frames):
        self.calls += 1
        return self.head(torch.zeros(len(num_frames), 2)) * (float("nan") if {when} else 1)
predictor = Nan
"""


def run(name, data, output, **options):
    options = {"training": FAST, "device": "cpu"} | options
    return train(name, data, output, **options)


def records(path):
    return [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]


def timeless(path):
    """What is logged, without what depends on the clock."""
    return [{**r, "videos_per_second": 0, "wait_share": 0} for r in records(path)]


@pytest.mark.parametrize(("name", "settings"), BUNDLED)
def test_a_seeded_run_learns_and_repeats_and_reloads(data, tmp_path, name, settings):
    told = []
    epochs = run(name, data, tmp_path / "a", settings=settings, on_epoch=told.append)
    assert epochs == told
    losses = [epoch.loss for epoch in epochs]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < 0.97 * losses[0]

    torch.manual_seed(99)  # whatever state the caller's generators are in
    run(name, data, tmp_path / "b", settings=settings)
    for file in ("last.safetensors", "best.safetensors", "config.json"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    assert timeless(tmp_path / "a") == timeless(tmp_path / "b")

    store = FrameStore(data / "val")
    first, second = (load_run(tmp_path / n, device="cpu").predictor for n in "ab")
    batch = store.crops(np.arange(9), 1)
    np.testing.assert_array_equal(first.predict(batch), second.predict(batch))
    reloaded = predict_split(first, store, batch_size=FAST.validation_batch_size)
    assert gap(reloaded, store.labels) == epochs[-1].score.gap


def test_videos_come_in_runs_where_the_training_says_so(data, tmp_path, monkeypatch):
    read = []
    real = FrameStore.read_ahead

    def read_ahead(store, index_B, *arguments, **options):
        read.extend(index_B.tolist())
        real(store, index_B, *arguments, **options)

    monkeypatch.setattr(FrameStore, "read_ahead", read_ahead)
    run("mean_lr", data, tmp_path / "a", training=TrainingConfig(epochs=1))
    assert read == []
    run("mean_lr", data, tmp_path / "b", training=TrainingConfig(epochs=1, run_length=16))
    assert sorted(read) == list(range(240))
    starts = np.array(read[::16])
    assert sorted(starts) == list(range(0, 240, 16))
    with pytest.raises(UsageError, match=r"run_length is 0\. It must be 1 or more"):
        TrainingConfig(run_length=0)


def test_another_seed_gives_another_run(data, tmp_path):
    for seed in (0, 1):
        training = TrainingConfig(epochs=1, batch_size=48, seed=seed)
        run("mean_lr", data, tmp_path / str(seed), training=training)
    weights = [(tmp_path / n / "last.safetensors").read_bytes() for n in "01"]
    assert weights[0] != weights[1]


def test_training_leaves_the_callers_generators_alone(data, tmp_path):
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    run("mean_lr", data, tmp_path / "run", training=TrainingConfig(epochs=1))
    assert torch.equal(torch.rand(3), expected)


def test_lstm_ln_learns_64_videos_by_heart(tmp_path):
    synthesize(
        tmp_path / "c",
        num_videos=80,
        num_classes=10,
        seed=2,
        rgb_size=16,
        audio_size=8,
        max_frames=50,
    )
    for split in ("train", "val"):  # it is scored on what it has learnt
        import_tfrecords([tmp_path / "c" / "train-00000.tfrecord"], tmp_path / "data" / split)
    assert len(FrameStore(tmp_path / "data" / "train")) == 64
    epochs = run(
        "lstm_ln",
        tmp_path / "data",
        tmp_path / "run",
        settings={"hidden_size": 48, "num_layers": 1},
        training=TrainingConfig(epochs=60, batch_size=32, learning_rate=0.02),
    )
    assert max(epoch.score.gap for epoch in epochs) > 0.95


# A module with its parameters far from their start, so that the inputs matter.
def build(name, settings, num_classes=12, feature_sizes=None):
    plugin = find_predictor(name)
    torch.manual_seed(3)
    sizes = feature_sizes or {"rgb": 16, "audio": 8}
    module = plugin.build(num_classes, sizes, plugin.configure(settings))
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.5)
    return module


@pytest.mark.parametrize(("name", "settings"), BUNDLED)
def test_padding_and_batch_mates_change_no_prediction(data, name, settings):
    store, module = FrameStore(data / "val"), build(name, settings)
    together = store.crops(np.arange(20), 0)
    assert len(set(together.num_frames.tolist())) > 3
    expected_BC = module.predict(together)
    assert expected_BC.dtype == np.float32
    assert expected_BC.std(axis=0).min() > 1e-3
    for i in range(20):
        alone = module.predict(store.crops([i], 0))
        np.testing.assert_allclose(alone[0], expected_BC[i], rtol=0, atol=1e-5)
    other_order = module.predict(store.crops(np.arange(20)[::-1], 0))
    np.testing.assert_allclose(other_order[::-1], expected_BC, rtol=0, atol=1e-5)
    padded = {}
    for feature, x_BTD in together.features.items():
        is_padding_BT = np.arange(x_BTD.shape[1]) >= together.num_frames[:, None]
        filled_BTD = np.where(is_padding_BT[..., None], np.uint8(255), x_BTD)
        padded[feature] = np.concatenate([filled_BTD, filled_BTD[:, ::-1]], axis=1)
    longer = Batch(ids=together.ids, features=padded, num_frames=together.num_frames)
    np.testing.assert_allclose(module.predict(longer), expected_BC, rtol=0, atol=1e-5)


def dequantized(frames):
    """Each frame of rgb and audio side by side, dequantised and divided by its norm."""
    x_TD = np.concatenate(frames, axis=1) * (4 / 255) + (4 / 512 - 2)
    return x_TD / np.linalg.norm(x_TD, axis=1, keepdims=True)


@pytest.mark.parametrize(("name", "settings"), [BUNDLED[0], BUNDLED[2]])
def test_bundled_predictors_equal_numpy_loops(data, name, settings):
    store, module = FrameStore(data / "val"), build(name, settings)
    weights = {key: value.detach().numpy() for key, value in module.named_parameters()}
    batch = store.crops(np.arange(6), 2)
    predicted_BC = module.predict(batch)
    for i, length in enumerate(batch.num_frames):
        x_TD = dequantized([batch.features[f][i, :length] for f in ("rgb", "audio")])
        if name == "mean_lr":
            vector = x_TD.mean(axis=0)
        else:
            names = ("weight_ih", "weight_hh", "gain", "shift")
            cell = [weights[f"lstm.{n}_l0"] for n in names]
            # frames of unit size a value: sqrt(D) times those of unit norm
            vector = oracles.layer_norm_lstm(x_TD * np.sqrt(x_TD.shape[1]), *cell)[-1]
        logits = weights["head.linear.weight"] @ vector + weights["head.linear.bias"]
        np.testing.assert_allclose(predicted_BC[i], 1 / (1 + np.exp(-logits)), rtol=0, atol=1e-5)


@pytest.mark.parametrize(("name", "settings"), BUNDLED)
def test_features_setting_leaves_the_others_unread(data, name, settings):
    module = build(name, {**settings, "features": "audio"})
    batch = FrameStore(data / "val").crops(np.arange(5), 0)
    silent = {"rgb": np.zeros_like(batch.features["rgb"]), "audio": batch.features["audio"]}
    without = Batch(ids=batch.ids, features=silent, num_frames=batch.num_frames)
    np.testing.assert_array_equal(module.predict(batch), module.predict(without))


def test_lstm_ln_depends_on_order_and_mean_lr_does_not(data):
    batch = FrameStore(data / "val").crops([0], 0)
    turned = {name: x_BTD[:, ::-1].copy() for name, x_BTD in batch.features.items()}
    reversed_ = Batch(ids=batch.ids, features=turned, num_frames=batch.num_frames)
    mean, lstm = build("mean_lr", {}), build("lstm_ln", {**SMALL, "max_frames": None})
    np.testing.assert_allclose(mean.predict(batch), mean.predict(reversed_), rtol=0, atol=1e-6)
    assert np.abs(lstm.predict(batch) - lstm.predict(reversed_)).max() > 1e-3


def test_config_and_metrics_say_what_was_done(data, tmp_path):
    training = TrainingConfig(epochs=2, batch_size=100, learning_rate=0.005, seed=4)
    epochs = run("lstm_ln", data, tmp_path / "run", settings=SMALL, training=training)
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert (config["predictor"], config["num_classes"]) == ("lstm_ln", 12)
    assert config["feature_sizes"] == {"rgb": 16, "audio": 8}
    assert SMALL.items() <= config["config"].items()
    expected = {"epochs": 2, "batch_size": 100, "learning_rate": 0.005, "seed": 4}
    assert expected.items() <= config["training"].items()
    assert config["training"]["validation_batch_size"] == 128
    first, second = records(tmp_path / "run")
    assert [first["epoch"], second["epoch"]] == [1, 2]
    assert [first["num_examples"], second["num_examples"]] == [240, 480]
    for record, epoch in zip((first, second), epochs, strict=True):
        assert (record["gap"], record["loss"]) == (epoch.score.gap, epoch.loss)
        assert {"hit_at_1", "perr", "map", "num_videos", "missing", "ignored"} <= set(record)
    assert first["is_best"] is True


def test_best_weights_are_those_of_the_best_epoch(data, tmp_path):
    """Each epoch's last weights are kept aside as they are told of."""
    kept = {}

    def keep(epoch):
        kept[epoch.epoch] = (tmp_path / "run" / "last.safetensors").read_bytes()

    training = TrainingConfig(epochs=4, batch_size=240, learning_rate=3, seed=1)
    epochs = run("mean_lr", data, tmp_path / "run", training=training, on_epoch=keep)
    best = max(epochs, key=lambda epoch: epoch.score.gap)
    assert best.epoch < 4
    assert (tmp_path / "run" / "best.safetensors").read_bytes() == kept[best.epoch]
    assert (tmp_path / "run" / "last.safetensors").read_bytes() == kept[4]
    assert [epoch.epoch for epoch in epochs if epoch.is_best][-1] == best.epoch


@pytest.mark.parametrize("when", ["True", "self.calls > 2"])
def test_a_loss_that_is_not_finite_is_an_error(data, tmp_path, snapshot, when):
    (tmp_path / "nan_plugin.py").write_text(NAN.format(when=when))
    (tmp_path / "out").mkdir()
    with pytest.raises(PredictorError, match=r"loss is nan in epoch 1 after \d+ videos"):
        run(str(tmp_path / "nan_plugin.py"), data, tmp_path / "out" / "run")
    assert snapshot(tmp_path / "out") == {}


def test_a_learning_rate_that_is_too_high_leaves_no_nan_behind(data, tmp_path):
    with pytest.raises(PredictorError, match="Lower --lr"):
        run("mean_lr", data, tmp_path / "run", training=TrainingConfig(learning_rate=1e30))
    assert not (tmp_path / "run").exists()


def test_a_run_that_is_there_needs_overwrite(data, tmp_path, snapshot):
    one = TrainingConfig(epochs=1)
    run("mean_lr", data, tmp_path / "run", training=one)
    before = snapshot(tmp_path)
    with pytest.raises(DataError, match=r"run: .*--overwrite"):
        run("lstm_ln", data, tmp_path / "run", training=one, settings=SMALL)
    assert snapshot(tmp_path) == before
    run("lstm_ln", data, tmp_path / "run", training=one, settings=SMALL, overwrite=True)
    assert load_run(tmp_path / "run").name == "lstm_ln"
    assert len(records(tmp_path / "run")) == 1
    files = [{name for name in s if "tfevents" not in name} for s in (snapshot(tmp_path), before)]
    assert files[0] == files[1]


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_with_foreign_files_is_refused(data, tmp_path, snapshot, overwrite):
    run("mean_lr", data, tmp_path / "run", training=TrainingConfig(epochs=1))
    (tmp_path / "run" / "notes.txt").write_text("mine")
    before = snapshot(tmp_path)
    with pytest.raises(DataError, match=r"notes\.txt"):
        run("mean_lr", data, tmp_path / "run", overwrite=overwrite)
    assert snapshot(tmp_path) == before


def test_a_failed_overwrite_keeps_the_old_run(data, tmp_path, snapshot):
    run("mean_lr", data, tmp_path / "run", training=TrainingConfig(epochs=1))
    before = snapshot(tmp_path)
    training = TrainingConfig(epochs=1, learning_rate=1e30, batch_size=10)
    with pytest.raises(PredictorError):
        run("mean_lr", data, tmp_path / "run", training=training, overwrite=True)
    assert snapshot(tmp_path) == before


def test_an_empty_folder_is_taken(data, tmp_path):
    (tmp_path / "run").mkdir()
    run("mean_lr", data, tmp_path / "run", training=TrainingConfig(epochs=1))
    assert load_run(tmp_path / "run").name == "mean_lr"


def test_splits_that_do_not_go_together_are_refused(data, corpus, tmp_path):
    shutil.copytree(data / "train", tmp_path / "data" / "train")
    import_tfrecords(corpus.glob("val-*"), tmp_path / "data" / "val", num_classes=20)
    with pytest.raises(DataError, match=r"val: num_classes is 20, and 12 in .*train"):
        run("mean_lr", tmp_path / "data", tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "wrong",
    [
        {"epochs": 0},
        {"batch_size": 0},
        {"learning_rate": 0.0},
        {"learning_rate": float("inf")},
        {"decay_rate": 1.5},
        {"decay_examples": 0},
        {"clip_norm": -1.0},
        {"max_minutes": 0.0},
        {"seed": -1},
        {"seed": 2**32},
        {"validation_batch_size": 0},
    ],
)
def test_a_training_config_out_of_range_is_refused(wrong):
    ((name, value),) = wrong.items()
    with pytest.raises(UsageError, match=f"{name} is {value}"):
        TrainingConfig(**wrong)


def test_splits_of_other_strides_are_refused_unless_the_config_says_which(corpus, tmp_path):
    for split, stride in (("train", 5), ("val", 1)):
        files = sorted(corpus.glob(f"{split}-*.tfrecord"))
        import_tfrecords(files, tmp_path / "data" / split, stride=stride)
    with pytest.raises(DataError, match="stride is 1, and 5"):
        run("mean_lr", tmp_path / "data", tmp_path / "run")
    assert not (tmp_path / "run").exists()
    run("mean_lr", tmp_path / "data", tmp_path / "run", settings={"stride": "5"})


def test_a_config_that_is_no_json_leaves_nothing(data, tmp_path):
    plugin = NAN.replace("{when}", "False") + (
        "from dataclasses import dataclass\n"
        "@dataclass(frozen=True, kw_only=True)\n"
        "class Config:\n    odd: object = object()\n"
    )
    (tmp_path / "odd.py").write_text(plugin)
    with pytest.raises(PredictorError, match="JSON"):
        run(str(tmp_path / "odd.py"), data, tmp_path / "run")
    assert [path.name for path in tmp_path.iterdir() if path.name != "__pycache__"] == ["odd.py"]
