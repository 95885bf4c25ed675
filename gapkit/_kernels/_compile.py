"""The one decorator of all kernels, and the array types of their signatures."""

from collections.abc import Callable
from typing import Any

import numba

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


def kernel(signature: Any) -> Callable[[Function], Function]:
    """Compile for one signature (or a few), without the GIL, cached if a folder can be written."""

    def compile_for(function: Function) -> Function:
        try:
            compiled: Function = numba.njit(signature, nogil=True, cache=True)(function)
        except RuntimeError as error:
            if "cannot cache" not in str(error):
                raise
            compiled = numba.njit(signature, nogil=True)(function)
        return compiled

    return compile_for
