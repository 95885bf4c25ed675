"""Weights that another run lends a predictor to start from."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError

from gapkit.errors import DataError
from gapkit.training._module import TorchPredictor
from gapkit.training._runs.weights import read_weights

_NUM_NAMED = 5


def start_from(module: TorchPredictor, run: Path) -> str:
    """Give a module the last weights of another run, where names and shapes fit; say which do.

    Raises
    ------
    DataError
        The run has no weights that can be read, or none of them fits.
    """
    path = run / "last.safetensors"
    try:
        there = read_weights(path)
    except (OSError, SafetensorError) as error:
        raise DataError(
            f"{path}: can't be read ({error}). Name the folder of a finished run."
        ) from None
    own = module.state_dict()
    fitting = {name: x for name, x in there.items() if name in own and own[name].shape == x.shape}
    if not fitting:
        raise DataError(f"{path}: none of its weights fits {type(module).__name__}.")
    module.load_state_dict(fitting, strict=False)
    told = f"init {run}: {len(fitting)} of {len(own)} weights loaded"
    missing = [name for name in own if name not in fitting]
    if not missing:
        return told
    more = f" and {len(missing) - _NUM_NAMED} more" if len(missing) > _NUM_NAMED else ""
    return f"{told}; not: {', '.join(missing[:_NUM_NAMED])}{more}"
