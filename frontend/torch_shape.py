"""Operations of torch that move values and do not change them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from ai8xc.dialects import nn
from ai8xc.frontend.node import Ints
from ai8xc.frontend.torch_node import Converter, Node
from ai8xc.ir.core import Op

PAD_MODES: Final[Mapping[str, nn.PadMode]] = {
    "constant": "constant",
    "reflect": "reflect",
    "replicate": "edge",
    "circular": "wrap",
}


def reshape(node: Node) -> Op:
    """view, reshape: -1 is what remains."""
    x = node.x()
    sizes = node.ints("size" if "size" in node.arguments else "shape")
    rest = math.prod(size for size in sizes if size != -1)
    if min(sizes, default=1) < -1 or sizes.count(-1) > 1 or rest < 1:
        raise node.malformed(f"shape {list(sizes)}")
    shape = tuple(x.type.size // rest if size == -1 else size for size in sizes)
    if math.prod(shape) != x.type.size:
        raise node.malformed(f"shape {list(sizes)} for data of shape {list(x.type.shape)}")
    return nn.Reshape(x, shape)


def flatten(node: Node) -> Op:
    """flatten: neighbouring axes become one."""
    shape = node.x().type.shape
    first = node.axis(node.integer("start_dim", 0), len(shape))
    last = node.axis(node.integer("end_dim", -1), len(shape))
    if last < first:
        raise node.malformed(f"axes {first} to {last}")
    joined = math.prod(shape[first : last + 1])
    return nn.Reshape(node.x(), (*shape[:first], joined, *shape[last + 1 :]))


def unflatten(node: Node) -> Op:
    """unflatten: one axis becomes several."""
    shape = node.x().type.shape
    axis, sizes = node.axis(node.integer("dim"), len(shape)), node.ints("sizes")
    rest = math.prod(size for size in sizes if size != -1)
    if sizes.count(-1) > 1 or rest < 1 or shape[axis] % rest:
        raise node.malformed(f"axis of size {shape[axis]} as {list(sizes)}")
    parts = tuple(shape[axis] // rest if size == -1 else size for size in sizes)
    if math.prod(parts) != shape[axis]:
        raise node.malformed(f"axis of size {shape[axis]} as {list(sizes)}")
    return nn.Reshape(node.x(), (*shape[:axis], *parts, *shape[axis + 1 :]))


def squeeze(node: Node) -> Op:
    """squeeze: axes of another size than 1 stay."""
    shape = node.x().type.shape
    wanted = tuple(range(len(shape)))
    if node.arguments.get("dim") is not None:
        wanted = node.axes(node.ints("dim"), len(shape))
    kept = (size for axis, size in enumerate(shape) if size != 1 or axis not in wanted)
    return nn.Reshape(node.x(), tuple(kept))


def unsqueeze(node: Node) -> Op:
    """unsqueeze: a new axis of size 1."""
    shape = list(node.x().type.shape)
    shape.insert(node.axis(node.integer("dim"), len(shape) + 1), 1)
    return nn.Reshape(node.x(), tuple(shape))


def permute(node: Node) -> Op:
    """Permute."""
    rank = len(node.x().type.shape)
    perm = tuple(node.axis(axis, rank) for axis in node.ints("dims"))
    node.axes(perm, rank)
    return nn.Transpose(node.x(), perm)


def transpose(node: Node) -> Op:
    """transpose: two axes change places; `t` knows which."""
    rank = len(node.x().type.shape)
    perm = list(range(rank))
    if rank > 1 or "dim0" in node.arguments:
        a = node.axis(node.integer("dim0", 0), rank)
        b = node.axis(node.integer("dim1", 1), rank)
        perm[a], perm[b] = perm[b], perm[a]
    return nn.Transpose(node.x(), tuple(perm))


def concat(node: Node) -> Op:
    """Cat."""
    xs = node.tensors()
    for x in xs:
        node.must_be(x, "tensors", x.type.element == xs[0].type.element)
        if len(x.type.shape) != len(xs[0].type.shape):
            raise node.malformed("the inputs differ in their number of axes")
    axis = node.axis(node.integer("dim", 0), len(xs[0].type.shape))
    return nn.Concat(xs, axis) if len(xs) > 1 else nn.Identity(xs[0])


def stack(node: Node) -> Op:
    """stack: each tensor gets a new axis, along which they are joined."""
    xs = node.tensors()
    rank = len(xs[0].type.shape)
    axis = node.axis(node.integer("dim", 0), rank + 1)
    rows = [nn.Reshape(x, (*x.type.shape[:axis], 1, *x.type.shape[axis:])) for x in xs]
    return nn.Concat(tuple(rows), axis)


def _range(x: Op, axis: int, start: int, end: int, step: int = 1) -> Op:
    shape = x.type.shape
    starts = tuple(start if i == axis else 0 for i in range(len(shape)))
    ends = tuple(end if i == axis else size for i, size in enumerate(shape))
    return nn.Slice(x, starts, ends, tuple(step if i == axis else 1 for i in range(len(shape))))


def _parts(node: Node, axis: int, sizes: Ints) -> tuple[Op | None, ...]:
    x = node.x()
    if sum(sizes) != x.type.shape[axis] or min(sizes) < 0 or len(sizes) != len(node.read):
        raise node.malformed(f"parts {list(sizes)} of size {x.type.shape[axis]}")
    results: list[Op | None] = []
    start = 0
    for size, wanted in zip(sizes, node.read, strict=True):
        results.append(_range(x, axis, start, start + size) if wanted else None)
        start += size
    return tuple(results)


def split(node: Node) -> tuple[Op | None, ...]:
    """split, chunk: parts of one size, the last perhaps smaller; or parts of given sizes."""
    shape = node.x().type.shape
    axis = node.axis(node.integer("dim", 0), len(shape))
    if "split_sizes" in node.arguments:
        return _parts(node, axis, node.ints("split_sizes"))
    if "chunks" in node.arguments:
        size = -(-shape[axis] // max(node.integer("chunks"), 1))
    else:
        size = node.integer("split_size")
    if size < 1:
        raise node.malformed(f"parts of size {size}")
    starts = range(0, shape[axis], size)
    return _parts(node, axis, tuple(min(size, shape[axis] - start) for start in starts))


def unbind(node: Node) -> tuple[Op | None, ...]:
    """unbind: each position along an axis."""
    shape = node.x().type.shape
    axis = node.axis(node.integer("dim", 0), len(shape))
    if len(node.read) != shape[axis]:
        raise node.malformed(f"{len(node.read)} parts of size {shape[axis]}")
    return tuple(_picked(node.x(), axis, i) if used else None for i, used in enumerate(node.read))


def _picked(x: Op, axis: int, index: int) -> Op:
    shape = x.type.shape
    return nn.Reshape(_range(x, axis, index, index + 1), (*shape[:axis], *shape[axis + 1 :]))


def select(node: Node) -> Op:
    """select: one position along an axis, which disappears."""
    shape = node.x().type.shape
    axis = node.axis(node.integer("dim"), len(shape))
    return _picked(node.x(), axis, node.axis(node.integer("index"), shape[axis]))


def slice_(node: Node) -> Op:
    """slice: positive steps."""
    shape = node.x().type.shape
    axis = node.axis(node.integer("dim", 0), len(shape))
    step = node.integer("step", 1)
    if step < 1:
        raise node.malformed(f"step {step}")
    found = (node.arguments.get(name) for name in ("start", "end"))
    start, end = (bound if isinstance(bound, int) else None for bound in found)
    first, last, _ = slice(start, end, step).indices(shape[axis])
    return _range(node.x(), axis, first, max(first, last), step)


def pad(node: Node) -> Op:
    """pad: amounts come from the last axis on, begin and end of each."""
    x, amounts = node.x(), node.ints("pad")
    rank, mode = len(x.type.shape), PAD_MODES.get(node.text("mode", "constant"))
    if mode is None or len(amounts) % 2 or len(amounts) > 2 * rank:
        raise node.unsupported(f"pad = {list(amounts)}")
    pads = [0] * 2 * rank
    for i in range(len(amounts) // 2):
        pads[rank - 1 - i], pads[2 * rank - 1 - i] = amounts[2 * i], amounts[2 * i + 1]
    for axis, size in enumerate(x.type.shape):
        begin, end = pads[axis], pads[axis + rank]
        if size + min(begin, 0) + min(end, 0) < 1 or (mode != "constant" and min(begin, end) < 0):
            raise node.unsupported(f"pads {begin}, {end} of size {size}")
        if mode in ("reflect", "wrap") and max(begin, end) > size - (mode == "reflect"):
            raise node.malformed(f"pads {begin}, {end} of size {size}")
    return nn.Pad(x, tuple(pads), node.number("value", 0.0), mode)


def expand(node: Node) -> Op:
    """expand, where the shape stays."""
    x = node.x()
    sizes = node.ints("size")
    offset = len(sizes) - len(x.type.shape)
    same = offset == 0 and all(
        wanted in (-1, size) for wanted, size in zip(sizes, x.type.shape, strict=True)
    )
    if not same:
        raise node.unsupported(f"size = {list(sizes)} of {list(x.type.shape)}")
    return nn.Identity(x)


CONVERTERS: Final[Mapping[str, Converter]] = {
    "aten._unsafe_view.default": reshape,
    "aten.cat.default": concat,
    "aten.chunk.default": split,
    "aten.concat.default": concat,
    "aten.constant_pad_nd.default": pad,
    "aten.expand.default": expand,
    "aten.flatten.using_ints": flatten,
    "aten.pad.default": pad,
    "aten.permute.default": permute,
    "aten.reshape.default": reshape,
    "aten.select.int": select,
    "aten.slice.Tensor": slice_,
    "aten.split.Tensor": split,
    "aten.split_with_sizes.default": split,
    "aten.squeeze.default": squeeze,
    "aten.squeeze.dim": squeeze,
    "aten.squeeze.dims": squeeze,
    "aten.stack.default": stack,
    "aten.t.default": transpose,
    "aten.transpose.int": transpose,
    "aten.unbind.int": unbind,
    "aten.unflatten.int": unflatten,
    "aten.unsqueeze.default": unsqueeze,
    "aten.view.default": reshape,
}

VIEWS: Final = frozenset(op for op, made in CONVERTERS.items() if made not in (concat, stack, pad))
"""Operations whose result may be the same memory as their operand."""
