"""Constants and the layers that have weights."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import numpy as np

from ai8xc import numerics
from ai8xc.dialects import shapes, windows
from ai8xc.dialects.q.common import OUT_OF_RANGE, SHIFT_RANGE, WEIGHT_BITS, cannot_read, narrow
from ai8xc.dialects.shapes import Ints, dims, misfit
from ai8xc.ir.core import Data, Op, op
from ai8xc.ir.diag import Diagnostic
from ai8xc.ir.types import INTEGER_RANGE, Array, Element, TensorType
from ai8xc.numerics import Activation


@op("q.constant")
class Constant(Op):
    """Weights (i8, i4, i2, i1, bin) or biases (i8) as integers; `scale` is the real step."""

    value: Data
    element: Element = "i8"
    scale: float | None = None

    @cached_property
    def type(self) -> TensorType:
        """The shape of the array in the declared element type."""
        return TensorType(tuple(self.value.array.shape), self.element, self.scale)

    def verify(self) -> Iterator[Diagnostic]:
        """Every value fits the element type."""
        low, high = INTEGER_RANGE[self.element]
        array = self.value.array
        wrong = array[(array < low) | (array > high)]
        if self.element == "bin":
            wrong = array[np.abs(array) != 1]
        if wrong.size:
            value = int(wrong.flat[0])
            yield OUT_OF_RANGE.at(self, name=self.name, value=value, element=self.element)

    def compute(self, *operands: Array) -> Array:
        """Return the array."""
        return self.value.array


class _Requantized(Op):
    """What layers with weights share: shift, activation, width of the output."""

    x: Op
    weight: Op
    bias: Op | None
    output_shift: int
    activation: Activation
    wide: bool

    @property
    def weight_bits(self) -> int:
        """Bits of one weight."""
        return WEIGHT_BITS[self.weight.type.element]

    @property
    def shift(self) -> int:
        """The total shift of the accumulator."""
        return numerics.total_shift(self.output_shift, self.weight_bits)

    def value_type(self, shape: Ints) -> TensorType:
        """Return the type of the result in this shape, its scale from those of the operands."""
        for operand in (self.x, self.weight):
            if operand.type.element not in WEIGHT_BITS:
                raise cannot_read(self, operand)
        step = None
        if self.x.type.scale is not None and self.weight.type.scale is not None:
            step = self.x.type.scale * self.weight.type.scale
        if self.wide:
            return TensorType(shape, "i32", step)
        factor = 2.0 ** (numerics.FRACTION_BITS - self.shift)
        return TensorType(shape, "i8", None if step is None else step * factor)

    def verify(self) -> Iterator[Diagnostic]:
        """The total shift is one that the hardware has."""
        low, high = numerics.SHIFT_RANGE
        if not self.wide and not low <= self.shift <= high:
            yield SHIFT_RANGE.at(
                self,
                attribute="output_shift",
                shift=self.output_shift,
                bits=self.weight_bits,
                total=self.shift,
            )

    def finish(self, acc: Array, bias: Array | None) -> Array:
        """Return the value for an accumulator (channels on axis 1)."""
        wide = acc.astype(np.int64, copy=False)
        if bias is not None:
            column = bias.astype(np.int64).reshape(1, -1, *(1,) * (acc.ndim - 2))
            wide = wide + numerics.BIAS_UNIT * column
        if self.wide:
            return wide.astype(np.int32)
        return narrow(numerics.activate(numerics.requantize(wide, self.shift), self.activation))


@op("q.conv")
class Conv(_Requantized, windows.Conv):
    """`activation(requantize(conv(x, weight) + 128 * bias, shift))`; weight M x C/groups x ..."""

    output_shift: int = 0
    activation: Activation = "none"
    wide: bool = False


@op("q.conv_transpose")
class ConvTranspose(_Requantized, windows.ConvTranspose):
    """As `q.conv`, for a transposed convolution; weight is C x M/groups x kernel."""

    output_shift: int = 0
    activation: Activation = "none"
    wide: bool = False


@op("q.linear")
class Linear(_Requantized):
    """As `q.conv`, for a matrix M x K on data N x K."""

    x: Op
    weight: Op
    bias: Op | None = None
    output_shift: int = 0
    activation: Activation = "none"
    wide: bool = False

    @cached_property
    def type(self) -> TensorType:
        """N x M."""
        weight, shape = self.weight.type.shape, self.x.type.shape
        if len(weight) != 2 or len(shape) != 2 or shape[1] != weight[1]:
            raise misfit(self, f"weight {dims(weight)} on data {dims(shape)}")
        shapes.check_bias(self, self.bias, weight[0])
        return self.value_type((shape[0], weight[0]))

    def compute(self, *operands: Array) -> Array:
        """Return the layer's output."""
        x, weight = (operand.astype(np.float64) for operand in operands[:2])
        acc = np.rint(x @ weight.T).astype(np.int64)
        return self.finish(acc, operands[2] if self.bias else None)
