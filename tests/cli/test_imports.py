"""What a command imports: nobody waits for torch who does not train."""

import json
import subprocess
import sys

import pytest

HEAVY = {"torch", "tfrecord", "safetensors", "tensorboard", "crc32c"}
SNIPPET = """\
import json, sys
for name in {blocked!r}:
    sys.modules[name] = None  # as if it were not installed
sys.argv = ["gapkit", *{arguments!r}]
try:
    from gapkit.cli import main
    main()
except SystemExit as stopped:
    rc = stopped.code or 0
loaded = sorted(name for name, module in sys.modules.items() if module is not None)
print("\\n" + json.dumps([rc, loaded]))
"""


def run(*arguments, blocked=(), code=SNIPPET):
    """Exit status, top-level modules that were imported, and stderr."""
    filled = code.format(arguments=[str(argument) for argument in arguments], blocked=blocked)
    command = [sys.executable, "-c", filled]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    rc, names = json.loads(done.stdout.splitlines()[-1])
    return rc, set(names), done.stderr


def test_importing_gapkit_imports_nothing_heavy():
    code = "import json, sys, gapkit\nprint(json.dumps([0, sorted(sys.modules)]))"
    _, names, _ = run(code=code)
    assert not names & (HEAVY | {"numpy", "pyarrow", "numba", "typer"})


@pytest.mark.parametrize("command", [(), ("score",), ("train",), ("data",), ("data", "import")])
def test_help_imports_not_even_numpy(command):
    rc, names, _ = run(*command, "--help")
    assert rc == 0
    assert not names & (HEAVY | {"numpy", "pyarrow", "numba", "polars"})


def test_listing_predictors_imports_none_of_them():
    """The command describes them, and must; the library's list does not."""
    code = "import json, sys\nfrom gapkit.plugins import list_predictors\nlist_predictors()\n"
    _, names, _ = run(code=code + "print(json.dumps([0, sorted(sys.modules)]))")
    assert not names & (HEAVY | {"gapkit_predictors", "gapkit_stranger"})


@pytest.mark.parametrize("command", ["score", "ensemble", "check", "info", "predict"])
def test_commands_that_need_no_torch_import_neither_torch_nor_tfrecord(
    command, data, submission, tmp_path
):
    arguments = {
        "score": ("score", submission, "--labels", "val", "--data", data),
        "ensemble": ("ensemble", submission, submission, "-o", tmp_path / "e.parquet"),
        "check": ("check", submission),
        "info": ("data", "info", data),
        "predict": ("predict", "stranger_prior", "--data", data, "-o", tmp_path / "p.parquet"),
    }
    rc, names, _ = run(*arguments[command])
    assert rc == 0
    assert not names & HEAVY
    assert not {name for name in names if name.startswith("gapkit.training")}


def test_importing_tfrecords_does_not_import_torch(corpus, tmp_path):
    command = ("data", "import", *corpus.glob("val-*"), "-o", tmp_path / "val")
    rc, names, _ = run(*command)
    assert rc == 0
    assert not names & {"torch", "tfrecord"}


@pytest.mark.parametrize("missing", ["torch", "safetensors", "tfrecord", "crc32c"])
def test_a_missing_extra_says_what_to_install(missing, corpus, data, mean_run, tmp_path):
    if missing in ("torch", "safetensors"):
        command = ("predict", mean_run, "--data", data, "-o", tmp_path / "p.parquet")
    else:
        command = ("data", "import", *corpus.glob("val-*"), "-o", tmp_path / "val")
    rc, _, stderr = run(*command, blocked=(missing,))
    assert rc == 1
    (line,) = stderr.splitlines()
    assert line.startswith("error: ")
    assert missing in line
    assert "pip install 'gapkit[train]'" in line
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["mean_lr", "stranger_linear"])
def test_a_plugin_without_torch_says_what_to_install(name, data, tmp_path):
    command = ("predict", name, "--data", data, "-o", tmp_path / "p.parquet")
    rc, _, stderr = run(*command, blocked=("torch",))
    assert rc == 1
    (line,) = stderr.splitlines()
    assert "torch" in line
    assert "pip install 'gapkit[train]'" in line
