"""Operators whose value is known at import, as exporters write them to compute shapes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Final

import numpy as np

from ai8xc.dialects import nn
from ai8xc.frontend.building import MAX_AXES, MAX_VALUES, constant
from ai8xc.frontend.onnx_node import Converter, Node
from ai8xc.frontend.rules import MANY_AXES, TOO_LARGE
from ai8xc.ir.core import Data, Op
from ai8xc.ir.types import Array


def constant_node(node: Node) -> Op:
    """Constant in all its forms."""
    a = node.attributes
    if "value" in a and a["value"].type == 4:  # TENSOR
        return constant(node.read_tensor(a["value"].t, node.loc.nodes[0], node.loc))
    if "value_float" in a:
        return constant(np.array(a["value_float"].f, np.float32))
    if "value_floats" in a:
        return constant(np.array(a["value_floats"].floats, np.float32))
    if "value_int" in a:
        return constant(np.array(a["value_int"].i, np.int64))
    if "value_ints" in a:
        return constant(np.array(a["value_ints"].ints, np.int64))
    if a:
        raise node.unsupported(f"attribute `{next(iter(a))}`")
    raise node.malformed("it has no value")


def constant_of_shape(node: Node) -> Op:
    """ConstantOfShape: zeros, or the one value that is given."""
    shape = node.int_list(0, "input")
    if shape is None or min(shape, default=0) < 0:
        raise node.malformed(f"shape {list(shape or ())}")
    _bounded(node, math.prod(max(size, 1) for size in shape))
    if len(shape) > MAX_AXES:
        raise node.refuse(MANY_AXES, name=node.loc.nodes[0], count=str(len(shape)))
    value = np.zeros(1, np.float32)
    if node.has("value"):
        value = node.read_tensor(node.attributes["value"].t, node.loc.nodes[0], node.loc)
    if value.size != 1:
        raise node.malformed(f"the value has {value.size} elements")
    return nn.Constant(Data.taking(np.full(shape, value.reshape(()))))


def _bounded(node: Node, size: int) -> None:
    if size > MAX_VALUES:
        raise node.refuse(TOO_LARGE, name=node.loc.nodes[0], size=str(size))


def shape_of(node: Node) -> Op:
    """Shape: from opset 15 on a part of it."""
    shape = node.x().type.shape
    end = node.integer("end", len(shape)) if node.has("end") else len(shape)
    return constant(np.array(shape[node.integer("start") : end], np.int64))


def size_of(node: Node) -> Op:
    """Size: the number of values."""
    return constant(np.array(node.x().type.size, np.int64))


def gather(node: Node) -> Op:
    """Gather from a constant."""
    data, indices = node.value(node.x(0), "data"), node.value(node.x(1), "indices")
    if data.ndim == 0 or not np.issubdtype(indices.dtype, np.integer):
        raise node.malformed("data or indices")
    axis = node.axis(node.integer("axis"), data.ndim)
    _bounded(node, data.size // max(data.shape[axis], 1) * indices.size)
    if indices.size and not (
        -data.shape[axis] <= indices.min() <= indices.max() < data.shape[axis]
    ):
        raise node.malformed("an index is out of range")
    return constant(np.take(data, indices, axis=axis))


def expand(node: Node) -> Op:
    """Expand of a constant."""
    data, shape = node.value(node.x(0), "input"), node.int_list(1, "shape")
    try:
        full = np.broadcast_shapes(data.shape, shape or ())
    except ValueError:
        raise node.malformed(f"{list(data.shape)} as {list(shape or ())}") from None
    _bounded(node, math.prod(max(size, 1) for size in full))
    return constant(np.broadcast_to(data, full))


def range_(node: Node) -> Op:
    """Range."""
    start, limit, delta = (node.value(node.x(i), "start, limit or delta") for i in range(3))
    if start.size != 1 or limit.size != 1 or delta.size != 1 or not delta.any():
        raise node.malformed("start, limit or delta")
    first, step = start.reshape(()), delta.reshape(())
    steps = (limit.item() - first.item()) / step.item()
    if not math.isfinite(steps):
        raise node.malformed("start, limit or delta")
    count = max(math.ceil(steps), 0)
    _bounded(node, count)
    return constant((first + np.arange(count) * step).astype(start.dtype))


def where(node: Node) -> Op:
    """Where, all of it constant."""
    arrays = [node.value(node.x(i), "condition, X or Y") for i in range(3)]
    return constant(_compute(node, np.where, arrays))


def _folded(compute: Callable[..., Array]) -> Converter:
    """Return the converter of an element-wise operator on constants only."""

    def convert(node: Node) -> Op:
        arrays = [node.value(node.x(i), str(i)) for i in range(len(node.inputs))]
        return constant(_compute(node, compute, arrays))

    return convert


def _compute(node: Node, compute: Callable[..., Array], arrays: list[Array]) -> Array:
    try:
        _bounded(node, math.prod(np.broadcast_shapes(*(array.shape for array in arrays))))
        with np.errstate(all="raise"):
            return np.asarray(compute(*arrays))
    except (ArithmeticError, TypeError, ValueError) as error:
        raise node.malformed("its constants cannot be combined") from error


def _prod(node: Node) -> Op:
    """ReduceProd of a constant list, as exporters write for flattened sizes."""
    array = node.value(node.x(), "data")
    if array.ndim != 1:
        raise node.unsupported("more than one axis")
    keep = node.flag("keepdims", True)
    return constant(np.asarray(np.prod(array, keepdims=keep, dtype=array.dtype)))


CONVERTERS: Final[Mapping[str, Converter]] = {
    "And": _folded(np.logical_and),
    "Constant": constant_node,
    "ConstantOfShape": constant_of_shape,
    "Equal": _folded(np.equal),
    "Expand": expand,
    "Gather": gather,
    "Greater": _folded(np.greater),
    "Less": _folded(np.less),
    "Not": _folded(np.logical_not),
    "Range": range_,
    "ReduceProd": _prod,
    "Shape": shape_of,
    "Size": size_of,
    "Where": where,
}
