"""Arrays of every library and layout, and where they are cut."""

import numpy as np
import oracles
import pytest

from gapkit import _dense
from gapkit.errors import DataError
from gapkit.metrics import gap, gap_from_hits
from gapkit.predictions import Labels, Predictions

DTYPES = [np.float16, np.float32, np.float64]
TIES = oracles.TIES
EXACT = 1e-12


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_layout_does_not_matter(dtype):
    rng = np.random.default_rng(7)
    confidences = rng.random((30, 40)).round(1).astype(dtype)
    truth = rng.random((30, 40)) < 0.1
    value = gap(confidences, truth)
    assert gap(np.asfortranarray(confidences), np.asfortranarray(truth)) == value
    assert gap(confidences[::-1], truth[::-1]) == value
    assert gap(np.repeat(confidences, 2, axis=1)[:, ::2], truth) == value
    assert gap(confidences.astype(confidences.dtype.newbyteorder(">")), truth) == value

    flat, hits = confidences.ravel(), truth.ravel()
    value = gap_from_hits(flat, hits, 200)
    assert gap_from_hits(flat[::-1], hits[::-1], 200) == value
    assert gap_from_hits(np.repeat(flat, 3)[::3], np.repeat(hits, 2)[::2], 200) == value
    assert gap_from_hits(flat.astype(flat.dtype.newbyteorder(">")), hits, 200) == value


@pytest.mark.parametrize("dtype", DTYPES)
def test_inputs_are_read_only_and_stay_as_they_are(dtype):
    rng = np.random.default_rng(8)
    confidences, truth = rng.random((20, 30)).astype(dtype), rng.random((20, 30)) < 0.1
    before = confidences.copy(), truth.copy()
    gap(confidences, truth)
    gap_from_hits(confidences.ravel(), truth.ravel(), 600)
    np.testing.assert_array_equal(confidences, before[0])
    np.testing.assert_array_equal(truth, before[1])

    value = gap(confidences, truth), gap_from_hits(confidences.ravel(), truth.ravel(), 600)
    confidences.flags.writeable = truth.flags.writeable = False
    read_only = gap(confidences, truth), gap_from_hits(confidences.ravel(), truth.ravel(), 600)
    assert value == read_only


@pytest.mark.parametrize("dtype", [bool, np.int8, np.uint8, np.int64, np.float32, np.float64])
def test_dense_labels_of_any_type_of_zero_and_one(dtype):
    confidences = np.array([[0.9, 0.8, 0.7]], dtype=np.float32)
    truth = np.array([[True, False, True]])
    assert gap(confidences, truth.astype(dtype)) == pytest.approx(5 / 6, abs=1e-15)


class ArrayOnly:
    """What has `__array__` and nothing else."""

    def __init__(self, array):
        self._array = array

    def __array__(self, dtype=None, copy=None):
        return self._array if dtype is None else self._array.astype(dtype)


class DLPackOnly:
    """What has DLPack and nothing else."""

    def __init__(self, array):
        self._array = array

    def __dlpack__(self, **options):
        return self._array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self._array.__dlpack_device__()


@pytest.mark.parametrize("wrap", [ArrayOnly, DLPackOnly])
def test_array_protocols_are_taken(wrap):
    rng = np.random.default_rng(9)
    confidences, truth = rng.random((10, 30), dtype=np.float32), rng.random((10, 30)) < 0.2
    assert gap(wrap(confidences), wrap(truth)) == gap(confidences, truth)


@pytest.mark.parametrize("name", ["float16", "bfloat16", "float32", "float64"])
def test_torch_tensors_are_taken(name):
    torch = pytest.importorskip("torch")
    generator = torch.Generator().manual_seed(0)
    confidences = torch.rand(20, 30, generator=generator).to(getattr(torch, name))
    truth = torch.rand(20, 30, generator=generator) < 0.1
    expected = gap(confidences.double().numpy(), truth.numpy())
    assert gap(confidences, truth) == pytest.approx(expected, rel=0, abs=EXACT)
    assert gap(confidences, truth.float()) == pytest.approx(expected, rel=0, abs=EXACT)
    assert gap(confidences.t().contiguous().t(), truth) == pytest.approx(expected, abs=EXACT)


def test_torch_tensors_that_need_gradients_are_taken():
    torch = pytest.importorskip("torch")
    confidences = torch.tensor([[0.9, 0.8, 0.7]], requires_grad=True)
    assert gap(confidences, torch.tensor([[0, 1, 0]])) == 0.5


@pytest.fixture
def on_device(monkeypatch):
    """Torch tensors are taken as if they lay on a device."""
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(_dense, "is_on_device", lambda array: isinstance(array, torch.Tensor))
    return torch


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize("top_k", [1, 5, 29, 30, 99])
def test_a_cut_on_the_device_is_the_one_in_memory(on_device, top_k, dtype):
    generator = on_device.Generator().manual_seed(top_k)
    confidences = on_device.rand(40, 30, generator=generator).mul(10).round() / 10  # many ties
    confidences = confidences.to(getattr(on_device, dtype))
    truth = on_device.rand(40, 30, generator=generator) < 0.1
    in_memory = confidences.double().numpy()
    for ties in TIES:
        value = gap(confidences, truth, top_k=top_k, ties=ties)
        expected = gap(in_memory, truth.numpy(), top_k=top_k, ties=ties)
        assert value == pytest.approx(expected, rel=0, abs=EXACT)
    table = Predictions.from_dense(confidences, top_k=top_k)
    assert table == Predictions.from_dense(in_memory, top_k=top_k)
    assert Labels.from_dense(truth.long()) == Labels.from_dense(truth.numpy())


def test_only_k_columns_leave_the_device(on_device, monkeypatch):
    moved = []
    as_array = _dense.as_array
    monkeypatch.setattr(
        _dense, "as_array", lambda x, name: moved.append(x.shape) or as_array(x, name)
    )
    confidences = on_device.linspace(0, 1, 4000).reshape(20, 200)
    confidences[7] = 0.5  # tied at the cut: the whole row is needed
    gap(confidences, on_device.eye(20, 200), top_k=5)
    assert sorted(moved) == [(1,), (1, 200), (20,), (20, 5), (20, 5)]


@pytest.mark.parametrize(
    ("confidences", "truth", "message"),
    [
        ([[0.1, 0.2], [0.3, float("nan")]], [[0, 1], [1, 0]], "row 1: the confidence of label 1"),
        ([[0.1, 0.2]], [[0, 3]], r"labels must be Boolean or 0/1, and hold 3 at \(0, 1\)"),
        ([[0, 1]], [[0, 1]], "confidences of type torch.int64"),
        ([0.1, 0.2], [[0, 1]], r"predictions of shape \(2,\) must be \(num_videos"),
        ([[0.1, 0.2]], [[0, 1], [0, 1]], r"shape \(1, 2\) and labels of shape \(2, 2\) do not fit"),
    ],
)
def test_wrong_tensors_on_a_device_are_named(on_device, confidences, truth, message):
    with pytest.raises(DataError, match=message):
        gap(on_device.tensor(confidences), on_device.tensor(truth))


@pytest.mark.gpu
def test_torch_tensors_on_a_gpu_are_taken():
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    confidences = torch.rand(20, 30).round(decimals=2)
    truth = torch.rand(20, 30) < 0.1
    assert gap(confidences.cuda(), truth.cuda()) == gap(confidences, truth)
