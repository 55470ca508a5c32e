"""The integer level: the same layers in the accelerators' arithmetic.

Tensors are int8 (or int32 where a layer is `wide`) and carry their scale, the real value of one
integer step. Every result is fully determined by the op: see `ai8xc.numerics` for the arithmetic.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Final, Literal

import numpy as np

from ai8xc import numerics
from ai8xc.dialects import kernels, shapes
from ai8xc.dialects.shapes import Geometry, Ints, dims, misfit
from ai8xc.ir.core import Data, Op, op
from ai8xc.ir.diag import Diagnostic, declare
from ai8xc.ir.types import INTEGER_RANGE, Array, Element, TensorType, same_scale
from ai8xc.numerics import Activation

WEIGHT_BITS: Final[dict[str, int]] = {"i8": 8, "i4": 4, "i2": 2, "i1": 1, "bin": 1}
"""Bits of each weight type; `bin` is -1 or +1, `i1` is -1 or 0."""

SCALES_DIFFER = declare(
    "Q001",
    "the operands of `{opcode}` have different scales: {scales}",
    """Tensors that meet in an element-wise op or a concat are added or joined as integers, so one
    integer step must mean the same real value in all of them. The quantiser unifies the scales of
    such tensors; in text, give them the same scale.""",
)
SHIFT_RANGE = declare(
    "Q002",
    "output shift {shift} with {bits}-bit weights is a total shift of {total}",
    """The hardware shifts an accumulator by the output shift and by 8 minus the weight bits, in
    total between -15 and 15.""",
)
OUT_OF_RANGE = declare(
    "Q003",
    "`%{name}` holds {value}, which {element} cannot",
    "Integers must lie in the range of their element type.",
)
WRONG_ELEMENT = declare(
    "Q004",
    "`{opcode}` cannot read {element} data from `%{name}`",
    """Layers read 8-bit data. A layer with wide (32-bit) output can only be an output of the
    network.""",
)


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


class _Weighted(Op):
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
                raise _cannot_read(self, operand)
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


def narrow(values: Array) -> Array:
    """Return 8-bit values in 8-bit storage."""
    return values.astype(np.int8)


def _cannot_read(op: Op, operand: Op) -> Exception:
    from ai8xc.ir.diag import Rejected

    element = operand.type.element
    finding = WRONG_ELEMENT.at(op, opcode=op.opcode, element=element, name=operand.name)
    return Rejected([finding])


def _bias(operands: tuple[Array, ...]) -> Array | None:
    return operands[2] if len(operands) > 2 else None


@op("q.conv")
class Conv(_Weighted):
    """`activation(requantize(conv(x, weight) + 128 * bias, shift))`; weight M x C/groups x ..."""

    x: Op
    weight: Op
    bias: Op | None = None
    strides: Ints = ()
    pads: Ints = ()
    dilations: Ints = ()
    groups: int = 1
    output_shift: int = 0
    activation: Activation = "none"
    wide: bool = False

    @property
    def kernel(self) -> Ints:
        """Sizes of the window."""
        return self.weight.type.shape[2:]

    @property
    def geometry(self) -> Geometry:
        """Strides, pads and dilations with the defaults filled in."""
        return Geometry.of(len(self.kernel), self.strides, self.pads, self.dilations)

    @cached_property
    def type(self) -> TensorType:
        """N x M x windows."""
        shape = shapes.conv_shape(self, self.x, self.weight, self.geometry, self.groups)
        shapes.check_bias(self, self.bias, shape[1])
        return self.value_type(shape)

    def compute(self, *operands: Array) -> Array:
        """Return the layer's output."""
        x, weight, g = operands[0], operands[1], self.geometry
        acc = kernels.convolve(x, weight, g.strides, g.pads, g.dilations, self.groups)
        return self.finish(acc, _bias(operands))


@op("q.conv_transpose")
class ConvTranspose(_Weighted):
    """As `q.conv`, for a transposed convolution; weight is C x M/groups x kernel."""

    x: Op
    weight: Op
    bias: Op | None = None
    strides: Ints = ()
    pads: Ints = ()
    dilations: Ints = ()
    output_padding: Ints = ()
    groups: int = 1
    output_shift: int = 0
    activation: Activation = "none"
    wide: bool = False

    @property
    def kernel(self) -> Ints:
        """Sizes of the window."""
        return self.weight.type.shape[2:]

    @property
    def geometry(self) -> Geometry:
        """Strides, pads and dilations with the defaults filled in."""
        return Geometry.of(len(self.kernel), self.strides, self.pads, self.dilations)

    @cached_property
    def type(self) -> TensorType:
        """N x M x enlarged sizes."""
        shape = shapes.conv_transpose_shape(
            self, self.x, self.weight, self.geometry, self.groups, self.output_padding
        )
        shapes.check_bias(self, self.bias, shape[1])
        return self.value_type(shape)

    def compute(self, *operands: Array) -> Array:
        """Return the layer's output."""
        x, weight, g = operands[0], operands[1], self.geometry
        extra = self.output_padding or None
        acc = kernels.convolve_transposed(
            x, weight, g.strides, g.pads, g.dilations, self.groups, extra
        )
        return self.finish(acc, _bias(operands))


@op("q.linear")
class Linear(_Weighted):
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
        return self.finish(acc, _bias(operands))


class _Eltwise(Op):
    """What element-wise ops share: 2 to 16 operands of one shape and one scale."""

    xs: tuple[Op, ...]
    operation: Literal["add", "sub", "or", "xor"]

    @cached_property
    def type(self) -> TensorType:
        """The type of the first operand."""
        found = {x.type.shape for x in self.xs}
        if len(found) != 1 or len(self.xs) < 2:
            raise misfit(self, " and ".join(dims(x.type.shape) for x in self.xs))
        for x in self.xs:
            if x.type.element != "i8":
                raise _cannot_read(self, x)
        return self.xs[0].type

    def verify(self) -> Iterator[Diagnostic]:
        """All operands mean the same by one integer step."""
        yield from _same_scales(self, self.xs)

    def compute(self, *operands: Array) -> Array:
        """Return the combination, clamped once."""
        return narrow(numerics.combine(self.operation, operands))


def _same_scales(op: Op, xs: tuple[Op, ...]) -> Iterator[Diagnostic]:
    if not all(same_scale(xs[0].type.scale, x.type.scale) for x in xs):
        scales = ", ".join(f"%{x.name} {x.type.scale!r}" for x in xs)
        yield SCALES_DIFFER.at(op, opcode=op.opcode, scales=scales)


@op("q.add")
class Add(_Eltwise):
    """Sum of the operands, clamped to 8 bits at the end."""

    xs: tuple[Op, ...]
    operation = "add"


@op("q.sub")
class Sub(_Eltwise):
    """The first operand minus all others, clamped to 8 bits at the end."""

    xs: tuple[Op, ...]
    operation = "sub"


@op("q.or")
class BitwiseOr(_Eltwise):
    """Bits that are set in any operand."""

    xs: tuple[Op, ...]
    operation = "or"


@op("q.xor")
class BitwiseXor(_Eltwise):
    """Bits that are set in an odd number of operands."""

    xs: tuple[Op, ...]
    operation = "xor"


class _Same(Op):
    """An op whose result has the type of its operand."""

    x: Op

    @cached_property
    def type(self) -> TensorType:
        """The type of `x`."""
        return self.x.type


@op("q.relu")
class Relu(_Same):
    """`max(x, 0)`."""

    x: Op

    def compute(self, *operands: Array) -> Array:
        """Return the values, negative ones as 0."""
        return np.asarray(np.maximum(operands[0], 0))


@op("q.abs")
class Abs(_Same):
    """Magnitude; that of -128 is 127."""

    x: Op

    def compute(self, *operands: Array) -> Array:
        """Return the magnitudes."""
        return narrow(numerics.activate(operands[0], "abs"))


class _Pool(Op):
    """What pools share."""

    x: Op
    kernel: Ints
    strides: Ints
    pads: Ints
    dilations: Ints

    @property
    def geometry(self) -> Geometry:
        """Strides, pads and dilations with the defaults filled in."""
        return Geometry.of(len(self.kernel), self.strides, self.pads, self.dilations)

    @cached_property
    def type(self) -> TensorType:
        """N x C x windows, with the scale of `x`."""
        return self.x.type.with_shape(shapes.pool_shape(self, self.x, self.kernel, self.geometry))


@op("q.max_pool")
class MaxPool(_Pool):
    """Maximum of each window; padding never wins."""

    x: Op
    kernel: Ints = ()
    strides: Ints = ()
    pads: Ints = ()
    dilations: Ints = ()

    def compute(self, *operands: Array) -> Array:
        """Return the maxima."""
        g = self.geometry
        return kernels.pool_max(operands[0], self.kernel, g.strides, g.pads, g.dilations)


@op("q.average_pool")
class AveragePool(_Pool):
    """Mean of each window (padding counts as zeros), towards zero or, `rounding`, to nearest."""

    x: Op
    kernel: Ints = ()
    strides: Ints = ()
    pads: Ints = ()
    dilations: Ints = ()
    rounding: bool = False

    def compute(self, *operands: Array) -> Array:
        """Return the means."""
        g = self.geometry
        sums = kernels.pool_sum(operands[0], self.kernel, g.strides, g.pads, g.dilations)
        count = int(np.prod(self.kernel))
        return narrow(numerics.average(sums, count, rounding=self.rounding))


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
        yield from _same_scales(self, self.xs)

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
