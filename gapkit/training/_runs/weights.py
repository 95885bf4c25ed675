"""Weights as a file holds them: float32, or matrices in fewer bits."""

from __future__ import annotations

import os
from collections.abc import Mapping

import torch
from safetensors.torch import load_file
from torch import Tensor

from gapkit.errors import DataError, UsageError

KINDS = ("float16", "int8")
_SCALE = "::scale"
_LARGEST = 127  # of a symmetric int8
_LEAST_ROW = 8  # a scale takes 4 bytes: for shorter rows it would be half of the file


def read_weights(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """The weights of a file as the predictor takes them: float32 again."""
    return unpack_weights(load_file(path))


def pack_weights(weights: Mapping[str, Tensor], kind: str) -> dict[str, Tensor]:
    """Return weights in fewer bits; vectors, which are few and sensitive, stay as they are.

    Parameters
    ----------
    weights : mapping of str to Tensor
    kind : {'float16', 'int8'}
        int8 has a float32 scale a row, the row's largest absolute value over 127, beside it as
        `NAME::scale`. Rows run along the last axis.

    Raises
    ------
    UsageError
        Another kind.
    DataError
        A weight is not finite, or is too large for float16.
    """
    if kind not in KINDS:
        raise UsageError(f"weights {kind!r} are not one of {', '.join(KINDS)}.")
    packed: dict[str, Tensor] = {}
    for name, weight in weights.items():
        weight = weight.detach().cpu().contiguous()
        if not weight.is_floating_point() or weight.ndim < 2 or weight.numel() == 0:
            packed[name] = weight
            continue
        if not torch.isfinite(weight).all():
            raise DataError(f"weight {name!r} holds a value that is not finite. Train it again.")
        if kind == "float16":
            packed[name] = weight.half()
            if not torch.isfinite(packed[name]).all():
                raise DataError(
                    f"weight {name!r} reaches {weight.abs().max().item():.6g}, and float16 "
                    f"65504. Use int8."
                )
        elif weight.shape[-1] < _LEAST_ROW:
            packed[name] = weight
        else:
            scale = weight.float().abs().amax(dim=-1, keepdim=True) / _LARGEST
            rounded = torch.round(weight.float() / torch.where(scale > 0, scale, 1.0))
            packed[name] = rounded.clamp(-_LARGEST, _LARGEST).to(torch.int8)
            packed[name + _SCALE] = scale
    return packed


def unpack_weights(packed: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return packed weights as float32; others as they are."""
    weights = {}
    for name, weight in packed.items():
        if name.endswith(_SCALE) and name.removesuffix(_SCALE) in packed:
            continue
        if weight.dtype == torch.int8 and name + _SCALE in packed:
            weight = weight.float() * packed[name + _SCALE]
        elif weight.dtype == torch.float16:
            weight = weight.float()
        weights[name] = weight
    return weights
