"""Models that are quantised already: their scales, and the float network that they stand for.

`nn.quantize` and `nn.dequantize` say which integers a tensor holds. Taken out of the graph they
leave the real network; what they say becomes a scale for the tensor, if the hardware has such
integers (8 bits, zero point 0), or a reason why it cannot be kept. Layers that a model computes
in 32-bit integers become layers of the real network, whose weights have a step of 1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from ai8xc.dialects import nn
from ai8xc.ir.core import Data, Graph, Input, Op, make_graph
from ai8xc.ir.diag import Diagnostic
from ai8xc.ir.types import INTEGER_RANGE, Array, TensorType, same_scale
from ai8xc.passes.quantization.layers import constant
from ai8xc.passes.quantization.rules import NO_INTEGER_FORM

_TELLING: Final = (nn.Quantize, nn.Dequantize, nn.Cast)
_CENTRE: Final[Mapping[str, int]] = {"i8": 0, "u8": 128}
"""Zero points that the hardware can do: unsigned data around 128 are signed data."""

_TOLERATED: Final = 1.05
"""How far a range may exceed 127 steps before a scale of twice the size is taken."""

_MOVES: Final = (
    nn.MaxPool | nn.Reshape | nn.Transpose | nn.Slice | nn.Concat | nn.Resize | nn.Identity
)


@dataclass(frozen=True)
class Given:
    """What a model says about its integers, by name of the tensor.

    `scales` are those of integers that the hardware has. For others `reasons` says why it has not,
    and `ranges` has a scale that holds their range, a power of two times the model's.
    """

    scales: Mapping[str, float] = field(default_factory=dict)
    reasons: Mapping[str, str] = field(default_factory=dict)
    ranges: Mapping[str, float] = field(default_factory=dict)

    @property
    def pins(self) -> dict[str, float]:
        """The scales that tensors should have, by name."""
        return {**self.ranges, **self.scales}

    @property
    def is_quantized(self) -> bool:
        """Whether the model says anything."""
        return bool(self.scales or self.reasons)


def without_qdq(graph: Graph) -> tuple[Graph, Given, list[Diagnostic]]:
    """Return the real network of a quantised one, what it says of its integers, what is wrong."""
    if not any(isinstance(op, _TELLING) for op in graph.ops):
        return graph, Given(), []
    absorbed = _Absorption()
    for op in graph.ops:
        absorbed.visit(op)
    outputs = [absorbed.true(output) for output in graph.outputs]
    named = graph.having(outputs=graph.output_names)
    inputs = [absorbed.new[source] for source in graph.inputs]
    real = make_graph(graph.name, graph.level, [*inputs, *outputs], outputs, named.attributes)
    return real, absorbed.given, absorbed.findings


@dataclass
class _Absorption:
    """One sweep; `new` maps each op to the op of the real network that stands for it.

    `units` has the ops that are integers: the real value of 1, and what stands for real 0. A real
    tensor that was converted from integers may still lack a factor: `factors` has it.
    """

    new: dict[Op, Op] = field(default_factory=dict)
    scales: dict[str, float] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    ranges: dict[str, float] = field(default_factory=dict)
    units: dict[Op, tuple[float, int]] = field(default_factory=dict)
    factors: dict[Op, float] = field(default_factory=dict)
    findings: list[Diagnostic] = field(default_factory=list)

    @property
    def given(self) -> Given:
        """What was found."""
        return Given(self.scales, self.reasons, self.ranges)

    def visit(self, op: Op) -> None:
        fixed = all(isinstance(x, nn.Constant) for x in op.operands[1:])
        match op:
            case nn.Quantize() if fixed:
                self.quantized(op)
            case nn.Dequantize() if fixed:
                self.new[op] = self.dequantized(op)
            case nn.Cast() | nn.Sub() | nn.Mul() | nn.Conv() if fixed and self.integer(op):
                pass
            case _:
                self.other(op)

    def other(self, op: Op) -> None:
        """Take in any other op: it may move integers, but not compute with them."""
        self.new[op] = op.with_operands({x: self.true(x) for x in op.operands})
        integers = [self.units[x] for x in op.operands if x in self.units]
        if not integers:
            return
        self.units[op] = integers[0]
        if not isinstance(op, _MOVES) or len(set(integers)) > 1:
            note = (
                "in integers, only convolutions by constants of 8 bits and zero point 0 are known"
            )
            self.findings.append(NO_INTEGER_FORM.at(op, opcode=op.opcode, notes=[note]))

    def true(self, op: Op) -> Op:
        """Return the real op for an op, with the factor that it lacks."""
        factor = self.factors.get(op, 1.0)
        if same_scale(factor, 1.0):
            return self.new[op]
        number = nn.Constant(Data(np.array(factor, np.float32)), name=f"{op.name}_factor")
        return nn.Mul(self.new[op], number, name=op.name, loc=op.loc)

    def quantized(self, op: nn.Quantize) -> None:
        """Take in a conversion to integers; where they start at real 0, it also rectifies."""
        real = self.true(op.x)
        zero = _zero_point(op)
        if (zero == INTEGER_RANGE[op.to][0]).all() and not _is_positive(real):
            real = nn.Relu(real, name=f"{real.name}_relu", loc=op.loc)
        self.new[op] = real
        self.remember(real.name, op, op.to)
        scale = constant(op.scale)
        if scale.size == zero.size == 1:
            self.units[op] = (float(scale.flat[0]), int(zero.flat[0]))

    def integer(self, op: Op) -> bool:
        """Take in an op on integers; False where it is none, or not understood."""
        source, *more = op.operands
        if isinstance(source, Input) and isinstance(op, nn.Cast) and not source.type.is_float:
            self.integer_input(source)
        if isinstance(op, nn.Mul):
            return self.multiplied(op)
        unit, zero = self.units.get(source, (0.0, 0))
        if not unit:
            return False
        if isinstance(op, nn.Conv):
            return not zero and not op.bias and self.convolved(op, unit)
        if isinstance(op, nn.Sub):
            if (constant(more[0]) != zero).any():
                return False
            zero = 0
        self.new[op] = self.new[source]
        if op.type.is_float:
            self.factors[op] = 1 / unit
            return zero == 0
        self.units[op] = (unit, zero)
        return True

    def integer_input(self, source: Input) -> None:
        """Make an input of 8-bit integers one of real numbers in steps of 1."""
        if source.type.element not in ("i8", "u8") or source in self.units:
            return
        self.new[source] = replace(source, value_type=TensorType(source.type.shape, "f32"))
        self.scales[source.name] = 1.0
        self.units[source] = (1.0, _CENTRE[source.type.element])

    def convolved(self, op: nn.Conv, unit: float) -> bool:
        """Take in a convolution of integers by weights that fit into 8 bits."""
        weight = op.weight
        if not isinstance(weight, nn.Constant) or np.abs(weight.value.array).max() > 127:
            return False
        real = replace(weight, value=Data(weight.value.array.astype(np.float32)))
        self.new[op] = replace(op, x=self.new[op.x], weight=real)
        self.scales[real.name] = 1.0
        self.units[op] = (unit, 0)
        return True

    def multiplied(self, op: nn.Mul) -> bool:
        """Take in the factor that makes real numbers of a convolution's integers."""
        layer, factor = self.new[op.a], self.factors.get(op.a, 1.0)
        number = constant(op.b)
        if op.a not in self.factors or number.size != 1 or not isinstance(layer, nn.Conv):
            return False
        step = factor * float(number.flat[0])
        weight = constant(layer.weight) * np.float32(step)
        scaled = replace(layer.weight, value=Data(weight))  # type: ignore[call-arg] # a constant
        self.new[op] = replace(layer, weight=scaled, name=op.name, loc=layer.loc.fuse(op.loc))
        self.scales[scaled.name] = step
        return step > 0

    def dequantized(self, op: nn.Dequantize) -> Op:
        element = op.x.type.element
        if isinstance(op.x, nn.Constant):
            value = op.compute(*(constant(x) for x in op.operands))
            real = nn.Constant(Data(value), name=op.x.name, loc=op.x.loc)
            if element in _CENTRE:
                self.remember(real.name, op, element)
            return real
        source = self.new[op.x]
        if isinstance(source, Input) and not source.type.is_float:
            source = replace(source, value_type=TensorType(source.type.shape, "f32"))
            self.new[op.x] = source
            self.remember(source.name, op, element)
            return source
        unit, zero = self.units.get(op.x, (0.0, 0))
        if unit and constant(op.scale).size == 1:
            self.factors[op] = float(constant(op.scale).flat[0]) / unit
        if unit and (_zero_point(op) != zero).any():
            note = f"the tensor was quantised with zero point {zero}"
            self.findings.append(NO_INTEGER_FORM.at(op, opcode=op.opcode, notes=[note]))
        return source

    def remember(self, name: str, op: nn.Quantize | nn.Dequantize, element: str) -> None:
        """Keep the scale of a tensor, or why it is of no use; the first one counts."""
        if name in self.scales or name in self.reasons:
            return
        steps = constant(op.scale).astype(np.float64)
        why = _unusable(steps, _zero_point(op), element)
        if why:
            self.reasons[name] = why
            if element in _CENTRE and steps.size == 1:
                self.ranges[name] = _holding(float(steps.flat[0]), _zero_point(op), element)
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
    if element not in _CENTRE:
        return f"its integers are {element}"
    if (zero != _CENTRE[element]).any():
        return f"its zero point is {int(zero.flat[0])} of {element}"
    return ""


def _holding(step: float, zero: Array, element: str) -> float:
    """Return the smallest scale, a power of two times `step`, whose 127 steps hold the range."""
    low, high = INTEGER_RANGE[element]
    reach = max(high - int(zero.flat[0]), int(zero.flat[0]) - low)
    return float(step * 2.0 ** max(0, math.ceil(math.log2(reach / (_TOLERATED * 127)))))


def _is_positive(op: Op) -> bool:
    """Whether an op is known to have no negative values."""
    while isinstance(op, _MOVES | nn.AveragePool) and not isinstance(op, nn.Concat):
        op = op.operands[0]
    if isinstance(op, nn.Conv | nn.ConvTranspose | nn.Linear):
        return op.activation != "none"
    return isinstance(op, nn.Relu | nn.Abs) or (isinstance(op, nn.Clip) and op.low >= 0)
