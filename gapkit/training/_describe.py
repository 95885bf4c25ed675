"""What a predictor is, without training it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from gapkit._settings import Setting, describe_settings
from gapkit.plugins import Plugin

_NUM_CLASSES, _FEATURE_SIZES = 4716, {"rgb": 1024, "audio": 128}  # YouTube-8M's


@dataclass(frozen=True, kw_only=True)
class Description:
    """A predictor in a few words."""

    line: str
    """First line of its docstring"""
    num_parameters: int | None
    """At its defaults, for YouTube-8M's 4716 labels and features; None where it has none"""
    paper_gap: float | None
    """Public GAP in the paper; None where it names none"""
    paper_note: str | None
    """What more the paper says of it"""
    settings: list[Setting]
    """Fields of its config"""


def describe_predictor(plugin: Plugin) -> Description:
    """Return what a predictor is; nothing of its size is allocated."""
    own = getattr(plugin.target, "__doc__", None) or ""
    num_parameters = None
    if isinstance(plugin.target, type) and issubclass(plugin.target, nn.Module):
        with torch.device("meta"):
            module = plugin.build(_NUM_CLASSES, _FEATURE_SIZES, plugin.configure({}))
        if isinstance(module, nn.Module):
            num_parameters = sum(parameter.numel() for parameter in module.parameters())
    return Description(
        line=own.strip().partition("\n")[0],
        num_parameters=num_parameters,
        paper_gap=getattr(plugin.target, "paper_gap", None),
        paper_note=getattr(plugin.target, "paper_note", None),
        settings=describe_settings(plugin.config_class),
    )
