"""One layer as the hardware runs it: passes, rewritten geometry, kernel and bias quantities.

The hardware differs from the layer's own terms in three cases: 1x1 kernels in a stream run as 3x3
ones, dilated 1-D kernels are stretched or run on the 2-D engine, transposed convolutions pad the
spread data. Source: register description, sections 4.1 to 4.6; memory description, section 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from ai8xc.device import Device
from ai8xc.dialects.ai8x import (
    Constant,
    Conv1d,
    Conv2d,
    ConvTranspose2d,
    Layer,
    Linear,
    Passthrough,
    Place,
    Weighted,
)
from ai8xc.ir.core import Mask
from ai8xc.ir.types import Array

Operator = Literal["none", "conv1d", "conv2d", "transposed"]
Pair = tuple[int, int]


def ceil_div(number: int, divisor: int) -> int:
    """Return the quotient rounded up."""
    return -(-number // divisor)


def round_up(number: int, multiple: int) -> int:
    """Return the next multiple of `multiple` that is not smaller."""
    return ceil_div(number, multiple) * multiple


def bits(mask: int) -> list[int]:
    """Return the numbers of the set bits, ascending."""
    return [bit for bit in range(mask.bit_length()) if mask >> bit & 1]


def first_bit(mask: int) -> int:
    """Return the number of the lowest set bit; `mask` is not 0."""
    return (mask & -mask).bit_length() - 1


def last_bit(mask: int) -> int:
    """Return the number of the highest set bit; `mask` is not 0."""
    return mask.bit_length() - 1


@dataclass(frozen=True, eq=False)
class HardwareLayer:
    """A layer with its place in the sequence; everything else follows from these facts.

    `slot` numbers the layers of the network, `number` the hardware layers (they differ behind a
    hidden reset layer). `reset` tells that such a layer stands before this one. `centred`: a 1x1
    kernel runs as the centre of a 3x3 one. `quad`: the fast FIFO feeds all four groups.
    """

    op: Layer
    device: Device
    slot: int
    number: int
    reset: bool = False
    centred: bool = False
    quad: bool = False

    @cached_property
    def place(self) -> Place:
        """Where the layer reads and writes; it is our mistake to ask before it is placed."""
        if self.op.place is None:
            raise LookupError(f"layer `{self.op.name}` is not placed")
        return self.op.place

    @cached_property
    def weighted(self) -> Weighted | None:
        """The layer as one with weights, None where it has none."""
        return self.op if isinstance(self.op, Weighted) else None

    # Data path

    @cached_property
    def channels(self) -> int:
        """Input channels of one operand; those before flattening."""
        return self.op.in_shape[0]

    @cached_property
    def out_shape(self) -> tuple[int, int, int]:
        """Output channels, rows, columns."""
        _, channels, rows, columns = self.op.type.shape
        return channels, rows, columns

    @cached_property
    def passes(self) -> int:
        """Input passes: how often the processors are used for all channels of a pixel."""
        return ceil_div(self.channels, self.lanes)

    @cached_property
    def lanes(self) -> int:
        """Input channels of a pass."""
        return self.place.processors.bit_count()

    @cached_property
    def out_passes(self) -> int:
        """Output passes."""
        return ceil_div(self.out_shape[0], self.out_lanes)

    @cached_property
    def out_lanes(self) -> int:
        """Output channels of a pass."""
        return self.place.output_processors.bit_count()

    @cached_property
    def involved_passes(self) -> int:
        """Passes that the layer's counters see: whole groups of four with `tcalc`."""
        return round_up(self.passes, 4) if self.op.mode.tcalc else self.passes

    @cached_property
    def source_processors(self) -> Mask:
        """Processors that a FIFO or the memories feed, before quad replication."""
        return self.place.processors

    @cached_property
    def processors(self) -> Mask:
        """Processors that read data."""
        if not self.quad:
            return self.place.processors
        span = self.device.processors_per_group
        copies = (self.place.processors << span * group for group in range(self.device.groups))
        return Mask(sum(copies))

    @property
    def output_processors(self) -> Mask:
        """Processors whose memories hold the output."""
        return self.place.output_processors

    def in_group(self, mask: int, group: int) -> int:
        """Return the bits of `mask` that belong to a group, shifted to bit 0."""
        span = self.device.processors_per_group
        return mask >> span * group & (1 << span) - 1

    def groups_of(self, mask: int) -> list[int]:
        """Return the groups that have bits in `mask`."""
        return [group for group in range(self.device.groups) if self.in_group(mask, group)]

    # Operator

    @cached_property
    def operator(self) -> Operator:
        """What the multipliers do."""
        match self.op:
            case Passthrough():
                return "none"
            case ConvTranspose2d():
                return "transposed"
            case Conv1d() if not self.folded_columns:
                return "conv1d"
            case _:
                return "conv2d"

    @property
    def convolves(self) -> bool:
        """Whether there is an operator at all."""
        return self.operator != "none"

    @cached_property
    def groups(self) -> int:
        """Convolution groups: 1, or all channels of a depthwise layer."""
        grouped = Conv2d | Conv1d | ConvTranspose2d
        return self.op.groups if isinstance(self.op, grouped) else 1

    @property
    def depthwise(self) -> bool:
        """Whether each output sees one input channel only."""
        return self.groups > 1

    @property
    def broadcast(self) -> bool:
        """Whether a depthwise layer writes to the processors it reads from."""
        return self.depthwise and self.processors == self.output_processors

    @property
    def moved(self) -> bool:
        """Whether a depthwise layer writes to other processors."""
        return self.depthwise and not self.broadcast

    @property
    def flatten(self) -> bool:
        """Whether the layer is a matrix on all values of its input."""
        return isinstance(self.op, Linear) and self.op.flatten

    @property
    def bypass(self) -> bool:
        """Whether all weights are 1 and not stored."""
        return self.weighted is not None and self.weighted.bypass

    @property
    def calcx4(self) -> bool:
        """Whether four outputs are computed at once."""
        return self.op.mode.calcx4

    @property
    def streaming(self) -> bool:
        """Whether the layer starts before its input is complete."""
        return self.op.mode.streaming

    @cached_property
    def dilation(self) -> int:
        """Dilation of a 1-D kernel."""
        return self.op.dilation[0] if isinstance(self.op, Conv1d) else 1

    @cached_property
    def own_kernel(self) -> Pair:
        """Rows and columns of the kernel in the layer's own terms."""
        match self.op:
            case Conv1d() | Conv2d() | ConvTranspose2d():
                return self.op.kernel
            case _:
                return (1, 1)

    @cached_property
    def folded_columns(self) -> int:
        """Columns of the 2-D data that a widely dilated 1-D kernel runs on, else 0."""
        span = (self.own_kernel[0] - 1) * self.dilation
        wide = self.dilation > 1 and span >= self.device.max_stretched_kernel_1d
        return self.dilation if wide else 0

    @cached_property
    def kernel(self) -> Pair:
        """Rows and columns of the kernel as it is stored."""
        if self.centred or self.folded_columns:
            return (3, 3)
        if self.dilation > 1:
            return ((self.own_kernel[0] - 1) * self.dilation + 1, 1)
        return self.own_kernel

    @property
    def taps(self) -> int:
        """Values of one kernel."""
        return self.kernel[0] * self.kernel[1]

    @cached_property
    def pad(self) -> Pair:
        """Padding of rows and columns; that of the spread data for transposed convolution."""
        if self.centred or self.folded_columns:
            return (1, 1)
        match self.op:
            case ConvTranspose2d():
                rows, columns = self.op.kernel
                return rows - 1 - self.op.pad[0], columns - 1 - self.op.pad[1]
            case Conv1d() | Conv2d():
                return self.op.pad
            case _:
                return (0, 0)

    # Geometry

    @cached_property
    def rows(self) -> int:
        """Input rows."""
        rows = self.op.in_shape[1]
        return ceil_div(rows, self.folded_columns) if self.folded_columns else rows

    @cached_property
    def columns(self) -> int:
        """Input columns."""
        return self.folded_columns or self.op.in_shape[2]

    @cached_property
    def pooled(self) -> Pair:
        """Rows and columns behind the pooling."""
        if self.folded_columns:
            return self.rows, self.columns
        return self.op.pooled_shape[1], self.op.pooled_shape[2]

    @cached_property
    def pool(self) -> Pair:
        """Rows and columns of the pooling window, 1 x 1 without."""
        return _pair(self.op.pool.kernel) if self.op.pool else (1, 1)

    @cached_property
    def pool_strides(self) -> Pair:
        """Steps of the pooling window."""
        return _pair(self.op.pool.strides) if self.op.pool else (1, 1)

    @cached_property
    def pool_dilations(self) -> Pair:
        """Distances of the values of a pooling window."""
        return _pair(self.op.pool.dilations or (1, 1)) if self.op.pool else (1, 1)

    @property
    def pools(self) -> bool:
        """Whether there is a pooling window."""
        return self.pool != (1, 1)

    @property
    def averages(self) -> bool:
        """Whether the pooling is an average."""
        return self.op.pool is not None and self.op.pool.average

    @property
    def ignored_bytes(self) -> int:
        """Bytes written before the output by a folded 1-D layer."""
        if not self.folded_columns or self.own_kernel[0] < 3:
            return 0
        return 4 * self.folded_columns * self.out_passes

    @cached_property
    def flat_pixels(self) -> int:
        """Words of one channel that a flatten layer reads; 1 otherwise."""
        return self.pooled[0] * self.pooled[1] if self.flatten else 1

    @cached_property
    def row_buffer(self) -> int:
        """Words of the row buffer (TRAM) that the layer needs."""
        columns = self.pooled[1] + 2 * self.pad[1] - self.kernel[1]
        if self.operator == "none":
            return 1
        if self.operator == "transposed":
            columns = 2 * self.pooled[1] + 2 * self.pad[1] - self.kernel[1]
        return max(0, columns) + 1

    @cached_property
    def emulated_operands(self) -> bool:
        """Whether operands of several passes run as one pass on more rows (MAX78000)."""
        if not self.device.has("multipass-eltwise-limit"):
            return False
        return self.op.parts > 1 and self.passes > 1 and (self.op.parts, self.passes) != (2, 2)

    @cached_property
    def time_slots(self) -> int:
        """Time slots of one pass; 0 where the hardware needs no count."""
        counts = [
            self.in_group(self.processors, group).bit_count() for group in range(self.device.groups)
        ]
        width = 4 if self.wide else 1
        if self.operator == "none":
            return max(ceil_div(count * width, 4) for count in counts)
        if self.broadcast:
            return max(min(count, 4) for count in counts) * width
        if self.moved:
            return max(counts) * width
        return 0

    # Weights and biases

    @cached_property
    def weight_bits(self) -> int:
        """Bits of a stored weight."""
        return self.weighted.weight_bits if self.weighted is not None else 8

    @property
    def binary(self) -> bool:
        """Whether the weights are +1 and -1."""
        return self.weighted is not None and self.weighted.weight.type.element == "bin"

    @property
    def wide(self) -> bool:
        """Whether the output has 32 bits."""
        return self.weighted is not None and self.weighted.wide

    @property
    def stores_kernels(self) -> bool:
        """Whether the layer has kernels in the kernel memory."""
        return self.weighted is not None and not self.bypass

    @property
    def start_column(self) -> int:
        """Kernels are fetched from a multiple of four processors: outputs skipped before the first.

        Memory description, section 1.3, step 1.
        """
        return first_bit(self.output_processors) % self.device.processors_per_memory

    @cached_property
    def bias(self) -> Array | None:
        """The biases; None without, or where all are 0 (which the hardware need not add)."""
        if self.weighted is None or not isinstance(self.weighted.bias, Constant):
            return None
        values = self.weighted.bias.value.array
        return values if values.any() else None

    @cached_property
    def weights(self) -> Array:
        """The weights as integers, kernels x taps of the stored kernel, output-major."""
        if self.weighted is None or not isinstance(self.weighted.weight, Constant):
            raise LookupError(f"layer `{self.op.name}` has no constant weights")
        array = self.weighted.weight.value.array
        if isinstance(self.op, Linear):
            return array.reshape(-1, 1)
        return self._stretched(array.reshape(-1, *self.own_kernel))

    def _stretched(self, kernels: Array) -> Array:
        count, length = kernels.shape[:2]
        if self.kernel == self.own_kernel:
            return kernels.reshape(count, -1)
        stored = np.zeros((count, *self.kernel), kernels.dtype)
        if self.centred:
            stored[:, 1, 1] = kernels[:, 0, 0]
        elif self.folded_columns:
            stored[:, 3 - length :, 1] = kernels[:, :, 0]
        else:
            stored[:, :: self.dilation, 0] = kernels[:, :, 0]
        return stored.reshape(count, -1)


def _pair(values: tuple[int, ...]) -> Pair:
    rows, *columns = values
    return rows, columns[0] if columns else 1
