"""Convolutions and pools: windows that move over spatial axes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from ai8xc.dialects import nn
from ai8xc.frontend.building import MAX_VALUES
from ai8xc.frontend.node import Ints
from ai8xc.frontend.onnx_node import Converter, Node
from ai8xc.ir.core import Op

SAME: Final = ("SAME_UPPER", "SAME_LOWER")
AUTO_PADS: Final = ("NOTSET", *SAME, "VALID")
EXPLICIT: Final = "export the pool with explicit pads"


class Window:
    """The geometry attributes of a node, with automatic padding resolved.

    Lists that hold the default only (strides of 1, pads of 0) are empty.
    """

    def __init__(self, node: Node, sizes: Ints, kernel: Ints) -> None:
        rank = len(sizes)
        self.sizes, self.kernel = sizes, kernel
        self.strides = _list(node, "strides", rank, 1)
        self.dilations = _list(node, "dilations", rank, 1)
        self.auto_pad = node.text("auto_pad", "NOTSET")
        self.pads = _list(node, "pads", 2 * rank, 0)
        if self.auto_pad not in AUTO_PADS:
            raise node.malformed(f"auto_pad = {self.auto_pad}")
        if self.auto_pad == "VALID":
            self.pads = (0,) * 2 * rank
        if min(self.pads, default=0) < 0:
            raise node.unsupported("negative pads")

    def reach(self, axis: int) -> int:
        """Number of values that a window spans."""
        return self.dilations[axis] * (self.kernel[axis] - 1) + 1

    def resolve_same(self) -> None:
        """Set the pads so that there is a window for every stride."""
        if self.auto_pad not in SAME:
            return
        totals = []
        for axis, (size, stride) in enumerate(zip(self.sizes, self.strides, strict=True)):
            count = -(-size // stride)
            totals.append(max((count - 1) * stride + self.reach(axis) - size, 0))
        self.pads = self.split(totals)

    def split(self, totals: list[int]) -> Ints:
        """Return pads from their sums; an odd one goes to the end for SAME_UPPER."""
        upper = self.auto_pad == "SAME_UPPER"
        begins = [total // 2 if upper else total - total // 2 for total in totals]
        return (*begins, *(total - begin for total, begin in zip(totals, begins, strict=True)))

    @property
    def fields(self) -> tuple[Ints, Ints, Ints]:
        """Strides, pads and dilations, each empty where it is all defaults."""
        return (
            self.strides if set(self.strides) != {1} else (),
            self.pads if any(self.pads) else (),
            self.dilations if set(self.dilations) != {1} else (),
        )


def _list(node: Node, name: str, count: int, default: int) -> Ints:
    values = node.integers(name)
    if not values:
        return (default,) * count
    if len(values) != count:
        raise node.malformed(f"attribute `{name}` has {len(values)} values, {count} are needed")
    if default == 1 and min(values) < 1:
        raise node.malformed(f"attribute `{name}` has a value below 1")
    return values


def spatial_sizes(node: Node, x: Op) -> Ints:
    """Return the sizes behind batch and channels."""
    if len(x.type.shape) < 3:
        raise node.malformed(f"the input has shape {list(x.type.shape)}, without spatial axes")
    return x.type.shape[2:]


def kernel_of(node: Node, x: Op, weight: Op) -> Ints:
    """Return the kernel of a convolution; the attribute must agree with the weight."""
    kernel = weight.type.shape[2:]
    if len(weight.type.shape) != len(x.type.shape):
        raise node.malformed(
            f"weight of shape {list(weight.type.shape)} on {len(x.type.shape)} axes"
        )
    if (node.integers("kernel_shape") or kernel) != kernel:
        raise node.malformed("`kernel_shape` is not the shape of the weight")
    return kernel


def conv_window(node: Node, x: Op, weight: Op) -> Window:
    """Return the geometry of a convolution with explicit pads."""
    window = Window(node, spatial_sizes(node, x), kernel_of(node, x, weight))
    window.resolve_same()
    return window


def conv(node: Node) -> Op:
    """Conv."""
    x, weight, *bias = node.floats(2, 1)
    window = conv_window(node, x, weight)
    return nn.Conv(x, weight, bias[0] if bias else None, *window.fields, node.integer("group", 1))


def conv_transpose(node: Node) -> Op:
    """ConvTranspose: pads follow from the size of the output where that is given."""
    x, weight, *bias = node.floats(2, 1)
    sizes = spatial_sizes(node, x)
    window = Window(node, sizes, kernel_of(node, x, weight))
    extra = _list(node, "output_padding", len(sizes), 0)
    if min(extra) < 0:
        raise node.malformed("attribute `output_padding` has a negative value")
    target = node.integers("output_shape")
    if target and len(target) != len(sizes):
        raise node.malformed(f"`output_shape` has {len(target)} values")
    if not target and window.auto_pad.startswith("SAME"):
        target = tuple(size * s for size, s in zip(sizes, window.strides, strict=True))
    if target:
        totals = [
            (sizes[axis] - 1) * window.strides[axis] + window.reach(axis) + extra[axis] - wanted
            for axis, wanted in enumerate(target)
        ]
        if min(totals) < 0:
            raise node.unsupported(f"output_shape = {list(target)}, larger than the layer reaches")
        window.pads = window.split(totals)
    strides, pads, dilations = window.fields
    more = extra if any(extra) else ()
    groups = node.integer("group", 1)
    return nn.ConvTranspose(
        x, weight, bias[0] if bias else None, strides, pads, dilations, more, groups
    )


def _pool_window(node: Node) -> Window:
    x = node.x()
    sizes = spatial_sizes(node, x)
    kernel = node.integers("kernel_shape")
    if not kernel or len(kernel) != len(sizes) or min(kernel) < 1:
        raise node.malformed(f"`kernel_shape` is {list(kernel or ())} on {len(sizes)} axes")
    window = Window(node, sizes, kernel)
    if window.auto_pad in SAME:
        _check_same(node, window)
    window.resolve_same()
    for axis, pad in enumerate(window.pads):
        if pad >= window.reach(axis % len(sizes)):
            raise node.unsupported("pads as large as the kernel")
    return window


def _check_same(node: Node, window: Window) -> None:
    """Refuse automatic padding of pools where onnxruntime does not do what ONNX says.

    It ignores dilations, and crops where strides leave something over.
    """
    if set(window.dilations) != {1}:
        raise node.unsupported(f"auto_pad = {window.auto_pad} and dilations", EXPLICIT)
    for axis, (size, stride) in enumerate(zip(window.sizes, window.strides, strict=True)):
        if (size - 1) % stride >= window.reach(axis):
            raise node.unsupported(f"auto_pad = {window.auto_pad} and strides beyond", EXPLICIT)


def _covered(node: Node, pool: nn.MaxPool | nn.AveragePool) -> Op:
    """Return a pool; refuse one with a window that lies in the padding, which has no result."""
    g = pool.geometry
    if not (any(g.pads) or pool.ceil_mode) or pool.type.size > MAX_VALUES:
        return pool
    for axis, size in enumerate(pool.x.type.shape[2:]):
        stride, dilation = g.strides[axis], g.dilations[axis]
        starts = np.arange(pool.type.shape[2 + axis]) * stride - g.pads[axis]
        first = np.maximum(-(starts // dilation), 0)  # the first tap that is not before the data
        if np.any((first >= pool.kernel[axis]) | (starts + first * dilation >= size)):
            raise node.unsupported("a window that sees nothing but padding")
    return pool


def max_pool(node: Node) -> Op:
    """MaxPool, without the positions of the maxima."""
    if any(node.outputs[1:]):
        raise node.unsupported("the output `Indices`")
    window = _pool_window(node)
    node.must_be(node.x(), node.x().type.element != "bool")
    return _covered(
        node, nn.MaxPool(node.x(), window.kernel, *window.fields, node.flag("ceil_mode"))
    )


def average_pool(node: Node) -> Op:
    """AveragePool."""
    (x,) = node.floats(1)
    window = _pool_window(node)
    ceil, include = node.flag("ceil_mode"), node.flag("count_include_pad")
    return _covered(node, nn.AveragePool(x, window.kernel, *window.fields, ceil, include))


def global_average_pool(node: Node) -> Op:
    """GlobalAveragePool."""
    (x,) = node.floats(1)
    spatial_sizes(node, x)
    return nn.GlobalAveragePool(x)


def global_max_pool(node: Node) -> Op:
    """GlobalMaxPool."""
    (x,) = node.floats(1)
    spatial_sizes(node, x)
    return nn.GlobalMaxPool(x)


CONVERTERS: Final[Mapping[str, Converter]] = {
    "AveragePool": average_pool,
    "Conv": conv,
    "ConvTranspose": conv_transpose,
    "GlobalAveragePool": global_average_pool,
    "GlobalMaxPool": global_max_pool,
    "MaxPool": max_pool,
}
