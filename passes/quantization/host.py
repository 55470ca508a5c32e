"""What stands at the very end of a network and is left to the processor's core."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from ai8xc.dialects import nn
from ai8xc.ir.core import Graph, Op, make_graph
from ai8xc.ir.diag import Diagnostic
from ai8xc.passes.quantization.rules import HOST_TAIL

HOST_OPS: Final[dict[type[Op], str]] = {
    nn.Softmax: "softmax",
    nn.Sigmoid: "sigmoid",
    nn.Tanh: "tanh",
    nn.LeakyRelu: "leaky-relu",
}
"""Functions of one tensor that the core can compute, and how the graph's attribute names them."""


def without_host_tail(graph: Graph) -> tuple[Graph, list[Diagnostic]]:
    """Return the graph without the functions at its outputs, and a note for each.

    The attribute `host` of the result names, for each output, the functions left out, in the
    order of computation, joined by `+` ("" for none).
    """
    findings: list[Diagnostic] = []
    left_out: list[str] = []
    outputs: list[Op] = []
    for output in graph.outputs:
        names: list[str] = []
        current = output
        while True:
            current = _below(current, graph)
            if type(current) not in HOST_OPS or graph.uses.get(current, 1) != 1:
                break
            names.insert(0, HOST_OPS[type(current)])
            findings.append(HOST_TAIL.at(current, opcode=current.opcode))
            (current,) = current.operands
        outputs.append(current)
        left_out.append("+".join(names))
    if not findings:
        return graph, []
    ended = make_graph(graph.name, graph.level, _needed(graph, outputs), outputs, graph.attributes)
    named = ended.having(host=tuple(left_out), outputs=graph.output_names)
    return named, findings


def _below(op: Op, graph: Graph) -> Op:
    """Return a function of a reshaped tensor for a reshaped function: shapes do not matter to it.

    Exporters flatten the axes in front of a softmax and restore them behind it.
    """
    if not isinstance(op, nn.Reshape) or type(op.x) not in HOST_OPS:
        return op
    if graph.uses[op] != 1 or graph.uses[op.x] != 1 or _counts(op) != _counts(op.x):
        return op
    (x,) = op.x.operands
    return op.x.with_operands({x: replace(op, x=x)})


def _counts(op: Op) -> list[int]:
    return [size for size in op.type.shape if size != 1]


def _needed(graph: Graph, outputs: list[Op]) -> list[Op]:
    """Return the inputs, and the ops that the outputs read, in order."""
    needed = set(outputs) | set(graph.inputs)
    for op in reversed(graph.ops):
        if op in needed:
            needed.update(op.operands)
    return [op for op in graph.ops if op in needed]
