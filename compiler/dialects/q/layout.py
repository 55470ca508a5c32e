"""Ops that move values and change none."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import numpy as np

from ai8xc.dialects import kernels, shapes
from ai8xc.dialects.q.common import equal_scales
from ai8xc.dialects.shapes import Ints, dims, misfit
from ai8xc.ir.core import Op, op
from ai8xc.ir.diag import Diagnostic
from ai8xc.ir.types import Array, TensorType


@op("q.reshape")
class Reshape(Op):
    """The same values, row-major, in another shape; see `nn.reshape`."""

    x: Op
    shape: Ints = ()

    @cached_property
    def type(self) -> TensorType:
        """The new shape."""
        if int(np.prod(self.shape)) != self.x.type.size:
            raise misfit(self, f"{dims(self.x.type.shape)} as {dims(self.shape)}")
        return self.x.type.with_shape(self.shape)

    def compute(self, *operands: Array) -> Array:
        """Return the reshaped values."""
        return kernels.reshape_batch(operands[0], self.x.type.shape, self.shape)


@op("q.transpose")
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


@op("q.concat")
class Concat(Op):
    """Tensors of one scale joined along `axis`."""

    xs: tuple[Op, ...]
    axis: int = 1

    @cached_property
    def type(self) -> TensorType:
        """The shape of the first with the sizes along `axis` added up."""
        return self.xs[0].type.with_shape(shapes.concat_shape(self, self.xs, self.axis))

    def verify(self) -> Iterator[Diagnostic]:
        """All operands mean the same by one integer step."""
        yield from equal_scales(self, self.xs)

    def compute(self, *operands: Array) -> Array:
        """Return the joined array."""
        return np.concatenate(operands, axis=self.axis)


@op("q.slice")
class Slice(Op):
    """Every `steps[i]`-th value from `starts[i]` up to `ends[i]`; see `nn.slice`."""

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
        """Return the values taken."""
        bounds = (self.starts, self.ends, self.steps)
        return kernels.take(operands[0], self.x.type.shape, *bounds)


@op("q.pad")
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


@op("q.resize")
class Resize(Op):
    """Each value repeated `scales[i]` times along spatial axis i."""

    x: Op
    scales: Ints = ()

    @cached_property
    def type(self) -> TensorType:
        """The enlarged shape."""
        sizes = shapes.spatial(self, self.x)
        shapes.check_axes(self, len(sizes), scales=self.scales)
        enlarged = (size * scale for size, scale in zip(sizes, self.scales, strict=True))
        return self.x.type.with_shape((*self.x.type.shape[:2], *enlarged))

    def compute(self, *operands: Array) -> Array:
        """Return the enlarged array."""
        return kernels.repeat(operands[0], self.scales)
