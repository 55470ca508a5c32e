"""Random networks that break one rule about places, gaps, processors, streams or FIFOs.

Each entry of `BREAKS` names the rule and returns a network of hardware layers that breaks it and
no other. Channels, sizes, masks and what stands in front of the layer are random.
"""

from collections.abc import Callable, Sequence
from random import Random
from typing import Any, Final

from layer_networks import CHW, FLOWS, add, at, conv, conv1, copy, data, linear, net, pool, stream

from ai8xc.device import Device
from ai8xc.dialects import ai8x
from ai8xc.ir.core import Graph, Op


class Some:
    """Random numbers of the kinds that layers have."""

    def __init__(self, random: Random, device: Device) -> None:
        self.random, self.device = random, device

    def number(self, low: int, high: int) -> int:
        return self.random.randint(low, high)

    def flag(self) -> bool:
        return self.random.random() < 0.5

    @property
    def few(self) -> int:
        """Channels of a memory or more."""
        return self.random.choice([4, 8, 12, 16])

    @property
    def side(self) -> int:
        return self.number(4, 12)

    def image(self, channels: int = 0) -> Op:
        """An input of so many channels."""
        return data(channels or self.few, self.side, self.side)

    def value(self, channels: int = 0) -> Op:
        """An input, or what a few layers make of one, unplaced."""
        wanted = channels or self.few
        x = self.image(0 if (count := self.number(0, 3)) else wanted)
        for left in range(count, 0, -1):
            x = conv(x, wanted if left == 1 else self.few, self.random.choice([1, 3]))
        return x

    def conv(self, x: Op, outputs: int = 0, **fields: Any) -> ai8x.Conv2d:
        return conv(x, outputs or self.few, self.random.choice([1, 3]), **fields)

    def sequence(self, channels: int = 0, rows: int = 0) -> Op:
        return data(channels or self.few, rows or self.number(10, 40))


Break = Callable[[Some], Graph]


def mask(count: int, first: int = 0) -> int:
    return ((1 << count) - 1) << first


def packed(layer: ai8x.Layer) -> tuple[int, int]:
    """Masks of the lowest processors that a layer of few channels takes."""
    return mask(layer.in_shape[0]), mask(layer.type.shape[1])


def placed(s: Some, x: Op, **fields: Any) -> ai8x.Conv2d:
    """A convolution at a place; `at` changes the place."""
    given = fields.pop("at", {})
    outputs = fields.pop("outputs", 0) or s.few
    reads, writes = mask(x.type.shape[1]), mask(outputs)
    where = {"start": 0, "to": 0x2000, "reads": reads, "writes": writes, **given}
    return s.conv(x, outputs, place=at(**where), **fields)


# Processors


def processors(s: Some) -> Graph:
    x = s.value()
    many = mask(x.type.shape[1] + s.number(1, 3))
    return net(placed(s, x, at={"reads": many}))


def output_processors(s: Some) -> Graph:
    outputs = s.few
    wrong = mask(outputs - s.number(1, 3))
    return net(placed(s, s.value(), outputs=outputs, at={"writes": wrong}))


def first_group(s: Some) -> Graph:
    x, outputs, group = s.image(), s.few, 16 * s.number(1, 3)
    masks = {"reads": mask(x.type.shape[1], group), "writes": mask(outputs, group)}
    return net(placed(s, x, outputs=outputs, at=masks))


def moved(s: Some) -> Graph:
    x = s.value(4)
    return net(copy(x, place=at(0xF, s.random.choice([0x1B, 0x33, 0x17, 0xF0000]), 0, 0x2000)))


def joined_part(s: Some) -> Graph:
    """The second part lies in the middle of a memory."""
    n, first, second = s.side, 4, 4
    parts = [
        conv(data(4, n, n, f"x{i}"), 4, 3, place=at(0xF, writes, 0, 0x2000))
        for i, writes in enumerate((mask(first), mask(second, 5)))
    ]
    reads = mask(first) | mask(second, 5)
    layer = conv(parts[0], 4, 3, channels=8, place=at(reads, 0xF, 0x2000, 0x4000))
    fields = {"weight": layer.weight, "pad": layer.pad, "place": layer.place}
    return net(ai8x.Conv2d(xs=tuple(parts), **fields))


def operand_processors(s: Some) -> Graph:
    n, other = s.side, 16 * s.number(1, 3)
    a = conv(data(4, n, n), place=at(0xF, 0xF, 0, 0x2000, write_gap=1))
    b = conv(data(4, n, n, "y"), place=at(0xF, mask(4, other), 0x1000, 0x2004, write_gap=1))
    return net(copy(**add(a, b), place=at(0xF, 0xF, 0x2000, 0x6000)))


def bias_holes(s: Some) -> Graph:
    holes = s.random.choice([0x55, 0x1111, 0x249])
    return net(placed(s, s.value(), outputs=4, bias=True, at={"writes": holes}))


def bias_group(s: Some) -> Graph:
    return net(placed(s, s.value(), bias=True, at={"bias_group": s.number(1, 3)}))


# Depthwise layers, where the device has them


def depthwise(s: Some, **given: Any) -> Graph:
    x = s.value(4)
    bias = given.pop("bias", False)
    where = {"reads": 0xF, "writes": 0xF, "start": 0, "to": 0x2000, **given}
    return net(conv(x, 4, 3, groups=4, bias=bias, place=at(**where)))


def depthwise_bias(s: Some) -> Graph:
    return depthwise(s, bias=True, bias_group=0)


def depthwise_outputs(s: Some) -> Graph:
    return depthwise(s, writes=mask(4, 4 * s.number(0, 3) + s.number(1, 3)))


def depthwise_inputs(s: Some) -> Graph:
    x = s.value(20)
    place = at(mask(20, s.number(1, 3)), mask(20, 4), 0, 0x2000)
    return net(conv(x, 20, 3, groups=20, place=place))


def depthwise_gaps(s: Some) -> Graph:
    return depthwise(s, reads=s.random.choice([0x17, 0x1B, 0x1D]), writes=0xF0)


def depthwise_columns(s: Some) -> Graph:
    """Kernels of several passes on the border of two memories."""
    passes = s.number(6, 8)
    x, every = data(64 * passes, 4, 4), mask(64)
    start = 1024 - 4
    layer = conv(x, 64 * passes, 3, groups=64 * passes)
    return net(ai8x.Conv2d(**fields_of(layer, at(every, every, 0, 0x4000, kernel_start=start))))


def fields_of(layer: ai8x.Conv2d, place: ai8x.Place) -> dict[str, Any]:
    names = ("xs", "weight", "bias", "pad", "groups")
    return {**{name: getattr(layer, name) for name in names}, "place": place}


# Offsets and gaps


def odd_offset(s: Some) -> Graph:
    return net(placed(s, s.value(), at={"to": 0x2000 + s.number(1, 3)}))


def far_offset(s: Some) -> Graph:
    """Only a stream may name an offset behind its memory: the next layer reads elsewhere."""
    limit = s.device.offset_limit
    return stream(
        lambda x: conv(x, 4, 3, mode=FLOWS, place=at(0xF, 0xF0, 0, limit + 4 * s.number(0, 64))),
        lambda x: conv(x, 4, 3, place=at(0xF0, 0xF, 0x2000, 0x4000)),
        x=data(4, 16, 16),
    )


def input_end(s: Some) -> Graph:
    x = s.value()
    size = 4 * x.type.shape[2] * x.type.shape[3]
    start = s.device.data_memory_bytes - size + 4 * s.number(1, 16)
    return net(placed(s, x, at={"start": start, "to": 0}))


def output_end(s: Some) -> Graph:
    layer = placed(s, s.value())
    size = 4 * layer.type.shape[2] * layer.type.shape[3]
    start = s.device.data_memory_bytes - size + 4 * s.number(1, 16)
    assert layer.place is not None
    fields = {**fields_of(layer, layer.place), "place": at(*packed(layer), 0, start)}
    return net(ai8x.Conv2d(**fields))


def write_gap(s: Some) -> Graph:
    gap = s.device.write_step_limit - 1 + s.number(0, 3)
    return net(placed(s, data(4, 4, 4), at={"write_gap": gap, "to": 0}))


def read_gap(s: Some) -> Graph:
    return net(placed(s, s.value(), at={"read_gap": s.number(1, 3)}))


def read_gap_of_passes(s: Some) -> Graph:
    channels = 64 * s.number(2, 4)
    x = s.value(channels)
    place = at(mask(64), 0xF, 0, 0x4000, read_gap=1)
    return net(conv(x, 4, 3, place=place))


def dilated_offset(s: Some) -> Graph:
    d = s.number(9, 20)
    place = at(0xF, 0xF0, 0, 4 * s.number(0, d - 1))
    return net(conv1(s.sequence(4, 64), d=d, place=place))


def read_ahead(s: Some) -> Graph:
    return net(placed(s, s.value(), mode=ai8x.Mode(readahead=True)))


def read_ahead_part(s: Some) -> Graph:
    x, mode = s.value(), ai8x.Mode(readahead=True)
    return net(placed(s, x, mode=mode, at={"to": 0x1000 + 4 * s.number(0, 64)}))


# The input


def chw_shared(s: Some) -> Graph:
    reads = s.random.choice([0x3, 0x6, 0xC, 0x30])
    return net(conv(data(2, s.side, s.side), 4, 3, place=at(reads, 0xF), mode=CHW))


def chw_passes(s: Some) -> Graph:
    return net(conv(data(64 + s.number(1, 60), s.side, s.side), s.few, 3, mode=CHW))


def chw_operands(s: Some) -> Graph:
    x = s.image()
    return net(copy(**add(x, x), mode=CHW))


def fifo_channels(s: Some) -> Graph:
    limit = s.device.fifo.channels_hwc
    x = data(limit + s.number(1, 8), s.side, s.side)
    return net(s.conv(x), input_mode="fifo")


def fifo_processors(s: Some) -> Graph:
    reads = mask(4, s.random.choice([4, 8, 12, 20, 36]))
    return net(placed(s, s.image(4), at={"reads": reads}), input_mode="fifo")


def fifo_lanes(s: Some) -> Graph:
    wrong = s.random.choice([0x30003, 0x10007, 0x100010003])
    return net(placed(s, s.image(4), at={"reads": wrong}), input_mode="fifo")


def fifo_operands(s: Some) -> Graph:
    x = s.image(4)
    return net(copy(**add(x, x)), input_mode="fifo")


def fast_channels(s: Some) -> Graph:
    x = data(s.device.fifo.fast_channels_hwc + s.number(1, 8), s.side, s.side)
    return net(s.conv(x), input_mode="fast-fifo")


def fast_wide(s: Some) -> Graph:
    return net(s.conv(s.image(4), wide=True), input_mode="fast-fifo")


def fast_copy(s: Some) -> Graph:
    x = s.image(4)
    layer = copy(x, pool=pool(2, 2)) if s.flag() else copy(x)
    return net(layer, input_mode="fast-fifo")


def quad_outputs(s: Some) -> Graph:
    element, step = s.random.choice([("i4", 8), ("i2", 16), ("i1", 32)])
    outputs = step + s.number(1, step - 1)
    return net(s.conv(s.image(4), outputs, element=element), input_mode="fast-fifo-quad")


# Streams


def flowing(count: int) -> list[Callable[[Op], ai8x.Layer]]:
    return [lambda x: conv(x, 4, 3, mode=FLOWS)] * count


def stream_without_fifo(s: Some) -> Graph:
    return stream(*flowing(s.number(1, 4)), x=data(4, 16, 16), input_mode="memory")


def stream_order(s: Some) -> Graph:
    return stream(lambda x: conv(x, 4, 3), *flowing(s.number(1, 3)), x=data(4, 16, 16))


def stream_layers(s: Some) -> Graph:
    return stream(*flowing(s.device.streaming.layers + s.number(1, 4)), x=data(4, 16, 16))


def stream_end(s: Some) -> Graph:
    last = conv_without_padding
    return stream(*flowing(s.number(0, 3)), last, x=data(4, 16, 16))


def conv_without_padding(x: Op) -> ai8x.Layer:
    return conv(x, 4, 3, pad=(0, 0), mode=FLOWS)


def stream_copy(s: Some) -> Graph:
    """On a device whose streaming layers are convolutions."""
    return stream(*flowing(s.number(0, 2)), lambda x: copy(x, mode=FLOWS), x=data(4, 16, 16))


def stream_matrix(s: Some) -> Graph:
    ahead = flowing(s.number(1, 2))
    return stream(*ahead, lambda x: linear(x, mode=FLOWS), x=data(4, 8, 8))


def stream_rows(s: Some) -> Graph:
    """Rows of four passes and two more layers are more words than there are."""
    width = s.device.streaming.tram_limit // 5 + s.number(1, 40)
    return stream(
        lambda x: conv(x, 256, mode=FLOWS),
        lambda x: conv(x, 4, mode=FLOWS),
        lambda x: conv(x, 4, mode=FLOWS),
        x=data(4, 4, width),
    )


def stream_passes(s: Some) -> Graph:
    wide = [lambda x: conv(x, 256, 1, mode=FLOWS)] * 5
    return stream(*wide, lambda x: conv(x, mode=FLOWS), x=data(4, 8, 8))


def stream_jump(s: Some) -> Graph:
    return stream(
        lambda x: conv(x, 4, 3, mode=FLOWS, place=at(0xF, 0xF, 0, 0x1000, slot=0)),
        lambda x: conv(x, 4, 3, place=at(0xF, 0xF, 0x1000, 0x2000, slot=s.number(2, 6))),
    )


def two_streams(s: Some, second: int, out: int, m: int = 4, ahead: bool = False) -> Graph:
    there, back = (mask(4), mask(4)) if m == 4 else (0x3, 0xC)
    mode = ai8x.Mode(streaming=True, readahead=ahead)
    return stream(
        lambda x: conv(x, m, mode=FLOWS, place=at(there, back, 0, second)),
        lambda x: conv(x, m, mode=mode, place=at(back, there, second, out)),
        x=data(m, 16, 16),
    )


def stream_buffers(s: Some) -> Graph:
    return two_streams(s, 4, 4 * s.number(0xA00, 0xC00), 2)


def stream_output(s: Some) -> Graph:
    return two_streams(s, 0x1000, 0x1000 + 4 * s.number(1, 16))


def stream_ahead(s: Some) -> Graph:
    return two_streams(s, 0x2000, 0xC000, ahead=True)


def stream_frame(s: Some) -> Graph:
    """An input of more pixels than the register counts, reduced by a stream of one layer."""
    side, rows = s.device.fifo.frame_limit, s.device.max_rows
    x = data(1, rows, side // rows)
    return stream(lambda x: conv(x, 1, 1, mode=FLOWS, pool=pool(1, 16)), x=x)


# How the network is run


def late_start(s: Some) -> Graph:
    slot = s.device.max_start_layer + s.number(1, 3)
    return net(placed(s, s.image(), at={"slot": slot}))


def late_stream(s: Some) -> Graph:
    return net(placed(s, s.image(4), at={"slot": s.number(1, 9)}), input_mode="fifo")


def snoop(s: Some) -> Graph:
    return net(s.conv(s.value()), snoop=(0,) * (32 if not s.device.has("snoop") else 31))


def linked(s: Some) -> Graph:
    return net(s.conv(s.value()), link_layers=True)


def one_shot(s: Some) -> Graph:
    return net(s.conv(s.value()), one_shot=True)


def early_start(s: Some) -> Graph:
    return net(s.conv(s.value()), fifo_go=True)


def repeated(s: Some) -> Graph:
    return net(s.conv(s.value()), repeat=s.device.max_layers + s.number(1, 8))


def jump(s: Some) -> Graph:
    first = placed(s, s.image(), outputs=4, at={"slot": 0})
    return net(placed(s, first, at={"start": 0x2000, "to": 0x4000, "slot": s.number(2, 9)}))


def dry(feature: str) -> Callable[[Device], bool]:
    """Whether a device lacks a feature."""
    return lambda device: not device.has(feature)  # type: ignore[arg-type] # a known one


def having(feature: str) -> Callable[[Device], bool]:
    return lambda device: device.has(feature)  # type: ignore[arg-type] # a known one


def every(device: Device) -> bool:
    return True


BREAKS: Final[tuple[tuple[str, Break, Callable[[Device], bool]], ...]] = (
    ("PROC-COUNT", processors, every),
    ("OPROC-COUNT", output_processors, every),
    ("NET-QUAD0", first_group, every),
    ("PASS-MAP", moved, every),
    ("IN-CAT-4", joined_part, every),
    ("ELT-PROC", operand_processors, every),
    ("BIAS-HOLES", bias_holes, every),
    ("BIAS-GROUP", bias_group, every),
    ("DW-BIASGRP", depthwise_bias, having("depthwise")),
    ("DW-OUT4", depthwise_outputs, having("depthwise")),
    ("DW-IN4", depthwise_inputs, having("depthwise")),
    ("DW-GAPS", depthwise_gaps, having("depthwise")),
    ("WMEM-DW", depthwise_columns, having("depthwise")),
    ("OFFS-ALIGN", odd_offset, every),
    ("OFFS-RANGE", far_offset, every),
    ("IN-MEM", input_end, every),
    ("OUT-MEM", output_end, every),
    ("WGAP-MAX", write_gap, every),
    ("RGAP-DEV", read_gap, dry("read-gap")),
    ("RGAP-MP", read_gap_of_passes, having("read-gap")),
    ("DIL1D-OFFS", dilated_offset, every),
    ("RDA-DEV", read_ahead, dry("readahead")),
    ("RDA-INST", read_ahead_part, having("readahead")),
    ("INP-CHW-SHARE", chw_shared, every),
    ("INP-CHW-PASS", chw_passes, every),
    ("INP-CHW-ELT", chw_operands, every),
    ("FIFO-CHAN", fifo_channels, every),
    ("FIFO-PROC", fifo_processors, every),
    ("FIFO-LANES", fifo_lanes, every),
    ("FIFO-ELT", fifo_operands, every),
    ("FFIFO-CHAN", fast_channels, every),
    ("FFIFO-WIDTH", fast_wide, every),
    ("FFIFO-OP", fast_copy, every),
    ("QUAD-M", quad_outputs, every),
    ("STREAM-FIFO", stream_without_fifo, every),
    ("STREAM-ORDER", stream_order, every),
    ("STREAM-LAYERS", stream_layers, every),
    ("STREAM-FINALPAD", stream_end, dry("stream-final-unpadded")),
    ("PASS-STREAM", stream_copy, dry("stream-passthrough")),
    ("FLAT-STREAM", stream_matrix, having("stream-final-unpadded")),
    ("STREAM-TRAM", stream_rows, dry("stream-final-unpadded")),
    ("STREAM-INVOL", stream_passes, every),
    ("SEQ-STREAM", stream_jump, having("link-layer")),
    ("STREAM-BUF", stream_buffers, every),
    ("STREAM-INOUT", stream_output, every),
    ("RDA-STREAM", stream_ahead, having("readahead")),
    ("STREAM-FRAME", stream_frame, dry("stream-final-unpadded")),
    ("NET-START", late_start, every),
    ("NET-START-STREAM", late_stream, having("link-layer")),
    ("NET-SNOOP", snoop, every),
    ("NET-LINK", linked, dry("link-layer")),
    ("NET-ONESHOT", one_shot, dry("one-shot")),
    ("NET-FIFOGO", early_start, dry("fifo-go")),
    ("NET-LAYERS-HW", repeated, every),
    ("SEQ-NEXT", jump, dry("link-layer")),
)
"""Rule, network, and which devices can break it."""


Row = tuple[str, Break, Callable[[Device], bool]]


def illegal_places(
    random: Random,
    device: Device,
    entry: tuple[str, Break] | None = None,
    table: Sequence[Row] = BREAKS,
) -> tuple[str, Graph]:
    """Return the rule that is broken, and a network of layers that breaks it."""
    known = [(rule, made) for rule, made, possible in table if possible(device)]
    rule, made = entry or random.choice(known)
    return rule, made(Some(random, device))
