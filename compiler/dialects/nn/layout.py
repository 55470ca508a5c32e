"""Ops of the float level that move values and do not change them."""

from __future__ import annotations

import math
from functools import cached_property
from typing import Literal

import numpy as np

from ai8xc.dialects import kernels, shapes
from ai8xc.dialects.shapes import Ints, dims, misfit, spatial
from ai8xc.ir.core import Op, op
from ai8xc.ir.types import Array, TensorType


@op("nn.reshape")
class Reshape(Op):
    """The same values, row-major, in another shape (Flatten, Squeeze, Unsqueeze too).

    Where both shapes begin with the same size, that is the batch and may differ when computing.
    """

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


@op("nn.transpose")
class Transpose(Op):
    """Axes in another order: axis i of the result is axis `perm[i]` of `x`."""

    x: Op
    perm: Ints = ()

    @cached_property
    def type(self) -> TensorType:
        """The permuted shape."""
        return self.x.type.with_shape(shapes.transpose_shape(self, self.x, self.perm))

    def compute(self, *operands: Array) -> Array:
        """Return the permuted array."""
        return operands[0].transpose(self.perm)


@op("nn.concat")
class Concat(Op):
    """Tensors joined along `axis` (not negative)."""

    xs: tuple[Op, ...]
    axis: int = 1

    @cached_property
    def type(self) -> TensorType:
        """The shape of the first with the sizes along `axis` added up."""
        return self.xs[0].type.with_shape(shapes.concat_shape(self, self.xs, self.axis))

    def compute(self, *operands: Array) -> Array:
        """Return the joined array."""
        return np.concatenate(operands, axis=self.axis)


@op("nn.slice")
class Slice(Op):
    """Every `steps[i]`-th value from `starts[i]` up to `ends[i]` along axis i of all axes.

    Counts are resolved at import: for a positive step 0 <= start <= end <= size; a negative step
    runs from `start` down to, not including, `end`, which may be -1.
    """

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


PadMode = Literal["constant", "reflect", "edge", "wrap"]


@op("nn.pad")
class Pad(Op):
    """Values added around (or, where negative, cropped off) every axis: all begins, all ends."""

    x: Op
    pads: Ints = ()
    value: float = 0.0
    mode: PadMode = "constant"

    @cached_property
    def type(self) -> TensorType:
        """The padded shape."""
        return self.x.type.with_shape(shapes.pad_shape(self, self.x, self.pads))

    def compute(self, *operands: Array) -> Array:
        """Return the padded array."""
        x, rank = operands[0], len(self.pads) // 2
        if self.mode == "constant":
            return kernels.pad(x, self.pads, self.value)
        amounts = list(zip(self.pads[:rank], self.pads[rank:], strict=True))
        return np.pad(x, amounts, mode=self.mode)


@op("nn.resize")
class Resize(Op):
    """Each value repeated `scales[i]` times along spatial axis i (nearest neighbour)."""

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
