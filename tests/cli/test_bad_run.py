"""Run folders that are damaged, foreign, or of other data: named by predict, train and export."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save, save_file

from gapkit.data import import_tfrecords, synthesize

FAST = ("--batch-size", 32, "--lr", 0.02, "--device", "cpu")


@pytest.fixture
def run(mean_run, tmp_path):
    shutil.copytree(mean_run, tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture(scope="module")
def other_data(tmp_path_factory):
    """Splits of other feature sizes and 12 labels, or of other labels and the same sizes."""
    folder = tmp_path_factory.mktemp("other")
    for name, num_classes, rgb_size in (("sizes", 12, 10), ("labels", 9, 16)):
        synthesize(
            folder / f"{name}.tf", num_videos=60, num_classes=num_classes, seed=1,
            rgb_size=rgb_size, audio_size=8, max_frames=30,
        )  # fmt: skip
        for split in ("train", "val"):
            files = sorted((folder / f"{name}.tf").glob(f"{split}-*.tfrecord"))
            import_tfrecords(files, folder / name / split)
    return folder


def edit(run, **changes):
    config = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps({**config, **changes}))


# file: (its new content: none, the bytes kept, or other bytes; words)
DAMAGE = [
    ("state.safetensors", None, ["no state.safetensors to resume from", "--overwrite"]),
    ("state.safetensors", 0, ["state.safetensors: can't be resumed from"]),
    ("state.safetensors", 900, ["state.safetensors: can't be resumed from"]),
    ("state.safetensors", b"no state", ["state.safetensors: can't be resumed from"]),
    ("config.json", None, ["config.json: no such file"]),
    ("config.json", 40, ["config.json: can't be read"]),
    ("config.json", b"{}", ["config.json: not the config of a run"]),
    ("metrics.jsonl", None, ["metrics.jsonl: ", "--overwrite"]),
    ("metrics.jsonl", 100, ["metrics.jsonl: ", "--overwrite"]),
    ("metrics.jsonl", b"x" * 5000, ["metrics.jsonl: damaged", "--overwrite"]),
    ("metrics.jsonl", b'{"epoch": 1}\n' * 500, ["metrics.jsonl: damaged", "--overwrite"]),
    ("metrics.jsonl", b"[1]\n" * 2000, ["metrics.jsonl: damaged", "--overwrite"]),
    ("last.safetensors", None, ["last.safetensors: no such file", "--overwrite"]),
    ("best.safetensors", None, ["best.safetensors: no such file", "--overwrite"]),
    ("best.safetensors", 100, ["best.safetensors: damaged", "--overwrite"]),
    ("last.safetensors", b"foreign", ["last.safetensors: damaged", "--overwrite"]),
    ("best.safetensors", save({"w": torch.ones(2)}), ["best.safetensors: not of this run"]),
]


@pytest.mark.parametrize("epochs", [3, 4], ids=["finished", "with an epoch left"])
@pytest.mark.parametrize(("file", "content", "words"), DAMAGE)
def test_a_damaged_run_is_not_resumed_and_stays(
    cli, data, run, snapshot, file, content, words, epochs
):
    path = run / file
    if content is None:
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:content] if isinstance(content, int) else content)
    before = snapshot(run)
    command = ("train", "mean_lr", "--data", data, "-o", run, "--resume", "--epochs", epochs)
    cli(*command, *FAST).fails(*words)
    assert snapshot(run) == before


def foreign_state(run, change):
    from safetensors import safe_open

    path = run / "state.safetensors"
    with safe_open(path, "pt") as file:
        about = json.loads(file.metadata()["state"])
    tensors = load_file(path)
    change(tensors, about)
    save_file(tensors, path, {"state": json.dumps(about)})


@pytest.mark.parametrize(
    "change",
    [
        lambda tensors, about: tensors.clear(),
        lambda tensors, about: tensors.pop("weights/head.linear.bias"),
        lambda tensors, about: tensors.update({"weights/head.linear.bias": torch.zeros(3)}),
        lambda tensors, about: tensors.update({"weights/other": torch.zeros(3)}),
        lambda tensors, about: tensors.update({"whatever": torch.zeros(3)}),
        lambda tensors, about: tensors.update({"adam/x/exp_avg": torch.zeros(3)}),
        lambda tensors, about: tensors.update({"adam/0/exp_avg": torch.zeros(3)}),
        lambda tensors, about: tensors.pop("adam/0/exp_avg"),
        lambda tensors, about: about.clear(),
        lambda tensors, about: about.pop("metrics_bytes"),
        lambda tensors, about: about.update(epoch="two"),
        lambda tensors, about: about.update(metrics_bytes=None),
    ],
)
def test_a_foreign_state_is_not_resumed(cli, data, run, snapshot, change):
    foreign_state(run, change)
    before = snapshot(run)
    command = ("train", "mean_lr", "--data", data, "-o", run, "--resume", "--epochs", 4)
    cli(*command, *FAST).fails("state.safetensors: can't be resumed from", "--overwrite")
    assert snapshot(run) == before


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("sizes", ["feature_sizes is {'rgb': 10, 'audio': 8}", "{'rgb': 16, 'audio': 8}"]),
        ("labels", ["num_classes is 9", "12"]),
    ],
)
def test_a_store_of_other_sizes_is_named(cli, other_data, run, tmp_path, snapshot, what, words):
    (tmp_path / "out.parquet").write_bytes(b"what was there")
    before = snapshot(tmp_path)
    where = ("--data", other_data / what)
    command = ("predict", run, *where, "-o", "out.parquet")
    cli(*command, cwd=tmp_path).fails(other_data / what / "val", *words)
    resume = ("train", "mean_lr", *where, "-o", run, "--resume", "--epochs", 5, *FAST)
    cli(*resume).fails(run, "was begun with", "choose another -o", rc=2)
    assert snapshot(tmp_path) == before


def test_another_predictor_does_not_resume_a_run(cli, data, run, snapshot):
    before = snapshot(run)
    command = ("train", "moe", "--data", data, "-o", run, "--resume", "--epochs", 5, *FAST)
    cli(*command).fails("was begun with", rc=2)
    assert snapshot(run) == before


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"config": {"features": "smell"}}, ["smell"]),
        ({"config": {"no_such": 1}}, ["no_such"]),
        ({"config": {"stride": "x"}}, ["stride"]),
        ({"config": {"l2_penalty": None}}, ["'mean_lr'", "NoneType"]),
        ({"training": {"validation_batch_size": 128, "no_such": 1}}, ["no_such"]),
        ({"training": {"validation_batch_size": 128, "epochs": "x"}}, ["the trainer", "'str'"]),
        ({"teacher": 5}, ["teacher"]),
        ({"teacher": "no/such.parquet"}, ["no/such.parquet"]),
    ],
)
def test_an_edited_config_is_not_resumed(cli, data, run, snapshot, change, words):
    edit(run, **change)
    before = snapshot(run)
    result = cli("train", "mean_lr", "--data", data, "-o", run, "--resume", "--device", "cpu")
    assert result.rc in (1, 2), result
    result.fails(*words, rc=result.rc)
    assert snapshot(run) == before


@pytest.mark.parametrize("content", [None, b"", b"foreign", 100])
@pytest.mark.parametrize("command", ["predict", "export", "init"])
def test_damaged_weights_are_named_by_each_command(
    cli, data, run, tmp_path, snapshot, command, content
):
    path = run / "last.safetensors"
    if content is None:
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:content] if isinstance(content, int) else content)
    before = snapshot(tmp_path)
    arguments = {
        "predict": ("predict", run, "--data", data, "-o", tmp_path / "out.parquet"),
        "export": ("export", run, "--to", "float16", "-o", tmp_path / "small"),
        "init": ("train", "mean_lr", "--data", data, "-o", tmp_path / "new", "--init", run),
    }[command]
    cli(*arguments).fails(path)
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("index,group\n" + "".join(f"{i},a\n" for i in range(11)), ["11 of 12 labels"]),
        ("index,group\n" + "".join(f"{i},a\n" for i in range(13)), ["line 14: label 12"]),
        ("", ["map.csv"]),
        (None, ["map.csv"]),
        ("\udcff", ["map.csv"]),
    ],
)
def test_a_label_map_of_the_wrong_length_is_named(cli, data, run, tmp_path, snapshot, text, words):
    path = tmp_path / "map.csv"
    if text is not None:
        path.write_bytes(text.encode(errors="surrogateescape"))
    before = snapshot(tmp_path)
    command = ("train", "bilstm_verticals", "--data", data, "-o", run, "--overwrite", *FAST)
    cli(*command, "--set", f"groups={path}", "--set", "hidden_size=4").fails(*words)
    assert snapshot(tmp_path) == before
