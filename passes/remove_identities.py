"""Ops that compute nothing."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

from ai8xc.dialects import nn
from ai8xc.ir.core import Graph, Op
from ai8xc.ir.passes import Pass, PassContext, register
from ai8xc.ir.rewrite import rewrite
from ai8xc.passes.laws.constants import bypass

_WIDER: Final = {("f16", "f32"), ("f16", "f64"), ("f32", "f64")}
"""Pairs of element types where the second holds every value of the first."""


def identity(op: Op, uses: Mapping[Op, int]) -> Op | None:
    """What an identity returns is its operand; a Dropout is one at inference."""
    return bypass(op, op.x, uses) if isinstance(op, nn.Identity) else None


def cast_to_itself(op: Op, uses: Mapping[Op, int]) -> Op | None:
    """cast(x){to = element of x} => x."""
    if isinstance(op, nn.Cast) and op.to == op.x.type.element:
        return bypass(op, op.x, uses)
    return None


def cast_there_and_back(op: Op, uses: Mapping[Op, int]) -> Op | None:
    """cast(cast(x)) => x, where the first makes the numbers wider and the second undoes it."""
    match op:
        case nn.Cast(x=nn.Cast(x=x) as wide):
            if op.to == x.type.element and (op.to, wide.to) in _WIDER:
                return bypass(op, x, uses) if uses[wide] == 1 else x
    return None


def reshape_to_itself(op: Op, uses: Mapping[Op, int]) -> Op | None:
    """reshape(x){shape = shape of x} => x."""
    if isinstance(op, nn.Reshape) and op.shape == op.x.type.shape:
        return bypass(op, op.x, uses)
    return None


def reshape_of_reshape(op: Op, uses: Mapping[Op, int]) -> Op | None:
    """reshape(reshape(x)) => reshape(x): values keep their row-major order."""
    match op:
        case nn.Reshape(x=nn.Reshape(x=x) as inner):
            return dataclasses.replace(op, x=x, loc=inner.loc.fuse(op.loc))
    return None


def transpose_in_order(op: Op, uses: Mapping[Op, int]) -> Op | None:
    """transpose(x){perm = (0, 1, ...)} => x."""
    if isinstance(op, nn.Transpose) and op.perm == tuple(range(len(op.perm))):
        return bypass(op, op.x, uses)
    return None


def pad_by_nothing(op: Op, uses: Mapping[Op, int]) -> Op | None:
    """pad(x){pads = (0, ...)} => x."""
    if isinstance(op, nn.Pad) and not any(op.pads):
        return bypass(op, op.x, uses)
    return None


def slice_of_all(op: Op, uses: Mapping[Op, int]) -> Op | None:
    """slice(x) that takes every value in order => x."""
    if not isinstance(op, nn.Slice):
        return None
    whole = op.type.shape == op.x.type.shape
    forward = all(s > 0 or n == 1 for s, n in zip(op.steps, op.type.shape, strict=True))
    return bypass(op, op.x, uses) if whole and forward else None


def concat_of_one(op: Op, uses: Mapping[Op, int]) -> Op | None:
    """concat([x]) => x."""
    if isinstance(op, nn.Concat) and len(op.xs) == 1:
        return bypass(op, op.xs[0], uses)
    return None


def pool_of_one(op: Op, uses: Mapping[Op, int]) -> Op | None:
    """pool(x) with windows of one value at stride 1 => x."""
    match op:
        case nn.MaxPool() | nn.AveragePool():
            g = op.geometry
            if max(*op.kernel, *g.strides) == 1 and not any(op.full_pads()):
                return bypass(op, op.x, uses)
    return None


def clip_without_limits(op: Op, uses: Mapping[Op, int]) -> Op | None:
    """clip(x, -inf, inf) => x."""
    if isinstance(op, nn.Clip) and (op.low, op.high) == (-math.inf, math.inf):
        return bypass(op, op.x, uses)
    return None


def leaky_relu_of_slope_one(op: Op, uses: Mapping[Op, int]) -> Op | None:
    """leaky_relu(x){alpha = 1} => x."""
    if isinstance(op, nn.LeakyRelu) and op.alpha == 1:
        return bypass(op, op.x, uses)
    return None


def resize_by_one(op: Op, uses: Mapping[Op, int]) -> Op | None:
    """resize(x){scales = (1, ...)} => x."""
    if isinstance(op, nn.Resize) and set(op.scales) == {1}:
        return bypass(op, op.x, uses)
    return None


def mean_of_one(op: Op, uses: Mapping[Op, int]) -> Op | None:
    """reduce_mean(x) over axes of size 1 => x, or its reshape where the axes are dropped."""
    if not isinstance(op, nn.ReduceMean) or any(op.x.type.shape[a] != 1 for a in op.axes):
        return None
    if op.keep_dims:
        return bypass(op, op.x, uses)
    return nn.Reshape(op.x, op.type.shape, name=op.name, loc=op.loc)


LAWS: Final = (
    identity,
    cast_to_itself,
    cast_there_and_back,
    reshape_to_itself,
    reshape_of_reshape,
    transpose_in_order,
    pad_by_nothing,
    slice_of_all,
    concat_of_one,
    pool_of_one,
    clip_without_limits,
    leaky_relu_of_slope_one,
    resize_by_one,
    mean_of_one,
)


@register
@dataclass(frozen=True)
class RemoveIdentities(Pass):
    """Remove ops whose result is their operand: identities, empty pads, casts to the same type."""

    name: ClassVar[str] = "remove-identities"
    needs: ClassVar[frozenset[str]] = frozenset({"nn"})

    def run(self, graph: Graph, ctx: PassContext) -> Graph:
        """Return the graph without them."""
        return rewrite(graph, LAWS)
