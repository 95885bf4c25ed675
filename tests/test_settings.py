import dataclasses
from typing import Literal, Optional

import pytest

from gapkit._settings import make_config, parse_settings, take_settings
from gapkit.errors import DataError, UsageError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    hidden_size: int = 8
    rate: float = 0.5
    peephole: bool = False
    name: str = "x"
    max_frames: int | None = None
    clip: Optional[float] = 1.0  # noqa: UP045
    start: int | str = 0

    def __post_init__(self):
        if self.hidden_size < 1:
            raise ValueError(f"hidden_size is {self.hidden_size}")
        if self.name == "data":
            raise DataError("as it is")


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("hidden_size", "16", 16),
        ("rate", "1e-3", 0.001),
        ("rate", "2", 2.0),
        ("peephole", "true", True),
        ("peephole", "No", False),
        ("peephole", "1", True),
        ("name", "none", "none"),
        ("name", "", ""),
        ("max_frames", "45", 45),
        ("max_frames", "None", None),
        ("clip", "none", None),
        ("clip", "0.25", 0.25),
        ("start", "3", 3),
        ("start", "any", "any"),
    ],
)
def test_text_is_converted_to_the_type_of_its_field(key, text, value):
    config = make_config(Config, {key: text}, "p")
    assert getattr(config, key) == value
    assert type(getattr(config, key)) is type(value)
    assert dataclasses.replace(config, **{key: getattr(Config(), key)}) == Config()


def test_values_that_are_no_text_are_kept():
    assert make_config(Config, {"hidden_size": 3, "max_frames": None}, "p").hidden_size == 3
    assert make_config(Config, {}, "p") == Config()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (
            {"hiden_size": "3"},
            ["p has no setting 'hiden_size'", "'hidden_size'?", "rate, peephole"],
        ),
        ({"zzz": "3"}, ["p has no setting 'zzz'. It has hidden_size"]),
        ({"hidden_size": "many"}, ["p", "hidden_size=many is not int"]),
        ({"hidden_size": "1.5"}, ["hidden_size=1.5 is not int"]),
        ({"peephole": "maybe"}, ["peephole=maybe is not bool"]),
        ({"max_frames": "x"}, ["max_frames=x is not int or none"]),
        ({"hidden_size": "0"}, ["p: hidden_size is 0"]),
        ({"hidden_size": "1" + 20 * "0"}, ["p: hidden_size is 1000", "2**53 or less"]),
        ({"max_frames": 10**20}, ["p: max_frames is 1000", "2**53 or less"]),
    ],
)
def test_wrong_settings_are_usage_errors(settings, words):
    with pytest.raises(UsageError) as error:
        make_config(Config, settings, "p")
    assert all(word in str(error.value) for word in words), str(error.value)


def test_errors_of_ours_pass_as_they_are():
    with pytest.raises(DataError, match=r"^as it is$"):
        make_config(Config, {"name": "data"}, "p")


def test_without_a_class_there_are_no_settings():
    assert make_config(None, {}, "p") is None
    with pytest.raises(UsageError, match="p has no settings, and --set names 'x'"):
        make_config(None, {"x": "1"}, "p")


def test_a_config_that_is_no_dataclass_is_our_error():
    with pytest.raises(UsageError, match="dataclass"):
        make_config(type("Config", (), {}), {}, "p")


def test_pairs_are_split_at_the_first_equals_sign():
    assert parse_settings(["a=1", "b=", "c=x=y"]) == {"a": "1", "b": "", "c": "x=y"}
    assert parse_settings([]) == {}


@pytest.mark.parametrize("pair", ["a", "=1", "="])
def test_what_is_no_pair_is_a_usage_error(pair):
    with pytest.raises(UsageError, match=f"--set {pair}: not key=value"):
        parse_settings([pair])


def test_a_key_twice_is_a_usage_error():
    with pytest.raises(UsageError, match="--set a=2: a is set twice"):
        parse_settings(["a=1", "a=2"])


@dataclasses.dataclass(frozen=True, kw_only=True)
class Choice:
    mode: Literal["a", "b"] = "a"
    name: str | None = None
    size: Literal["s", "l", 0] | None = None
    only: Literal["d"] = "d"


def test_a_literal_takes_its_choices_and_names_them():
    assert make_config(Choice, {"mode": "b"}, "p").mode == "b"
    with pytest.raises(UsageError, match=r"mode=c is not a or b\.$"):
        make_config(Choice, {"mode": "c"}, "p")
    with pytest.raises(UsageError, match=r"size=m is not s, l, 0 or none\.$"):
        make_config(Choice, {"size": "m"}, "p")
    with pytest.raises(UsageError, match=r"only=c is not d\.$"):
        make_config(Choice, {"only": "c"}, "p")


def test_a_setting_of_neither_offers_the_nearest_of_both():
    for key, near in (("mod", "mode"), ("ratee", "rate")):
        with pytest.raises(UsageError, match=f"has a setting {key!r}. .*{near!r}"):
            take_settings({key: "1"}, Choice, Config)
    assert take_settings({"zzzz": "1", "rate": "1"}, None, Config) == ({"zzzz": "1"}, {"rate": 1.0})


def test_values_of_json_are_taken_as_they_are():
    assert make_config(Choice, {"name": "none"}, "p", parse=False).name == "none"
    assert make_config(Choice, {"name": "none"}, "p").name is None
