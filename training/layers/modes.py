"""From one mode to another, for a whole network in place."""

from __future__ import annotations

from typing import TypeVar

from torch import nn

from ai8xc.training.layers import state
from ai8xc.training.layers.context import Mode, checked_mode
from ai8xc.training.layers.elementwise import Elementwise
from ai8xc.training.layers.module import HardwareLayer

Net = TypeVar("Net", bound=nn.Module)


def set_mode(module: Net, mode: Mode) -> Net:
    """Bring all layers of a network, or one layer, to a mode in place, and return it.

    * To `qat` or `simulate`: batch norms are folded into their operators, for good.
    * To `simulate`: the parameters become the integers that a quantised checkpoint holds.
    * Away from `simulate`: they become the real numbers again that they were made of, or, when
      integers were loaded or changed meanwhile, those that the integers stand for.

    Parameters stay the same objects, so an optimizer keeps its state.

    Raises:
        LayerError: the mode is unknown.
    """
    checked = checked_mode(mode)
    for layer in module.modules():
        if isinstance(layer, HardwareLayer):
            _set_mode(layer, checked)
        elif isinstance(layer, Elementwise):
            layer.mode = checked
            if layer.calibrated:
                layer.get_buffer("clamp_activation").fill_(checked != "float")
    return module


def _set_mode(layer: HardwareLayer, mode: Mode) -> None:
    if mode == layer.mode:
        return
    if layer.mode == "simulate":
        state.become_real(layer)
    if mode != "float":
        state.fold_batch_norm(layer)
    layer.mode = mode
    if mode == "simulate":
        state.become_integers(layer)
    state.write_controls(layer)


def fuse_bn_layers(module: nn.Module) -> None:
    """Fold the batch norms of all layers, also of those directly inside a `Sequential`."""
    for layer in module.modules():
        if isinstance(layer, HardwareLayer):
            state.fold_batch_norm(layer)


def update_model(module: nn.Module) -> None:
    """Make the layers follow control entries that were changed by hand; loading does so itself."""
    for layer in module.modules():
        if isinstance(layer, HardwareLayer):
            state.after_loading(layer)
