"""Quantised operators; all come out as dequantize, layer, quantize, or as integer layers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ai8xc.dialects import nn
from ai8xc.frontend.onnx_conv import conv_window
from ai8xc.frontend.onnx_node import Converter, Node
from ai8xc.frontend.onnx_tensors import DTYPES, ELEMENTS
from ai8xc.ir.core import Op
from ai8xc.ir.types import Element


def quantize(node: Node) -> Op:
    """QuantizeLinear: the zero point says which integers result."""
    x, scale = node.floats(2)
    zero = node.get(2)
    if zero is None:
        number = node.integer("output_dtype")
        kind = DTYPES.get(number, f"type {number}") if number else "uint8"
        if kind not in nn_kinds():
            raise node.unsupported(f"output_dtype = {kind}")
        return nn.Quantize(x, scale, None, _axis(node, x, scale, zero), nn_kinds()[kind])
    element = zero.type.element
    return nn.Quantize(x, scale, zero, _axis(node, x, scale, zero), element)


def nn_kinds() -> Mapping[str, Element]:
    """Return the integer types that quantisation gives, by their name in ONNX."""
    kinds = {name: kind for name, kind in ELEMENTS.items() if kind in nn.INTEGER_KINDS}
    return {name: kind for name, kind in kinds.items() if name not in ("int4", "uint4")}


def dequantize(node: Node) -> Op:
    """DequantizeLinear."""
    x, scale, zero = node.x(0), node.x(1), node.get(2)
    node.must_be(x, x.type.element in nn.INTEGER_KINDS)
    node.must_be(scale, scale.type.is_float)
    return nn.Dequantize(x, scale, zero, _axis(node, x, scale, zero))


def _axis(node: Node, x: Op, scale: Op, zero: Op | None) -> int:
    """Return the axis that scale and zero point lie along (ONNX's default where they do not)."""
    if node.integer("block_size"):
        raise node.unsupported("block_size")
    return _checked_axis(node, x, scale, zero, node.integer("axis", 1))


def _checked_axis(node: Node, x: Op, scale: Op, zero: Op | None, axis: int) -> int:
    shape = scale.type.shape
    if zero is not None and zero.type.size != scale.type.size:
        raise node.malformed("scale and zero point differ in shape")
    if scale.type.size == 1:
        return 1
    axis = node.axis(axis, len(x.type.shape))
    if shape != (x.type.shape[axis],):
        raise node.malformed(f"scale of shape {list(shape)} along axis {axis}")
    if zero is not None and zero.type.shape != shape:
        raise node.malformed("scale and zero point differ in shape")
    return axis


def _real(node: Node, first: int, axis: int) -> Op:
    """Return the real values of an input that is followed by its scale and zero point."""
    x, scale, zero = node.x(first), node.x(first + 1), node.x(first + 2)
    node.must_be(x, x.type.element in ("i8", "u8"))
    node.must_be(scale, scale.type.is_float)
    node.must_be(zero, zero.type.element == x.type.element)
    return nn.Dequantize(x, scale, zero, _checked_axis(node, x, scale, zero, axis))


def _requantized(node: Node, y: Op, first: int) -> Op:
    scale, zero = node.x(first), node.x(first + 1)
    node.must_be(scale, scale.type.is_float)
    node.must_be(zero, zero.type.element in ("i8", "u8"))
    if scale.type.size != 1 or zero.type.size != 1:
        raise node.unsupported("more than one scale of the result")
    return nn.Quantize(y, scale, zero, 1, zero.type.element)


def qlinear_conv(node: Node) -> Op:
    """QLinearConv: the bias has the scale of the products."""
    x, weight = _real(node, 0, 1), _real(node, 3, 0)
    bias = node.get(8)
    if bias is not None:
        node.must_be(bias, bias.type.element == "i32")
        scale = nn.Mul(node.x(1), node.x(4))
        bias = nn.Dequantize(bias, scale, None, 0)
    window = conv_window(node, x, weight)
    y = nn.Conv(x, weight, bias, *window.fields, node.integer("group", 1))
    return _requantized(node, y, 6)


def qlinear_matmul(node: Node) -> Op:
    """QLinearMatMul: scales of rows of the first and of columns of the second."""
    product = nn.MatMul(_real(node, 0, -2), _real(node, 3, -1))
    return _requantized(node, product, 6)


def _centred(node: Node, index: int, zero_index: int, axis: int) -> Op:
    """Return integers as 32 bits with their zero point taken off."""
    x, zero = node.x(index), node.get(zero_index)
    node.must_be(x, x.type.element in ("i8", "u8"))
    wide = nn.Cast(x, "i32")
    if zero is None:
        return wide
    node.must_be(zero, zero.type.element == x.type.element)
    offset: Op = nn.Cast(zero, "i32")
    rank = len(x.type.shape)
    if zero.type.size > 1:
        axis = node.axis(axis, rank)
        if zero.type.shape != (x.type.shape[axis],):
            raise node.malformed(f"zero point of shape {list(zero.type.shape)}")
        offset = nn.Reshape(offset, tuple(zero.type.size if i == axis else 1 for i in range(rank)))
    elif zero.type.shape:
        offset = nn.Reshape(offset, ())
    return nn.Sub(wide, offset)


def conv_integer(node: Node) -> Op:
    """ConvInteger: a convolution of 32-bit integers."""
    x, weight = _centred(node, 0, 2, 1), _centred(node, 1, 3, 0)
    window = conv_window(node, x, weight)
    return nn.Conv(x, weight, None, *window.fields, node.integer("group", 1))


def matmul_integer(node: Node) -> Op:
    """MatMulInteger: a product of 32-bit integers."""
    return nn.MatMul(_centred(node, 0, 2, -2), _centred(node, 1, 3, -1))


CONVERTERS: Final[Mapping[str, Converter]] = {
    "ConvInteger": conv_integer,
    "DequantizeLinear": dequantize,
    "MatMulInteger": matmul_integer,
    "QLinearConv": qlinear_conv,
    "QLinearMatMul": qlinear_matmul,
    "QuantizeLinear": quantize,
}
