"""From one mode to another, for a whole network in place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import numpy as np
import torch
from torch import nn

from ai8xc.training.checkpoint_names import current_names
from ai8xc.training.layers import state
from ai8xc.training.layers.context import Mode, checked_mode
from ai8xc.training.layers.elementwise import Elementwise
from ai8xc.training.layers.errors import LayerError
from ai8xc.training.layers.module import HardwareLayer
from ai8xc.training.layers.software import SoftwareLinear

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
        elif isinstance(layer, SoftwareLinear):
            layer.mode = checked
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


def load_checkpoint(module: nn.Module, checkpoint: Mapping[str, object]) -> None:
    """Load a checkpoint of any age, the vendor's or ours, into a network.

    `checkpoint` is the content of the file, whose `state_dict` is loaded, or that alone; tensors
    may be arrays. Each layer converts its parameters to the form that its own mode needs.

    Raises:
        LayerError: an entry is missing, has no place in the network, or has another shape;
            `argument` is its name.
    """
    found = checkpoint.get("state_dict", checkpoint)
    entries = {
        name: torch.from_numpy(np.array(value)) if isinstance(value, np.ndarray) else value
        for name, value in (found.items() if isinstance(found, Mapping) else ())
    }
    tensors = {n: v for n, v in entries.items() if isinstance(v, torch.Tensor)}
    if not tensors:
        raise LayerError("state_dict", "the checkpoint holds no tensors")
    own = dict(module.state_dict())
    try:
        result = module.load_state_dict(current_names(tensors), strict=False)
    except RuntimeError as error:
        raise _misfit(own, current_names(tensors)) or error from error
    for name in result.missing_keys:
        raise LayerError(name, "the checkpoint has no such entry; the network does")
    for name in result.unexpected_keys:
        raise LayerError(name, "the network has no such entry; the checkpoint does")


def _misfit(
    own: Mapping[str, torch.Tensor], given: Mapping[str, torch.Tensor]
) -> LayerError | None:
    for name, tensor in given.items():
        if name in own and own[name].shape != tensor.shape:
            shapes = f"{tuple(tensor.shape)} in the checkpoint, {tuple(own[name].shape)} here"
            return LayerError(name, f"the shape is {shapes}")
    return None


def fuse_bn_layers(module: nn.Module) -> None:
    """Fold the batch norms of all layers, also of those directly inside a `Sequential`."""
    for layer in module.modules():
        if isinstance(layer, HardwareLayer):
            state.fold_batch_norm(layer)


def update_model(module: nn.Module) -> None:
    """Make the layers follow control entries that were changed by hand.

    Loading does so itself, and in the memory of the CPU every forward pass.
    """
    for layer in module.modules():
        if isinstance(layer, HardwareLayer):
            state.after_loading(layer)
