"""Element-wise operators and matrix products."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final, Protocol

import numpy as np

from ai8xc.dialects import nn
from ai8xc.frontend.building import constant
from ai8xc.frontend.onnx_node import Converter, Node, shortest
from ai8xc.frontend.onnx_tensors import DTYPES, ELEMENTS
from ai8xc.ir.core import Op
from ai8xc.ir.types import Element


class _BinaryOp(Protocol):
    def __call__(self, a: Op, b: Op) -> Op: ...


class _UnaryOp(Protocol):
    def __call__(self, x: Op) -> Op: ...


def _binary(make: _BinaryOp, *, bits: bool = False) -> Converter:
    """Return the converter of an operator with two operands, numbers or (`bits`) no floats."""

    def convert(node: Node) -> Op:
        a, b = node.x(0), node.x(1)
        node.must_be(a, not a.type.is_float if bits else a.type.element != "bool")
        node.must_be(b, b.type.element == a.type.element)
        return make(a, b)

    return convert


def sum_of_all(node: Node) -> Op:
    """Sum: of any number of tensors, added from left to right."""
    first, *others = node.floats(1, len(node.inputs) - 1)
    total: Op = first
    for other in others:
        total = nn.Add(total, other)
    return total if others else nn.Identity(first)


def _float_unary(make: _UnaryOp) -> Converter:
    def convert(node: Node) -> Op:
        (x,) = node.floats(1)
        return make(x)

    return convert


def _numeric_unary(make: _UnaryOp) -> Converter:
    def convert(node: Node) -> Op:
        node.must_be(node.x(), node.x().type.element != "bool")
        return make(node.x())

    return convert


def identity(node: Node) -> Op:
    """Identity."""
    return nn.Identity(node.x())


def dropout(node: Node) -> tuple[Op | None, ...]:
    """Dropout at inference: the data as they are, and a mask in which everything is kept."""
    training = node.scalar(2, "training_mode") if node.get(2) is not None else 0
    if training:
        raise node.unsupported("training_mode = 1", "export the model for inference")
    mask = None
    if node.outputs[1:] and node.outputs[1] is not None:
        mask = constant(np.ones(node.x().type.shape, np.bool_))
    return nn.Identity(node.x()), mask


def clip(node: Node) -> Op:
    """Clip: limits are attributes before opset 11."""
    x = node.x()
    node.must_be(x, x.type.element != "bool")
    if node.opset < 11:
        low: float | None = node.real("min", -math.inf)
        high: float | None = node.real("max", math.inf)
    else:
        low, high = node.scalar(1, "min"), node.scalar(2, "max")
    return nn.Clip(x, _limit(x, low, -math.inf), _limit(x, high, math.inf))


def _limit(x: Op, value: float | None, default: float) -> float:
    if value is None:
        return default
    return shortest(value) if x.type.is_float and math.isfinite(value) else float(value)


def leaky_relu(node: Node) -> Op:
    """LeakyRelu."""
    (x,) = node.floats(1)
    return nn.LeakyRelu(x, node.real("alpha", 0.01))


def softmax(node: Node) -> Op:
    """Softmax: along one axis; before opset 13 over everything from the axis on."""
    (x,) = node.floats(1)
    shape = x.type.shape
    if not shape:
        raise node.malformed("the input is a scalar")
    if node.opset >= 13:
        return nn.Softmax(x, node.axis(node.integer("axis", -1), len(shape)))
    axis = node.axis(node.integer("axis", 1), len(shape), end=True)
    if math.prod(shape[axis:]) == shape[-1] and axis < len(shape):
        return nn.Softmax(x, len(shape) - 1)
    rows = nn.Reshape(x, (math.prod(shape[:axis]), math.prod(shape[axis:])))
    return nn.Reshape(nn.Softmax(rows, 1), shape)


def cast(node: Node) -> Op:
    """Cast: floats of every width are one type here, so casts between them do nothing."""
    x, number = node.x(), node.integer("to")
    kind = DTYPES.get(number, f"type {number}")
    if kind not in ELEMENTS or kind in ("int4", "uint4"):
        raise node.unsupported(f"to = {kind}")
    element: Element = ELEMENTS[kind]
    return nn.Identity(x) if x.type.element == element else nn.Cast(x, element)


def gemm(node: Node) -> Op:
    """Gemm."""
    a, b, *more = node.floats(2, 1)
    options = (node.real("alpha", 1.0), node.real("beta", 1.0))
    trans_a, trans_b = node.flag("transA"), node.flag("transB")
    product = nn.Gemm(a, b, None, *options, trans_a, trans_b)
    if not more:
        return product
    shape = more[0].type.shape
    if not _broadcasts(shape, product.type.shape):
        raise node.malformed(f"C of shape {list(shape)} does not fit")
    return nn.Gemm(a, b, more[0], *options, trans_a, trans_b)


def _broadcasts(shape: tuple[int, ...], to: tuple[int, ...]) -> bool:
    if len(shape) > len(to):
        return False
    return all(size in (1, wide) for size, wide in zip(shape[::-1], to[::-1], strict=False))


def matmul(node: Node) -> Op:
    """MatMul, of floats or of integers of one type."""
    a, b = node.x(0), node.x(1)
    node.must_be(a, a.type.element != "bool")
    node.must_be(b, b.type.element == a.type.element)
    return nn.MatMul(a, b)


def batch_norm(node: Node) -> Op:
    """BatchNormalization at inference."""
    if node.flag("training_mode") or any(node.outputs[1:]):
        raise node.unsupported("training outputs", "export the model for inference")
    if not node.flag("spatial", True):
        raise node.unsupported("spatial = 0")
    x, scale, bias, mean, var = node.floats(5)
    return nn.BatchNorm(x, scale, bias, mean, var, node.real("epsilon", 1e-5))


CONVERTERS: Final[Mapping[str, Converter]] = {
    "Abs": _numeric_unary(nn.Abs),
    "Add": _binary(nn.Add),
    "BatchNormalization": batch_norm,
    "BitwiseOr": _binary(nn.BitwiseOr, bits=True),
    "BitwiseXor": _binary(nn.BitwiseXor, bits=True),
    "Cast": cast,
    "Clip": clip,
    "Div": _binary(nn.Div),
    "Dropout": dropout,
    "Gemm": gemm,
    "Identity": identity,
    "LeakyRelu": leaky_relu,
    "MatMul": matmul,
    "Mul": _binary(nn.Mul),
    "Or": _binary(nn.BitwiseOr, bits=True),
    "Relu": _numeric_unary(nn.Relu),
    "Sum": sum_of_all,
    "Sigmoid": _float_unary(nn.Sigmoid),
    "Softmax": softmax,
    "Sub": _binary(nn.Sub),
    "Tanh": _float_unary(nn.Tanh),
    "Xor": _binary(nn.BitwiseXor, bits=True),
}
