"""`gapkit export`: what it writes, what it prints, and that `gapkit predict` takes it."""

import json
import shutil

import numpy as np
import pytest

from gapkit.io import read_predictions

CPU = ("--device", "cpu")


@pytest.fixture
def run(mean_run, tmp_path):
    shutil.copytree(mean_run, tmp_path / "runs" / "mine")
    return tmp_path / "runs" / "mine"


@pytest.mark.parametrize("kind", ["float16", "int8"])
def test_smaller_weights_with_the_gap_that_they_cost(cli, data, run, tmp_path, kind):
    options = ("--to", kind, "--data", data, "--split", "val", *CPU)
    result = cli("export", "runs/mine", *options, cwd=tmp_path).succeeds()
    header, before, after, advice = (line.split() for line in result.stdout.splitlines())
    assert header == ["file", "bytes", "gap"]
    assert (before[0], after[0]) == ("runs/mine", f"runs/mine-{kind}")
    made = run.parent / f"mine-{kind}"
    for row, folder in ((before, run), (after, made)):
        assert int(row[1].replace(",", "")) == (folder / "last.safetensors").stat().st_size
    logged = json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])["gap"]
    assert before[2] == f"{logged:.5f}"
    cli(*advice[2:], "-o", "p.parquet", *CPU, cwd=tmp_path).succeeds()
    scored = cli("score", "p.parquet", "--labels", "val", "--data", data, "--json", cwd=tmp_path)
    assert f"{json.loads(scored.succeeds().stdout)[0]['gap']:.5f}" == after[2]


def test_without_a_split_sizes_alone_are_printed(cli, run, tmp_path):
    result = cli("export", run, "--to", "int8", "-o", tmp_path / "small").succeeds()
    assert result.stdout.splitlines()[0].split() == ["file", "bytes"]


def test_a_program_predicts_like_its_run(cli, data, run, tmp_path):
    options = ("--to", "torch", "--data", data, "--split", "val", *CPU)
    result = cli("export", "runs/mine", *options, cwd=tmp_path).succeeds()
    _, before, after, _ = (line.split() for line in result.stdout.splitlines())
    assert after[0] == "runs/mine.pt2"
    assert float(after[2]) == pytest.approx(float(before[2]), abs=2e-5)
    where = {"cwd": tmp_path, "env": {"GAPKIT_DATA": str(data)}}
    cli("predict", "runs/mine", "--starts", "0,1", "-o", "run.parquet", *CPU, **where).succeeds()
    shutil.rmtree(run)
    cli("predict", "runs/mine.pt2", "--starts", "0,1", *CPU, **where).succeeds()
    theirs = read_predictions(tmp_path / "submissions" / "mine.parquet")
    ours = read_predictions(tmp_path / "run.parquet")
    np.testing.assert_allclose(theirs.to_dense(12), ours.to_dense(12), atol=1e-6)
    assert theirs.provenance["predictor"] == "mean_lr"
    assert theirs.provenance["exported"] == "runs/mine.pt2"


@pytest.mark.parametrize(
    ("options", "words", "rc"),
    [
        (("--to", "int4"), ["int4"], 2),
        ((), ["--to"], 2),
        (("--to", "torch", "-o", "m.onnx"), ["m.onnx", ".pt2"], 2),
        (("--to", "int8", "--checkpoint", "middle"), ["'middle'"], 2),
        (("--to", "torch", "--level", "shot"), ["'shot'"], 2),
        (("--to", "int8", "--data", "{data}", "--split", "none"), ["none: no such split"], 1),
        (("--to", "torch", "-o", "there.pt2"), ["there.pt2", "--overwrite"], 1),
        (("--to", "int8", "-o", "{run}"), ["is the run itself"], 1),
    ],
)
def test_wrong_options_are_named_and_write_nothing(
    cli, data, run, tmp_path, snapshot, options, words, rc
):
    (tmp_path / "there.pt2").write_bytes(b"old")
    before = snapshot(tmp_path)
    filled = [str(option).format(data=data, run=run) for option in options]
    cli("export", "runs/mine", *filled, cwd=tmp_path).fails(*words, rc=rc)
    assert snapshot(tmp_path) == before


def test_other_data_is_refused(cli, corpus, run, tmp_path):
    from gapkit.data import import_tfrecords

    import_tfrecords(corpus.glob("val-*"), tmp_path / "data" / "val", num_classes=20)
    cli("export", run, "--to", "torch", "-o", tmp_path / "m.pt2").succeeds()
    for name in (run, tmp_path / "m.pt2"):
        result = cli("predict", name, "--data", tmp_path / "data", "-o", tmp_path / "p.parquet")
        result.fails("num_classes is 20", "trained on 12")


@pytest.mark.parametrize("name", ["none.pt2", "none.onnx", "bad.pt2", "bad.onnx"])
def test_a_file_that_is_missing_or_no_model_is_named(cli, data, tmp_path, name):
    if name.endswith("onnx"):
        pytest.importorskip("onnxruntime")
    (tmp_path / "bad.pt2").write_bytes(b"text")
    (tmp_path / "bad.onnx").write_bytes(b"text")
    words = "no such file" if name.startswith("none") else "damaged"
    cli("predict", name, "--data", data, cwd=tmp_path).fails(f"{name}: {words}")
