"""The integer network without its numbers: what layers there are, not what they compute.

Checking a model needs the shapes, widths and operators of its integer layers. Weights of ones in
one scale for all tensors stand for those that quantisation would find, so that a large network is
looked at in no time. What has no integer form becomes an input of the same shape.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from ai8xc.dialects import nn
from ai8xc.ir.core import Graph, Input, Op, make_graph
from ai8xc.ir.diag import Diagnostic
from ai8xc.ir.types import TensorType
from ai8xc.passes.quantization.groups import groups
from ai8xc.passes.quantization.host import without_host_tail
from ai8xc.passes.quantization.integers import Evidence, Integers, Steps
from ai8xc.passes.quantization.layers import WEIGHTED, Weighted
from ai8xc.passes.quantization.lower import Lowering
from ai8xc.passes.quantization.qdq import without_qdq
from ai8xc.passes.quantization.scales import Scales, WeightScale
from ai8xc.passes.quantization.support import unsupported

STEP: Final = 1 / 128
"""The scale of everything."""

_BASE: Final = 100
"""Two weights of up to so much tell the layers apart."""


def outline(graph: Graph, bits: int = 8, *, wide: bool = True) -> tuple[Graph, list[Diagnostic]]:
    """Return the integer graph with weights of ones, and all that has no integer form."""
    graph, _, odd = without_qdq(graph)
    graph, notes = without_host_tail(graph)
    said = {finding.subject for finding in odd}
    findings = [*odd, *(x for x in unsupported(graph) if x.subject not in said)]
    graph = _cut(graph, {finding.subject for finding in findings})
    layers = [op for op in graph.ops if isinstance(op, WEIGHTED)]
    narrow = [op for group in groups(graph, {}, wide=wide) for op in group.members]
    scales = Scales(dict.fromkeys(narrow, STEP))
    for op in layers:
        scales.weights[op] = WeightScale(STEP, 0 if op in scales.tensors else None)
    rounding = _Numbered(layers)
    lowering = Lowering(scales, dict.fromkeys(layers, bits), rounding, average_rounding=False)
    outputs = lowering.run(graph)
    inputs = [lowering.new[source] for source in graph.inputs]
    named = graph.having(outputs=graph.output_names)
    made = make_graph(graph.name, "q", [*inputs, *outputs], outputs, named.attributes)
    return made, [*notes, *findings]


class _Numbered:
    """Weights of ones but for a number: equal ones are those of layers that share theirs."""

    def __init__(self, layers: list[Weighted]) -> None:
        shared = {layer.weight: None for layer in layers}
        self.numbers = {weight: number for number, weight in enumerate(shared)}

    def __call__(self, layer: Weighted, steps: Steps, seen: Evidence | None) -> Integers:
        """Return the weights of a layer, and biases of ones where it has some."""
        weight = np.ones(layer.weight.type.shape, np.int8)
        digits = np.unravel_index(self.numbers[layer.weight], (_BASE,) * 2)
        weight.reshape(-1)[:2] = np.array(digits[: weight.size]) + 1
        bias = np.zeros(layer.type.shape[1], np.int8)
        if isinstance(layer.bias, nn.Constant) and layer.bias.value.array.any():
            bias += 1
        return Integers(weight, bias, 0)


def _cut(graph: Graph, wrong: set[Op | None]) -> Graph:
    """Return the graph with inputs in the place of ops that cannot be lowered."""
    new: dict[Op, Op] = {}
    for op in graph.ops:
        if op not in wrong:
            new[op] = op.with_operands(new)
        elif not isinstance(op, nn.Constant):
            kind = TensorType(op.type.shape, "f32")
            new[op] = Input(kind, name=op.name, loc=op.loc)
        else:
            new[op] = op
    ends = {*graph.outputs, *(x for op in graph.ops if op in wrong for x in op.operands)}
    outputs = [new[op] for op in graph.ops if op in ends and not isinstance(op, nn.Constant)]
    kept = [new[op] for op in graph.inputs]
    made = make_graph(graph.name, graph.level, [*kept, *outputs], outputs, graph.attributes)
    return _without_constants(made)


def _without_constants(graph: Graph) -> Graph:
    """Return the graph with inputs for constants that are data: what reads them was refused."""
    new: dict[Op, Op] = {}
    for op in graph.ops:
        if isinstance(op, nn.Constant):
            continue
        current = op.with_operands(new)
        if not isinstance(op, WEIGHTED):
            for operand in current.operands:
                if isinstance(operand, nn.Constant):
                    kind = TensorType(operand.type.shape, "f32")
                    made = Input(kind, name=operand.name, loc=operand.loc)
                    current = current.with_operands({operand: made})
        new[op] = current
    outputs = [new[op] for op in graph.outputs if op in new]
    return make_graph(graph.name, graph.level, outputs, outputs, graph.attributes)
