"""Operators that move values: reshapes, transposes, slices, pads, repetition."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from ai8xc.dialects import nn
from ai8xc.frontend.node import Ints
from ai8xc.frontend.onnx_node import Converter, Node, shortest
from ai8xc.ir.core import Op

PAD_MODES: Final[dict[str, nn.PadMode]] = {
    "constant": "constant",
    "reflect": "reflect",
    "edge": "edge",
    "wrap": "wrap",
}


def flatten(node: Node) -> Op:
    """Flatten: two axes."""
    shape = node.x().type.shape
    axis = node.axis(node.integer("axis", 1), len(shape), end=True)
    return nn.Reshape(node.x(), (math.prod(shape[:axis]), math.prod(shape[axis:])))


def reshape(node: Node) -> Op:
    """Reshape: 0 copies a size (unless `allowzero`), -1 is what remains."""
    x, wanted = node.x(), node.int_list(1, "shape")
    if wanted is None:
        raise node.malformed("input 1 is missing")
    old = x.type.shape
    sizes: list[int] = []
    for axis, size in enumerate(wanted):
        if size < -1 or (size == 0 and (node.flag("allowzero") or axis >= len(old))):
            raise node.malformed(f"shape {list(wanted)} of {list(old)}")
        sizes.append(old[axis] if size == 0 else size)
    if sizes.count(-1) > 1:
        raise node.malformed(f"shape {list(wanted)} has more than one -1")
    rest = math.prod(size for size in sizes if size != -1)
    shape = tuple(x.type.size // rest if size == -1 else size for size in sizes)
    if math.prod(shape) != x.type.size:
        raise node.malformed(f"shape {list(wanted)} for data of shape {list(old)}")
    return nn.Reshape(x, shape)


def _axes(node: Node, since: int, index: int = 1) -> Ints | None:
    """Return the axes: an attribute before an opset, an input from then on."""
    return node.integers("axes") if node.opset < since else node.int_list(index, "axes")


def squeeze(node: Node) -> Op:
    """Squeeze: without axes all of size 1 go."""
    shape = node.x().type.shape
    given = _axes(node, 13)
    if given is None:
        axes: Ints = tuple(axis for axis, size in enumerate(shape) if size == 1)
    else:
        axes = node.axes(given, len(shape))
    if any(shape[axis] != 1 for axis in axes):
        raise node.malformed(f"axes {list(axes)} of shape {list(shape)} are not all 1")
    return nn.Reshape(node.x(), tuple(s for axis, s in enumerate(shape) if axis not in axes))


def unsqueeze(node: Node) -> Op:
    """Unsqueeze: axes count in the result."""
    shape, given = list(node.x().type.shape), _axes(node, 13)
    if given is None:
        raise node.malformed("there are no axes")
    for axis in node.axes(given, len(shape) + len(given)):
        shape.insert(axis, 1)
    return nn.Reshape(node.x(), tuple(shape))


def transpose(node: Node) -> Op:
    """Transpose: without perm the axes are reversed."""
    rank = len(node.x().type.shape)
    perm = node.integers("perm")
    if perm is None:
        perm = tuple(reversed(range(rank)))
    return nn.Transpose(node.x(), perm)


def concat(node: Node) -> Op:
    """Concat."""
    xs = tuple(node.x(index) for index in range(len(node.inputs)))
    if not node.has("axis") or not xs:
        raise node.malformed("there is no axis" if xs else "there are no inputs")
    for x in xs:
        node.must_be(x, x.type.element == xs[0].type.element)
        if len(x.type.shape) != len(xs[0].type.shape):
            raise node.malformed("the inputs differ in their number of axes")
    return nn.Concat(xs, node.axis(node.integer("axis"), len(xs[0].type.shape)))


def split(node: Node) -> tuple[Op | None, ...]:
    """Split: sizes are an attribute before opset 13; without sizes the parts are equal."""
    x = node.x()
    shape = x.type.shape
    axis = node.axis(node.integer("axis"), len(shape))
    sizes = node.integers("split") if node.opset < 13 else node.int_list(1, "split")
    parts = _split_sizes(node, shape[axis]) if sizes is None else sizes
    if len(parts) != len(node.outputs) or min(parts) < 0 or sum(parts) != shape[axis]:
        raise node.malformed(f"parts {list(parts)} of size {shape[axis]}")
    results: list[Op | None] = []
    start = 0
    for size, wanted in zip(parts, node.outputs, strict=True):
        results.append(_range(x, axis, start, start + size) if wanted else None)
        start += size
    return tuple(results)


def _split_sizes(node: Node, size: int) -> Ints:
    """Return the sizes of equal parts; from opset 18 on the last may be smaller."""
    count = node.integer("num_outputs", len(node.outputs))
    if count < 1 or count > size or (size % count and node.opset < 18):
        raise node.malformed(f"{count} equal parts of size {size}")
    part = -(-size // count)
    return (*(part for _ in range(count - 1)), size - part * (count - 1))


def _range(x: Op, axis: int, start: int, end: int) -> Op:
    shape = x.type.shape
    starts = tuple(start if i == axis else 0 for i in range(len(shape)))
    ends = tuple(end if i == axis else size for i, size in enumerate(shape))
    return nn.Slice(x, starts, ends, tuple(1 for _ in shape))


def slice_(node: Node) -> Op:
    """Slice: all attributes before opset 10, all inputs from then on."""
    shape = node.x().type.shape
    if node.opset < 10:
        first, last, axes, steps = (
            node.integers("starts"),
            node.integers("ends"),
            node.integers("axes"),
            None,
        )
    else:
        first, last = node.int_list(1, "starts"), node.int_list(2, "ends")
        axes, steps = node.int_list(3, "axes"), node.int_list(4, "steps")
    if first is None or last is None:
        raise node.malformed("starts or ends are missing")
    where = tuple(range(len(first))) if axes is None else axes
    steps = (1,) * len(first) if steps is None else steps
    if not len(first) == len(last) == len(where) == len(steps) or 0 in steps:
        raise node.malformed("starts, ends, axes and steps contradict")
    node.axes(where, len(shape))
    bounds = [(0, size, 1) for size in shape]
    for start, end, axis, step in zip(first, last, where, steps, strict=True):
        at = node.axis(axis, len(shape))
        bounds[at] = _bounds(start, end, step, shape[at])
    starts, ends, strides = zip(*bounds, strict=True) if bounds else ((), (), ())
    return nn.Slice(node.x(), starts, ends, strides)


def _bounds(start: int, end: int, step: int, size: int) -> tuple[int, int, int]:
    """Return the bounds with negative counts and those beyond the axis resolved."""
    first, last, stride = slice(start, end, step).indices(size)
    if stride > 0:
        return first, max(first, last), stride
    return first, min(first, last), stride


def pad(node: Node) -> Op:
    """Pad: amounts are an attribute before opset 11; from opset 18 on `axes` chooses."""
    x = node.x()
    rank = len(x.type.shape)
    value: float | None
    if node.opset < 11:
        amounts, value, axes = node.integers("pads"), node.real("value", 0.0), None
    else:
        amounts, value = node.int_list(1, "pads"), node.scalar(2, "constant_value")
        axes = node.int_list(3, "axes")
    where = tuple(range(rank)) if axes is None else tuple(node.axis(a, rank) for a in axes)
    if amounts is None or len(amounts) != 2 * len(where) or len(set(where)) != len(where):
        raise node.malformed("pads and axes contradict")
    pads = [0] * 2 * rank
    for i, axis in enumerate(where):
        pads[axis], pads[axis + rank] = amounts[i], amounts[i + len(where)]
    mode = PAD_MODES.get(node.text("mode", "constant"))
    if mode is None:
        raise node.unsupported(f"mode = {node.text('mode', '')}")
    _check_pads(node, x.type.shape, pads, mode)
    number = float(value or 0)
    return nn.Pad(x, tuple(pads), shortest(number) if x.type.is_float else number, mode)


def _check_pads(node: Node, shape: Ints, pads: list[int], mode: nn.PadMode) -> None:
    """Refuse amounts for which the runtimes disagree or that leave nothing."""
    for axis, size in enumerate(shape):
        both = (pads[axis], pads[axis + len(shape)])
        if mode != "constant" and min(both) < 0:
            raise node.unsupported(f"negative pads in mode {mode}")
        if size + sum(min(amount, 0) for amount in both) < 1:
            raise node.unsupported(f"pads {list(both)} of size {size}")
        if mode in ("reflect", "wrap") and max(both) > size - (mode == "reflect"):
            raise node.unsupported(f"mode = {mode} and pads beyond the data")


def reduce_mean(node: Node) -> Op:
    """ReduceMean: axes are an attribute before opset 18; without axes all are meant."""
    (x,) = node.floats(1)
    rank = len(x.type.shape)
    given = _axes(node, 18)
    if not given and node.flag("noop_with_empty_axes"):
        return nn.Identity(x)
    axes = node.axes(given, rank) if given else tuple(range(rank))
    return nn.ReduceMean(x, axes, node.flag("keepdims", True))


CONVERTERS: Final[Mapping[str, Converter]] = {
    "Concat": concat,
    "Flatten": flatten,
    "Pad": pad,
    "ReduceMean": reduce_mean,
    "Reshape": reshape,
    "Slice": slice_,
    "Split": split,
    "Squeeze": squeeze,
    "Transpose": transpose,
    "Unsqueeze": unsqueeze,
}
