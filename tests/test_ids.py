import numpy as np
import pyarrow as pa
import pytest

from gapkit._ids import IdIndex

SAME_HASH = ["costarring", "liquid", "declinate", "macallums", "altarage", "zinke"]  # in pairs


def fnv_1a(text):
    value = 2166136261
    for byte in text.encode():
        value = (value ^ byte) * 16777619 % 2**32
    return value


def test_the_pairs_have_the_same_hash():
    first, second = SAME_HASH[::2], SAME_HASH[1::2]
    assert [fnv_1a(a) for a in first] == [fnv_1a(b) for b in second]


@pytest.mark.parametrize("count", [0, 1, 255, 256, 257, 1000])
def test_ids_are_found_as_a_dictionary_finds_them(count):
    rng = np.random.default_rng(count)
    ids = [f"{rng.integers(1 << 40):x}" for _ in range(count)] + SAME_HASH[::2] + ["", "é"]
    wanted = [*rng.permutation(ids).tolist(), *SAME_HASH, "absent", "e"]
    row_of_id = {id_: row for row, id_ in enumerate(ids)}
    found = IdIndex(pa.array(ids)).find(pa.array(wanted))
    assert found.tolist() == [row_of_id.get(id_, -1) for id_ in wanted]


def test_nothing_is_found_among_no_ids():
    assert IdIndex(pa.array([], pa.string())).find(pa.array(["a", "b"])).tolist() == [-1, -1]


@pytest.mark.parametrize("before", [0, 1, 300])
def test_the_first_id_that_stands_twice_is_told(before):
    ids = [f"v{n}" for n in range(before)] + ["liquid", "costarring", "x", "liquid", "x"]
    assert IdIndex(pa.array(ids)).first_duplicate() == (before + 3, before)
    assert IdIndex(pa.array(ids[: before + 3])).first_duplicate() is None


def test_ids_of_a_slice_are_those_of_its_rows():
    ids = pa.array(["a", "b", "c", "a"])
    assert IdIndex(ids.slice(1)).find(ids.slice(2)).tolist() == [1, 2]
