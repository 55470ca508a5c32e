"""Ops that move values and change none, stated once: `nn` and `q` give them their names."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ai8xc.dialects import kernels, shapes
from ai8xc.dialects.shapes import Ints, dims, misfit, spatial
from ai8xc.ir.core import Op
from ai8xc.ir.types import Array, TensorType


@dataclass(frozen=True, eq=False, repr=False)
class Reshape(Op):
    """The same values, row-major, in another shape."""

    x: Op
    shape: Ints = ()

    @cached_property
    def type(self) -> TensorType:
        """The new shape."""
        if math.prod(self.shape) != self.x.type.size:
            raise misfit(self, f"{dims(self.x.type.shape)} as {dims(self.shape)}")
        return self.x.type.with_shape(self.shape)

    def compute(self, *operands: Array) -> Array:
        """Return the reshaped values."""
        return kernels.reshape_batch(operands[0], self.x.type.shape, self.shape)


@dataclass(frozen=True, eq=False, repr=False)
class Transpose(Op):
    """Axes in another order."""

    x: Op
    perm: Ints = ()

    @cached_property
    def type(self) -> TensorType:
        """The permuted shape."""
        return self.x.type.with_shape(shapes.transpose_shape(self, self.x, self.perm))

    def compute(self, *operands: Array) -> Array:
        """Return the permuted array."""
        return operands[0].transpose(self.perm)


def in_turn(arrays: Sequence[Array], count: int) -> Array:
    """Return `count` channels of each of some arrays in turn, until all are taken."""
    n, channels, *sizes = arrays[0].shape
    cut = [array.reshape(n, channels // count, 1, count, *sizes) for array in arrays]
    return np.concatenate(cut, axis=2).reshape(n, channels * len(arrays), *sizes)


def turns_fail(xs: Sequence[Op], count: int) -> str:
    """Return why channels cannot be taken in turn, or nothing."""
    sizes = {x.type.shape[1] for x in xs}
    if not count or (len(sizes) == 1 and count > 0 and not max(sizes) % count):
        return ""
    return f"{count} channels in turn of {', '.join(dims(x.type.shape) for x in xs)}"


@dataclass(frozen=True, eq=False, repr=False)
class Concat(Op):
    """Tensors joined along an axis."""

    xs: tuple[Op, ...]
    axis: int = 1

    @cached_property
    def type(self) -> TensorType:
        """The shape of the first with the sizes along `axis` added up."""
        return self.xs[0].type.with_shape(shapes.concat_shape(self, self.xs, self.axis))

    def compute(self, *operands: Array) -> Array:
        """Return the joined array."""
        return np.concatenate(operands, axis=self.axis)


@dataclass(frozen=True, eq=False, repr=False)
class Slice(Op):
    """Values taken at equal steps along each axis."""

    x: Op
    starts: Ints = ()
    ends: Ints = ()
    steps: Ints = ()

    @cached_property
    def type(self) -> TensorType:
        """The number of values taken along each axis."""
        shape = shapes.slice_shape(self, self.x, self.starts, self.ends, self.steps)
        return self.x.type.with_shape(shape)

    def compute(self, *operands: Array) -> Array:
        """Return the values taken; an axis that is taken whole may have any size (the batch)."""
        bounds = (self.starts, self.ends, self.steps)
        return kernels.take(operands[0], self.x.type.shape, *bounds)


@dataclass(frozen=True, eq=False, repr=False)
class Pad(Op):
    """Zeros added around (or, where negative, values cropped off) every axis."""

    x: Op
    pads: Ints = ()

    @cached_property
    def type(self) -> TensorType:
        """The padded shape."""
        return self.x.type.with_shape(shapes.pad_shape(self, self.x, self.pads))

    def compute(self, *operands: Array) -> Array:
        """Return the padded array."""
        return kernels.pad(operands[0], self.pads)


@dataclass(frozen=True, eq=False, repr=False)
class Resize(Op):
    """Each value repeated along the spatial axes."""

    x: Op
    scales: Ints = ()

    @cached_property
    def type(self) -> TensorType:
        """The enlarged shape."""
        sizes = spatial(self, self.x)
        shapes.check_axes(self, len(sizes), scales=self.scales)
        enlarged = (size * scale for size, scale in zip(sizes, self.scales, strict=True))
        return self.x.type.with_shape((*self.x.type.shape[:2], *enlarged))

    def compute(self, *operands: Array) -> Array:
        """Return the enlarged array."""
        return kernels.repeat(operands[0], self.scales)
