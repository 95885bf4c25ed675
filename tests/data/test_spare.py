from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from gapkit.data._spare import Spare

LARGE = (64, 1 << 13)


def address(array):
    return array.__array_interface__["data"][0]


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_memory_is_used_again_when_nobody_sees_it(dtype):
    spare = Spare(4)
    first = spare.empty(LARGE, dtype)
    assert (first.shape, first.dtype) == (LARGE, dtype)
    where = address(first)
    assert address(spare.empty(LARGE, dtype)) != where
    del first
    smaller = spare.empty((32, 1 << 13), dtype)
    assert (address(smaller), smaller.shape) == (where, (32, 1 << 13))


@pytest.mark.parametrize(
    "look",
    [
        lambda array: array[3:5],
        lambda array: array.reshape(-1)[7:],
        lambda array: array.view(np.int8).T,
        torch.from_numpy,
        memoryview,
        lambda array: iter(array),
        lambda array: torch.from_numpy(array)[1:].numpy()[:, 2:],
    ],
)
def test_memory_that_anybody_sees_is_not(look):
    spare = Spare(4)
    array = spare.empty(LARGE, np.uint8)
    where, seen = address(array), look(array)
    del array
    others = [spare.empty(LARGE, np.uint8) for _ in range(6)]
    assert where not in [address(other) for other in others]
    assert seen is not None


def test_a_few_are_kept_and_small_ones_never():
    spare = Spare(3)
    arrays = [spare.empty(LARGE, np.uint8) for _ in range(7)]
    assert len({address(array) for array in arrays}) == 7
    assert len(spare._kept) == 3
    small = spare.empty((2, 3), np.float32)
    assert (small.base, len(spare._kept)) == (None, 3)
    assert spare.empty((0, 5, 1024), np.uint8).shape == (0, 5, 1024)


def test_threads_never_share_memory():
    spare = Spare(8)

    def fill(number):
        array = spare.empty((1 << 19,), np.uint8)
        array[:] = number
        return bool((array == number).all())

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(fill, list(range(200)) * 3))


def test_without_the_gil_nothing_is_used_again(monkeypatch):
    monkeypatch.setattr("gapkit.data._spare._CAN_TELL", False)
    spare = Spare(3)
    spare.empty(LARGE, np.uint8)
    assert spare._kept == []
