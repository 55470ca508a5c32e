"""Models that are quantised already: their scales, and the float network that they stand for.

`nn.quantize` and `nn.dequantize` say which integers a tensor holds. Taken out of the graph they
leave the real network; what they say becomes a scale for the tensor, if the hardware has such
integers (8 bits, zero point 0), or a reason why it cannot be kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from ai8xc.dialects import nn
from ai8xc.ir.core import Data, Graph, Input, Op, make_graph
from ai8xc.ir.types import Array, TensorType, same_scale
from ai8xc.passes.quantization.layers import constant


@dataclass(frozen=True)
class Given:
    """What a model says about its integers, by name of the tensor: scales, or why not."""

    scales: Mapping[str, float] = field(default_factory=dict)
    reasons: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_quantized(self) -> bool:
        """Whether the model says anything."""
        return bool(self.scales or self.reasons)


def without_qdq(graph: Graph) -> tuple[Graph, Given]:
    """Return the real network of a quantised one and what is known of its integers."""
    if not any(isinstance(op, nn.Quantize | nn.Dequantize) for op in graph.ops):
        return graph, Given()
    absorbed = _Absorption()
    for op in graph.ops:
        absorbed.visit(op)
    new = absorbed.new
    outputs = [new[output] for output in graph.outputs]
    named = graph.having(outputs=graph.output_names)
    inputs = [new[source] for source in graph.inputs]
    real = make_graph(graph.name, graph.level, [*inputs, *outputs], outputs, named.attributes)
    return real, Given(absorbed.scales, absorbed.reasons)


@dataclass
class _Absorption:
    """One sweep; `new` maps each op to the op of the real network that stands for it."""

    new: dict[Op, Op] = field(default_factory=dict)
    scales: dict[str, float] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)

    def visit(self, op: Op) -> None:
        parameters = op.operands[1:]
        fixed = all(isinstance(x, nn.Constant) for x in parameters)
        if isinstance(op, nn.Quantize) and fixed:
            self.new[op] = self.new[op.x]
            self.remember(self.new[op].name, op, op.to)
        elif isinstance(op, nn.Dequantize) and fixed:
            self.new[op] = self.dequantized(op)
        else:
            self.new[op] = op.with_operands(self.new)

    def dequantized(self, op: nn.Dequantize) -> Op:
        element = op.x.type.element
        if isinstance(op.x, nn.Constant):
            value = op.compute(*(constant(x) for x in op.operands))
            real = nn.Constant(Data(value), name=op.x.name, loc=op.x.loc)
            if element in ("i8", "u8"):
                self.remember(real.name, op, element)
            return real
        source = self.new[op.x]
        if isinstance(source, Input) and not source.type.is_float:
            source = replace(source, value_type=TensorType(source.type.shape, "f32"))
            self.new[op.x] = source
            self.remember(source.name, op, element)
        return source

    def remember(self, name: str, op: nn.Quantize | nn.Dequantize, element: str) -> None:
        """Keep the scale of a tensor, or why it is of no use; the first one counts."""
        if name in self.scales or name in self.reasons:
            return
        steps = constant(op.scale).astype(np.float64)
        why = _unusable(steps, _zero_point(op), element)
        if why:
            self.reasons[name] = why
        else:
            self.scales[name] = float(steps.flat[0])


def _zero_point(op: nn.Quantize | nn.Dequantize) -> Array:
    if op.zero_point is None:
        return np.zeros(1, np.int64)
    return constant(op.zero_point).astype(np.int64)


def _unusable(steps: Array, zero: Array, element: str) -> str:
    """Return why the hardware cannot hold such integers; nothing where it can."""
    if not all(same_scale(float(steps.flat[0]), float(step)) for step in steps.flat):
        return "it has a scale for each channel"
    if element not in ("i8", "u8"):
        return f"its integers are {element}"
    centre = 128 if element == "u8" else 0  # unsigned data around 128 are signed data
    if (zero != centre).any():
        return f"its zero point is {int(zero.flat[0])} of {element}"
    return ""
