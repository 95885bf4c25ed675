import subprocess
import sys
import types

import numpy as np
import pytest

from gapkit.errors import DataError, PredictorError, UsageError
from gapkit.plugins import Plugin, Predictor, find_predictor, list_predictors

SOURCE = """
import dataclasses

@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    size: int = 3

class Echo:
    def __init__(self, num_classes, feature_sizes, config):
        self.given = num_classes, feature_sizes, config
    def predict(self, batch):
        return batch

def build(num_classes, feature_sizes, config):
    return Echo(num_classes, feature_sizes, config)

"""


@pytest.fixture
def write(tmp_path):
    def write(text, name="mine.py"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text(text)
        return str(path)

    return write


@pytest.fixture
def offered(write, tmp_path, monkeypatch):
    """A package that offers predictors, as pip would install it; its modules raise on import."""
    write(
        "Metadata-Version: 2.1\nName: far-away\nVersion: 3.4\n", "far_away-3.4.dist-info/METADATA"
    )
    write(
        "[gapkit.predictors]\nfar_echo = far_echo_module:build\nfar_broken = far_broken_module:x\n"
        "far_needy = far_needy_module:x\nfar_absent = far_echo_module:absent\n",
        "far_away-3.4.dist-info/entry_points.txt",
    )
    write(SOURCE, "far_echo_module.py")
    write("raise RuntimeError('on\\nimport')", "far_broken_module.py")
    write("import far_needed_package", "far_needy_module.py")
    monkeypatch.syspath_prepend(tmp_path)
    yield
    for name in [name for name in sys.modules if name.startswith("far_")]:
        del sys.modules[name]


def test_entry_points_are_listed_without_import(offered):
    listings = {listing.name: listing for listing in list_predictors()}
    assert list(listings) == sorted(listings)
    assert listings["far_broken"].package == "far-away 3.4"
    assert listings["far_broken"].target == "far_broken_module:x"
    assert listings["lstm_ln"].package.startswith("gapkit ")
    assert not [name for name in sys.modules if name.startswith("far_")]


def test_listing_imports_neither_torch_nor_the_bundled_predictors():
    code = (
        "import sys; from gapkit.plugins import list_predictors\n"
        "names = [listing.name for listing in list_predictors()]\n"
        "assert {'mean_lr', 'lstm_ln'} <= set(names), names\n"
        "assert not {'torch', 'gapkit_predictors'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_entry_point_is_found_by_name(offered):
    plugin = find_predictor("far_echo")
    assert (plugin.name, plugin.is_entry_point) == ("far_echo", True)
    config = plugin.configure({"size": "5"})
    made = plugin.build(4, {"rgb": 2}, config)
    assert isinstance(made, Predictor)
    assert made.given == (4, {"rgb": 2}, config)
    assert config.size == 5


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("far_broken", ["'far_broken'", "can't be loaded", "RuntimeError: on import"]),
        ("far_needy", ["'far_needy'", "far_needed_package", "pip install far_needed_package"]),
        ("far_absent", ["'far_absent'", "can't be loaded", "absent"]),
        ("far_eco", ["'far_eco'", "Did you mean 'far_echo'?"]),
        ("lstm_lnn", ["'lstm_lnn'", "Did you mean 'lstm_ln'?", "gapkit predictors"]),
        ("qqqq", ["no predictor 'qqqq'. gapkit predictors lists them"]),
        ("", ["no predictor ''"]),
        ("no_such_module_:x", ["'no_such_module_:x'", "can't be loaded", "no_such_module_"]),
        ("far_echo_module:absent", ["far_echo_module:absent", "has no attribute 'absent'"]),
        ("far_echo_module:__name__", ["is str", "predict(batch)"]),
        ("far_echo_module:", ["far_echo_module:"]),
        (":x", ["':x'"]),
        ("absent.py", ["absent.py: no such file"]),
    ],
)
def test_what_can_not_be_found_or_loaded_is_named(offered, name, words):
    with pytest.raises(PredictorError) as error:
        find_predictor(name)
    assert all(word in str(error.value) for word in words), str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("made", ["predictor = build", "predictor = Echo"])
def test_a_file_gives_a_factory_or_a_class_and_its_config(write, made):
    plugin = find_predictor(write(SOURCE + made))
    assert not plugin.is_entry_point
    config = plugin.configure({})
    assert config.size == 3
    assert plugin.build(4, {"rgb": 2}, config).given == (4, {"rgb": 2}, config)


def test_an_instance_is_taken_as_it_is(write):
    path = write(SOURCE + "predictor = Echo(1, 2, 3)\ndel Config")
    plugin = find_predictor(path)
    assert plugin.configure({}) is None
    assert plugin.build(4, {"rgb": 2}, None) is plugin.target
    with pytest.raises(UsageError, match=r"mine\.py.*no settings.*'size'"):
        plugin.configure({"size": "3"})


def test_a_config_on_the_target_goes_before_that_of_the_module(write):
    path = write(
        SOURCE + "@dataclasses.dataclass(frozen=True)\nclass Other:\n    depth: int = 2\n"
        "class predictor(Echo):\n    Config = Other\n"
    )
    assert find_predictor(path).configure({"depth": "4"}).depth == 4


def test_a_module_and_object_are_found_from_the_current_folder(write, tmp_path, monkeypatch):
    write(SOURCE + "class Space:\n    inner = Echo\n", "cwd_plugin.py")
    monkeypatch.chdir(tmp_path)
    before = list(sys.path)
    assert find_predictor("cwd_plugin:build").configure({}).size == 3
    assert find_predictor("cwd_plugin:Space.inner").build(1, {}, None).given == (1, {}, None)
    assert sys.path == before
    del sys.modules["cwd_plugin"]


def test_a_file_may_import_what_lies_beside_it(write):
    write("VALUE = 7", "beside_plugin.py")
    path = write("from beside_plugin import VALUE\n" + SOURCE + "predictor = Echo(VALUE, 0, 0)")
    before = list(sys.path)
    assert find_predictor(path).target.given[0] == 7
    assert sys.path == before
    del sys.modules["beside_plugin"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["has no `predictor`"]),
        ("predictor = 3", ["is int", "predict(batch)"]),
        ("def f(:", ["can't be loaded", "SyntaxError"]),
        ("1 / 0", ["can't be loaded", "ZeroDivisionError"]),
        ("import no_such_package_", ["needs no_such_package_", "pip install no_such_package_"]),
    ],
)
def test_wrong_files_are_named(write, text, words):
    path = write(text)
    with pytest.raises(PredictorError, match=r"mine\.py") as error:
        find_predictor(path)
    assert all(word in str(error.value) for word in words), str(error.value)


@pytest.mark.parametrize(
    ("target", "words"),
    [
        (lambda *args: 1 / 0, ["can't be built", "ZeroDivisionError: division by zero"]),
        (lambda: None, ["can't be built", "TypeError"]),
        (lambda *args: 3, ["int has no method predict"]),
        (lambda *args: types.SimpleNamespace(predict=3), ["has no method predict"]),
    ],
)
def test_what_can_not_be_built_is_named(target, words):
    plugin = Plugin(name="mine", is_entry_point=False, target=target, config_class=None)
    with pytest.raises(PredictorError, match="predictor 'mine'") as error:
        plugin.build(3, {}, None)
    assert all(word in str(error.value) for word in words), str(error.value)


def test_errors_of_ours_pass_as_they_are():
    def target(*args):
        raise DataError("as it is")

    plugin = Plugin(name="mine", is_entry_point=False, target=target, config_class=None)
    with pytest.raises(DataError, match=r"^as it is$"):
        plugin.build(3, {}, None)


def test_the_feature_sizes_that_a_predictor_is_given_are_its_own():
    sizes = {"rgb": 2}
    made = types.SimpleNamespace(predict=np.zeros)
    plugin = Plugin(
        name="mine",
        is_entry_point=False,
        target=lambda num_classes, given, config: given.clear() or made,
        config_class=None,
    )
    assert plugin.build(3, sizes, None) is made
    assert sizes == {"rgb": 2}
