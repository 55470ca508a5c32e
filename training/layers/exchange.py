"""Layers in operations that every tool knows: what `QuantizeLinear` makes of real numbers.

The integers stand between a rounding to powers of two and their way back (QDQ), so that an ONNX
model of a network says which integers the device has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import torch
from torch import Tensor, nn

from ai8xc.training.layers.arithmetic import ACTIVATION_STEPS

if TYPE_CHECKING:
    from ai8xc.training.layers.module import HardwareLayer

Net = TypeVar("Net", bound=nn.Module)


def exchange(net: Net) -> Net:
    """Let the layers of a network that simulates compute on real numbers, and return it."""
    from ai8xc.training.layers.elementwise import Elementwise
    from ai8xc.training.layers.module import HardwareLayer

    for layer in net.modules():
        if isinstance(layer, HardwareLayer):
            layer.exchanged = int(layer.output_shift)  # a number, which a trace cannot read
        elif isinstance(layer, Elementwise):
            layer.exchanged = True
    return net


def rounded(x: Tensor, step: float = 1 / ACTIVATION_STEPS) -> Tensor:
    """Return the nearest multiples of a step that 8 bits hold."""
    return torch.fake_quantize_per_tensor_affine(x, step, 0, -128, 127)


def parameters(layer: HardwareLayer) -> tuple[Tensor, Tensor | None]:
    """Return the real weights and biases that the integers of a layer stand for.

    An activation is 1/128 of its integer, and a sum of products 2**(shift - 7) of the next one's;
    integers of fewer bits count for more (training facts, section 1.3).
    """
    assert layer.op is not None
    assert layer.exchanged is not None
    shift = 0 if layer.wide else layer.exchanged
    step = 2.0 ** (1 - layer.bits + shift)
    bias = layer.op.bias
    if bias is not None:
        bias = bias * (2.0 ** (2 * (8 - layer.bits) + shift) / ACTIVATION_STEPS**2)
    return rounded(layer.op.weight * step, step), bias
