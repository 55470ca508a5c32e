"""What layers with windows share on all levels: fields, geometry, shape and the sum of products.

`nn` and `q` give them their names and say what follows the sum.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from ai8xc.dialects import kernels, shapes
from ai8xc.dialects.shapes import Geometry, Ints
from ai8xc.ir.core import Op
from ai8xc.ir.types import Array, TensorType


@dataclass(frozen=True, eq=False, repr=False)
class _Weighted(Op):
    x: Op
    weight: Op
    bias: Op | None = None
    strides: Ints = ()
    pads: Ints = ()
    dilations: Ints = ()

    @property
    def kernel(self) -> Ints:
        """Sizes of the window."""
        return self.weight.type.shape[2:]

    @property
    def geometry(self) -> Geometry:
        """Strides, pads and dilations with the defaults filled in."""
        return Geometry.of(len(self.kernel), self.strides, self.pads, self.dilations)

    @property
    def shape(self) -> Ints:
        """N x M x windows."""
        raise NotImplementedError

    @cached_property
    def type(self) -> TensorType:
        """Type of the result, N x M x windows."""
        shape = self.shape
        shapes.check_bias(self, self.bias, shape[1])
        return self.value_type(shape)

    def value_type(self, shape: Ints) -> TensorType:
        """Return the type of the result in this shape."""
        raise NotImplementedError

    def accumulate(self, x: Array, weight: Array) -> Array:
        """Return the sums of products."""
        raise NotImplementedError

    def finish(self, acc: Array, bias: Array | None) -> Array:
        """Return the result for the sums of products (channels on axis 1)."""
        raise NotImplementedError

    def compute(self, *operands: Array) -> Array:
        """Return the layer's output."""
        x, weight, *bias = operands
        return self.finish(self.accumulate(x, weight), bias[0] if bias else None)


@dataclass(frozen=True, eq=False, repr=False)
class Conv(_Weighted):
    """Cross-correlation; weight is M x C/groups x kernel."""

    groups: int = 1

    @property
    def shape(self) -> Ints:
        """N x M x windows."""
        return shapes.conv_shape(self, self.x, self.weight, self.geometry, self.groups)

    def accumulate(self, x: Array, weight: Array) -> Array:
        """Return the sums of products."""
        g = self.geometry
        return kernels.convolve(x, weight, g.strides, g.pads, g.dilations, self.groups)


@dataclass(frozen=True, eq=False, repr=False)
class ConvTranspose(_Weighted):
    """Transposed convolution; weight is C x M/groups x kernel."""

    output_padding: Ints = ()
    groups: int = 1

    @property
    def shape(self) -> Ints:
        """N x M x enlarged sizes."""
        return shapes.conv_transpose_shape(
            self, self.x, self.weight, self.geometry, self.groups, self.output_padding
        )

    def accumulate(self, x: Array, weight: Array) -> Array:
        """Return the sums of products."""
        g, extra = self.geometry, self.output_padding or None
        return kernels.convolve_transposed(
            x, weight, g.strides, g.pads, g.dilations, self.groups, extra
        )


@dataclass(frozen=True, eq=False, repr=False)
class Pool(Op):
    """One value for each window of each channel."""

    x: Op
    kernel: Ints = ()
    strides: Ints = ()
    pads: Ints = ()
    dilations: Ints = ()

    @property
    def geometry(self) -> Geometry:
        """Strides, pads and dilations with the defaults filled in."""
        return Geometry.of(len(self.kernel), self.strides, self.pads, self.dilations)

    @cached_property
    def type(self) -> TensorType:
        """N x C x windows, otherwise as `x`."""
        return self.x.type.with_shape(shapes.pool_shape(self, self.x, self.kernel, self.geometry))
