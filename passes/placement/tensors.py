"""The tensors of a network, as their placement needs to know them: how large, and when live.

Source: memory description, sections 1.4 and 3.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ai8xc.device import Device
from ai8xc.dialects import ai8x
from ai8xc.dialects.settings import Settings
from ai8xc.ir.core import Graph, Input, Op
from ai8xc.passes.layers.limits import lanes_of, passes_of
from ai8xc.passes.layers.streams import counters

WORD = 4
"""Bytes of a word of data memory: one byte of each of the processors that share it."""


@dataclass(frozen=True)
class Tensor:
    """What must be known of a tensor to place it; `pattern` has a bit for each processor.

    `lead` bytes in front of the offset and `tail` pixels behind the last are overwritten by the
    layer that writes it. `first` and `last` are the layers between which it is live: -1 is the
    loading of the input, the number of layers the reading of the output. `buffer` are the words
    of a tensor that streams: no more of it lies in memory. `fixed`: it starts at processor 0.
    """

    op: Op
    pattern: int
    passes: int
    pixels: int
    first: int
    last: int
    wide: bool = False
    lead: int = 0
    tail: int = 0
    chw: bool = False
    buffer: int = 0
    fixed: bool = False

    @property
    def width(self) -> int:
        """Processors from the first to the last."""
        return self.pattern.bit_length()

    def extent(self, step: int) -> int:
        """Return the bytes of each memory from the offset to the end of the last word."""
        if self.buffer:
            return WORD * (self.buffer + 1)  # streams keep a word between them (STREAM-BUF)
        if self.chw:
            return -(-self.pixels // WORD) * WORD
        words = (self.pixels + self.tail) * self.passes * (4 if self.wide else 1)
        return WORD * ((words - 1) * step + 1)

    def mask(self, start: int) -> int:
        """Return the processors when the first is `start`."""
        return self.pattern << start

    def memories(self, start: int, per_memory: int) -> int:
        """Return the memories it lies in, one bit each."""
        first, last = start // per_memory, (start + self.width - 1) // per_memory
        if not self.pattern & (self.pattern + 1):  # no holes
            return (1 << last + 1) - (1 << first)
        found = 0
        for memory in range(first, last + 1):
            if self.mask(start) >> per_memory * memory & (1 << per_memory) - 1:
                found |= 1 << memory
        return found


def tensors_of(
    graph: Graph, layers: Sequence[ai8x.Layer], device: Device, chw: Op | None
) -> dict[Op, Tensor]:
    """Return all tensors; `chw` is the input to be loaded one channel a memory."""
    last: dict[Op, int] = {}
    for index, layer in enumerate(layers):
        last.update(dict.fromkeys(layer.xs, index))
    last.update(dict.fromkeys(graph.outputs, len(layers)))
    streams = counters(graph, device)
    buffers = {layer.xs[0]: streams[layer].rollover for layer in layers if layer in streams}
    for op in (*buffers, *streams):  # all of them run at the same time
        last[op] = max(last.get(op, 0), len(streams) - 1)
    settings = Settings.of(graph)
    found: dict[Op, Tensor] = {}
    writers: list[tuple[int, Op]] = [(-1, op) for op in graph.inputs]
    for first, op in (*writers, *enumerate(layers)):
        _, channels, rows, columns = op.type.shape
        lanes = lanes_of(channels, device)
        pattern = (1 << lanes) - 1
        if op is chw:
            pattern = sum(1 << device.processors_per_memory * lane for lane in range(lanes))
        fed = settings.fifo and isinstance(op, Input)
        if fed:
            pattern = fifo_pattern(lanes, device, quad=settings.quad)
        lead, tail = _spill(op, device)
        found[op] = Tensor(
            op,
            pattern,
            passes_of(channels, device),
            rows * columns,
            -1 if op in streams else first,
            last.get(op, first),
            wide=op.type.element == "i32",
            lead=lead,
            tail=tail,
            chw=op is chw,
            buffer=buffers.get(op, 0),
            fixed=fed,
        )
    return found


def fifo_pattern(channels: int, device: Device, *, quad: bool) -> int:
    """Return the processors that FIFOs feed: the first four of each group (rule FIFO-PROC).

    With `quad` those of all groups get the same data.
    """
    share, span = device.processors_per_memory, device.processors_per_group
    if quad:
        return sum((1 << channels) - 1 << span * group for group in range(device.groups))
    return sum(1 << channel // share * span + channel % share for channel in range(channels))


def _spill(op: Op, device: Device) -> tuple[int, int]:
    """Return bytes before and pixels behind the output that a widely dilated layer writes.

    Source: memory description, section 1.4.
    """
    if not isinstance(op, ai8x.Conv1d):
        return 0, 0
    length, dilation = op.kernel[0], op.dilation[0]
    if (length - 1) * dilation + 1 <= device.max_stretched_kernel_1d:
        return 0, 0
    rows = op.in_shape[1]
    lead = WORD * dilation * passes_of(op.type.shape[1], device) if length == 3 else 0
    return lead, -(-rows // dilation) * dilation - op.type.shape[2]
