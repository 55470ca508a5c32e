"""Arithmetic with constants into the layers around it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np

from ai8xc.dialects import nn
from ai8xc.ir.core import Graph, Op
from ai8xc.ir.passes import Pass, PassContext, register
from ai8xc.ir.rewrite import rewrite
from ai8xc.passes.laws.affine import Affine, behind, in_front, of_arithmetic, of_batch_norm
from ai8xc.passes.laws.constants import constant_like, floats_of, in_place_of


def scale_behind_layer(op: Op, uses: Mapping[Op, int]) -> Op | None:
    """conv(x, w, b) * s + t => conv(x, s w, s b + t), also for conv_transpose and linear.

    Past pools, concats and activations where they commute with it.
    """
    found = of_arithmetic(op)
    if found is None:
        return None
    x, constant, f = found
    layer = behind(x, f, uses)
    return None if layer is None else in_place_of(op, layer, constant)


def scale_behind_batch_norm(op: Op, uses: Mapping[Op, int]) -> Op | None:
    """bn(x){scale, bias} * s + t => bn(x){s scale, s bias + t}."""
    found = of_arithmetic(op)
    if found is None:
        return None
    norm, constant, f = found
    if not isinstance(norm, nn.BatchNorm) or uses[norm] != 1 or not f.along(1):
        return None
    scale, bias = floats_of(norm.scale), floats_of(norm.bias)
    if scale is None or bias is None:
        return None
    changed = dataclasses.replace(
        norm,
        scale=constant_like(norm.scale, scale * f.scale),
        bias=constant_like(norm.bias, bias * f.scale + f.shift),
    )
    return in_place_of(op, changed, constant)


def scale_before_batch_norm(op: Op, uses: Mapping[Op, int]) -> Op | None:
    """bn(x * s + t){scale, bias} => bn(x){scale * s, bias + (t - mean) k, mean 0}.

    Where k is scale / sqrt(var + epsilon).
    """
    if not isinstance(op, nn.BatchNorm) or uses[op.x] != 1:
        return None
    found, norm, factor = of_arithmetic(op.x), of_batch_norm(op), floats_of(op.scale)
    if found is None or norm is None or factor is None:
        return None
    x, constant, f = found
    if not f.along(1):
        return None
    return dataclasses.replace(
        op,
        x=x,
        scale=constant_like(op.scale, factor * f.scale),
        bias=constant_like(op.bias, norm.shift + norm.scale * f.shift),
        mean=constant_like(op.mean, np.zeros_like(factor)),
        loc=op.x.loc.fuse(constant.loc, op.loc),
    )


def scale_before_layer(op: Op, uses: Mapping[Op, int]) -> Op | None:
    """conv(x * s + t, w, b) => conv(x, w s, b + w t): without padding, or where t is zero."""
    if not isinstance(op, nn.Conv | nn.ConvTranspose | nn.Linear):
        return None
    found = of_arithmetic(op.x)
    if found is None or uses[op.x] != 1:
        return None
    x, constant, f = found
    axis = len(x.type.shape) - 1 if isinstance(op, nn.Linear) else 1
    folded = in_front(op, f) if f.along(axis) else None
    if folded is None:
        return None
    loc = op.x.loc.fuse(constant.loc, folded.loc)
    return dataclasses.replace(folded, x=x, loc=loc)


def scale_before_flatten(op: Op, uses: Mapping[Op, int]) -> Op | None:
    """linear(reshape(x * s + t)) => linear(reshape(x)): each channel is a block of the columns."""
    match op:
        case nn.Linear(x=nn.Reshape(x=scaled) as flat) if uses[flat] == uses[scaled] == 1:
            found = of_arithmetic(scaled)
        case _:
            return None
    columns = op.weight.type.shape[1]
    if found is None or flat.type.shape != (scaled.type.shape[0], columns):
        return None
    x, constant, f = found
    if not f.along(1):
        return None
    channels = x.type.shape[1]
    scale, shift = (np.repeat(v, columns // channels) for v in f.spread(channels))
    folded = in_front(op, Affine(scale, shift, 1))
    if folded is None:
        return None
    loc = scaled.loc.fuse(constant.loc, folded.loc)
    return dataclasses.replace(folded, x=dataclasses.replace(flat, x=x), loc=loc)


LAWS: Final = (
    scale_behind_layer,
    scale_behind_batch_norm,
    scale_before_batch_norm,
    scale_before_layer,
    scale_before_flatten,
)


@register
@dataclass(frozen=True)
class FoldScales(Pass):
    """Fold products, quotients, sums and differences with constants into weights and biases.

    One value for the whole tensor or one a channel. A shift in front of padding stays: the zeros
    around the data are not shifted. What stands between the two keeps its name and is scaled
    from then on.
    """

    name: ClassVar[str] = "fold-scales"
    needs: ClassVar[frozenset[str]] = frozenset({"nn"})
    keeps_values: ClassVar[bool] = False

    def run(self, graph: Graph, ctx: PassContext) -> Graph:
        """Return the graph with the scales in the layers."""
        return rewrite(graph, LAWS)
