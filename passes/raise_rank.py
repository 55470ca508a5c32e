"""1-D networks as 2-D ones of one column, so that every later step knows one form only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Final

from ai8xc.dialects import q
from ai8xc.ir.core import Data, Graph, Input, Op, make_graph
from ai8xc.ir.passes import Pass, PassContext, fact, register
from ai8xc.passes.layers import rules

Ints = tuple[int, ...]
_Fields = dict[str, Callable[[Any], Any]]


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
    if isinstance(op, q.Reshape):
        return replace(op, shape=(*op.shape, 1)) if len(op.shape) == 3 else op
    if type(op) not in _RAISE or len(before.operands[0].type.shape) != 3:
        return op
    raised = {name: more(getattr(op, name)) for name, more in _RAISE[type(op)].items()}
    return replace(op, **raised)


def _another(value: int) -> Callable[[Ints], Ints]:
    """Return what gives a list a value for the new axis; what is empty stays the default."""
    return lambda values: (*values, value) if values else ()


def _pads(values: Ints) -> Ints:
    """Return begins, then ends, with those of the new axis, which is not padded."""
    half = len(values) // 2
    return (*values[:half], 0, *values[half:], 0) if values else ()


def _weight(weight: Op) -> Op:
    if not isinstance(weight, q.Constant):
        return weight
    return replace(weight, value=Data(weight.value.array[..., None]))


_WINDOW: Final[_Fields] = {"strides": _another(1), "pads": _pads, "dilations": _another(1)}

_RAISE: Final[dict[type[Op], _Fields]] = {
    q.Conv: {"weight": _weight, **_WINDOW},
    q.ConvTranspose: {"weight": _weight, **_WINDOW, "output_padding": _another(0)},
    q.MaxPool: {"kernel": _another(1), **_WINDOW},
    q.AveragePool: {"kernel": _another(1), **_WINDOW},
    q.Transpose: {"perm": _another(3)},
    q.Slice: {"starts": _another(0), "ends": _another(1), "steps": _another(1)},
    q.Pad: {"pads": _pads},
    q.Resize: {"scales": _another(1)},
}
"""How the fields of each op with a spatial axis get another one."""
