"""Networks of the layer library on their way to the compiler."""

from __future__ import annotations

import copy
from typing import TypeVar

from torch import nn

from ai8xc.training.layers import HardwareLayer, set_mode

T = TypeVar("T")


def deployed(module: T) -> T:
    """Return a network with the integers that the device gets, where it has been trained for them.

    One in training with quantisation is copied and simulates; any other one is returned as it is.
    """
    if not isinstance(module, nn.Module) or not in_mode(module, "qat"):
        return module
    return set_mode(copy.deepcopy(module), "simulate")


def in_mode(module: nn.Module, mode: str) -> bool:
    """Whether any layer of a network is in a mode."""
    layers = (layer for layer in module.modules() if isinstance(layer, HardwareLayer))
    return any(layer.mode == mode for layer in layers)
