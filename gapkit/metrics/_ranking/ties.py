"""The rules for what equal confidences are worth."""

from gapkit.errors import UsageError

_CODES = {"expected": 0, "optimistic": 1, "pessimistic": 2}  # as in _kernels.ties


def ties_code(ties: str) -> int:
    """The kernels' number for a rule."""
    if ties not in _CODES:
        raise UsageError(f"ties={ties!r} is not a rule. Choose one of {', '.join(_CODES)}.")
    return _CODES[ties]
