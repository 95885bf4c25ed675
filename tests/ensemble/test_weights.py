import json

import pytest

from gapkit.ensemble import Weights, average, read_weights, write_weights
from gapkit.errors import DataError, UsageError
from gapkit.io import write_predictions
from gapkit.predictions import Predictions

KNOTS = ((0.0, 0.0), (0.5, 0.75), (1.0, 1.0))


@pytest.mark.parametrize("transforms", [None, (None, KNOTS)])
def test_weights_come_back_as_they_were_written(tmp_path, transforms):
    weights = Weights(
        members=("a", "b"), weights=(0.1, 0.7), mode="rank", fill="minimum", transforms=transforms
    )
    write_weights(tmp_path / "w.json", weights)
    assert read_weights(tmp_path / "w.json") == weights


def test_a_hand_written_file_needs_members_and_weights_only(tmp_path):
    (tmp_path / "w.json").write_text('{"members": ["a", "b"], "weights": [2, 1]}')
    assert read_weights(tmp_path / "w.json") == Weights(members=("a", "b"), weights=(2, 1))


@pytest.mark.parametrize("suffix", ["parquet", "arrow"])
def test_a_submission_carries_its_weights(tmp_path, suffix):
    member = Predictions(["a"], [[1]], [[0.5]])
    result = average([member] * 2, [3, 1], mode="logit", names=["x", "y"], transforms=[KNOTS, None])
    write_predictions(tmp_path / f"e.{suffix}", result)
    assert read_weights(tmp_path / f"e.{suffix}") == Weights(
        members=("x", "y"), weights=(0.75, 0.25), mode="logit", transforms=(KNOTS, None)
    )


@pytest.mark.parametrize(
    ("about", "words"),
    [
        ({"members": ["a", "b"], "weights": [1]}, "1 weights for 2 members"),
        ({"members": ["a"], "weights": [-1]}, "weight 1 is -1"),
        ({"members": ["a"], "weights": ["x"]}, "not numbers"),
        ({"members": ["a"]}, "holds no weights"),
        ({"weights": [1]}, "members are not a list"),
        ({"members": ["a"], "weights": [1], "mode": "median"}, "mode is 'median'"),
        ({"members": ["a"], "weights": [1], "fill": 3}, "fill is 3"),
        ({"members": ["a"], "weights": [1], "transforms": [[[1, 0], [0, 1]]]}, "transform 1"),
        ({"members": ["a"], "weights": [1], "transforms": 5}, "w.json"),
        ([1], "holds no weights"),
    ],
)
def test_wrong_files_are_named(tmp_path, about, words):
    (tmp_path / "w.json").write_text(json.dumps(about))
    with pytest.raises(DataError, match=rf"w\.json: .*{words}|{words}"):
        read_weights(tmp_path / "w.json")


def test_what_is_no_file_of_weights_is_named(tmp_path):
    with pytest.raises(DataError, match=r"none\.json: no such file"):
        read_weights(tmp_path / "none.json")
    with pytest.raises(DataError, match="is a folder"):
        read_weights(tmp_path)
    (tmp_path / "x.json").write_bytes(b"\xff\xfe not JSON")
    with pytest.raises(DataError, match=r"x\.json: neither JSON nor a submission"):
        read_weights(tmp_path / "x.json")
    write_predictions(tmp_path / "p.parquet", Predictions(["a"], [[1]], [[0.5]]))
    with pytest.raises(DataError, match=r"p\.parquet: holds no weights"):
        read_weights(tmp_path / "p.parquet")


def test_weights_that_do_not_fit_are_usage_errors():
    with pytest.raises(UsageError, match="1 weights for 2 members"):
        Weights(members=("a", "b"), weights=(1.0,))
    with pytest.raises(UsageError, match="1 transforms for 2 members"):
        Weights(members=("a", "b"), weights=(1.0, 1.0), transforms=(None,))
