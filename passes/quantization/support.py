"""Which float ops have an integer form: everything that stands against it, at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Final

import numpy as np

from ai8xc.dialects import nn
from ai8xc.ir.core import Graph, Input, Op
from ai8xc.ir.diag import Diagnostic
from ai8xc.passes.quantization.layers import WEIGHTED
from ai8xc.passes.quantization.rules import (
    BAD_OPERANDS,
    NO_INTEGER_FORM,
    NOT_CONSTANT,
    NOT_FINITE,
)

Check = Callable[[Op], Iterator[Diagnostic]]

HELP: Final[dict[type[Op], str]] = {
    nn.LeakyRelu: "use a ReLU, and train the network with it",
    nn.Sigmoid: "use a clip (a hard sigmoid), or leave it out behind the last layer",
    nn.Tanh: "use a clip to -1..1 (a hard tanh), and train the network with it",
    nn.Softmax: "a softmax can only stand at the end of the network",
    nn.Mul: "only multiplication by constants is possible, folded into a layer's weights",
    nn.Div: "only division by constants is possible, folded into a layer's weights",
    nn.MatMul: "only multiplication by constant matrices is possible",
    nn.Gemm: "run `normalize-linear` first; only constant matrices are possible",
    nn.BatchNorm: "run `fold-batch-norm` first; it needs a layer with weights beside it",
    nn.GlobalAveragePool: "run the passes of the float level first",
    nn.GlobalMaxPool: "run the passes of the float level first",
    nn.ReduceMean: "only means over all spatial axes are possible",
    nn.Quantize: "quantised tensors have scales that are constants",
    nn.Dequantize: "quantised tensors have scales that are constants",
}


def unsupported(graph: Graph) -> list[Diagnostic]:
    """Return a finding for each op that cannot be lowered."""
    findings: list[Diagnostic] = []
    for op in graph.ops:
        check = _CHECKS.get(type(op), _no_form)
        findings.extend(check(op))
    for output in graph.outputs:
        if isinstance(output, nn.Constant):
            note = "it is an output of the network, which no layer computes"
            findings.append(NO_INTEGER_FORM.at(output, opcode=output.opcode, notes=[note]))
    return findings


def _no_form(op: Op) -> Iterator[Diagnostic]:
    yield NO_INTEGER_FORM.at(op, opcode=op.opcode, help=HELP.get(type(op)))


def _nothing(op: Op) -> Iterator[Diagnostic]:
    yield from ()


def _weighted(op: Op) -> Iterator[Diagnostic]:
    assert isinstance(op, WEIGHTED)
    for field, operand in (("weight", op.weight), ("bias", op.bias)):
        if operand is not None and not isinstance(operand, nn.Constant):
            yield NOT_CONSTANT.at(op, operand=field, opcode=op.opcode, attribute=field)
        elif operand is not None and not np.isfinite(operand.value.array).all():
            yield NOT_FINITE.at(op, operand=field, opcode=op.opcode, attribute=field)
    if isinstance(op.x, nn.Constant):
        yield BAD_OPERANDS.at(op, opcode=op.opcode, what="constants only")
    if isinstance(op, nn.Linear) and len(op.type.shape) != 2:
        note = f"the data have {len(op.type.shape)} axes, batch and features are possible"
        help_text = "use a 1x1 convolution"
        yield NO_INTEGER_FORM.at(op, opcode=op.opcode, notes=[note], help=help_text)


def _joined(op: Op) -> Iterator[Diagnostic]:
    if any(isinstance(operand, nn.Constant) for operand in op.operands):
        yield BAD_OPERANDS.at(op, opcode=op.opcode, what="a tensor with a constant")
        return
    if not isinstance(op, nn.Concat) and len({x.type.shape for x in op.operands}) > 1:
        yield BAD_OPERANDS.at(op, opcode=op.opcode, what="tensors of different shapes")


def _input(op: Op) -> Iterator[Diagnostic]:
    if len(op.type.shape) < 2:
        note = f"its shape is {list(op.type.shape)}: batch and features are needed"
        cure = "give the input a first axis for the batch, of size 1"
        yield NO_INTEGER_FORM.at(op, opcode=op.opcode, notes=[note], help=cure)


def _bits(op: Op) -> Iterator[Diagnostic]:
    note = "bits are those of integers, and the numbers of this network are real"
    cure = "combine bits in a graph of integers, or in a description for the vendor's tool"
    yield NO_INTEGER_FORM.at(op, opcode=op.opcode, notes=[note], help=cure)


def _clip(op: Op) -> Iterator[Diagnostic]:
    assert isinstance(op, nn.Clip)
    symmetric = math.isclose(op.low, -op.high)
    if op.high > 0 and (op.low in (0, -math.inf) or symmetric):
        return
    note = f"it limits to {op.low:g}..{op.high:g}"
    cure = "limits can be 0..h, -h..h or an upper limit h alone, with h above 0"
    yield NO_INTEGER_FORM.at(op, opcode=op.opcode, notes=[note], help=cure)


def _average(op: Op) -> Iterator[Diagnostic]:
    assert isinstance(op, nn.AveragePool)
    partial = any(op.full_pads()) and not op.count_include_pad
    if partial or op.full_pads() != op.geometry.pads:
        cure = "use count_include_pad=True, or no padding and no ceil mode"
        note = "windows at the border are divided by the number of values in them"
        yield NO_INTEGER_FORM.at(op, opcode=op.opcode, notes=[note], help=cure)


def _cast(op: Op) -> Iterator[Diagnostic]:
    (x,) = op.operands
    if not (x.type.is_float and op.type.is_float):
        note = f"it makes {op.type.element} of {x.type.element}"
        yield NO_INTEGER_FORM.at(op, opcode=op.opcode, notes=[note])


def _pad(op: Op) -> Iterator[Diagnostic]:
    assert isinstance(op, nn.Pad)
    if op.mode != "constant" or op.value:
        note = f"mode {op.mode}, value {op.value:g}"
        cure = "only padding with zeros is possible"
        yield NO_INTEGER_FORM.at(op, opcode=op.opcode, notes=[note], help=cure)


_CHECKS: Final[dict[type[Op], Check]] = {
    Input: _input,
    nn.Constant: _nothing,
    nn.Conv: _weighted,
    nn.ConvTranspose: _weighted,
    nn.Linear: _weighted,
    nn.MaxPool: _nothing,
    nn.AveragePool: _average,
    nn.Relu: _nothing,
    nn.Abs: _nothing,
    nn.Clip: _clip,
    nn.Identity: _nothing,
    nn.Cast: _cast,
    nn.Reshape: _nothing,
    nn.Transpose: _nothing,
    nn.Slice: _nothing,
    nn.Resize: _nothing,
    nn.Pad: _pad,
    nn.Add: _joined,
    nn.Sub: _joined,
    nn.Concat: _joined,
    nn.BitwiseOr: _bits,
    nn.BitwiseXor: _bits,
}
