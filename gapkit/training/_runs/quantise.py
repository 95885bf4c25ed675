"""A run whose weights take a half or a quarter of the bytes."""

from __future__ import annotations

import json
import os
from pathlib import Path

from safetensors.torch import save

from gapkit.errors import DataError
from gapkit.io import replacing_folder
from gapkit.training._runs.run import CONFIG_FILE, FILES, Run, load_run, weights_file
from gapkit.training._runs.weights import pack_weights, read_weights


def quantise_run(
    run: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    kind: str,
    checkpoint: str = "last",
    predictor: str | None = None,
    overwrite: bool = False,
) -> Run:
    """Write a run with its matrices in fewer bits, and return it, loaded on the CPU.

    It opens like any run, whose `last` weights are these; in memory they are float32 again. Its
    config says `weights`, and what it was made from.

    Parameters
    ----------
    run, checkpoint, predictor
        As for `load_run`.
    output : path
        Folder of the new run.
    kind : {'float16', 'int8'}
        int8 is symmetric, with a float32 scale a row.
    overwrite : bool
        Replace a run that is there.

    Raises
    ------
    DataError
        As `load_run` does; the folder can't be written; a weight is not finite or, for float16,
        too large.
    UsageError
        Another kind.
    """
    path, output = Path(run), Path(output)
    if path.resolve() == output.resolve():
        raise DataError(f"{output}: is the run itself. Choose another -o.")
    load_run(path, checkpoint=checkpoint, predictor=predictor, device="cpu")  # it is sound
    packed = pack_weights(read_weights(weights_file(path, checkpoint)), kind)
    config = json.loads((path / CONFIG_FILE).read_text())
    config = {**config, "weights": kind, "made_from": {"run": str(run), "checkpoint": checkpoint}}
    with replacing_folder(output, ours=FILES, overwrite=overwrite) as folder:
        (folder / CONFIG_FILE).write_text(json.dumps(config, indent=1) + "\n")
        (folder / "last.safetensors").write_bytes(save(packed))
    return load_run(output, predictor=predictor, device="cpu")
