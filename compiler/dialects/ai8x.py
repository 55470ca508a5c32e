"""The hardware level: one op is one layer of the accelerator.

A layer gathers its inputs, pools, combines operands, convolves, scales and activates, in the order
of the data path. Where it reads and writes is its `place`; how it runs is its `mode`. The order of
the ops in the graph is the order of execution.

Tensors are 1 x C x H x W, or 1 x C x L for 1-D data. The numbers are those of the integer level.
Source: hardware semantics, sections 1.1 to 1.10.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from ai8xc import numerics
from ai8xc.dialects import kernels, shapes
from ai8xc.dialects.moves import in_turn, turns_fail
from ai8xc.dialects.q import WEIGHT_BITS
from ai8xc.dialects.shapes import Geometry, Ints, dims, misfit
from ai8xc.ir.core import Data, Mask, Op, op
from ai8xc.ir.diag import Diagnostic
from ai8xc.ir.types import Array, Element, TensorType
from ai8xc.numerics import Activation

Operation = Literal["none", "add", "sub", "or", "xor"]
Gather = Literal["channels", "pixels"]


@dataclass(frozen=True)
class Pool:
    """Pooling in front of the operator; a 1x1 window with a stride only takes every n-th value."""

    kernel: Ints
    strides: Ints
    average: bool = False
    dilations: Ints = ()
    rounding: bool = False


@dataclass(frozen=True)
class Place:
    """Where a layer reads and writes.

    `processors` and `output_processors` have one bit a channel (of a pass of up to 64 channels);
    offsets are bytes within every data memory touched; gaps are words left free between words.
    `kernel_start` is the first kernel column, `bias_group` and `bias_start` the place of the
    biases in bytes; None where there is none, or not yet. A `bias_group` without `bias_start` is
    a wish. Depthwise layers have biases in several groups: `bias_starts`, one a group.
    `slot` numbers the layer in the device; None: in the order of execution.
    """

    processors: Mask
    output_processors: Mask
    in_offset: int = 0
    out_offset: int = 0
    read_gap: int = 0
    write_gap: int = 0
    kernel_start: int | None = None
    bias_group: int | None = None
    bias_start: int | None = None
    bias_starts: tuple[int | None, ...] = ()
    slot: int | None = None


@dataclass(frozen=True)
class Mode:
    """How a layer runs; nothing of it changes a number.

    `chw`: the network's input lies one channel a memory, four pixels a word. `streaming`: the
    layer starts before its input is complete. The others exist on MAX78002. `on_hit`: the slot
    of the layer that follows when a snooper hits. `simulated`: the slot of the layer that follows
    for the sample, -1 for none, where a snooper makes it another one than the next.
    """

    chw: bool = False
    streaming: bool = False
    readahead: bool = False
    calcx4: bool = False
    tcalc: bool = False
    on_hit: int | None = None
    simulated: int | None = None


@op("ai8x.constant")
class Constant(Op):
    """Weights (i8, i4, i2, i1, bin) or biases (i8); identical ones are stored once."""

    value: Data
    element: Element = "i8"
    scale: float | None = None

    @cached_property
    def type(self) -> TensorType:
        """The shape of the array in the declared element type."""
        return TensorType(tuple(self.value.array.shape), self.element, self.scale)

    def compute(self, *operands: Array) -> Array:
        """Return the array."""
        return self.value.array


@dataclass(frozen=True, eq=False, kw_only=True)
class Layer(Op):
    """What all layers share.

    `xs` are joined along the channels (or, `gather` = pixels, one behind the other; with `turn` so
    many channels of each of them in turn). `crop` drops
    rows at the top and the bottom, `view` reshapes the data to C x H x W without moving anything.
    They are then split along the channels into `parts` equal operands, which `eltwise` combines:
    before pooling, or with `pool_first` behind it.
    """

    xs: tuple[Op, ...]
    gather: Gather = "channels"
    turn: int = 0
    crop: tuple[int, int] = (0, 0)
    view: Ints = ()
    parts: int = 1
    eltwise: Operation = "none"
    pool: Pool | None = None
    pool_first: bool = True
    place: Place | None = None
    mode: Mode = Mode()

    @cached_property
    def in_shape(self) -> tuple[int, int, int]:
        """Channels, rows and columns of one operand, before pooling."""
        channels, rows, columns = self.view or self._gathered()
        if channels % self.parts:
            raise misfit(self, f"{channels} channels for {self.parts} operands")
        return channels // self.parts, rows, columns

    def verify(self) -> Iterator[Diagnostic]:
        """Operands and operation agree."""
        if (self.parts > 1) != (self.eltwise != "none"):
            why = f"{self.parts} operands for `{self.eltwise}`"
            yield shapes.SHAPES.at(self, opcode=self.opcode, why=why)
        uneven = turns_fail(self.xs, self.turn)
        if uneven:
            yield shapes.SHAPES.at(self, opcode=self.opcode, why=uneven)

    def _gathered(self) -> Ints:
        found = [x.type.shape for x in self.xs]
        if not found or any(len(shape) != 4 for shape in found):
            raise misfit(self, ", ".join(map(dims, found)) or "no inputs")
        if self.gather == "pixels":
            if len({shape[1] for shape in found}) != 1 or not self.view:
                raise misfit(self, f"pixels of {', '.join(map(dims, found))} without a view")
            return found[0][1:]
        _, channels, rows, columns = shapes.concat_shape(self, self.xs, 1)
        return channels, rows - sum(self.crop), columns

    @cached_property
    def pooled_shape(self) -> tuple[int, int, int]:
        """Channels, rows and columns behind the pooling.

        The size is the hardware's: for dilated windows it differs from that of the frameworks.
        """
        channels, rows, columns = self.in_shape
        if self.pool is None:
            return channels, rows, columns
        dilations = self.pool.dilations or (1, 1)
        numbers = zip((rows, columns), self.pool.kernel, self.pool.strides, dilations, strict=True)
        pooled = tuple((size + t - p - d + 1) // t for size, p, t, d in numbers)
        if min(pooled) < 1:
            raise misfit(self, f"pooling {rows}x{columns} by {dims(self.pool.kernel)}")
        return channels, pooled[0], pooled[1]

    def prepare(self, values: Sequence[Array]) -> Array:
        """Return what the operator reads: gathered, combined and pooled."""
        parts = np.split(self._gather(values), self.parts, axis=1)
        if self.pool_first:
            return self._combine([self._pool(part) for part in parts])
        return self._pool(self._combine(parts))

    def _gather(self, values: Sequence[Array]) -> Array:
        if self.gather == "pixels":
            flat = [value.reshape(*value.shape[:2], -1) for value in values]
            return np.concatenate(flat, axis=2).reshape(values[0].shape[0], *self.view)
        joined = in_turn(values, self.turn) if self.turn else np.concatenate(values, axis=1)
        top, bottom = self.crop
        joined = joined[:, :, top : joined.shape[2] - bottom]
        return joined.reshape(joined.shape[0], *self.view) if self.view else joined

    def _combine(self, parts: Sequence[Array]) -> Array:
        if self.eltwise == "none":
            return parts[0]
        return numerics.combine(self.eltwise, parts).astype(np.int8)

    def _pool(self, x: Array) -> Array:
        pool = self.pool
        if pool is None:
            return x
        dilations = pool.dilations or (1, 1)
        geometry = (pool.kernel, pool.strides, (0, 0, 0, 0), dilations)
        if pool.kernel == (1, 1):
            return x[:, :, :: pool.strides[0], :: pool.strides[1]]
        if not pool.average:
            return kernels.pool_max(x, *geometry)
        sums = kernels.pool_sum(x, *geometry)
        count = pool.kernel[0] * pool.kernel[1]
        return numerics.average(sums, count, rounding=pool.rounding).astype(np.int8)


@op("ai8x.passthrough")
class Passthrough(Layer):
    """A layer without operator: pooling, element-wise operation, or only moving data."""

    @cached_property
    def type(self) -> TensorType:
        """1 x channels x pooled rows x pooled columns, in the scale of the input."""
        return self.xs[0].type.with_shape((1, *self.pooled_shape))

    def compute(self, *operands: Array) -> Array:
        """Return the prepared input."""
        return self.prepare(operands)


@dataclass(frozen=True, eq=False, kw_only=True)
class Weighted(Layer):
    """A layer with weights: what comes behind the accumulator.

    `wide` layers give the 32-bit accumulator, others 8 bits, scaled by the total shift. With
    `bypass` (MAX78002) all weights are 1 and take no kernel memory.
    """

    weight: Op
    bias: Op | None = None
    output_shift: int = 0
    activation: Activation = "none"
    wide: bool = False
    bypass: bool = False

    @property
    def weight_bits(self) -> int:
        """Bits of one weight."""
        return WEIGHT_BITS[self.weight.type.element]

    @property
    def shift(self) -> int:
        """The total shift of the accumulator."""
        return numerics.total_shift(self.output_shift, self.weight_bits)

    def value_type(self, channels: int, rows: int, columns: int) -> TensorType:
        """Return the type of the result, its scale from those of input and weights."""
        shapes.check_bias(self, self.bias, channels)
        step = None
        if self.xs[0].type.scale is not None and self.weight.type.scale is not None:
            step = self.xs[0].type.scale * self.weight.type.scale
        if self.wide:
            return TensorType((1, channels, rows, columns), "i32", step)
        factor = 2.0 ** (numerics.FRACTION_BITS - self.shift)
        scale = None if step is None else step * factor
        return TensorType((1, channels, rows, columns), "i8", scale)

    def values(self, operands: Sequence[Array]) -> tuple[Array, Array, Array | None]:
        """Return the prepared input, the weights and the bias."""
        data = len(self.xs)
        bias = operands[data + 1] if len(operands) > data + 1 else None
        return self.prepare(operands[:data]), operands[data], bias

    def finish(self, acc: Array, bias: Array | None) -> Array:
        """Return the output for an accumulator."""
        wide = acc.astype(np.int64)
        if bias is not None:
            wide = wide + numerics.BIAS_UNIT * bias.astype(np.int64).reshape(1, -1, 1, 1)
        if self.wide:
            return wide.astype(np.int32)
        scaled = numerics.requantize(wide, self.shift)
        return numerics.activate(scaled, self.activation).astype(np.int8)


@dataclass(frozen=True, eq=False, kw_only=True)
class _Convolution(Weighted):
    pad: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1

    @property
    def kernel(self) -> tuple[int, int]:
        """Rows and columns of the window."""
        rows, *columns = self.weight.type.shape[2:]
        return rows, columns[0] if columns else 1

    @property
    def geometry(self) -> Geometry:
        """The window in the terms of the other levels."""
        return Geometry((1, 1), (*self.pad, *self.pad), self.dilation)

    @cached_property
    def type(self) -> TensorType:
        """1 x M x windows."""
        channels, rows, columns = self.pooled_shape
        weight = self.weight.type.shape
        if weight[1] * self.groups != channels or weight[0] % self.groups:
            raise misfit(self, f"weight {dims(weight)} on {channels} channels")
        out = [
            kernels.window_size(size + 2 * p, k, 1, d)
            for size, p, k, d in zip(
                (rows, columns), self.pad, self.kernel, self.dilation, strict=True
            )
        ]
        return self.value_type(weight[0], out[0], out[1])

    def compute(self, *operands: Array) -> Array:
        """Return the layer's output."""
        x, weight, bias = self.values(operands)
        window = weight.reshape(*weight.shape[:2], *self.kernel)
        g = self.geometry
        acc = kernels.convolve(x, window, g.strides, g.pads, g.dilations, self.groups)
        return self.finish(acc, bias)


@op("ai8x.conv2d")
class Conv2d(_Convolution):
    """2-D convolution, stride 1; weight M x C/groups x rows x columns."""


@op("ai8x.conv1d")
class Conv1d(_Convolution):
    """1-D convolution along the rows of data with one column; weight M x C/groups x length."""


@op("ai8x.conv_transpose2d")
class ConvTranspose2d(Weighted):
    """Transposed 3x3 convolution, stride 2, output padding 1.

    The weight is M x C/groups x 3 x 3 as the kernel memory holds it: rotated by 180 degrees,
    outputs first. `pad` is the framework's; the hardware pads the spread data by 2 - pad.
    """

    pad: tuple[int, int] = (1, 1)
    groups: int = 1

    @property
    def kernel(self) -> tuple[int, int]:
        """Rows and columns of the window."""
        return self.weight.type.shape[2], self.weight.type.shape[3]

    @cached_property
    def type(self) -> TensorType:
        """1 x M x enlarged sizes."""
        channels, rows, columns = self.pooled_shape
        weight = self.weight.type.shape
        if weight[1] * self.groups != channels or weight[0] % self.groups:
            raise misfit(self, f"weight {dims(weight)} on {channels} channels")
        out = [
            2 * (size - 1) - 2 * p + k + 1
            for size, p, k in zip((rows, columns), self.pad, self.kernel, strict=True)
        ]
        return self.value_type(weight[0], out[0], out[1])

    def compute(self, *operands: Array) -> Array:
        """Return the layer's output."""
        x, weight, bias = self.values(operands)
        begins = [k - 1 - p for k, p in zip(self.kernel, self.pad, strict=True)]
        pads = (*begins, *(begin + 1 for begin in begins))
        acc = kernels.convolve(kernels.spread(x, (2, 2)), weight, (1, 1), pads, (1, 1), self.groups)
        return self.finish(acc, bias)


@op("ai8x.linear")
class Linear(Weighted):
    """A matrix on each pixel, or (`flatten`) on all values in channel-major order.

    Weight is M x C, flattened M x (C * H * W).
    """

    flatten: bool = False

    @cached_property
    def type(self) -> TensorType:
        """1 x M x H x W; 1 x M x 1 x 1 when flattened."""
        channels, rows, columns = self.pooled_shape
        inputs = channels * rows * columns if self.flatten else channels
        weight = self.weight.type.shape
        if len(weight) != 2 or weight[1] != inputs:
            raise misfit(self, f"weight {dims(weight)} on {inputs} values")
        return self.value_type(weight[0], *((1, 1) if self.flatten else (rows, columns)))

    def compute(self, *operands: Array) -> Array:
        """Return the layer's output."""
        x, weight, bias = self.values(operands)
        if self.flatten:
            x = x.reshape(x.shape[0], -1, 1, 1)
        acc = kernels.convolve(x, weight[:, :, None, None], (1, 1), (0, 0, 0, 0), (1, 1))
        return self.finish(acc, bias)


def layers(ops: Sequence[Op]) -> list[Layer]:
    """Return the layers among ops, in order of execution."""
    return [op for op in ops if isinstance(op, Layer)]
