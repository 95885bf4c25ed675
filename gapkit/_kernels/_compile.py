"""The one decorator of all kernels, and the array types of their signatures."""

from collections.abc import Callable
from functools import update_wrapper
from typing import Any

import numba
import numpy as np

Function = Callable[..., Any]

float32, float64 = numba.float32, numba.float64
uint8, uint32, uint64 = numba.uint8, numba.uint32, numba.uint64
uint16, int32, int64 = numba.uint16, numba.int32, numba.int64
boolean = numba.boolean


def readable(dtype: Any, ndim: int = 1) -> Any:
    """Array that a kernel only reads: a read-only one (Arrow's) is taken as a writable one is."""
    return numba.types.Array(dtype, ndim, "C", readonly=True)


def writable(dtype: Any, ndim: int = 1) -> Any:
    """Array that a kernel fills."""
    return numba.types.Array(dtype, ndim, "C")


class Kernel:
    """A function that is compiled for a signature when it is first called with it.

    Compiling all at import would cost the first call on a new machine 20 s instead of 2, and each
    process 0.1 s. Of several signatures the type of the first argument's entries chooses.
    """

    def __init__(self, function: Function, signatures: list[Any]) -> None:
        self._function = function
        self._signatures = signatures
        self._compiled: dict[Any, Function] = {}
        update_wrapper(self, function)

    def __call__(self, first: Any, *rest: Any) -> Any:
        dtype = first.dtype if len(self._signatures) > 1 else None
        return (self._compiled.get(dtype) or self.load(dtype))(first, *rest)

    def load(self, dtype: Any = None) -> Function:
        """The compiled function, for the type of the first argument's entries."""
        dtype = None if len(self._signatures) == 1 else np.dtype(dtype)
        index = [str(_first_type(s)) for s in self._signatures].index(str(dtype)) if dtype else 0
        compiled = _compile(self._function, self._signatures[index])
        self._compiled[dtype] = compiled
        return compiled


def kernel(signature: Any) -> Callable[[Function], Kernel]:
    """Compile for one signature (or a few), without the GIL, cached if a folder can be written."""
    signatures = signature if isinstance(signature, list) else [signature]
    return lambda function: Kernel(function, signatures)


def _first_type(signature: Any) -> Any:
    arguments = signature if isinstance(signature, tuple) else signature.args
    return arguments[0].dtype


def _compile(function: Function, signature: Any) -> Function:
    try:
        compiled: Function = numba.njit(signature, nogil=True, cache=True)(function)
    except RuntimeError as error:
        if "cannot cache" not in str(error):
            raise
        compiled = numba.njit(signature, nogil=True)(function)
    return compiled
