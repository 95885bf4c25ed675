"""Words that should be numbers, in bulk: those that are none are named."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from numpy.typing import NDArray

_USUAL = {
    pa.int64(): r"^-?[0-9]{1,18}$",
    pa.float64(): r"^-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?$",
}


def find_no_numbers(words: pa.StringArray, kind: pa.DataType) -> NDArray[np.int64]:
    """The places of words that Arrow's readers don't take for a number of the kind."""
    import pyarrow.compute as pc

    is_usual = pc.match_substring_regex(words, _USUAL[kind]).to_numpy(zero_copy_only=False)
    unusual = np.flatnonzero(~is_usual)
    wrong = [place for place in unusual.tolist() if not _is_number(words[place], kind)]
    return np.array(wrong, np.int64)


def _is_number(word: pa.StringScalar, kind: pa.DataType) -> bool:
    try:
        word.cast(kind)
    except pa.ArrowInvalid:
        return False
    return True
