"""What the float layers that become integer layers have in common."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Final

import numpy as np

from ai8xc.dialects import nn
from ai8xc.ir.core import Graph, Op
from ai8xc.ir.types import Array

Weighted = nn.Conv | nn.ConvTranspose | nn.Linear
WEIGHTED: Final = (nn.Conv, nn.ConvTranspose, nn.Linear)
"""Layers with weights: each gives its result a scale of its own."""

JOINS: Final = (nn.Add, nn.Sub, nn.Concat, nn.BitwiseOr, nn.BitwiseXor)
"""Ops whose operands and result share one scale."""


def constant(op: Op | None) -> Array:
    """Return the array of an operand that is known to be a constant."""
    assert isinstance(op, nn.Constant)
    return op.value.array


def biases(layer: Weighted) -> Array:
    """Return the biases of a layer in float64, zeros where it has none."""
    if layer.bias is None:
        return np.zeros(output_channels(layer))
    return constant(layer.bias).astype(np.float64)


def output_channels(layer: Weighted) -> int:
    """Return the number of channels (of a linear layer: features) that a layer computes."""
    return layer.type.shape[1]


def bare(layer: Weighted) -> Weighted:
    """Return the layer without its activation and limit."""
    return replace(layer, activation="none", limit=math.inf)


def activated(values: Array, layer: Weighted) -> Array:
    """Return accumulated values after the activation of a layer, not yet limited."""
    if layer.activation == "relu":
        return np.asarray(np.maximum(values, values.dtype.type(0)))
    return np.abs(values) if layer.activation == "abs" else values


def is_wide(layer: Op, graph: Graph) -> bool:
    """Whether a layer can give its accumulator as 32 bits: an output, without activation."""
    if not isinstance(layer, WEIGHTED) or layer not in graph.outputs:
        return False
    plain = layer.activation == "none" and math.isinf(layer.limit)
    return plain and graph.uses[layer] == graph.outputs.count(layer)
