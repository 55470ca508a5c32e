"""The interpreter: the value of every op of a graph for given inputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ai8xc.ir.core import Graph, Input, Op
from ai8xc.ir.types import Array


def values(
    graph: Graph, inputs: Mapping[str, Array], forced: Mapping[str, Array] | None = None
) -> Iterator[tuple[Op, Array]]:
    """Yield each op with its value, in order, forgetting values that have no reader left.

    `inputs` are the values of the graph's inputs by name. The first dimension of every tensor is
    the batch: a graph whose tensors have batch 1 can be fed any number of samples at once.
    Floating point operations are done in the element type of the op, integers exactly. Ops named
    in `forced` have that value instead of their own.
    """
    known: dict[Op, Array] = {}
    pending = dict(graph.uses)
    for op in graph.ops:
        if isinstance(op, Input):
            value = inputs[op.name]
        elif forced and op.name in forced:
            value = forced[op.name]
        else:
            value = op.compute(*(known[operand] for operand in op.operands))
        known[op] = value
        yield op, value
        for operand in op.operands:
            pending[operand] -= 1
            if not pending[operand]:
                known.pop(operand, None)


def run(graph: Graph, inputs: Mapping[str, Array]) -> tuple[Array, ...]:
    """Return the values of the graph's outputs for these inputs."""
    results = {op: value for op, value in values(graph, inputs) if op in graph.outputs}
    return tuple(results[output] for output in graph.outputs)
