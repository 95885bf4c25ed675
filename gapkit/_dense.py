"""Dense (N, C) arrays of any library: taken as NumPy's, checked, and cut to the top k of each row.

Of a torch tensor that lies on a device, k columns come over: the cut is made there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from gapkit import _checks
from gapkit._threads import in_threads, row_slices
from gapkit.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

_MAX_INSERTED = 256  # beyond, sorting whole rows is faster than insertion


def as_array(given: ArrayLike, name: str) -> NDArray[Any]:
    """A NumPy array from NumPy, torch (any device), DLPack or __array__."""
    array: Any = given
    if hasattr(array, "detach"):  # torch: out of the graph and off the device
        array = array.detach().cpu()
        if str(array.dtype) == "torch.bfloat16":  # NumPy has none; float32 holds it exactly
            array = array.float()
    if not hasattr(array, "__array__") and hasattr(array, "__dlpack__"):
        array = np.from_dlpack(array)
    try:
        return np.asarray(array)
    except (TypeError, ValueError) as error:
        raise DataError(f"{name} are not an array: {error}.") from None


def as_dense(given: ArrayLike, name: str) -> NDArray[Any]:
    """A two-dimensional array, as `as_array` takes it."""
    dense_NC = as_array(given, name)
    if dense_NC.ndim != 2:
        raise _not_dense(name, dense_NC.shape)
    return dense_NC


def is_on_device(array: object) -> bool:
    """Whether it is a torch tensor that doesn't lie in the host's memory."""
    return hasattr(array, "topk") and array.device.type != "cpu"  # type: ignore[attr-defined]


def true_places(given: ArrayLike, name: str) -> tuple[tuple[int, int], NDArray[np.int64]]:
    """The shape of a dense (N, C) truth, and where it is true, row after row: row * C + label."""
    if not is_on_device(given):
        true_NC = check_truth(as_dense(given, name), name)
        return (true_NC.shape[0], true_NC.shape[1]), np.flatnonzero(true_NC)
    tensor: Any = given
    if tensor.ndim != 2:
        raise _not_dense(name, tuple(tensor.shape))
    if bool(((tensor != 0) & (tensor != 1)).any()):
        check_truth(as_array(tensor, name), name)
    place_P = as_array(tensor.reshape(-1).nonzero()[:, 0], name)
    return (tensor.shape[0], tensor.shape[1]), place_P


def check_truth(values: NDArray[Any], name: str) -> NDArray[np.bool_]:
    """Boolean values, from Boolean ones or from numbers that are all 0 or 1."""
    if values.dtype == np.bool_:
        return values
    wrong = np.argwhere((values != 0) & (values != 1)) if values.dtype.kind in "iuf" else [()]
    if len(wrong):
        where = tuple(int(i) for i in wrong[0])
        value = f" {values[where]} at {where}" if where else f" of type {values.dtype}"
        raise DataError(
            f"{name} must be Boolean or 0/1, and hold{value}. "
            f"Predictions come first, labels second: are they swapped?"
        )
    return values.astype(np.bool_)


def as_confidences(given: ArrayLike, name: str) -> Any:
    """As `as_dense`, but what lies on a device stays there, for `cut_dense`."""
    if not is_on_device(given):
        return as_dense(given, name)
    tensor: Any = given
    if tensor.ndim != 2:
        raise _not_dense(name, tuple(tensor.shape))
    return tensor.detach()


def as_float32(dense_NC: Any) -> Any:
    """Confidences rounded to float32; what is no floating-point number stays as it is."""
    if is_on_device(dense_NC):
        return dense_NC.float() if dense_NC.is_floating_point() else dense_NC
    if dense_NC.dtype.kind != "f":
        return dense_NC
    with np.errstate(over="ignore"):  # the cut finds what is not finite
        return dense_NC.astype(np.float32, copy=False)


def cut_dense(
    dense_NC: Any,
    top_k: int,
    place: Callable[[int], str],
    kept_NC: NDArray[np.bool_] | None = None,
) -> tuple[NDArray[np.uint32], NDArray[Any], NDArray[np.int64]]:
    """Labels and confidences of the top_k of each row, and how many these are.

    Equal confidences stand by rising label. Ranked as float32, or as float64 where the array is of
    it; where `kept_NC` is given other entries are left out. `place` says where a row stands.
    """
    if is_on_device(dense_NC):
        if kept_NC is None:
            return _cut_on_device(dense_NC, top_k, place)
        dense_NC = as_array(dense_NC, "confidences")
    if dense_NC.dtype.kind != "f":
        raise _not_confidences(dense_NC.dtype)
    dtype = np.float64 if dense_NC.dtype.itemsize > 4 else np.float32
    dense_NC = np.ascontiguousarray(dense_NC, dtype)
    num_videos, num_classes = dense_NC.shape
    k = min(_checks.check_top_k(top_k), num_classes)
    length_N = np.full(num_videos, k, np.int64)
    if kept_NC is not None:
        _refuse_not_finite(dense_NC, place, ~np.isfinite(dense_NC).all(axis=1))
        dense_NC = np.where(kept_NC, dense_NC, dtype(-np.inf))
        np.minimum(length_N, np.count_nonzero(kept_NC, axis=1), out=length_N)
    if k <= _MAX_INSERTED:
        label_NK, confidence_NK = _cut_by_insertion(dense_NC, k, place, kept_NC is not None)
    else:
        if kept_NC is None:
            _refuse_not_finite(dense_NC, place, ~np.isfinite(dense_NC).all(axis=1))
        order_NK = np.argsort(-dense_NC, axis=1, kind="stable")[:, :k]
        label_NK = order_NK.astype(np.uint32)
        confidence_NK = np.take_along_axis(dense_NC, order_NK, axis=1)
    return label_NK, confidence_NK, length_N


def _cut_on_device(
    tensor_NC: Any, top_k: int, place: Callable[[int], str]
) -> tuple[NDArray[np.uint32], NDArray[Any], NDArray[np.int64]]:
    """The same of a torch tensor: k columns come over, and rows that are tied at the cut."""
    if not tensor_NC.is_floating_point():
        raise _not_confidences(tensor_NC.dtype)
    num_videos, num_classes = tensor_NC.shape
    k = min(_checks.check_top_k(top_k), num_classes)
    wrong = (~tensor_NC.isfinite()).any(dim=1).nonzero()
    if len(wrong):
        row = int(wrong[0])
        row_1C = as_array(tensor_NC[row : row + 1], "confidences")
        _refuse_not_finite(row_1C, lambda _: place(row), np.ones(1, np.bool_))
    value, label = tensor_NC.topk(min(k + 1, num_classes), dim=1)
    confidence_NK = as_array(value[:, :k], "confidences")
    dtype = np.float64 if confidence_NK.dtype.itemsize > 4 else np.float32
    confidence_NK = np.ascontiguousarray(confidence_NK, dtype)
    label_NK = as_array(label[:, :k], "labels").astype(np.uint32)
    order_NK = np.lexsort((label_NK, -confidence_NK), axis=1)
    label_NK = np.take_along_axis(label_NK, order_NK, axis=1)
    confidence_NK = np.take_along_axis(confidence_NK, order_NK, axis=1)
    if 0 < k < num_classes:  # torch keeps any of those that are tied at the cut
        tied = (value[:, k - 1] == value[:, k]).nonzero()[:, 0]
        tied_NC = as_array(tensor_NC[tied], "confidences")
        row_T = as_array(tied, "rows")
        label_NK[row_T], confidence_NK[row_T], _ = cut_dense(tied_NC, k, place)
    return label_NK, confidence_NK, np.full(num_videos, k, np.int64)


def _cut_by_insertion(
    dense_NC: NDArray[Any], k: int, place: Callable[[int], str], may_be_low: bool
) -> tuple[NDArray[np.uint32], NDArray[Any]]:
    """One pass over each row, in threads."""
    from gapkit._kernels.top_k import top_k

    label_NK = np.empty((len(dense_NC), k), np.uint32)
    confidence_NK = np.empty((len(dense_NC), k), dense_NC.dtype)
    if k == 0:
        return label_NK, confidence_NK

    def cut(rows: slice) -> None:
        row = top_k(dense_NC[rows], may_be_low, label_NK[rows], confidence_NK[rows])
        if row >= 0:
            _refuse_not_finite(dense_NC, place, np.arange(len(dense_NC)) == rows.start + row)

    in_threads(cut, row_slices(len(dense_NC), dense_NC.size))
    return label_NK, confidence_NK


def _refuse_not_finite(
    dense_NC: NDArray[Any], place: Callable[[int], str], is_wrong_N: NDArray[np.bool_]
) -> None:
    for row in np.flatnonzero(is_wrong_N)[:1].tolist():
        label = int(np.flatnonzero(~np.isfinite(dense_NC[row]))[0])
        raise DataError(
            f"{place(row)}: the confidence of label {label} is {dense_NC[row, label]}. "
            f"Confidences must be finite numbers."
        )


def _not_dense(name: str, shape: tuple[int, ...]) -> DataError:
    return DataError(f"{name} of shape {shape} must be (num_videos, num_classes).")


def _not_confidences(dtype: object) -> DataError:
    return DataError(
        f"confidences of type {dtype} are not floating-point numbers. "
        f"Predictions come first, labels second: are they swapped?"
    )
