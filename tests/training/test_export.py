"""A run as one file: predicts the same, holds no code, and says what it takes."""

import io
import json
import pickle
import shutil
import zipfile
from dataclasses import replace

import numpy as np
import pytest
import torch

from gapkit.data import FrameStore
from gapkit.errors import DataError, PredictorError, UsageError
from gapkit.plugins import list_predictors
from gapkit.predicting import ExportedAbout, OnnxPredictor, predict_split
from gapkit.training import (
    ProgramPredictor,
    TrainingConfig,
    export_run,
    load_exported,
    load_run,
    train,
)

SETTINGS = {
    "mean_lr": {},
    "lstm_ln": {"hidden_size": 8, "num_layers": 1, "max_frames": 4},
}
BUNDLED = [p.name for p in list_predictors() if p.target.startswith("gapkit_predictors")]
RECURRENT = {"hidden_size": 6, "num_layers": 1, "max_frames": 3}
FULL = {"hidden_size": 6, "num_layers": 1, "stride": 20}
SMALL = {
    "mean_lr": {},
    "moe": {},
    "chain": {"projection_size": 8},
    "dbof": {"num_clusters": 20, "hidden_size": 12},
    "netvlad": {"num_clusters": 4, "hidden_size": 12},
    "nextvlad": {"num_clusters": 4, "num_groups": 4, "hidden_size": 12},
    "attention": {"hidden_size": 16},
    "lstm_full": FULL,
    "lstm_visual": FULL,
    "bilstm_full": FULL,
    "lstm_late": {"first_size": 4, "other_size": 3, "fused_size": 6, "stride": 30},
    "lstm_pretrained": {**RECURRENT, "decoder_size": 6},
    "bilstm_verticals": {"hidden_size": 4, "num_groups": 3},
    "bilstm_ln": {**RECURRENT, "num_layers": 2, "top_size": 5},
}
NEED_MAX_FRAMES = {"lstm_full", "lstm_visual", "bilstm_full", "lstm_late", "bilstm_verticals"}


@pytest.fixture(scope="module")
def runs(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    for name, settings in SETTINGS.items():
        train(name, data, folder / name, settings=settings, training=TrainingConfig(epochs=1))
    return folder


@pytest.fixture(scope="module")
def exported(runs):
    for name in SETTINGS:
        export_run(runs / name, runs / f"{name}.pt2")
    return runs


@pytest.fixture(scope="module")
def store(data):
    return FrameStore(data / "val")


def assert_same(exported, run, store, **options):
    ours = predict_split(load_run(run, device="cpu").predictor, store, **options)
    theirs = predict_split(exported, store, **options)
    np.testing.assert_allclose(theirs.to_dense(12), ours.to_dense(12), atol=1e-6)


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("batch_size", [1, 7, 128])
def test_a_program_predicts_what_its_run_does(exported, store, name, batch_size):
    program = load_exported(exported / f"{name}.pt2", device="cpu")
    for starts in ([0], [0, 100]):  # 100: crops of one frame
        assert_same(program, exported / name, store, starts=starts, batch_size=batch_size)


@pytest.mark.parametrize("name", BUNDLED)
def test_every_bundled_predictor_is_exported(data, store, tmp_path, name):
    run, file = tmp_path / "run", tmp_path / "m.pt2"
    training = TrainingConfig(epochs=1, max_steps=2, learning_rate=0.3)  # far from the start
    train(name, data, run, settings=SMALL.get(name, RECURRENT), training=training, device="cpu")
    max_frames = None
    if name in NEED_MAX_FRAMES:
        with pytest.raises(PredictorError, match=f"{name}.*pass --max-frames"):
            export_run(run, file)
        stride = load_run(run, device="cpu").predictor.config.stride
        max_frames = -(-int(store.num_frames.max()) // stride)
    program = export_run(run, file, max_frames=max_frames)
    assert np.ptp(predict_split(program, store).to_dense(12), axis=0).max() > 1e-3
    assert_same(program, run, store)


def test_max_frames_below_those_of_the_run_is_refused(runs, tmp_path):
    for name, max_frames in (("mean_lr", 0), ("lstm_ln", 3)):
        with pytest.raises(UsageError, match=rf"max_frames is {max_frames}\..*{name}"):
            export_run(runs / name, tmp_path / "m.pt2", max_frames=max_frames)


def test_full_crops_fit_where_max_frames_says_so(data, store, tmp_path):
    longest = int(store.num_frames.max())
    training = TrainingConfig(epochs=1, max_steps=1)
    train("lstm", data, tmp_path / "run", settings=RECURRENT, training=training)
    program = export_run(tmp_path / "run", tmp_path / "m.pt2", max_frames=longest)
    assert (program.config.max_frames, program.config.fixed_frames) == (3, longest)
    assert_same(program, tmp_path / "run", store)
    assert_same(program, tmp_path / "run", store, full=True)


def test_a_program_says_what_it_takes(exported):
    program = load_exported(exported / "lstm_ln.pt2", device="cpu")
    assert program.config == ExportedAbout(
        predictor="lstm_ln",
        num_classes=12,
        feature_sizes={"rgb": 16, "audio": 8},
        level="frame",
        stride=None,
        max_frames=4,
        fixed_frames=4,
        batch_size=128,
    )
    assert load_exported(exported / "mean_lr.pt2", device="cpu").config.fixed_frames is None


def test_full_crops_need_a_program_of_any_length(exported, store):
    program = load_exported(exported / "mean_lr.pt2", device="cpu")
    assert_same(program, exported / "mean_lr", store, full=True)
    with pytest.raises(UsageError, match="exported for up to 4 frames, and a crop has"):
        predict_split(load_exported(exported / "lstm_ln.pt2", device="cpu"), store, full=True)


def test_a_program_unpickles_nothing(exported, store, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("unpickled")

    for module, name in (
        (pickle, "load"),
        (pickle, "loads"),
        (pickle, "Unpickler"),
        (torch, "load"),
    ):
        monkeypatch.setattr(module, name, refuse)
    predict_split(load_exported(exported / "mean_lr.pt2", device="cpu"), store)


def test_a_program_opens_with_torch_alone(exported, store):
    program = torch.export.load(exported / "mean_lr.pt2").module()
    batch = store.crops([0, 1, 2])
    features = {name: torch.from_numpy(batch.features[name]) for name in ("rgb", "audio")}
    ours = load_run(exported / "mean_lr", device="cpu").predictor.predict(batch)
    theirs = program(features, torch.from_numpy(batch.num_frames)).detach()
    np.testing.assert_allclose(theirs, ours, atol=1e-6)


def rewritten(path, entry, change):
    """The bytes of an archive with one entry changed, or added."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(buffer, "w") as new:
        root = old.namelist()[0].partition("/")[0]
        for name in old.namelist():
            content = old.read(name)
            new.writestr(name, change(content) if name == f"{root}/{entry}" else content)
        if f"{root}/{entry}" not in old.namelist():
            new.writestr(f"{root}/{entry}", change(b""))
    return buffer.getvalue()


def edit_json(change):
    def edit(content):
        about = json.loads(content)
        change(about)
        return json.dumps(about).encode()

    return edit


def first_expression(about):
    def find(node):
        if isinstance(node, dict):
            if "expr_str" in node:
                return node
            node = list(node.values())
        if isinstance(node, list):
            return next(filter(None, map(find, node)), None)
        return None

    return find(about)


HARMFUL = {
    "call": (
        "models/model.json",
        lambda a: a["graph_module"]["graph"]["nodes"][0].update(target="torch.hub.load"),
        "torch.hub.load",
    ),
    "file": (
        "models/model.json",
        lambda a: a["graph_module"]["graph"]["nodes"][0].update(
            target="torch.ops.aten.from_file.default"
        ),
        "from_file",
    ),
    "expression": (
        "models/model.json",
        lambda a: first_expression(a).update(expr_str="__import__('os').getcwd()"),
        "__import__",
    ),
    "exec": (
        "models/model.json",
        lambda a: first_expression(a).update(expr_str="exec(Symbol('s1'))"),
        "exec",
    ),
    "guards": ("models/model.json", lambda a: a.update(guards_code=["print(1)"]), "guards_code"),
    "metadata": (
        "models/model.json",
        lambda a: a["graph_module"]["graph"]["nodes"][0].update(metadata={"torch_fn": "x"}),
        "metadata",
    ),
    "tree": (
        "models/model.json",
        lambda a: a["graph_module"]["module_call_graph"][0]["signature"].update(
            in_spec='[1, {"type": "collections.defaultdict", "context": "[\\"os\\"]"}]'
        ),
        "in_spec",
    ),
    "weights": (
        "data/weights/model_weights_config.json",
        lambda a: next(iter(a["config"].values())).update(use_pickle=True),
        "pickled",
    ),
    "constants": (
        "data/constants/model_constants_config.json",
        lambda a: a["config"].update(x={"use_pickle": False, "path_name": "custom_obj_0"}),
        "pickled",
    ),
}


@pytest.mark.parametrize("what", HARMFUL)
def test_a_program_that_could_run_code_is_refused(exported, tmp_path, what):
    entry, change, words = HARMFUL[what]
    path = tmp_path / "m.pt2"
    path.write_bytes(rewritten(exported / "mean_lr.pt2", entry, edit_json(change)))
    with pytest.raises(DataError, match="could run code") as caught:
        load_exported(path)
    assert words in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("entry", "content", "words"),
    [
        ("data/sample_inputs/model.pt", b"x", "pickled inputs"),
        ("data/aotinductor/model/a.so", b"x", "a.so"),
        ("models/other.json", b"{}", "other.json"),
        ("extra/gapkit.json", b"{}", "not exported by gapkit"),
        ("extra/gapkit.json", b"no JSON", "not exported by gapkit"),
        ("extra/gapkit.json", b'{"version": 1, "predictor": 3}', "'predictor' is 3"),
        ("models/model.json", b"{", "damaged"),
        ("data/weights/weight_0", b"short", "damaged"),
    ],
)
def test_a_damaged_or_foreign_program_is_named(exported, tmp_path, entry, content, words):
    path = tmp_path / "m.pt2"
    path.write_bytes(rewritten(exported / "mean_lr.pt2", entry, lambda _: content))
    with pytest.raises(DataError, match=r"m\.pt2") as caught:
        load_exported(path)
    assert words in str(caught.value)


def test_files_that_are_no_program_are_named(exported, tmp_path):
    whole = (exported / "mean_lr.pt2").read_bytes()
    for content in (b"", b"no zip", whole[: len(whole) // 2], whole[:-30]):
        (tmp_path / "m.pt2").write_bytes(content)
        with pytest.raises(DataError, match=r"m\.pt2: damaged"):
            load_exported(tmp_path / "m.pt2")
    with pytest.raises(DataError, match="no such file"):
        load_exported(tmp_path / "none.pt2")
    with pytest.raises(UsageError, match=r"neither \.pt2"):
        load_exported(tmp_path / "none.bin")
    plain = torch.export.export(torch.nn.Linear(2, 2), (torch.ones(1, 2),))
    torch.export.save(plain, tmp_path / "plain.pt2")
    with pytest.raises(DataError, match=r"plain\.pt2"):
        load_exported(tmp_path / "plain.pt2")


def test_an_export_at_video_level_reads_that_alone(runs, store, tmp_path):
    program = export_run(runs / "mean_lr", tmp_path / "m.pt2", level="video")
    with pytest.raises(UsageError, match="at video level"):
        predict_split(program, store)
    batch = store.crops([0, 1])
    rng = np.random.default_rng(0)
    video = {
        name: rng.normal(size=(2, size)).astype("f4") for name, size in store.feature_sizes.items()
    }
    batch = replace(batch, features=video, num_frames=np.ones(2, np.int64))
    ours = load_run(runs / "mean_lr", device="cpu").predictor.predict(batch)
    np.testing.assert_allclose(program.predict(batch), ours, atol=1e-6)


PLUGIN = """\
import torch
from gapkit.training import LogisticHead, TorchPredictor
class Odd(TorchPredictor):
    def __init__(self, num_classes, feature_sizes, config):
        super().__init__(num_classes, feature_sizes, config)
        self.head = LogisticHead(feature_sizes["rgb"], num_classes)
    def forward(self, features, num_frames):
        x = features["rgb"].float().mean(1) / 255
        {line}
        return self.head(x)
predictor = Odd
"""


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("x = x * (2 if x.sum() > 0 else 1)", "can't trace its forward"),
        ("x = torch.from_numpy(x.detach().numpy().copy())", "can't be exported"),
    ],
)
def test_a_forward_that_no_trace_holds_is_named(data, tmp_path, line, words):
    source = tmp_path / "odd.py"
    source.write_text(PLUGIN.replace("{line}", "pass"))
    train(str(source), data, tmp_path / "run", training=TrainingConfig(epochs=1))
    source.write_text(PLUGIN.replace("{line}", line))
    with pytest.raises(PredictorError, match=words):
        export_run(tmp_path / "run", tmp_path / "m.pt2", predictor=str(source))
    assert not (tmp_path / "m.pt2").exists()


def test_wrong_options_are_named(runs, tmp_path):
    with pytest.raises(UsageError, match="suffix"):
        export_run(runs / "mean_lr", tmp_path / "m.bin")
    with pytest.raises(UsageError, match="level 'shot'"):
        export_run(runs / "mean_lr", tmp_path / "m.pt2", level="shot")


def test_without_the_packages_of_onnx_they_are_named(runs, store, tmp_path, monkeypatch):
    import importlib.util
    import sys

    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if "onnx" in name else find(name)
    )
    with pytest.raises(PredictorError, match="pip install onnx onnxscript onnxruntime"):
        export_run(runs / "mean_lr", tmp_path / "m.onnx")
    (tmp_path / "m.onnx").write_bytes(b"x")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(PredictorError, match="pip install onnxruntime"):
        load_exported(tmp_path / "m.onnx")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", SETTINGS)
def test_onnx_predicts_what_its_run_does(runs, store, tmp_path, name):
    for package in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(package)
    made = export_run(runs / name, tmp_path / "m.onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["m.onnx"]
    assert isinstance(made, OnnxPredictor)
    loaded = load_exported(tmp_path / "m.onnx")
    for batch_size in (1, 7):
        assert_same(loaded, runs / name, store, starts=[0, 100], batch_size=batch_size)
    if name == "mean_lr":
        assert_same(loaded, runs / name, store, full=True)
    whole = (tmp_path / "m.onnx").read_bytes()
    for content in (b"", b"no ONNX", whole[: len(whole) // 2]):
        (tmp_path / "bad.onnx").write_bytes(content)
        with pytest.raises(DataError, match=r"bad\.onnx"):
            load_exported(tmp_path / "bad.onnx")
    with pytest.raises(UsageError, match="device 'tpu'"):
        load_exported(tmp_path / "m.onnx", device="tpu")


def test_a_program_needs_no_plugin(data, store, tmp_path):
    source = tmp_path / "odd.py"
    source.write_text(PLUGIN.replace("{line}", "pass"))
    train(str(source), data, tmp_path / "run", training=TrainingConfig(epochs=1))
    export_run(tmp_path / "run", tmp_path / "m.pt2", predictor=str(source))
    shutil.rmtree(tmp_path / "run")
    source.unlink()
    program = ProgramPredictor(tmp_path / "m.pt2", device="cpu")
    assert len(predict_split(program, store)) == 60
