"""Activations into the layers in front of them; a layer that copies where there is none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from ai8xc.dialects import q
from ai8xc.ir.core import Graph, Op
from ai8xc.ir.passes import Pass, PassContext, fact, register
from ai8xc.ir.rewrite import rewrite
from ai8xc.numerics import Activation
from ai8xc.passes.identity import OUTPUT_SHIFT, identity_weight, q_constant, q_identity

Weighted = q.Conv | q.ConvTranspose | q.Linear


@fact("activated")
def has_no_activation_ops(graph: Graph) -> bool:
    """Every activation is that of a layer."""
    return not any(isinstance(op, q.Relu | q.Abs) for op in graph.ops)


def activation_of_layer(op: Op, uses: Mapping[Op, int]) -> Op | None:
    """relu(layer(x)) => layer(x){relu}, where nobody else reads the layer; likewise abs."""
    match op:
        case q.Relu() | q.Abs():
            layer = op.x
        case _:
            return None
    if not isinstance(layer, Weighted) or uses[layer] != 1 or layer.wide:
        return None
    if layer.activation != "none":
        return None
    return replace(layer, activation=_kind(op), name=op.name, loc=op.loc.fuse(layer.loc))


def activation_of_non_negative(op: Op, uses: Mapping[Op, int]) -> Op | None:
    """relu(layer(x){relu}) => layer(x){relu}, and any other activation behind one."""
    if isinstance(op, q.Relu | q.Abs) and non_negative(op.x):
        return op.x
    return None


def relu_of_max_pool(op: Op, uses: Mapping[Op, int]) -> Op | None:
    """relu(max_pool(x)) => max_pool(relu(x)): both are monotone."""
    match op:
        case q.Relu(x=q.MaxPool() as pool) if uses[pool] == 1:
            inner = q.Relu(pool.x, name=f"{op.name}_in", loc=op.loc)
            return replace(pool, x=inner, name=op.name, loc=op.loc.fuse(pool.loc))
        case _:
            return None


def activation_of_reshape(op: Op, uses: Mapping[Op, int]) -> Op | None:
    """relu(reshape(x)) => reshape(relu(x)); likewise abs."""
    if isinstance(op, q.Relu | q.Abs) and isinstance(op.x, q.Reshape) and uses[op.x] == 1:
        inner = replace(op, x=op.x.x, name=f"{op.name}_in")
        return replace(op.x, x=inner, name=op.name, loc=op.loc.fuse(op.x.loc))
    return None


def activation_alone(op: Op, uses: Mapping[Op, int]) -> Op | None:
    """relu(x) => copy(x){relu}: identity weights with an activation; likewise abs."""
    if not isinstance(op, q.Relu | q.Abs):
        return None
    shape = op.type.shape
    if len(shape) == 4:
        copy = q_identity(op.x, activation=_kind(op))
        return replace(copy, name=op.name, loc=op.loc)
    if len(shape) == 2:
        weight = q_constant(identity_weight(shape[1], (), ()))
        return q.Linear(
            op.x,
            weight,
            output_shift=OUTPUT_SHIFT,
            activation=_kind(op),
            name=op.name,
            loc=op.loc,
        )
    return None


def _kind(op: q.Relu | q.Abs) -> Activation:
    return "relu" if isinstance(op, q.Relu) else "abs"


def non_negative(op: Op) -> bool:
    """Whether no value of this op is below 0 (abs gives 127 for -128)."""
    match op:
        case q.Conv() | q.ConvTranspose() | q.Linear():
            return op.activation != "none"
        case q.Relu() | q.Abs():
            return True
        case q.MaxPool() | q.AveragePool() | q.Reshape() | q.Slice() | q.Pad() | q.Resize():
            return non_negative(op.x)
        case q.Concat() | q.Add() | q.BitwiseOr() | q.BitwiseXor():
            return all(non_negative(x) for x in op.xs)
        case _:
            return False


@register
@dataclass(frozen=True)
class AbsorbActivation(Pass):
    """Make each activation the last step of a layer; see the laws."""

    name: ClassVar[str] = "absorb-activation"
    needs: ClassVar[frozenset[str]] = frozenset({"q", "rank4"})
    gives: ClassVar[frozenset[str]] = frozenset({"activated"})

    def run(self, graph: Graph, ctx: PassContext) -> Graph:
        """Return the graph without activation ops."""
        laws = (
            activation_of_non_negative,
            activation_of_layer,
            relu_of_max_pool,
            activation_of_reshape,
        )
        return rewrite(rewrite(graph, laws), (activation_alone,))
