"""A submission as teacher: its target, what it is refused for, and what a student learns."""

import json
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gapkit.data import FrameStore
from gapkit.ensemble import average
from gapkit.errors import DataError, UsageError
from gapkit.io import read_predictions, write_predictions
from gapkit.predicting import predict_split, write_split
from gapkit.predictions import Predictions
from gapkit.training import TrainingConfig, load_run, train
from gapkit.training._loop.teacher import Teacher

FAST = {"epochs": 3, "batch_size": 48, "learning_rate": 0.02}


@pytest.fixture(scope="module")
def store(data):
    return FrameStore(data / "train")


@pytest.fixture(scope="module")
def taught_by(mean_run, store, tmp_path_factory):
    """The submission of `mean_run` on train, its 5 most confident labels."""
    path = tmp_path_factory.mktemp("teacher") / "teacher.parquet"
    write_split(load_run(mean_run, device="cpu").predictor, store, path, top_k=5)
    return path


@pytest.fixture
def teach(tmp_path):
    """Writes a submission and gives its path."""

    def write(predictions, name="other.parquet"):
        write_predictions(tmp_path / name, predictions)
        return tmp_path / name

    return write


def run(name, data, output, **options):
    return train(name, data, output, **{"training": FAST, "device": "cpu"} | options)


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_the_target_equals_a_loop(store, taught_by, share):
    """A label outside the row counts as confidence 0."""
    index_B = np.array([7, 3, 200, 11])
    batch, true_BC = store.crops(index_B), store.truth(index_B)
    rows = read_predictions(taught_by).to_dict()
    target_BC = Teacher(taught_by, store).blend(batch.ids, true_BC, share)
    assert target_BC.dtype == np.float32
    for b, id_ in enumerate(batch.ids):
        for label in range(12):
            expected = (1 - share) * true_BC[b, label] + share * rows[id_].get(label, 0.0)
            assert target_BC[b, label] == pytest.approx(expected, abs=1e-7)
    assert target_BC.max() <= 1


def test_rows_may_be_short_and_videos_of_other_splits_among_them(store, teach):
    rows = {"elsewhere": {3: 0.5}} | {id_: {} for id_ in store.ids.tolist()}
    rows[store.ids[5]] = {2: 0.75}
    teacher = Teacher(teach(Predictions.from_dict(rows, num_classes=12)), store)
    target_BC = teacher.blend(store.ids[4:7], np.zeros((3, 12), bool), 1.0)
    assert np.argwhere(target_BC).tolist() == [[1, 2]]
    assert target_BC[1, 2] == 0.75


def test_the_fingerprint_is_that_of_what_is_said(store, taught_by, teach):
    own, predictions = Teacher(taught_by, store).fingerprint, read_predictions(taught_by)
    turned = predictions.select(predictions.ids[::-1].tolist())
    for name in ("turned.arrow", "turned.csv", "turned.csv.gz"):
        assert Teacher(teach(turned, name), store).fingerprint == own
    assert Teacher(teach(predictions.top(4)), store).fingerprint != own


def cases(store, predictions):
    """What a teacher is refused for: (its predictions, words)."""
    ids, dense_NC = store.ids.tolist(), predictions.to_dense()
    high_NC = dense_NC.copy()
    high_NC[9, 4] = 1.5
    wide = Predictions.from_dict({id_: {17: 0.5} for id_ in ids})  # as a CSV, no num_classes
    return {
        "videos": (predictions.select(ids[3:]), rf"lacks 3 of the 240 .*'{ids[0]}'.*--split train"),
        "labels": (Predictions.from_dense(np.zeros((240, 20)), ids), r"num_classes is 20, and 12"),
        "a label": (wide, rf"'{ids[0]}': label 17 is out of range for num_classes=12"),
        "confidence": (Predictions.from_dense(high_NC, ids), rf"'{ids[9]}'.*label 4 is 1\.5.*mean"),
    }


@pytest.mark.parametrize("what", ["videos", "labels", "a label", "confidence"])
def test_a_teacher_that_does_not_fit_is_named(data, store, taught_by, teach, what):
    predictions, message = cases(store, read_predictions(taught_by))[what]
    path = teach(predictions, "other.csv" if what == "a label" else "other.parquet")
    with pytest.raises(DataError, match=message) as caught:
        run("mean_lr", data, path.parent / "run", teacher=path)
    assert str(path) in str(caught.value)
    assert not (path.parent / "run").exists()


def test_a_share_without_a_teacher_is_refused(cli, data, tmp_path):
    with pytest.raises(UsageError, match=r"distillation is 0\.3, and there is no teacher"):
        run("mean_lr", data, tmp_path / "run", training={"distillation": 0.3})
    with pytest.raises(UsageError, match=r"distillation is 1\.5"):
        TrainingConfig(distillation=1.5)
    options = ("--data", data, "-o", tmp_path / "run", "--set", "distillation=0.5")
    cli("train", "mean_lr", *options).fails("no teacher", "--teacher", rc=2)
    cli("train", "mean_lr", *options, "--teacher", "none.parquet").fails("none.parquet")
    assert not (tmp_path / "run").exists()


def test_without_labels_a_student_learns_what_its_teacher_says(cli, data, store, tmp_path):
    """A teacher of its own mind, and a train split of which no video has a label."""
    dense_NC = np.full((len(store), 12), 0.05, np.float32)
    brightness_N = np.array([store.crops([i]).features["rgb"].mean() for i in range(len(store))])
    is_bright_N = brightness_N > np.median(brightness_N)
    dense_NC[is_bright_N, 3] = dense_NC[~is_bright_N, 8] = 0.9
    write_predictions(tmp_path / "t.csv.gz", Predictions.from_dense(dense_NC, store.ids.tolist()))
    shutil.copytree(data, tmp_path / "data")
    path = tmp_path / "data" / "train" / "labels.parquet"
    table = pq.read_table(path)
    column = pa.array([[]] * len(table), table.schema.field("labels").type)
    place = table.schema.get_field_index("labels")
    pq.write_table(table.set_column(place, table.schema.field("labels"), column), path)
    command = ["train", "mean_lr", "--data", tmp_path / "data", "-o", tmp_path / "run"]
    command += [
        "--epochs",
        30,
        "--batch-size",
        48,
        "--lr",
        0.05,
        "--teacher",
        tmp_path / "t.csv.gz",
    ]
    cli(*command).fails("none of its 240 videos has a label")
    cli(*command, "--set", "distillation=1", "--device", "cpu").succeeds()
    student = load_run(tmp_path / "run", device="cpu").predictor
    said_NC = student.predict(FrameStore(tmp_path / "data" / "train").crops(np.arange(240)))
    assert np.mean((said_NC[:, 3] > said_NC[:, 8]) == is_bright_N) > 0.95
    others = [label for label in range(12) if label not in (3, 8)]
    assert np.abs(said_NC[:, others] - 0.05).max() < 0.1


def test_half_is_the_share_by_default_and_is_kept(cli, data, tmp_path, taught_by):
    where = ("--data", data, "-o", tmp_path / "run", "--epochs", 1, "--device", "cpu")
    cli("train", "mean_lr", *where, "--teacher", taught_by).succeeds()
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["training"]["distillation"] == 0.5
    assert config["teacher"] == str(taught_by)
    assert (
        config["teacher_fingerprint"] == Teacher(taught_by, FrameStore(data / "train")).fingerprint
    )


def test_resumed_it_is_the_same_to_the_bit_and_no_other(data, tmp_path, taught_by, teach, snapshot):
    tricks = {**FAST, "mixup": 0.4, "ema_decay": 0.9, "distillation": 0.7}
    run("mean_lr", data, tmp_path / "whole", training=tricks, teacher=taught_by)
    run("mean_lr", data, tmp_path / "run", training={**tricks, "max_steps": 7}, teacher=taught_by)
    before = snapshot(tmp_path / "run")
    other = teach(read_predictions(taught_by).top(2))
    for change in ({"teacher": other}, {"training": {"distillation": 0.2}}):
        with pytest.raises(UsageError, match=r"was begun with (teacher_fingerprint|distillation)="):
            run("mean_lr", data, tmp_path / "run", resume=True, **{"training": None} | change)
    assert snapshot(tmp_path / "run") == before
    # Without a name it is the one that the run was begun with.
    run("mean_lr", data, tmp_path / "run", training={"max_steps": None}, resume=True)
    last = [(tmp_path / n / "last.safetensors").read_bytes() for n in ("whole", "run")]
    assert last[0] == last[1]
    run("mean_lr", data, tmp_path / "plain", training={**FAST, "max_steps": 7})
    with pytest.raises(UsageError, match="was begun with"):
        run("mean_lr", data, tmp_path / "plain", training=None, teacher=taught_by, resume=True)


def test_an_ensemble_teaches_one_predictor(data, store, tmp_path):
    """The student says what three members say together, better than one of its own seed does."""
    members, val_store = [], FrameStore(data / "val")
    for seed in range(3):
        run("mean_lr", data, tmp_path / str(seed), training={**FAST, "seed": seed})
        members.append(load_run(tmp_path / str(seed), device="cpu").predictor)
    files = []
    for number, member in enumerate(members):
        files.append(tmp_path / f"{number}.parquet")
        write_split(member, store, files[-1])
    write_predictions(tmp_path / "all.parquet", average([read_predictions(f) for f in files]))
    training = {**FAST, "epochs": 6, "seed": 9, "distillation": 1.0}
    run("mean_lr", data, tmp_path / "student", training=training, teacher=tmp_path / "all.parquet")
    run("mean_lr", data, tmp_path / "alone", training={**training, "distillation": None})
    expected_NC = np.mean([predict_split(m, val_store).to_dense() for m in members], axis=0)

    def distance(name):
        predictor = load_run(tmp_path / name, device="cpu").predictor
        return np.abs(predict_split(predictor, val_store).to_dense() - expected_NC).mean()

    assert distance("student") < 0.7 * distance("alone")
