"""Activations into the layers that feed them."""

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
from ai8xc.passes.laws.activations import absorbed, bounds
from ai8xc.passes.laws.constants import bypass


def clip_as_relu(op: Op, uses: Mapping[Op, int]) -> Op | None:
    """clip(x, 0, inf) => relu(x)."""
    if isinstance(op, nn.Clip) and (op.low, op.high) == (0.0, math.inf):
        return nn.Relu(op.x, name=op.name, loc=op.loc)
    return None


def leaky_relu_as_relu(op: Op, uses: Mapping[Op, int]) -> Op | None:
    """leaky_relu(x){alpha = 0} => relu(x)."""
    if isinstance(op, nn.LeakyRelu) and op.alpha == 0:
        return nn.Relu(op.x, name=op.name, loc=op.loc)
    return None


def clip_of_clip(op: Op, uses: Mapping[Op, int]) -> Op | None:
    """clip(clip(x, a, b), c, d) => clip(x, a limited to c..d, b limited to c..d).

    A relu is clip(x, 0, inf) here, so chains of both become one op.
    """
    if not isinstance(op, nn.Clip | nn.Relu) or not isinstance(op.x, nn.Clip | nn.Relu):
        return None
    (low, high), (first_low, first_high) = bounds(op), bounds(op.x)
    low, high = min(max(first_low, low), high), min(max(first_high, low), high)
    return nn.Clip(op.x.x, low, high, name=op.name, loc=op.x.loc.fuse(op.loc))


def relu_of_magnitude(op: Op, uses: Mapping[Op, int]) -> Op | None:
    """relu(abs(x)) => abs(x)."""
    match op:
        case nn.Relu(x=nn.Abs() as magnitude):
            return bypass(op, magnitude, uses)
    return None


def abs_of_positive(op: Op, uses: Mapping[Op, int]) -> Op | None:
    """abs(x) => x, where x is a relu, an abs or a clip from 0 or above."""
    match op:
        case nn.Abs(x=(nn.Relu() | nn.Clip()) as x) if bounds(x)[0] >= 0:
            return bypass(op, x, uses)
        case nn.Abs(x=nn.Abs() as x):
            return bypass(op, x, uses)
    return None


def activation_of_layer(op: Op, uses: Mapping[Op, int]) -> Op | None:
    """relu(conv(x)) => conv(x){activation = relu}; clip(conv(x), -b, b) => conv(x){limit = b}.

    Also for abs and clip(x, 0, b), for conv_transpose and linear, and past ops between the two
    that the activation commutes with.
    """
    if not isinstance(op, nn.Relu | nn.Abs | nn.Clip):
        return None
    new = absorbed(op.x, op, uses)
    return None if new is None else dataclasses.replace(new, name=op.name)


LAWS: Final = (
    clip_as_relu,
    leaky_relu_as_relu,
    clip_of_clip,
    relu_of_magnitude,
    abs_of_positive,
    activation_of_layer,
)


@register
@dataclass(frozen=True)
class FuseActivation(Pass):
    """Fold each activation into the layer that feeds it, when it has no other reader.

    What an activation passes on its way to the layer keeps its name and is activated from then on.
    """

    name: ClassVar[str] = "fuse-activation"
    needs: ClassVar[frozenset[str]] = frozenset({"nn"})
    keeps_values: ClassVar[bool] = False

    def run(self, graph: Graph, ctx: PassContext) -> Graph:
        """Return the graph with activations as fields of layers."""
        return rewrite(graph, LAWS)
