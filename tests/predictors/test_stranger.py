"""A torch module from a package that gapkit does not know: what bundled ones can, it can."""

import numpy as np
import pytest
import torch

from gapkit.data import FrameStore
from gapkit.metrics import gap
from gapkit.plugins import list_predictors
from gapkit.predicting import predict_split, write_split
from gapkit.training import load_run, train

TRICKS = {"mixup": 0.4, "ema_decay": 0.9, "half_videos": 0.3, "label_smoothing": 0.1}
TRAINING = {"epochs": 4, "batch_size": 48, "learning_rate": 0.02, **TRICKS}


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    path = tmp_path_factory.mktemp("stranger") / "run"
    train("stranger_linear", data, path, training=TRAINING, device="cpu")
    return path


def test_it_comes_from_another_package():
    (listing,) = [p for p in list_predictors() if p.name == "stranger_linear"]
    assert listing.package.startswith("gapkit-stranger ")


def test_it_learns_and_reloads(data, tmp_path, trained):
    store, predictor = FrameStore(data / "val"), load_run(trained, device="cpu").predictor
    reached = gap(predict_split(predictor, store), store.labels)
    start = {**TRAINING, "epochs": 1, "learning_rate": 1e-9}
    (untrained,) = train("stranger_linear", data, tmp_path / "run", training=start, device="cpu")
    assert reached > untrained.score.gap + 0.05


def test_interrupted_it_ends_to_the_bit(data, tmp_path, trained):
    options = {"training": {**TRAINING, "max_steps": 8}, "device": "cpu"}
    train("stranger_linear", data, tmp_path / "run", **options)
    more = {"training": {"max_steps": None}, "resume": True, "device": "cpu"}
    train("stranger_linear", data, tmp_path / "run", **more)
    for name in ("last.safetensors", "best.safetensors"):
        assert (tmp_path / "run" / name).read_bytes() == (trained / name).read_bytes()


def test_it_teaches_and_is_taught(data, tmp_path, trained):
    write_split(
        load_run(trained, device="cpu").predictor,
        FrameStore(data / "train"),
        tmp_path / "t.parquet",
    )
    training = {"epochs": 2, "distillation": 1.0, "learning_rate": 0.02}
    for name in ("stranger_linear", "mean_lr"):
        taught = {"training": training, "teacher": tmp_path / "t.parquet", "device": "cpu"}
        first, second = train(name, data, tmp_path / name, **taught)
        assert second.loss < first.loss


def test_padding_and_batch_mates_change_no_prediction(data, trained):
    store, module = FrameStore(data / "val"), load_run(trained, device="cpu").predictor
    together = store.crops(np.arange(20), 0)
    expected_BC = module.predict(together)
    for i in range(20):
        alone_BC = module.predict(store.crops([i], 0))
        np.testing.assert_allclose(alone_BC[0], expected_BC[i], rtol=0, atol=1e-5)
    features, num_frames = module.tensors(together)
    for x_BTD in features.values():
        x_BTD[torch.arange(x_BTD.shape[1]) >= num_frames[:, None]] = 255
    padded_BC = module.eval()(features, num_frames).detach().numpy()
    np.testing.assert_allclose(padded_BC, expected_BC, rtol=0, atol=1e-5)
