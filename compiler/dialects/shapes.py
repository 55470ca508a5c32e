"""Shapes of layers, stated once for all levels: what an op's operands and sizes give.

Tensors are batch, channels, spatial axes; `pads` are all begins, then all ends. A contradiction
raises `Rejected` with the finding of the op.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ai8xc.dialects import kernels
from ai8xc.ir.core import Op
from ai8xc.ir.diag import Rejected, declare

Ints = tuple[int, ...]

SHAPES = declare(
    "IR040",
    "`{opcode}` does not fit its operands: {why}",
    "The shapes of the operands and the attributes of the op contradict each other.",
)


def misfit(op: Op, why: str) -> Rejected:
    """Return the exception for an op whose type cannot be computed."""
    return Rejected([SHAPES.at(op, opcode=op.opcode, why=why)])


def dims(shape: Ints) -> str:
    """Return sizes as text: `1x3x8x8`."""
    return "x".join(map(str, shape)) or "scalar"


def spatial(op: Op, x: Op) -> Ints:
    """Return the spatial sizes of a batch x channels x ... tensor."""
    if len(x.type.shape) < 3:
        raise misfit(op, f"`%{x.name}` has shape {dims(x.type.shape)}, without spatial axes")
    return x.type.shape[2:]


@dataclass(frozen=True)
class Geometry:
    """Strides, pads and dilations of a window, with the defaults filled in."""

    strides: Ints
    pads: Ints
    dilations: Ints

    @classmethod
    def of(cls, rank: int, strides: Ints, pads: Ints, dilations: Ints) -> Geometry:
        """Return the geometry for `rank` axes; what is empty becomes 1 (pads: 0)."""
        return cls(strides or (1,) * rank, pads or (0,) * 2 * rank, dilations or (1,) * rank)

    def check(self, op: Op, rank: int, **more: Ints) -> None:
        """Raise `Rejected` unless every list fits `rank` axes."""
        check_axes(op, rank, strides=self.strides, pads=self.pads, dilations=self.dilations, **more)

    def ends(self, axis: int) -> tuple[int, int]:
        """Return the padding before and behind an axis."""
        return self.pads[axis], self.pads[axis + len(self.strides)]


def check_axes(op: Op, rank: int, **sizes: Ints) -> None:
    """Raise `Rejected` unless each list has one value an axis (pads: two), all at least 1."""
    for name, values in sizes.items():
        wanted = 2 * rank if name == "pads" else rank
        if len(values) != wanted:
            raise misfit(op, f"`{name}` has {len(values)} values, {wanted} are needed")
        if name not in ("pads", "output_padding") and min(values, default=1) < 1:
            raise misfit(op, f"`{name}` must be at least 1")


def check_bias(op: Op, bias: Op | None, channels: int) -> None:
    """Raise `Rejected` unless the bias has one value a channel."""
    if bias is not None and bias.type.shape != (channels,):
        raise misfit(op, f"bias {dims(bias.type.shape)} for {channels} channels")


def conv_shape(op: Op, x: Op, weight: Op, geometry: Geometry, groups: int) -> Ints:
    """Return N x M x windows for a weight M x C/groups x kernel."""
    sizes, kernel = spatial(op, x), weight.type.shape
    if len(kernel) != len(sizes) + 2:
        raise misfit(op, f"weight {dims(kernel)} on data {dims(x.type.shape)}")
    geometry.check(op, len(sizes))
    channels = x.type.shape[1]
    if groups < 1 or kernel[0] % groups or kernel[1] * groups != channels:
        shared = f" and {groups} groups" if groups != 1 else ""
        raise misfit(op, f"weight {dims(kernel)}{shared} on {channels} channels")
    out = []
    for axis, size in enumerate(sizes):
        padded = size + sum(geometry.ends(axis))
        stride, dilation = geometry.strides[axis], geometry.dilations[axis]
        out.append(kernels.window_size(padded, kernel[2 + axis], stride, dilation))
    return (x.type.shape[0], kernel[0], *out)


def conv_transpose_shape(
    op: Op, x: Op, weight: Op, geometry: Geometry, groups: int, output_padding: Ints
) -> Ints:
    """Return N x M x enlarged sizes for a weight C x M/groups x kernel."""
    sizes, kernel = spatial(op, x), weight.type.shape
    if len(kernel) != len(sizes) + 2:
        raise misfit(op, f"weight {dims(kernel)} on data {dims(x.type.shape)}")
    extra = output_padding or (0,) * len(sizes)
    geometry.check(op, len(sizes), output_padding=extra)
    if groups < 1 or x.type.shape[1] != kernel[0] or kernel[0] % groups:
        raise misfit(op, f"weight {dims(kernel)} on {x.type.shape[1]} channels")
    out = []
    for axis, size in enumerate(sizes):
        reach = geometry.dilations[axis] * (kernel[2 + axis] - 1) + 1
        spread = (size - 1) * geometry.strides[axis]
        out.append(spread + reach + extra[axis] - sum(geometry.ends(axis)))
    return (x.type.shape[0], kernel[1] * groups, *out)


def pool_shape(op: Op, x: Op, kernel: Ints, geometry: Geometry, *, ceil: bool = False) -> Ints:
    """Return N x C x windows."""
    sizes = spatial(op, x)
    geometry.check(op, len(sizes), kernel=kernel)
    out = []
    for axis, size in enumerate(sizes):
        begin, end = geometry.ends(axis)
        numbers = (kernel[axis], geometry.strides[axis], geometry.dilations[axis])
        if ceil:
            out.append(kernels.ceil_count(size, begin, end, *numbers))
        else:
            out.append(kernels.window_size(size + begin + end, *numbers))
    return (*x.type.shape[:2], *out)


def broadcast(op: Op, *shapes: Ints) -> Ints:
    """Return the common shape by numpy's rules."""
    try:
        return tuple(map(int, np.broadcast_shapes(*shapes)))
    except ValueError:
        raise misfit(op, " and ".join(dims(shape) for shape in shapes)) from None


def concat_shape(op: Op, xs: tuple[Op, ...], axis: int) -> Ints:
    """Return the shape of the first operand with the sizes along `axis` added up."""
    found = [x.type.shape for x in xs]
    rests = {(*shape[:axis], *shape[axis + 1 :]) for shape in found}
    if len(rests) != 1 or not 0 <= axis < len(found[0]):
        raise misfit(op, f"{', '.join(map(dims, found))} along axis {axis}")
    total = sum(shape[axis] for shape in found)
    return (*found[0][:axis], total, *found[0][axis + 1 :])


def transpose_shape(op: Op, x: Op, perm: Ints) -> Ints:
    """Return the shape with its axes in another order."""
    shape = x.type.shape
    if sorted(perm) != list(range(len(shape))):
        raise misfit(op, f"perm {perm} of {dims(shape)}")
    return tuple(shape[axis] for axis in perm)


def slice_shape(op: Op, x: Op, starts: Ints, ends: Ints, steps: Ints) -> Ints:
    """Return the number of values taken along each axis."""
    shape = x.type.shape
    if not len(shape) == len(starts) == len(ends) == len(steps):
        raise misfit(op, f"{len(starts)} axes of {dims(shape)}")
    if 0 in steps:
        raise misfit(op, "a step of 0")
    return tuple(len(range(*bounds)) for bounds in zip(starts, ends, steps, strict=True))


def pad_shape(op: Op, x: Op, pads: Ints) -> Ints:
    """Return the shape with amounts added to (or taken from) every axis."""
    shape = x.type.shape
    if len(pads) != 2 * len(shape):
        raise misfit(op, f"{len(pads)} pads for {dims(shape)}")
    both = zip(pads, shape, pads[len(shape) :], strict=False)
    return tuple(before + size + after for before, size, after in both)
