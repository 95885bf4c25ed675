"""All Numba of gapkit: arrays in, arrays out; no checks, no I/O.

Callers check their arguments and pass C-contiguous arrays of exactly the types that a kernel's
signature names, so that each kernel is compiled once. Numba is imported here and nowhere else.
"""
