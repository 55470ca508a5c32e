"""Layers with weights, pools and means of the float level.

Layers with weights have room for the activation behind them: that is one layer of the hardware.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ai8xc.dialects import kernels, shapes, windows
from ai8xc.dialects.shapes import Ints, broadcast, dims, misfit, spatial
from ai8xc.ir.core import Data, Op, op
from ai8xc.ir.types import Array, TensorType, element_of
from ai8xc.numerics import Activation


@op("nn.constant")
class Constant(Op):
    """An array of the model: weights, biases, constants of arithmetic."""

    value: Data

    @cached_property
    def type(self) -> TensorType:
        """Shape and element type of the array."""
        element = element_of(self.value.array.dtype)
        if element is None:
            raise misfit(self, f"numbers of type {self.value.array.dtype} are not supported")
        return TensorType(tuple(self.value.array.shape), element)

    def compute(self, *operands: Array) -> Array:
        """Return the array."""
        return self.value.array


class _Activated(Op):
    """What layers with weights share: the activation and the limit of magnitudes behind them."""

    x: Op
    activation: Activation
    limit: float

    def value_type(self, shape: Ints) -> TensorType:
        """Return the type of the result in this shape."""
        return self.x.type.with_shape(shape)

    def finish(self, acc: Array, bias: Array | None) -> Array:
        """Return the result for the sums of products (channels on axis 1)."""
        if bias is not None:
            acc = np.asarray(acc + bias.reshape(1, -1, *(1,) * (acc.ndim - 2)))
        return self.activate(acc)

    def activate(self, y: Array) -> Array:
        """Return the values after the activation and the limit."""
        if self.activation == "relu":
            y = np.maximum(y, y.dtype.type(0))
        elif self.activation == "abs":
            y = np.abs(y)
        if math.isinf(self.limit):
            return y
        return np.asarray(np.clip(y, -self.limit, self.limit).astype(y.dtype))


@op("nn.conv")
class Conv(_Activated, windows.Conv):
    """Cross-correlation; weight is M x C/groups x kernel. Empty attributes are 1 (pads: 0).

    `activation` is applied to the result, then magnitudes are limited to `limit`.
    """

    activation: Activation = "none"
    limit: float = math.inf

    def accumulate(self, x: Array, weight: Array) -> Array:
        """Return the sums of products; those of integers stay as narrow as `x`."""
        return super().accumulate(x, weight).astype(x.dtype, copy=False)


@op("nn.conv_transpose")
class ConvTranspose(_Activated, windows.ConvTranspose):
    """Transposed convolution; weight is C x M/groups x kernel."""

    activation: Activation = "none"
    limit: float = math.inf


@op("nn.linear")
class Linear(_Activated):
    """`x @ weight.T + bias` on the last axis; weight is M x K."""

    x: Op
    weight: Op
    bias: Op | None = None
    activation: Activation = "none"
    limit: float = math.inf

    @cached_property
    def type(self) -> TensorType:
        """The shape of `x` with M as its last size."""
        weight, shape = self.weight.type.shape, self.x.type.shape
        if len(weight) != 2 or not shape or shape[-1] != weight[1]:
            raise misfit(self, f"weight {dims(weight)} on data {dims(shape)}")
        shapes.check_bias(self, self.bias, weight[0])
        return TensorType((*shape[:-1], weight[0]), self.x.type.element)

    def compute(self, *operands: Array) -> Array:
        """Return the product."""
        x, weight, *bias = operands
        y = x @ weight.T
        return self.activate(np.asarray(y + bias[0]) if bias else np.asarray(y))


@op("nn.gemm")
class Gemm(Op):
    """`alpha * A' @ B' + beta * C`, matrices transposed where asked for."""

    a: Op
    b: Op
    c: Op | None = None
    alpha: float = 1.0
    beta: float = 1.0
    trans_a: bool = False
    trans_b: bool = False

    @cached_property
    def type(self) -> TensorType:
        """Rows of A' by columns of B'."""
        a, b = self.a.type.shape, self.b.type.shape
        if len(a) != 2 or len(b) != 2:
            raise misfit(self, f"{dims(a)} times {dims(b)}")
        rows, inner = a[::-1] if self.trans_a else a
        depth, columns = b[::-1] if self.trans_b else b
        if inner != depth:
            raise misfit(self, f"{rows}x{inner} times {depth}x{columns}")
        return TensorType((rows, columns), self.a.type.element)

    def compute(self, *operands: Array) -> Array:
        """Return the product."""
        a, b, *c = operands
        y = (a.T if self.trans_a else a) @ (b.T if self.trans_b else b)
        y = y * y.dtype.type(self.alpha)
        return np.asarray(y + c[0] * y.dtype.type(self.beta)) if c else np.asarray(y)


@op("nn.matmul")
class MatMul(Op):
    """Matrix product with numpy's rules for batches and vectors."""

    a: Op
    b: Op

    @cached_property
    def type(self) -> TensorType:
        """The shape that numpy's `matmul` gives."""
        a, b = self.a.type.shape, self.b.type.shape
        rows, columns = (a if len(a) > 1 else (1, *a)), (b if len(b) > 1 else (*b, 1))
        if not a or not b or rows[-1] != columns[-2]:
            raise misfit(self, f"{dims(a)} times {dims(b)}")
        lead = broadcast(self, rows[:-2], columns[:-2])
        left = rows[-2:-1] if len(a) > 1 else ()
        right = columns[-1:] if len(b) > 1 else ()
        return TensorType((*lead, *left, *right), self.a.type.element)

    def compute(self, *operands: Array) -> Array:
        """Return the product."""
        return np.asarray(np.matmul(operands[0], operands[1]))


@op("nn.batch_norm")
class BatchNorm(Op):
    """`(x - mean) / sqrt(var + epsilon) * scale + bias`, by channel."""

    x: Op
    scale: Op
    bias: Op
    mean: Op
    var: Op
    epsilon: float = 1e-5

    @cached_property
    def type(self) -> TensorType:
        """The type of `x`."""
        shape = self.x.type.shape
        if len(shape) < 2:
            raise misfit(self, f"data {dims(shape)} have no channels")
        for parameter in (self.scale, self.bias, self.mean, self.var):
            if parameter.type.shape != (shape[1],):
                raise misfit(self, f"`%{parameter.name}` for {shape[1]} channels")
        return self.x.type

    def compute(self, *operands: Array) -> Array:
        """Return the normalised values."""
        x, *parameters = operands
        shape = (1, -1, *(1,) * (x.ndim - 2))
        scale, bias, mean, var = (parameter.reshape(shape) for parameter in parameters)
        y = (x - mean) / np.sqrt(var + self.epsilon) * scale + bias
        return np.asarray(y.astype(x.dtype))


@dataclass(frozen=True, eq=False, repr=False)
class _Pool(windows.Pool):
    """What pools share: the last window may reach over the edge (`ceil_mode`)."""

    ceil_mode: bool = False

    @cached_property
    def type(self) -> TensorType:
        """N x C x windows."""
        shape = shapes.pool_shape(self, self.x, self.kernel, self.geometry, ceil=self.ceil_mode)
        return self.x.type.with_shape(shape)

    def full_pads(self) -> Ints:
        """Pads that also cover the last window of ceil mode."""
        g = self.geometry
        if not self.ceil_mode:
            return g.pads
        return kernels.pool_padding(
            self.x.type.shape[2:], self.kernel, g.strides, g.pads, g.dilations
        )


@op("nn.max_pool")
class MaxPool(_Pool):
    """Maximum of each window; padding never wins."""

    def compute(self, *operands: Array) -> Array:
        """Return the maxima."""
        g = self.geometry
        return kernels.pool_max(operands[0], self.kernel, g.strides, self.full_pads(), g.dilations)


@op("nn.average_pool")
class AveragePool(_Pool):
    """Mean of each window, over all taps or only over those that are not padding."""

    count_include_pad: bool = False

    def compute(self, *operands: Array) -> Array:
        """Return the means."""
        x = operands[0]
        g, full = self.geometry, self.full_pads()
        sums = kernels.pool_sum(x, self.kernel, g.strides, full, g.dilations)
        ones = np.ones((1, 1, *x.shape[2:]), x.dtype)
        if self.count_include_pad:  # what ceil mode adds beyond the declared pads never counts
            ones = kernels.pad(ones, g.pads, 1)
            extra = tuple(f - p for f, p in zip(full, g.pads, strict=True))
            counts = kernels.pool_sum(ones, self.kernel, g.strides, extra, g.dilations)
        else:
            counts = kernels.pool_sum(ones, self.kernel, g.strides, full, g.dilations)
        return np.asarray((sums / counts).astype(x.dtype))


class _Global(Op):
    """What reductions over all spatial axes share; the axes stay, as size 1."""

    x: Op

    @cached_property
    def type(self) -> TensorType:
        """N x C x 1 x ..."""
        return self.x.type.with_shape((*self.x.type.shape[:2], *(1 for _ in spatial(self, self.x))))


@op("nn.global_average_pool")
class GlobalAveragePool(_Global):
    """Mean over all spatial axes, which stay as size 1."""

    x: Op

    def compute(self, *operands: Array) -> Array:
        """Return the means."""
        axes = tuple(range(2, operands[0].ndim))
        return np.asarray(operands[0].mean(axis=axes, keepdims=True, dtype=operands[0].dtype))


@op("nn.global_max_pool")
class GlobalMaxPool(_Global):
    """Maximum over all spatial axes, which stay as size 1."""

    x: Op

    def compute(self, *operands: Array) -> Array:
        """Return the maxima."""
        axes = tuple(range(2, operands[0].ndim))
        return np.asarray(operands[0].max(axis=axes, keepdims=True))


@op("nn.reduce_mean")
class ReduceMean(Op):
    """Mean over `axes` (not negative)."""

    x: Op
    axes: Ints = ()
    keep_dims: bool = True

    @cached_property
    def type(self) -> TensorType:
        """The shape of `x` with the axes as 1, or without them."""
        shape = self.x.type.shape
        if any(not 0 <= axis < len(shape) for axis in self.axes):
            raise misfit(self, f"axes {self.axes} of {dims(shape)}")
        kept = tuple(1 if i in self.axes else size for i, size in enumerate(shape))
        if not self.keep_dims:
            kept = tuple(size for i, size in enumerate(shape) if i not in self.axes)
        return self.x.type.with_shape(kept)

    def compute(self, *operands: Array) -> Array:
        """Return the means."""
        x = operands[0]
        return np.asarray(x.mean(axis=self.axes, keepdims=self.keep_dims, dtype=x.dtype))
