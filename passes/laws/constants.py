"""What the laws of the float level share: constants, layers with weights, ops that drop out."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from ai8xc.dialects import nn
from ai8xc.ir.core import Data, Input, Op, OpT
from ai8xc.ir.types import Array

Floats = NDArray[np.float64]
Layer = nn.Conv | nn.ConvTranspose | nn.Linear
"""The ops with weights, which take in what stands around them."""


def floats_of(op: Op | None) -> Floats | None:
    """Return the values of a constant of finite real numbers; None for everything else."""
    if not isinstance(op, nn.Constant) or not op.type.is_float:
        return None
    values = op.value.array.astype(np.float64)
    return values if np.isfinite(values).all() else None


def constant_like(old: Op, values: Array) -> nn.Constant:
    """Return a constant in the place of `old`, with its name, origin and element type."""
    dtype = old.value.array.dtype if isinstance(old, nn.Constant) else values.dtype
    made = Data(values) if values.dtype == dtype else Data.taking(values.astype(dtype))
    return nn.Constant(made, name=old.name, loc=old.loc)


def with_parameters(layer: Layer, weight: Floats, bias: Floats | None) -> Layer | None:
    """Return the layer with other numbers; None if they do not fit its element type."""
    dtype = np.dtype(np.float32)
    if isinstance(layer.weight, nn.Constant):
        dtype = layer.weight.value.array.dtype
    with np.errstate(over="ignore"):
        parts = [part.astype(dtype) for part in (weight, bias) if part is not None]
    if not all(np.isfinite(part).all() for part in parts):
        return None
    new_bias: Op | None = None
    if bias is not None:
        named = layer.bias if layer.bias is not None else _bias_of(layer)
        new_bias = nn.Constant(Data(parts[1]), name=named.name, loc=named.loc)
    old = layer.weight
    new_weight = nn.Constant(Data.taking(parts[0]), name=old.name, loc=old.loc)
    return dataclasses.replace(layer, weight=new_weight, bias=new_bias)


def _bias_of(layer: Layer) -> Op:
    return Op(name=f"{layer.weight.name}_bias", loc=layer.weight.loc)


def bypass(op: Op, x: Op, uses: Mapping[Op, int]) -> Op:
    """Return `x` in the place of `op`, which computes nothing.

    Where `op` is the only reader, `x` also stands for the nodes of `op` from now on.
    """
    if uses[x] != 1 or isinstance(x, Input) or not op.loc.nodes:
        return x
    return dataclasses.replace(x, loc=x.loc.fuse(op.loc))


def in_place_of(op: Op, new: OpT, *also: Op) -> OpT:
    """Return `new` under the name of `op`, standing for the nodes of `op` and `also` as well."""
    loc = new.loc.fuse(op.loc, *(other.loc for other in also))
    return dataclasses.replace(new, name=op.name, loc=loc)
