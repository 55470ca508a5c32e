"""Element-wise operations of torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final, Protocol

import numpy as np

from ai8xc.dialects import nn
from ai8xc.frontend.building import MAX_VALUES, constant
from ai8xc.frontend.torch_layers import EVAL
from ai8xc.frontend.torch_node import Converter, Node
from ai8xc.ir.core import Op

FLOATS: Final = (6, 7, 8, 13)
"""Torch's numbers of floats of 16, 32, 64 bits and of bfloat16."""


class _BinaryOp(Protocol):
    def __call__(self, a: Op, b: Op) -> Op: ...


class _UnaryOp(Protocol):
    def __call__(self, x: Op) -> Op: ...


def _binary(make: _BinaryOp) -> Converter:
    """Return the converter of an operation with two operands, the second perhaps a number.

    `alpha` is a factor of the second.
    """

    def convert(node: Node) -> Op:
        a = node.x()
        b = node.operand("other", a)
        node.must_be(b, "other", b.type.element == a.type.element)
        alpha = node.number("alpha", 1.0)
        if alpha != 1:
            b = nn.Mul(b, constant(np.array(alpha, np.float32 if b.type.is_float else np.int64)))
        return make(a, b)

    return convert


def _unary(make: _UnaryOp) -> Converter:
    def convert(node: Node) -> Op:
        return make(node.real())

    return convert


def reversed_sub(node: Node) -> Op:
    """rsub: `other - self`."""
    x = node.real()
    if node.number("alpha", 1.0) != 1:
        raise node.unsupported("alpha")
    return nn.Sub(node.operand("other", x), x)


def negated(node: Node) -> Op:
    """Neg."""
    return nn.Mul(node.real(), constant(np.array(-1, np.float32)))


def identity(node: Node) -> Op:
    """What does nothing to the values."""
    return nn.Identity(node.x("input" if "input" in node.arguments else "self"))


def dropout(node: Node) -> Op:
    """Dropout, which does nothing at inference."""
    if node.flag("train"):
        raise node.unsupported("train = True", EVAL)
    return identity(node)


def cast(node: Node) -> Op:
    """Conversions between floats of different widths, which are one type here."""
    x, number = node.x(), node.arguments.get("dtype")
    if number is not None and (number not in FLOATS or not x.type.is_float):
        raise node.unsupported("a change between floats and integers")
    return nn.Identity(x)


def _filled(value: float | None) -> Converter:
    """Return the converter of a tensor that holds one number, the argument's where it is None."""

    def convert(node: Node) -> Op:
        sizes = node.ints("size")
        if min(sizes, default=1) < 1 or math.prod(sizes) > MAX_VALUES:
            raise node.malformed(f"size {list(sizes)}")
        if node.arguments.get("dtype") not in (None, *FLOATS):
            raise node.unsupported("a tensor of integers")
        number = node.number("fill_value") if value is None else value
        return constant(np.full(sizes, number, np.float32))

    return convert


def clamp(node: Node) -> Op:
    """clamp, hardtanh, relu6: limits are absent where there is none."""
    low = node.number("min", -math.inf)
    return nn.Clip(node.real(), low, node.number("max", math.inf))


def hardtanh(node: Node) -> Op:
    """hardtanh: from -1 to 1 unless given."""
    return nn.Clip(node.real(), node.number("min_val", -1.0), node.number("max_val", 1.0))


def relu6(node: Node) -> Op:
    """relu6."""
    return nn.Clip(node.real(), 0.0, 6.0)


def leaky_relu(node: Node) -> Op:
    """leaky_relu."""
    return nn.LeakyRelu(node.real(), node.number("negative_slope", 0.01))


def softmax(node: Node) -> Op:
    """Softmax along one axis."""
    x = node.real()
    return nn.Softmax(x, node.axis(node.integer("dim"), len(x.type.shape)))


def in_place(op: str) -> str:
    """Return the operation that writes its result over its first operand."""
    base, _, overload = op.rpartition(".")
    return f"{base}_.{overload}"


FUNCTIONAL: Final[Mapping[str, Converter]] = {
    "aten.abs.default": _unary(nn.Abs),
    "aten.add.Tensor": _binary(nn.Add),
    "aten.clamp.default": clamp,
    "aten.clamp_max.default": clamp,
    "aten.clamp_min.default": clamp,
    "aten.div.Tensor": _binary(nn.Div),
    "aten.dropout.default": dropout,
    "aten.hardtanh.default": hardtanh,
    "aten.leaky_relu.default": leaky_relu,
    "aten.mul.Tensor": _binary(nn.Mul),
    "aten.neg.default": negated,
    "aten.relu.default": _unary(nn.Relu),
    "aten.relu6.default": relu6,
    "aten.sigmoid.default": _unary(nn.Sigmoid),
    "aten.sub.Tensor": _binary(nn.Sub),
    "aten.tanh.default": _unary(nn.Tanh),
}
"""Operations that exist in place too, where their name ends in an underscore."""

CONVERTERS: Final[Mapping[str, Converter]] = {
    **FUNCTIONAL,
    **{in_place(key): made for key, made in FUNCTIONAL.items()},
    "aten._softmax.default": softmax,
    "aten._to_copy.default": cast,
    "aten.absolute.default": _unary(nn.Abs),
    "aten.add.Scalar": _binary(nn.Add),
    "aten.alias.default": identity,
    "aten.bitwise_or.Tensor": _binary(nn.BitwiseOr),
    "aten.bitwise_xor.Tensor": _binary(nn.BitwiseXor),
    "aten.clone.default": identity,
    "aten.contiguous.default": identity,
    "aten.detach.default": identity,
    "aten.detach_.default": identity,
    "aten.div.Scalar": _binary(nn.Div),
    "aten.feature_dropout.default": dropout,
    "aten.full.default": _filled(None),
    "aten.lift_fresh_copy.default": identity,
    "aten.mul.Scalar": _binary(nn.Mul),
    "aten.ones.default": _filled(1),
    "aten.rsub.Scalar": reversed_sub,
    "aten.softmax.int": softmax,
    "aten.sub.Scalar": _binary(nn.Sub),
    "aten.to.dtype": cast,
    "aten.to.dtype_layout": cast,
    "aten.zeros.default": _filled(0),
}

VIEWS: Final = frozenset(key for key, made in CONVERTERS.items() if made in (identity, dropout))
"""Operations whose result may be the same memory as their operand."""
