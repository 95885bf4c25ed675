"""A run that was interrupted ends as one that was not, to the bit."""

import json
import random
import signal
import subprocess
import time

import pytest

from gapkit.errors import DataError, UsageError
from gapkit.training import TrainingConfig, train

SMALL = {"hidden_size": 12, "num_layers": 1, "max_frames": 6}
WEIGHTS = ("last.safetensors", "best.safetensors", "state.safetensors")
TRICKS = {"ema_decay": 0.99, "mixup": 0.4, "feature_noise": 0.1, "negative_share": 0.5}
TRAINING = {"epochs": 4, "batch_size": 24, "learning_rate": 0.01, **TRICKS}


class StopError(Exception):
    pass


def records(path):
    return [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]


def timeless(path):
    return [{**r, "videos_per_second": 0, "wait_share": 0} for r in records(path)]


def run(data, output, **options):
    options = {"settings": SMALL, "training": TRAINING, "device": "cpu"} | options
    return train("lstm_ln", data, output, **options)


def state(path):
    """Tensors of the state, and where it stands, without what depends on the clock."""
    from safetensors import safe_open

    with safe_open(path / "state.safetensors", "pt") as file:
        about = json.loads(file.metadata()["state"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    clock = ("seconds", "wait_seconds", "all_seconds", "metrics_bytes")
    return tensors, {key: value for key, value in about.items() if key not in clock}


def same(a, b):
    for name in WEIGHTS[:2]:
        assert (a / name).read_bytes() == (b / name).read_bytes()
    (tensors, where), (others, there) = state(a), state(b)
    assert where == there
    assert tensors.keys() == others.keys()
    assert all((tensors[name] == others[name]).all() for name in tensors)
    assert timeless(a) == timeless(b)


@pytest.fixture(scope="module")
def unbroken(data, tmp_path_factory):
    path = tmp_path_factory.mktemp("unbroken") / "run"
    run(data, path)
    return path


@pytest.mark.parametrize("num_steps", [1, 7, 10, 11, 25, 39])
def test_interrupted_at_any_step_it_ends_to_the_bit(data, tmp_path, unbroken, num_steps):
    """Every step saves its state; the interruption comes between two of them."""
    left = [num_steps]

    def stop(done, total, what):
        if "loss" in what:
            left[0] -= 1
            if left[0] < 0:
                raise StopError

    often = {**TRAINING, "save_seconds": 0.0}
    with pytest.raises(StopError):
        run(data, tmp_path / "run", training=often, progress=stop)
    run(data, tmp_path / "run", resume=True)
    same(tmp_path / "run", unbroken)


@pytest.mark.parametrize("line", ['{"epo', '{"epoch": 1}\n'], ids=["half", "whole"])
def test_a_line_that_no_state_knows_of_is_logged_anew(data, tmp_path, unbroken, line):
    """As a kill leaves it between the first epoch's line and the state that knows of it."""

    def stop(done, total, what):
        if done > 48:
            raise StopError

    with pytest.raises(StopError):
        run(data, tmp_path / "run", training={**TRAINING, "save_seconds": 0.0}, progress=stop)
    (tmp_path / "run" / "metrics.jsonl").write_text(line)
    run(data, tmp_path / "run", resume=True)
    same(tmp_path / "run", unbroken)


def test_killed_at_random_moments_it_ends_to_the_bit(data, tmp_path, unbroken, script):
    options = [script, "train", "lstm_ln", "--data", data, "-o", tmp_path / "run", "--resume"]
    options += ["--epochs", "4", "--batch-size", "24", "--lr", "0.01", "--device", "cpu"]
    for key, value in {**SMALL, **TRICKS, "save_seconds": 0}.items():
        options += ["--set", f"{key}={value}"]
    options = [str(option) for option in options]
    rng = random.Random(3)
    for _ in range(4):
        process = subprocess.Popen(options, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(rng.uniform(2, 4))
        process.send_signal(signal.SIGKILL)
        process.wait()
    done = subprocess.run(options, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    same(tmp_path / "run", unbroken)


def test_resuming_a_finished_run_changes_nothing(data, tmp_path, unbroken, snapshot):
    before = {name: (unbroken / name).read_bytes() for name in WEIGHTS}
    epochs = run(data, unbroken, resume=True)
    assert [epoch.to_record() for epoch in epochs] == records(unbroken)
    assert {name: (unbroken / name).read_bytes() for name in WEIGHTS} == before


def test_resuming_where_nothing_is_begins(data, tmp_path, unbroken):
    run(data, tmp_path / "run", resume=True)
    same(tmp_path / "run", unbroken)


def test_more_epochs_go_on_where_fewer_ended(data, tmp_path, unbroken):
    run(data, tmp_path / "run", training={**TRAINING, "epochs": 2})
    run(data, tmp_path / "run", training={"epochs": 4}, settings=None, resume=True)
    same(tmp_path / "run", unbroken)


def test_a_step_budget_ends_within_an_epoch_and_can_be_raised(data, tmp_path, unbroken):
    epochs = run(data, tmp_path / "run", training={**TRAINING, "max_steps": 13})
    assert [epoch.num_examples for epoch in epochs] == [240, 240 + 3 * 24]
    run(data, tmp_path / "run", training={"max_steps": None}, resume=True)
    for name in WEIGHTS[:1]:
        assert (tmp_path / "run" / name).read_bytes() == (unbroken / name).read_bytes()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"settings": {**SMALL, "hidden_size": 13}},
            "begun with hidden_size=12, and this is hidden_size=13",
        ),
        ({"training": {**TRAINING, "learning_rate": 0.5}}, r"learning_rate=0\.01.*0\.5"),
    ],
)
def test_other_settings_are_refused_and_the_run_stays(data, unbroken, snapshot, options, message):
    before = snapshot(unbroken)
    with pytest.raises(UsageError, match=message):
        run(data, unbroken, resume=True, **options)
    assert snapshot(unbroken) == before


def test_a_cut_state_is_named(data, tmp_path, unbroken):
    import shutil

    shutil.copytree(unbroken, tmp_path / "run")
    path = tmp_path / "run" / "state.safetensors"
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(DataError, match=r"state\.safetensors: can't be resumed"):
        run(data, tmp_path / "run", resume=True)
    path.unlink()
    with pytest.raises(DataError, match=r"no state\.safetensors to resume"):
        run(data, tmp_path / "run", resume=True)


def test_patience_stops_after_epochs_that_were_no_better(data, tmp_path):
    training = TrainingConfig(epochs=50, batch_size=240, learning_rate=3, patience=2, seed=1)
    epochs = train("mean_lr", data, tmp_path / "run", training=training, device="cpu")
    assert len(epochs) < 50
    assert [epoch.is_best for epoch in epochs[-3:]] == [True, False, False]


def test_parts_of_a_step_add_up_to_it(data, tmp_path):
    for number in (1, 5):
        training = {"epochs": 2, "batch_size": 60, "accumulate": number}
        run(data, tmp_path / str(number), training=training)
    whole, parts = (records(tmp_path / str(number)) for number in (1, 5))
    for a, b in zip(whole, parts, strict=True):
        assert a["loss"] == pytest.approx(b["loss"], rel=1e-5)
        assert a["gap"] == pytest.approx(b["gap"], abs=1e-3)


def test_averaged_weights_are_the_ones_scored_and_kept(data, tmp_path):
    """By hand: the state's mean, moved as its formula says, from runs one step apart."""
    means = {}
    for num_steps in (4, 5):
        path = tmp_path / str(num_steps)
        run(data, path, training={**TRAINING, "mixup": 0.0, "max_steps": num_steps})
        means[num_steps] = state(path)[0]
    keep = min(0.99, 5 / (5 + 9))
    for name, mean in means[5].items():
        if name.startswith("averaged/"):
            own = means[5][name.replace("averaged/", "weights/")]
            expected = keep * means[4][name] + (1 - keep) * own
            assert (mean - expected).abs().max() < 1e-6


def test_what_a_kill_left_goes_with_resume_and_with_overwrite(data, tmp_path):
    """Files in the run, folders beside it; those of other runs stay."""
    one = {"training": {"epochs": 1, "batch_size": 240}, "settings": {}, "device": "cpu"}
    path, other = tmp_path / "run", ".run2.0123abcd.tmp"
    for more in ({"resume": True}, {"resume": True}, {"overwrite": True}):
        for name in (".run.0123abcd.tmp", ".run.0123abcd.tmp.old", other):
            (tmp_path / name).mkdir(exist_ok=True)
            (tmp_path / name / "config.json").write_text("{")
        if path.exists():
            (path / ".state.safetensors.d41fe3fa.tmp").write_bytes(b"half")
            (path / ".config.json.d41fe3fa.tmp").write_bytes(b"half")
        train("mean_lr", data, path, **one, **more)
        assert sorted(entry.name for entry in tmp_path.iterdir()) == [other, "run"]
        assert not list(path.glob(".*"))
