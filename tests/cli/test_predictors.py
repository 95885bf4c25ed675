"""A predictor from an installed package, as module:object and from a .py path."""

import json

import pytest

# As in the README: ten lines of one's own.
PLUGIN = """\
import numpy as np

class Bright:
    def __init__(self, num_classes, feature_sizes, config):
        self.num_classes = num_classes
    def predict(self, batch):
        means = batch.features["rgb"].mean(axis=(1, 2)) / 255
        return np.float32(means[:, None] / (1 + np.arange(self.num_classes)))

predictor = Bright
"""


NAMES = """
mean_lr lstm_visual lstm_full lstm lstm_lr lstm_ln bilstm_ln bilstm bilstm_attention bilstm_full
lstm_late bilstm_adaptive bilstm_verticals lstm_pretrained moe dbof gru netvlad nextvlad chain
attention
""".split()  # noqa: SIM905


def test_list_names_each_with_its_package_parameters_and_a_line(cli):
    header, *rows, hint = cli("predictors").succeeds().stdout.splitlines()
    assert header.split() == ["name", "package", "parameters", "what"]
    listed = {row.split()[0]: row.split() for row in rows}
    assert list(listed) == sorted(listed)
    assert set(NAMES) <= set(listed)
    # 1152 weights and a bias a label
    assert listed["mean_lr"][1:5] == ["gapkit", "0.1.0", "5.4", "M"]
    assert listed["stranger_prior"][1:3] == ["gapkit-stranger", "1.2.3"]
    assert "module:object" in hint
    assert ".py" in hint


@pytest.mark.parametrize("name", NAMES)
def test_settings_of_each_are_told_with_defaults_and_meaning(cli, name):
    lines = cli("predictors", name).succeeds().stdout.splitlines()
    assert lines[0].startswith(f"{name}: ")
    at = next(i for i, line in enumerate(lines) if line.startswith("--set"))
    assert len(lines) > at + 5
    assert all(len(line.split(None, 2)) == 3 for line in lines[at + 1 :])  # each has a meaning
    assert any(line.startswith("stride ") for line in lines)


def test_the_papers_figure_is_told(cli):
    assert "0.81232" in cli("predictors", "bilstm_attention").succeeds().stdout


@pytest.fixture
def plugin(tmp_path):
    (tmp_path / "bright_plugin.py").write_text(PLUGIN)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("stranger_prior", "stranger_prior"),
        ("gapkit_stranger.prior:Prior", "Prior"),
        ("bright_plugin:predictor", "predictor"),
        ("bright_plugin.py", "bright_plugin"),
        ("./bright_plugin.py", "bright_plugin"),
    ],
)
def test_a_plugin_predicts_and_scores(cli, data, plugin, name, file):
    where = {"cwd": plugin, "env": {"GAPKIT_DATA": str(data)}}
    result = cli("predict", name, "--starts", "0,1", **where).succeeds()
    assert result.stdout == f"submissions/{file}.parquet: 60 videos\n"
    path = f"submissions/{file}.parquet"
    printed = cli("score", path, "--labels", "val", "--json", **where).succeeds().stdout
    assert 0.1 < json.loads(printed)[0]["gap"] < 1
    cli("check", path, **where).succeeds()


def test_the_ways_to_name_a_plugin_agree(cli, data, plugin):
    for number, name in enumerate(("bright_plugin:Bright", plugin / "bright_plugin.py")):
        command = ("predict", name, "--data", data, "-o", f"{number}.csv")
        cli(*command, cwd=plugin).succeeds()
    assert (plugin / "0.csv").read_bytes() == (plugin / "1.csv").read_bytes()


def test_a_plugin_may_be_an_instance_and_bring_its_own_modules(cli, data, tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "helper_of_mine.py").write_text("VALUE = 0.25\n")
    (tmp_path / "sub" / "mine.py").write_text(
        "import numpy as np\nimport helper_of_mine\n"
        "class Constant:\n"
        "    def predict(self, batch):\n"
        "        return np.full((len(batch), 12), helper_of_mine.VALUE)\n"
        "predictor = Constant()\n"
    )
    cli("predict", "sub/mine.py", "--data", data, "-o", "p.csv", cwd=tmp_path).succeeds()
    first = (tmp_path / "p.csv").read_text().splitlines()[1].split(",")[1]
    assert first == " ".join(f"{label} 0.25" for label in range(12))


def test_an_untrained_torch_predictor_says_train_first(cli, data):
    result = cli("predict", "mean_lr", "--data", data)
    result.fails("'mean_lr' has no weights", "gapkit train mean_lr")


def test_a_predictor_without_training_says_predict(cli, data, tmp_path):
    result = cli("train", "stranger_prior", "--data", data, "-o", tmp_path / "run")
    result.fails("stranger_prior", "gapkit predict stranger_prior")
    assert not list(tmp_path.iterdir())
