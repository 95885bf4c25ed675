"""All that training needs to go on to the bit, in one file that is replaced whole."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from gapkit.errors import DataError
from gapkit.io import replacing_file


def write_state(
    path: Path,
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    averaged: Mapping[str, Tensor] | None,
    about: Mapping[str, Any],
) -> None:
    """Write weights, Adam's moments, averaged weights, and where training is (JSON)."""
    tensors = {f"weights/{name}": tensor for name, tensor in module.state_dict().items()}
    for number, moments in optimizer.state_dict()["state"].items():
        tensors |= {f"adam/{number}/{name}": moment for name, moment in moments.items()}
    tensors |= {f"averaged/{name}": tensor for name, tensor in (averaged or {}).items()}
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with replacing_file(path) as temporary:
        temporary.write_bytes(save(tensors, {"state": json.dumps(about)}))


def read_state(
    path: Path, module: nn.Module, optimizer: torch.optim.Optimizer
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Fill module and optimizer; return the averaged weights and where training was.

    Raises
    ------
    DataError
        The file is damaged or does not fit the module.
    """
    groups: dict[str, dict[str, Tensor]] = {"weights": {}, "adam": {}, "averaged": {}}
    try:
        with safe_open(path, "pt") as file:
            about = json.loads(file.metadata()["state"])
            for name in file.keys():  # noqa: SIM118
                group, _, rest = name.partition("/")
                groups[group][rest] = file.get_tensor(name)
        module.load_state_dict(groups["weights"])
        moments: dict[int, dict[str, Tensor]] = {}
        for name, tensor in groups["adam"].items():
            number, _, rest = name.partition("/")
            moments.setdefault(int(number), {})[rest] = tensor
        _check_moments(moments, list(module.parameters()))
        saved = optimizer.state_dict()
        optimizer.load_state_dict({**saved, "state": moments})
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise DataError(
            f"{path}: can't be resumed from ({reason}). Train the run again with --overwrite."
        ) from None
    device = next(module.parameters()).device
    return {name: tensor.to(device) for name, tensor in groups["averaged"].items()}, about


def _check_moments(moments: Mapping[int, Mapping[str, Tensor]], parameters: list[Tensor]) -> None:
    """Refuse Adam's moments that are not those of the parameters, which torch would take."""
    for number, of_one in moments.items():
        shapes = {name: moment.shape for name, moment in of_one.items()}
        shape = parameters[number].shape if number < len(parameters) else None
        if shapes != {"step": torch.Size([]), "exp_avg": shape, "exp_avg_sq": shape}:
            raise ValueError(f"moments {number} do not fit the weights")
