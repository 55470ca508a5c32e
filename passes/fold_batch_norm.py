"""Batch norms into the layers around them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ai8xc.dialects import nn
from ai8xc.ir.core import Graph, Op
from ai8xc.ir.diag import declare
from ai8xc.ir.passes import Pass, PassContext, fact, register
from ai8xc.ir.rewrite import rewrite
from ai8xc.passes.laws.affine import Affine, behind, in_front, of_batch_norm
from ai8xc.passes.laws.constants import in_place_of
from ai8xc.passes.laws.depthwise import depthwise

NOT_CONSTANT = declare(
    "NN101",
    "the batch norm `%{name}` has parameters that are not finite constants",
    """A batch norm is folded into the weights of a layer. Its scale, bias, mean and variance must
    be constants of the model without NaN or infinity, its variances not negative.""",
)

fact("folded")(lambda graph: not any(isinstance(op, nn.BatchNorm) for op in graph.ops))


def batch_norm_behind_layer(op: Op, uses: Mapping[Op, int]) -> Op | None:
    """bn(conv(x, w, b)) => conv(x, s w, s b + t), also for conv_transpose, linear, past pools."""
    if not isinstance(op, nn.BatchNorm):
        return None
    f = of_batch_norm(op)
    layer = None if f is None else behind(op.x, f, uses)
    return None if layer is None else in_place_of(op, layer)


def batch_norm_before_layer(op: Op, uses: Mapping[Op, int]) -> Op | None:
    """conv(bn(x), w, b) => conv(x, w s, b + w t): without padding, or where t is zero."""
    match op:
        case (nn.Conv() | nn.ConvTranspose()) as layer if isinstance(layer.x, nn.BatchNorm):
            norm = layer.x
        case nn.Linear(x=nn.BatchNorm() as norm) as layer if len(norm.type.shape) == 2:
            pass
        case _:
            return None
    f = of_batch_norm(norm)
    folded = in_front(layer, f) if f is not None and uses[norm] == 1 else None
    if folded is None:
        return None
    return dataclasses.replace(folded, x=norm.x, loc=norm.loc.fuse(folded.loc))


def batch_norm_before_flatten(op: Op, uses: Mapping[Op, int]) -> Op | None:
    """linear(reshape(bn(x))) => linear(reshape(x)): each channel is a block of the columns."""
    match op:
        case nn.Linear(x=nn.Reshape(x=nn.BatchNorm() as norm) as flat) as layer:
            pass
        case _:
            return None
    n, channels, *_ = norm.type.shape
    f = of_batch_norm(norm)
    if f is None or uses[norm] != 1 or uses[flat] != 1:
        return None
    columns = layer.weight.type.shape[1]
    if flat.type.shape != (n, columns):
        return None
    scale, shift = (np.repeat(v, columns // channels) for v in f.spread(channels))
    folded = in_front(layer, Affine(scale, shift, 1))
    if folded is None:
        return None
    loc = norm.loc.fuse(folded.loc)
    return dataclasses.replace(folded, x=dataclasses.replace(flat, x=norm.x), loc=loc)


def batch_norm_alone(op: Op, uses: Mapping[Op, int]) -> Op | None:
    """bn(x) => conv(x){groups = channels} with a 1x1 kernel: the layer that is left to do it."""
    if not isinstance(op, nn.BatchNorm):
        return None
    f = of_batch_norm(op)
    return None if f is None else depthwise(op, op.x, f)


@register
@dataclass(frozen=True)
class FoldBatchNorm(Pass):
    """Fold each batch norm into the layer behind or in front of it, or make it a layer.

    What stands between the two keeps its name and is scaled from then on.
    """

    name: ClassVar[str] = "fold-batch-norm"
    needs: ClassVar[frozenset[str]] = frozenset({"nn"})
    gives: ClassVar[frozenset[str]] = frozenset({"folded"})
    keeps_values: ClassVar[bool] = False

    def run(self, graph: Graph, ctx: PassContext) -> Graph:
        """Return the graph without batch norms; reports those that cannot be folded."""
        laws = (batch_norm_behind_layer, batch_norm_before_layer, batch_norm_before_flatten)
        graph = rewrite(rewrite(graph, laws), (batch_norm_alone,))
        for op in graph.ops:
            if isinstance(op, nn.BatchNorm):
                ctx.report(NOT_CONSTANT.at(op, name=op.name))
        return graph
