"""1-D networks as 2-D ones of one column, so that every later step knows one form only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar, Final

from ai8xc.dialects import q
from ai8xc.ir.core import Data, Graph, Input, Op, make_graph
from ai8xc.ir.passes import Pass, PassContext, fact, register
from ai8xc.passes.layers import rules


@fact("rank4")
def has_no_sequences(graph: Graph) -> bool:
    """No tensor but weights and reshaped outputs has three axes."""
    return not any(
        len(op.type.shape) == 3 for op in graph.ops if not isinstance(op, q.Constant | q.Reshape)
    )


@register
@dataclass(frozen=True)
class RaiseRank(Pass):
    """x : 1 x C x L => x : 1 x C x L x 1, for data, windows and weights alike.

    The shapes of inputs and outputs as the user has them become the attributes `input_shapes` and
    `output_shapes`: the values are the same, row-major.
    """

    name: ClassVar[str] = "raise-rank"
    needs: ClassVar[frozenset[str]] = frozenset({"q"})
    gives: ClassVar[frozenset[str]] = frozenset({"rank4"})

    def run(self, graph: Graph, ctx: PassContext) -> Graph:
        """Return the graph with four axes everywhere."""
        for x in graph.inputs:
            if not 2 <= len(x.type.shape) <= 4:
                why = f"it has {len(x.type.shape)} axes, a network reads samples x channels x sizes"
                ctx.report(rules.LAYOUT.at(x, opcode="input", why=why))
                return graph
        if graph.get("output_shapes") is None:
            graph = graph.having(
                input_shapes=tuple(op.type.shape for op in graph.inputs),
                output_shapes=tuple(op.type.shape for op in graph.outputs),
            )
        if has_no_sequences(graph):
            return graph
        new: dict[Op, Op] = {}
        for op in graph.ops:
            new[op] = _raised(op.with_operands(new), op)
        outputs = [new[op] for op in graph.outputs]
        return make_graph(graph.name, "q", new.values(), outputs, graph.attributes)


def _raised(op: Op, before: Op) -> Op:
    """Return the op on raised operands; `before` is the op on the operands as they were."""
    if isinstance(op, Input) and len(op.type.shape) == 3:
        return replace(op, value_type=op.type.with_shape((*op.type.shape, 1)))
    raise_op = _RAISE.get(type(op))
    if raise_op is None or len(before.operands[0].type.shape) != 3:
        if isinstance(op, q.Reshape) and len(op.shape) == 3:
            return replace(op, shape=(*op.shape, 1))
        return op
    return raise_op(op)


def _one(values: tuple[int, ...]) -> tuple[int, ...]:
    return (*values, 1) if values else ()


def _pads(values: tuple[int, ...]) -> tuple[int, ...]:
    return (values[0], 0, values[1], 0) if values else ()


def _weight(weight: Op) -> Op:
    if not isinstance(weight, q.Constant):
        return weight
    return replace(weight, value=Data(weight.value.array[..., None]))


def _convolution(op: Op) -> Op:
    assert isinstance(op, q.Conv)
    return replace(
        op,
        weight=_weight(op.weight),
        strides=_one(op.strides),
        pads=_pads(op.pads),
        dilations=_one(op.dilations),
    )


def _transposed(op: Op) -> Op:
    assert isinstance(op, q.ConvTranspose)
    return replace(
        op,
        weight=_weight(op.weight),
        strides=_one(op.strides),
        pads=_pads(op.pads),
        dilations=_one(op.dilations),
        output_padding=(*op.output_padding, 0) if op.output_padding else (),
    )


def _pool(op: Op) -> Op:
    assert isinstance(op, q.MaxPool | q.AveragePool)
    return replace(
        op,
        kernel=_one(op.kernel),
        strides=_one(op.strides),
        pads=_pads(op.pads),
        dilations=_one(op.dilations),
    )


def _reshape(op: Op) -> Op:
    assert isinstance(op, q.Reshape)
    return replace(op, shape=(*op.shape, 1)) if len(op.shape) == 3 else op


def _transpose(op: Op) -> Op:
    assert isinstance(op, q.Transpose)
    return replace(op, perm=(*op.perm, 3))


def _slice(op: Op) -> Op:
    assert isinstance(op, q.Slice)
    return replace(op, starts=(*op.starts, 0), ends=(*op.ends, 1), steps=(*op.steps, 1))


def _pad(op: Op) -> Op:
    assert isinstance(op, q.Pad)
    return replace(op, pads=(*op.pads[:3], 0, *op.pads[3:], 0))


def _resize(op: Op) -> Op:
    assert isinstance(op, q.Resize)
    return replace(op, scales=(*op.scales, 1))


_RAISE: Final[dict[type[Op], Callable[[Op], Op]]] = {
    q.Conv: _convolution,
    q.ConvTranspose: _transposed,
    q.MaxPool: _pool,
    q.AveragePool: _pool,
    q.Reshape: _reshape,
    q.Transpose: _transpose,
    q.Slice: _slice,
    q.Pad: _pad,
    q.Resize: _resize,
}
