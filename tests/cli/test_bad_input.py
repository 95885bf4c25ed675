"""Each wrong input: one line that names file, place and remedy; outputs stay as they were.

Submissions are in test_bad_submissions.py, interrupts in test_interrupt.py, run folders in
tests/training/test_run.py.
"""

import resource

import pytest


@pytest.fixture
def folder(tmp_path, submission):
    """A good submission, labels, and an output that is there already."""
    (tmp_path / "good.parquet").write_bytes(submission.read_bytes())
    (tmp_path / "labels.csv").write_text("id,labels\nval-000001,1 2\n")
    (tmp_path / "out.parquet").write_bytes(b"what was there")
    return tmp_path


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--weights", "1"), ["1 weights for 2 members"]),
        (("--weights", "1,2,3"), ["3 weights for 2 members"]),
        (("--weights", "0.5,-0.5"), ["weight 2 is -0.5"]),
        (("--weights=-1,2",), ["weight 1 is -1"]),
        (("--weights", "0,0"), ["all weights are 0"]),
        (("--weights", "nan,1"), ["weight 1 is nan"]),
        (("--weights", "1,inf"), ["weight 2 is inf"]),
        (("--weights", "1,x"), ["--weights 1,x", "commas"]),
        (("--weights", ""), ["--weights"]),
        (("--weights", "fit"), ["--weights fit"]),
        (("--top-k", "0"), ["--top-k"]),
        (("--top-k", "x"), ["--top-k"]),
        (("-o", "out"), ["out: ", ".parquet", ".csv.gz"]),
        (("-o", "out.txt"), ["out.txt: ", ".parquet"]),
        (("--wieghts", "1,1"), ["--wieghts", "--weights"]),
    ],
)
def test_wrong_options_of_ensemble_are_bad_usage(cli, folder, snapshot, options, words):
    before = snapshot(folder)
    output = () if "-o" in options else ("-o", "out.parquet")
    result = cli("ensemble", "good.parquet", "good.parquet", *output, *options, cwd=folder)
    result.fails(*words, rc=2)
    assert snapshot(folder) == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("scroe",), ["scroe", "score"]),
        (("score",), ["FILE"]),
        (("score", "good.parquet"), ["--labels"]),
        (("score", "good.parquet", "--labels", "labels.csv", "--ties", "x"), ["'x'", "expected"]),
        (("train",), ["NAME"]),
        (("train", "mean_lr", "--epochs", "0"), ["epochs", "0"]),
        (("train", "mean_lr", "--epochs", "x"), ["--epochs", "integer"]),
        (("train", "mean_lr", "--batch-size", "0"), ["batch_size", "0"]),
        (("train", "mean_lr", "--lr", "0"), ["learning_rate", "0"]),
        (("train", "mean_lr", "--lr", "nan"), ["learning_rate", "nan"]),
        (("train", "mean_lr", "--seed", "-1"), ["seed", "-1"]),
        (("train", "mean_lr", "--device", "abacus"), ["abacus", "cpu"]),
        (("train", "mean_lr", "--set", "hidden"), ["--set hidden", "key=value"]),
        (("train", "mean_lr", "--set", "=3"), ["--set =3", "key=value"]),
        (("train", "mean_lr", "--set", "featurs=rgb"), ["'featurs'", "'features'"]),
        (("train", "mean_lr", "--set", "mixupp=1"), ["mixupp", "'mixup'?"]),
        (("train", "mean_lr", "--set", "loss=foo"), ["is not cross_entropy, focal or asymmetric."]),
        (("train", "mean_lr", "--set", "features=smell"), ["smell", "rgb"]),
        (("train", "mean_lr", "--set", "normalize=maybe"), ["normalize=maybe", "bool"]),
        (("train", "mean_lr", "--set", "stride=0"), ["stride", "0"]),
        (("train", "mean_lr", "--set", "stride=-2"), ["stride", "-2"]),
        (("train", "mean_lr", "--set", "max_frames=0"), ["max_frames", "0"]),
        (("train", "mean_lr", "--set", f"max_frames={10**20}"), ["max_frames is 1000", "2**53"]),
        (("train", "mean_lr", "--set", f"stride={10**20}"), ["stride is 1000", "2**53"]),
        (("train", "mean_lr", "--epochs", str(10**20)), ["epochs is 1000", "2**53"]),
        (("train", "mean_lr", "--seed", str(10**18)), ["seed is 1000", "below 2**32"]),
        (("train", "lstm_ln", "--set", "hiden_size=8"), ["'hiden_size'", "'hidden_size'"]),
        (("train", "lstm_ln", "--set", "hidden_size=x"), ["hidden_size=x", "int"]),
        (("train", "lstm_ln", "--set", "hidden_size=1.5"), ["hidden_size=1.5", "int"]),
        (("train", "lstm_ln", "--set", "hidden_size=0"), ["hidden_size", "0"]),
        (("train", "lstm_ln", "--set", "num_layers=0"), ["num_layers", "0"]),
        (
            ("train", "lstm_ln", "--set", "num_layers=1", "--set", "num_layers=2"),
            ["num_layers", "twice"],
        ),
        (("train", "stranger_linear", "--set", "x=1"), ["stranger_linear", "'x'"]),
        (("predict", "stranger_prior", "--starts", "a"), ["--starts a", "commas"]),
        (("predict", "stranger_prior", "--starts", ""), ["--starts", "commas"]),
        (("predict", "stranger_prior", "--starts", "0,-1"), ["-1"]),
        (("predict", "stranger_prior", "--starts", "0.5"), ["--starts 0.5"]),
        (("predict", "stranger_prior", "--batch-size", "0"), ["batch", "0"]),
        (("predict", "stranger_prior", "--batch-size", "-1"), ["batch", "-1"]),
        (("predict", "stranger_prior", "--top-k", "0"), ["--top-k"]),
        (("predict", "stranger_prior", "-o", "p.txt"), ["p.txt", ".parquet"]),
        (("predict", "{run}", "--checkpoint", "middle"), ["'middle'", "last, best"]),
        (("data",), []),
        (("data", "import", "-o", "x"), ["FILES"]),
        (("data", "import", "good.parquet"), ["--output"]),
        (("data", "import", "{records}", "-o", "x/val", "--stride", "0"), ["stride", "0"]),
        (("data", "import", "{records}", "-o", "x/val", "--num-classes", "0"), ["num", "0"]),
        (("data", "synth", "-o", "x", "--num-videos", "1"), ["num-videos", "1"]),
        (("data", "synth", "-o", "x", "--seed", "-1"), ["seed", "-1"]),
    ],
)
def test_bad_usage_exits_with_2(cli, data, corpus, mean_run, folder, snapshot, arguments, words):
    names = {"run": mean_run, "records": corpus / "val-00000.tfrecord"}
    arguments = [argument.format(**names) for argument in arguments]
    before = snapshot(folder)
    result = cli(*arguments, cwd=folder, env={"GAPKIT_DATA": str(data)})
    if arguments == ["data"]:
        assert (result.rc, result.stderr) == (2, "")
        assert "import" in result.stdout
    else:
        result.fails(*words, rc=2)
    assert snapshot(folder) == before


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (("score", "{good}", "--labels", "vall"), ["vall: no such split", "train, val"]),
        (("predict", "{run}", "--split", "test"), ["test: no such split", "train, val"]),
        (("predict", "stranger_prior", "--split", "test"), ["test: no such split", "train, val"]),
        (("predict", "{run}", "--data", "nowhere"), ["nowhere/val", "gapkit data import"]),
        (("train", "mean_lr", "--data", "nowhere"), ["nowhere/train", "gapkit data import"]),
        (("score", "{good}", "--labels", "nope.csv"), ["nope.csv: no such file"]),
        (("data", "info", "nowhere"), ["nowhere"]),
        (("train", "mean_lrr"), ["'mean_lrr'", "'mean_lr'"]),
        (("train", "LSTM_LN"), ["'LSTM_LN'", "gapkit predictors"]),
        (("predict", "stranger_pior"), ["'stranger_pior'", "'stranger_prior'"]),
        (("predict", "runs/nothing"), ["runs/nothing"]),
        (("predict", "nothing.py"), ["nothing.py: no such file"]),
        (("predict", "no_such_module:x"), ["no_such_module"]),
        (("predict", "json:nothing"), ["json:nothing", "nothing"]),
        (("predict", "json:decoder"), ["json:decoder", "predict(batch)"]),
        (("predict", "."), ["config.json: no such file", "folder of a run"]),
    ],
)
def test_what_is_not_there_is_named(cli, data, mean_run, folder, snapshot, command, words):
    arguments = [word.format(good="good.parquet", run=mean_run) for word in command]
    output = {"predict": ("-o", "out.parquet"), "train": ("-o", "run")}.get(command[0], ())
    before = snapshot(folder)
    result = cli(*arguments, *output, cwd=folder, env={"GAPKIT_DATA": str(data)})
    result.fails(*words)
    assert snapshot(folder) == before


def break_records(content, how):
    middle = len(content) // 2
    if how == "flipped":  # one bit
        return content[:middle] + bytes([content[middle] ^ 4]) + content[middle + 1 :]
    return {"cut": content[:middle], "header": content[:5], "empty": b"", "text": b"a text\n" * 9}[
        how
    ]


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("cut", ["record ", " at byte ", "cut short", "again"]),
        ("flipped", ["record ", " at byte ", "checksum", "again"]),
        ("header", ["record 0 at byte 0", "cut short"]),
        ("empty", ["empty"]),
        ("text", ["record 0", "not a TFRecord"]),
    ],
)
@pytest.mark.parametrize("overwrite", [False, True])
def test_a_damaged_tfrecord_is_named(cli, corpus, data, tmp_path, snapshot, how, words, overwrite):
    source = tmp_path / "corpus"
    source.mkdir()
    for name in ("vocabulary.csv", "train-00000.tfrecord", "val-00000.tfrecord"):
        (source / name).write_bytes((corpus / name).read_bytes())
    bad = source / "val-00000.tfrecord"
    bad.write_bytes(break_records(bad.read_bytes(), how))
    command = ["data", "import", source / "train-00000.tfrecord", bad]
    (tmp_path / "data").mkdir()
    if overwrite:  # a split of other files is there, and stays
        good = ("data", "import", corpus / "val-00000.tfrecord", "-o", tmp_path / "data" / "val")
        cli(*good).succeeds()
        command.append("--overwrite")
    before = snapshot(tmp_path)
    cli(*command, "-o", tmp_path / "data" / "val").fails(f"{bad}: ", *words)
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("place", ["good.parquet/out", "good.parquet/deep/out"])
@pytest.mark.parametrize("command", ["ensemble", "predict", "run", "train", "import", "synth"])
def test_an_output_that_cannot_be_written_is_named(
    cli, data, corpus, mean_run, folder, snapshot, command, place
):
    """As root no permission binds: the output lies below a regular file."""
    sizes = ("--num-videos", 10, "--num-classes", 5, "--rgb-size", 4, "--audio-size", 4)
    place = f"{place}.parquet" if command in ("ensemble", "predict", "run") else place
    arguments = {
        "ensemble": ("ensemble", "good.parquet"),
        "predict": ("predict", "stranger_prior"),
        "run": ("predict", mean_run),
        "train": ("train", "mean_lr", "--epochs", 1),
        "import": ("data", "import", corpus / "val-00000.tfrecord"),
        "synth": ("data", "synth", *sizes),
    }[command]
    before = snapshot(folder)
    result = cli(*arguments, "-o", place, cwd=folder, env={"GAPKIT_DATA": str(data)})
    result.fails(place, "can't be written", "-o")
    assert snapshot(folder) == before


def test_a_folder_as_output_is_refused(cli, data, folder, snapshot):
    (folder / "folder.parquet").mkdir()
    before = snapshot(folder)
    output = ("-o", "folder.parquet")
    cli("ensemble", "good.parquet", *output, cwd=folder).fails("folder.parquet is a folder")
    result = cli("predict", "stranger_prior", "--data", data, *output, cwd=folder)
    result.fails("folder.parquet is a folder")
    assert snapshot(folder) == before


@pytest.mark.parametrize("command", ["ensemble", "import"])
def test_a_full_disk_leaves_what_was_there(run_cli, corpus, folder, snapshot, command):
    """No file may grow past 1 KB: what a full disk does, as far as a writer can see."""
    (folder / "data").mkdir()
    arguments = {
        "ensemble": ("ensemble", "good.parquet", "-o", "out.parquet"),
        "import": ("data", "import", corpus / "val-00000.tfrecord", "-o", "data/val"),
    }[command]
    before = snapshot(folder)

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))

    result = run_cli(*arguments, cwd=folder, preexec_fn=limit, env={"NUMBA_DISABLE_JIT": "1"})
    result.fails(arguments[-1], "can't be written")
    assert snapshot(folder) == before


# A predictor that breaks on its second batch.
BREAKS = """\
import numpy as np
from gapkit import GapkitError
class Breaks:
    calls = 0
    def predict(self, batch):
        self.calls += 1
        good = np.full((len(batch), 12), 0.5, np.float32)
        return good if self.calls == 1 else {wrong}
predictor = Breaks()
"""


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ("1 / 0", ["ZeroDivisionError", "from video "]),
        ("good[:, :3]", ["(16, 3)", "(16, 12)"]),
        ("good[:3]", ["(3, 12)", "(16, 12)"]),
        ("good.astype(int)", ["int64", "floats"]),
        ("good * np.nan", ["nan for label 0 of video"]),
        ("good + 1", ["1.5 for label 0 of video", "[0, 1]"]),
        ("-good", ["-0.5 for label 0"]),
        ("None", ["must return floats"]),
        ("[[1.0], [2.0, 3.0]]", ["no array"]),
    ],
)
def test_a_predictor_that_breaks_half_way_is_named(cli, data, folder, snapshot, wrong, words):
    (folder / "breaks.py").write_text(BREAKS.format(wrong=wrong))
    before = snapshot(folder)
    command = ("predict", "breaks.py", "--data", data, "--batch-size", 16, "-o", "out.parquet")
    cli(*command, cwd=folder).fails("'breaks.py'", *words)
    assert {name for name in snapshot(folder) if "__pycache__" not in name} == set(before)
    assert (folder / "out.parquet").read_bytes() == b"what was there"


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("1 / 0\n", ["ZeroDivisionError"]),
        ("def broken(:\n", ["SyntaxError"]),
        ("import no_such_package\n", ["no_such_package", "pip install"]),
        ("x = 1\n", ["has no `predictor`"]),
        ("predictor = 3\n", ["int", "predict(batch)"]),
        ("predictor = lambda *_: 3\n", ["int", "no method predict(batch)"]),
        ("def predictor(*_): raise ValueError('no\\nway')\n", ["ValueError: no way"]),
        ("raise SystemExit(0)\n", ["bad.py"]),
    ],
)
def test_a_plugin_that_cannot_be_loaded_is_named(cli, data, folder, source, words):
    (folder / "bad.py").write_text(source)
    cli("predict", "bad.py", "--data", data, "-o", "out.parquet", cwd=folder).fails(*words)
    assert (folder / "out.parquet").read_bytes() == b"what was there"


def test_a_split_of_another_data_set_is_refused(cli, corpus, mean_run, folder):
    command = ("data", "import", corpus / "val-00000.tfrecord", "-o", "data/val")
    cli(*command, "--num-classes", 20, cwd=folder).succeeds()
    result = cli("predict", mean_run, "-o", "out.parquet", cwd=folder)
    result.fails("data/val", "num_classes is 20", mean_run, "12")
    assert (folder / "out.parquet").read_bytes() == b"what was there"


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("split.json", None, ["no split", "no split.json"]),
        ("split.json", b"{", ["split.json", "Import the split again"]),
        ("split.json", b"[]", ["split.json", "Import the split again"]),
        ("labels.parquet", None, ["labels.parquet", "no such file"]),
        ("labels.parquet", b"PAR1", ["labels.parquet", "cut short"]),
        ("features-00000.arrow", None, ["features-00000.arrow", "Import the split again"]),
        ("features-00000.arrow", b"ARROW1\0\0", ["features-00000.arrow", "Import the split again"]),
    ],
)
def test_a_damaged_split_is_named(cli, data, folder, file, content, words):
    (folder / "data" / "val").mkdir(parents=True)
    for path in (data / "val").iterdir():
        (folder / "data" / "val" / path.name).write_bytes(path.read_bytes())
    damaged = folder / "data" / "val" / file
    damaged.unlink() if content is None else damaged.write_bytes(content)
    result = cli("predict", "stranger_prior", "-o", "out.parquet", cwd=folder)
    result.fails("data/val", *words)
    assert (folder / "out.parquet").read_bytes() == b"what was there"
