"""Matrix products with constant matrices as linear layers."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ai8xc.dialects import nn
from ai8xc.ir.core import Data, Graph, Op
from ai8xc.ir.passes import Pass, PassContext, register
from ai8xc.ir.rewrite import rewrite
from ai8xc.ir.types import Array
from ai8xc.passes.laws.constants import floats_of


def linear_of_gemm(op: Op, uses: Mapping[Op, int]) -> Op | None:
    """gemm(x, w, c) => linear(x, alpha w', beta c): rows are samples, w and c are constants."""
    match op:
        case nn.Gemm(trans_a=False):
            pass
        case _:
            return None
    weight = _matrix(op.b, transposed=not op.trans_b)
    if weight is None:
        return None
    bias: Op | None = None
    if op.c is not None:
        values = floats_of(op.c)
        if (
            values is None
            or values.size not in (1, len(weight))
            or op.c.type.shape[:-1]
            not in (
                (),
                (1,),
            )
        ):
            return None
        vector = np.broadcast_to(values.reshape(-1), (len(weight),))
        bias = _constant(op.c, vector * op.beta)
    matrix = _constant(op.b, weight * op.alpha)
    return nn.Linear(op.a, matrix, bias, name=op.name, loc=op.loc)


def linear_of_matmul(op: Op, uses: Mapping[Op, int]) -> Op | None:
    """matmul(x, w) => linear(x, w'): w is a constant matrix."""
    if not isinstance(op, nn.MatMul) or len(op.a.type.shape) < 2:
        return None
    weight = _matrix(op.b, transposed=True)
    if weight is None:
        return None
    return nn.Linear(op.a, _constant(op.b, weight), name=op.name, loc=op.loc)


def linear_with_bias(op: Op, uses: Mapping[Op, int]) -> Op | None:
    """add(linear(x, w), c) => linear(x, w, c): c has one value an output, or one for all."""
    match op:
        case nn.Add(a=nn.Linear(bias=None) as layer, b=nn.Constant() as c):
            pass
        case nn.Add(a=nn.Constant() as c, b=nn.Linear(bias=None) as layer):
            pass
        case _:
            return None
    values = floats_of(c)
    outputs = layer.type.shape[-1]
    if values is None or uses[layer] != 1 or layer.activation != "none":
        return None
    if not math.isinf(layer.limit) or c.type.size not in (1, outputs):
        return None
    if c.type.shape and c.type.size != 1 and c.type.shape[-1] != outputs:
        return None
    if op.type.shape != layer.type.shape:
        return None
    bias = _constant(c, np.broadcast_to(values.reshape(-1), (outputs,)))
    return dataclasses.replace(layer, bias=bias, name=op.name, loc=layer.loc.fuse(op.loc))


def linear_on_flat_data(op: Op, uses: Mapping[Op, int]) -> Op | None:
    """linear(reshape(reshape(x))) => linear(reshape(x)): only the last shape counts."""
    match op:
        case nn.Linear(x=nn.Reshape(x=nn.Reshape() as inner) as outer) if uses[outer] == 1:
            merged = dataclasses.replace(outer, x=inner.x, loc=inner.loc.fuse(outer.loc))
            return dataclasses.replace(op, x=merged)
        case _:
            return None


def linear_with_unit_axes(op: Op, uses: Mapping[Op, int]) -> Op | None:
    """linear(x: N x 1 x K) => reshape(linear(reshape(x))): one vector a sample is a matrix."""
    if not isinstance(op, nn.Linear) or len(op.type.shape) < 3:
        return None
    n, *middle, inputs = op.x.type.shape
    if math.prod(middle) != 1:
        return None
    flat = nn.Reshape(op.x, (n, inputs), name=f"{op.name}_flat", loc=op.loc)
    layer = dataclasses.replace(op, x=flat, name=f"{op.name}_linear")
    return nn.Reshape(layer, op.type.shape, name=op.name, loc=op.loc)


def linear_of_large_conv(op: Op, uses: Mapping[Op, int]) -> Op | None:
    """conv(x) => reshape(linear(reshape(x))): the kernel covers all of x, and no layer has it.

    Kernels up to 3 by 3, or of 9 along a line, stay: the data sheet's layers have such windows.
    """
    if not isinstance(op, nn.Conv) or not _covers(op):
        return None
    if max(op.kernel) <= (9 if len(op.kernel) == 1 else 3):
        return None
    layer = _flattened(op, f"{op.name}_linear")
    return None if layer is None else nn.Reshape(layer, op.type.shape, name=op.name, loc=op.loc)


def linear_of_covering_conv(op: Op, uses: Mapping[Op, int]) -> Op | None:
    """reshape(conv(x)) => linear(reshape(x)): the kernel covers all of x, the result is a vector.

    Both read channels first, so the weights only lose their shape.
    """
    match op:
        case nn.Reshape(x=nn.Conv(groups=1) as layer) if uses[layer] == 1:
            pass
        case _:
            return None
    shape = (layer.type.shape[0], layer.type.shape[1])
    if op.type.shape != shape or not _covers(layer):
        return None
    flattened = _flattened(layer, op.name)
    if flattened is None:
        return None
    return dataclasses.replace(flattened, loc=layer.loc.fuse(op.loc))


def _covers(layer: nn.Conv) -> bool:
    """Whether the kernel covers all data, so that each output is one sum over all of them."""
    g = layer.geometry
    exact = layer.kernel == layer.x.type.shape[2:] and set(g.dilations) == {1}
    return exact and not any(g.pads) and layer.groups == 1


def _flattened(layer: nn.Conv, name: str) -> nn.Linear | None:
    """Return a convolution that covers its data as a linear layer on flat data."""
    weight, n = floats_of(layer.weight), layer.type.shape[0]
    if weight is None:
        return None
    rows = weight.reshape(len(weight), -1)
    flat = nn.Reshape(layer.x, (n, rows.shape[1]), name=f"{layer.name}_flat", loc=layer.loc)
    matrix = _constant(layer.weight, rows)
    return nn.Linear(
        flat, matrix, layer.bias, layer.activation, layer.limit, name=name, loc=layer.loc
    )


def _matrix(op: Op, *, transposed: bool) -> Array | None:
    """Return a constant matrix as outputs by inputs, None for anything else.

    A matrix that is dequantised stays as it is: its integers are what counts.
    """
    values = floats_of(op)
    if values is None or values.ndim != 2:
        return None
    return values.T if transposed else values


def _constant(old: Op, values: Array) -> nn.Constant:
    dtype = np.float64 if old.type.element == "f64" else np.float32
    return nn.Constant(Data(values.astype(dtype)), name=old.name, loc=old.loc)


@register
@dataclass(frozen=True)
class NormalizeLinear(Pass):
    """Make products with constant matrices linear layers, with their bias and factors inside."""

    name: ClassVar[str] = "normalize-linear"
    needs: ClassVar[frozenset[str]] = frozenset({"nn"})
    keeps_values: ClassVar[bool] = False

    def run(self, graph: Graph, ctx: PassContext) -> Graph:
        """Return the graph with linear layers in canonical form."""
        laws = (
            linear_of_gemm,
            linear_of_matmul,
            linear_with_bias,
            linear_with_unit_axes,
            linear_on_flat_data,
            linear_of_large_conv,
            linear_of_covering_conv,
        )
        return rewrite(graph, laws)
