"""From float ops to integer ops, the scales being known."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ai8xc.dialects import nn, q
from ai8xc.ir.core import Data, Graph, Input, Op
from ai8xc.ir.diag import Diagnostic
from ai8xc.ir.types import INTEGER_RANGE, TensorType
from ai8xc.numerics import BIAS_UNIT
from ai8xc.passes.quantization.error import ELEMENT_OF_BITS
from ai8xc.passes.quantization.integers import Evidence, Integers, Steps, nearest
from ai8xc.passes.quantization.layers import WEIGHTED, Weighted
from ai8xc.passes.quantization.rules import BIAS_CLAMPED
from ai8xc.passes.quantization.scales import Scales
from ai8xc.passes.quantization.simulation import Simulation

Rounding = Callable[[Weighted, Steps, Evidence | None], Integers]
"""How real weights and biases become integers."""


@dataclass
class Lowering:
    """One graph on its way to integers; `findings` are what is worth saying about it.

    `simulation` follows both graphs on real samples, where there are some.
    """

    scales: Scales
    bits: Mapping[Op, int]
    rounding: Rounding
    average_rounding: bool
    simulation: Simulation | None = None
    new: dict[Op, Op] = field(default_factory=dict)
    findings: list[Diagnostic] = field(default_factory=list)

    def run(self, graph: Graph) -> list[Op]:
        """Return the integer op for each output."""
        for op in graph.ops:
            if isinstance(op, nn.Constant):
                continue
            self.new[op] = self.lower(op)
            if self.simulation is not None:
                alias = bool(op.operands) and self.new[op] is self.new.get(op.operands[0])
                self.simulation.advance(op, self.new[op], alias=alias)
        return [self.new[output] for output in graph.outputs]

    def lower(self, op: Op) -> Op:
        """Return the integer op for a float op whose operands have theirs."""
        if isinstance(op, Input):
            kind = TensorType(op.type.shape, "i8", self.scales.tensors[op])
            return replace(op, value_type=kind)
        if isinstance(op, WEIGHTED):
            return self.weighted(op)
        operands = [self.new[operand] for operand in op.operands]
        made = _plain(op, operands, rounding=self.average_rounding)
        return replace(made, name=op.name, loc=op.loc) if made is not operands[0] else made

    def weighted(self, op: Weighted) -> Op:
        """Return the integer layer for a float layer with weights."""
        scale = self.scales.weights[op]
        step, shift = scale.step, scale.shift
        bits, x = self.bits[op], self.scales.tensors[op.x]
        element = ELEMENT_OF_BITS[bits]
        steps = Steps(x, step, INTEGER_RANGE[element])
        seen = self.simulation.evidence(op.x) if self.simulation is not None else None
        found = nearest(op, steps) if scale.kept else self.rounding(op, steps, seen)
        if found.clamped:
            total = len(found.bias)
            finding = BIAS_CLAMPED.at(op, count=found.clamped, total=total, name=op.name)
            self.findings.append(finding)
        bias = None
        if found.bias.any():
            name = op.bias.name if op.bias is not None else f"{op.name}_bias"
            unit = BIAS_UNIT * steps.accumulator
            bias = q.Constant(Data(found.bias), "i8", unit, name=name, loc=op.loc)
        weight = q.Constant(
            Data(found.weight), element, step, name=op.weight.name, loc=op.weight.loc
        )
        # total shift = output shift + 8 - weight bits
        output_shift = 0 if shift is None else shift - 8 + bits
        made = _layer(op, self.new[op.x], weight, bias)
        return replace(
            made,
            output_shift=output_shift,
            activation=op.activation,
            wide=shift is None,
            name=op.name,
            loc=op.loc,
        )


def _layer(op: Weighted, x: Op, weight: Op, bias: Op | None) -> q.Conv | q.ConvTranspose | q.Linear:
    if isinstance(op, nn.Linear):
        return q.Linear(x, weight, bias)
    if isinstance(op, nn.Conv):
        return q.Conv(x, weight, bias, op.strides, op.pads, op.dilations, op.groups)
    return q.ConvTranspose(
        x, weight, bias, op.strides, op.pads, op.dilations, op.output_padding, op.groups
    )


def _plain(op: Op, operands: Sequence[Op], *, rounding: bool) -> Op:
    """Return the integer op for an op without weights; an operand where nothing is left to do."""
    match op:
        case nn.MaxPool():
            pads = op.full_pads() if op.ceil_mode else op.pads
            return q.MaxPool(operands[0], op.kernel, op.strides, pads, op.dilations)
        case nn.AveragePool():
            geometry = (op.kernel, op.strides, op.pads, op.dilations)
            return q.AveragePool(operands[0], *geometry, rounding)
        case nn.Relu():
            return q.Relu(operands[0])
        case nn.Clip():  # an upper limit is in the scale
            return q.Relu(operands[0]) if op.low == 0 else operands[0]
        case nn.Abs():
            return q.Abs(operands[0])
        case nn.Identity() | nn.Cast():
            return operands[0]
        case _:
            return _layout(op, operands)


def _layout(op: Op, operands: Sequence[Op]) -> Op:
    match op:
        case nn.Reshape():
            return q.Reshape(operands[0], op.shape)
        case nn.Transpose():
            return q.Transpose(operands[0], op.perm)
        case nn.Slice():
            return q.Slice(operands[0], op.starts, op.ends, op.steps)
        case nn.Pad():
            return q.Pad(operands[0], op.pads)
        case nn.Resize():
            return q.Resize(operands[0], op.scales)
        case nn.Concat():
            return q.Concat(tuple(operands), op.axis)
        case _:
            return _eltwise(op, operands)


def _eltwise(op: Op, operands: Sequence[Op]) -> Op:
    made: dict[type[Op], type[q.Add | q.Sub | q.BitwiseOr | q.BitwiseXor]] = {
        nn.Add: q.Add,
        nn.Sub: q.Sub,
        nn.BitwiseOr: q.BitwiseOr,
        nn.BitwiseXor: q.BitwiseXor,
    }
    return made[type(op)](tuple(operands))
