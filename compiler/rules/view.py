"""What rules ask about a layer, placed or not, and about the network around it.

Passes and lanes: hardware semantics, section 2, derived quantities.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from ai8xc.device import Device
from ai8xc.dialects import ai8x
from ai8xc.dialects.settings import Settings
from ai8xc.ir.core import Graph, Op

Pair = tuple[int, int]
WORD = 4
"""Bytes of a word: one value of each of four processors."""


def ceil_div(number: int, divisor: int) -> int:
    """Return the quotient rounded up."""
    return -(-number // divisor)


def lowest(mask: int) -> int:
    """Return the number of the lowest processor in a mask that is not empty."""
    return (mask & -mask).bit_length() - 1


def has_gaps(mask: int) -> bool:
    """Whether processors between the first and the last one of a mask are left out."""
    packed = mask >> lowest(mask) if mask else 0
    return packed & (packed + 1) != 0


def lanes_of(channels: int, device: Device) -> int:
    """Return the processors that so many channels take in each pass."""
    passes = ceil_div(channels, device.processors)
    lanes = ceil_div(channels, passes)
    if passes == 1:
        return lanes
    step = device.processors_per_memory
    return min(ceil_div(lanes, step) * step, device.processors)


@dataclass(frozen=True, eq=False)
class LayerView:
    """One layer in the terms of the rules. `order` counts executed layers, `slot` numbers them."""

    op: ai8x.Layer
    device: Device
    order: int
    slot: int

    @property
    def channels(self) -> int:
        """Input channels of one operand, before flattening."""
        return self.op.in_shape[0]

    @property
    def size(self) -> Pair:
        """Input rows and columns."""
        return self.op.in_shape[1], self.op.in_shape[2]

    @property
    def pooled(self) -> Pair:
        """Rows and columns behind the pooling."""
        return self.op.pooled_shape[1], self.op.pooled_shape[2]

    @property
    def outputs(self) -> int:
        """Output channels."""
        return self.op.type.shape[1]

    @property
    def out_size(self) -> Pair:
        """Output rows and columns."""
        return self.op.type.shape[2], self.op.type.shape[3]

    @property
    def place(self) -> ai8x.Place | None:
        """Where it reads and writes, None before placement."""
        return self.op.place

    @property
    def passes(self) -> int:
        """Input passes."""
        return ceil_div(self.channels, self.device.processors)

    @property
    def out_passes(self) -> int:
        """Output passes."""
        return ceil_div(self.outputs, self.device.processors)

    @property
    def pool(self) -> Pair:
        """The pooling window, 1 x 1 without."""
        return self.op.pool.kernel[:2] if self.op.pool else (1, 1)  # type: ignore[return-value] # two sizes

    @property
    def pool_strides(self) -> Pair:
        """Steps of the pooling window."""
        return self.op.pool.strides[:2] if self.op.pool else (1, 1)  # type: ignore[return-value] # two sizes

    @property
    def pool_dilations(self) -> Pair:
        """Distances of the values of a pooling window."""
        found = self.op.pool.dilations if self.op.pool else ()
        return (found[0], found[1]) if found else (1, 1)

    @property
    def pools(self) -> bool:
        """Whether there is a pooling window."""
        return self.pool != (1, 1)

    @property
    def single(self) -> bool:
        """Whether the layer works on sequences: 1-D convolution, or no operator on one column."""
        if isinstance(self.op, ai8x.Conv1d):
            return True
        return isinstance(self.op, ai8x.Passthrough) and self.size[1] == 1

    @property
    def weighted(self) -> ai8x.Weighted | None:
        """The layer as one with weights."""
        return self.op if isinstance(self.op, ai8x.Weighted) else None

    @property
    def convolution(self) -> ai8x.Conv2d | ai8x.Conv1d | ai8x.ConvTranspose2d | None:
        """The layer as one with windows."""
        kinds = ai8x.Conv2d | ai8x.Conv1d | ai8x.ConvTranspose2d
        return self.op if isinstance(self.op, kinds) else None

    @property
    def groups(self) -> int:
        """Groups of the convolution."""
        return self.convolution.groups if self.convolution else 1

    @property
    def flattens(self) -> bool:
        """Whether the layer is a matrix on all values of its input."""
        return isinstance(self.op, ai8x.Linear) and self.op.flatten

    @property
    def kernel(self) -> Pair:
        """Rows and columns of the kernel, 1 x 1 without."""
        return self.convolution.kernel if self.convolution else (1, 1)

    @property
    def pad(self) -> Pair:
        """Zeros that the layer puts around its (spread) data."""
        op = self.convolution
        if isinstance(op, ai8x.ConvTranspose2d):
            return op.kernel[0] - 1 - op.pad[0], op.kernel[1] - 1 - op.pad[1]
        return op.pad if op else (0, 0)

    @property
    def dilation(self) -> int:
        """Dilation of a 1-D kernel."""
        return self.op.dilation[0] if isinstance(self.op, ai8x.Conv1d) else 1

    @property
    def reach(self) -> int:
        """Values that a dilated 1-D kernel spans."""
        return (self.kernel[0] - 1) * self.dilation + 1

    @property
    def wide_dilation(self) -> bool:
        """Whether a 1-D kernel is dilated too far to be stretched: it runs on the 2-D engine."""
        return self.dilation > 1 and self.reach > self.device.max_stretched_kernel_1d

    @cached_property
    def biased(self) -> bool:
        """Whether there are biases other than 0."""
        bias = self.weighted.bias if self.weighted else None
        return isinstance(bias, ai8x.Constant) and bool(bias.value.array.any())

    @property
    def wide(self) -> bool:
        """Whether the output has 32 bits."""
        return self.weighted is not None and self.weighted.wide

    @property
    def streaming(self) -> bool:
        """Whether the layer starts before its input is complete."""
        return self.op.mode.streaming

    @property
    def lane_mask(self) -> int:
        """All processors of the device."""
        return (1 << self.device.processors) - 1

    def in_group(self, mask: int, group: int) -> int:
        """Return the bits of `mask` that belong to a group, shifted to bit 0."""
        span = self.device.processors_per_group
        return mask >> span * group & (1 << span) - 1

    def in_bytes(self) -> int:
        """Bytes of a data memory from the first to the last word of the input."""
        rows, columns = self.size
        words = rows * columns * self.passes * self.op.parts
        if self.op.mode.chw:
            return words
        gap = self.place.read_gap if self.place else 0
        return WORD * ((words - 1) * (gap + 1) + 1)

    def out_bytes(self) -> int:
        """Bytes of a data memory from the first to the last word of the output."""
        rows, columns = self.out_size
        pixels = rows * columns
        if self.wide_dilation:
            pixels = ceil_div(self.size[0], self.dilation) * self.dilation
        word = WORD * (WORD if self.wide else 1)
        gap = self.place.write_gap if self.place else 0
        return word * ((pixels * self.out_passes - 1) * (gap + 1) + 1)


@dataclass(frozen=True, eq=False)
class NetworkView:
    """All layers in the order of execution, and how the network is run."""

    graph: Graph
    device: Device
    settings: Settings
    layers: tuple[LayerView, ...]

    @classmethod
    def of(cls, graph: Graph, device: Device) -> NetworkView:
        """Return the layers of a graph of level ai8x."""
        found = [
            LayerView(op, device, order, _slot(op, order))
            for order, op in enumerate(ai8x.layers(graph.ops))
        ]
        return cls(graph, device, Settings.of(graph), tuple(found))

    @cached_property
    def by_op(self) -> Mapping[Op, LayerView]:
        """The view of each layer."""
        return {layer.op: layer for layer in self.layers}

    def before(self, layer: LayerView) -> LayerView | None:
        """Return the layer that runs before this one."""
        return self.layers[layer.order - 1] if layer.order else None

    def behind(self, layer: LayerView) -> LayerView | None:
        """Return the layer that runs next."""
        later = self.layers[layer.order + 1 :]
        return later[0] if later else None

    def sources(self, layer: LayerView) -> tuple[LayerView | None, ...]:
        """Return the layers whose outputs a layer reads; None for an input of the network."""
        return tuple(self.by_op.get(x) for x in layer.op.xs)

    def readers(self, layer: LayerView) -> tuple[LayerView, ...]:
        """Return the layers that read this one's output."""
        return tuple(other for other in self.layers if layer.op in other.op.xs)

    @property
    def hidden(self) -> int:
        """Layers that the hardware inserts: averages behind element-wise layers (MAX78002)."""
        if not self.device.has("average-reset-layer"):
            return 0
        pairs = zip(self.layers, self.layers[1:], strict=False)
        return sum(
            layer.op.pool is not None and layer.op.pool.average and before.op.parts > 1
            for before, layer in pairs
        )

    def centred(self, layer: LayerView) -> bool:
        """Whether a 1x1 kernel runs as the centre of a 3x3 one: in streams (STREAM-1X1)."""
        if layer.slot > self.device.streaming.layers or layer.kernel != (1, 1) or any(layer.pad):
            return False
        if not isinstance(layer.op, ai8x.Conv2d | ai8x.Linear):
            return False
        before = self.before(layer)
        return layer.streaming or (before is not None and before.streaming)


def _slot(op: ai8x.Layer, order: int) -> int:
    place = op.place
    return order if place is None or place.slot is None else place.slot
