"""Random networks of hardware layers that break one rule: a legal one with one layer more.

Each entry of `BREAKS` names the rule and yields that layer; where the network in front of it does
not suit, it says so by `Unsuited`, and another one is made.
"""

from collections.abc import Callable
from random import Random
from typing import Final

import numpy as np

from ai8xc.device import Device
from ai8xc.dialects import ai8x
from ai8xc.dialects.ai8x import Mode, Pool
from ai8xc.driver import Options, compile_graph
from ai8xc.ir.core import Data, Graph, Op, make_graph
from ai8xc.ir.types import Element
from ai8xc.passes.pipelines import PIPELINES
from fuzz.illegal import Unsuited, need
from fuzz.networks import legal


class Tail:
    """The layer to add: what it reads, and constants for it."""

    def __init__(self, random: Random, device: Device, graph: Graph) -> None:
        self.random, self.device, self.graph = random, device, graph
        ends = [op for op in graph.ops if isinstance(op, ai8x.Layer) and op.type.element == "i8"]
        need(bool(ends))
        self.x = ends[-1]
        self.made: list[Op] = []
        _, self.channels, self.rows, self.columns = self.x.type.shape

    def constant(self, *shape: int, element: Element = "i8", value: int = 1) -> Op:
        made = ai8x.Constant(Data(np.full(shape, value, np.int8)), element)
        self.made.append(made)
        return made

    def conv(self, kernel: int, outputs: int = 4, **fields: object) -> None:
        weight = self.constant(outputs, self.channels, kernel, kernel)
        self.add(ai8x.Conv2d, weight=weight, **fields)

    def conv1d(self, kernel: int, outputs: int = 4, **fields: object) -> None:
        need(self.columns == 1)
        weight = self.constant(outputs, self.channels, kernel)
        self.add(ai8x.Conv1d, weight=weight, **fields)

    def add(self, cls: type[ai8x.Layer], **fields: object) -> None:
        self.made.append(cls(**{"xs": (self.x,), "name": "illegal", **fields}))  # type: ignore[arg-type] # fields of a layer

    def pool(self, size: tuple[int, int], strides: tuple[int, int], *dilations: int) -> None:
        self.add(ai8x.Passthrough, pool=Pool(size, strides, dilations=dilations))


def large_kernel(t: Tail) -> None:
    need(min(t.rows, t.columns) > 1)
    t.conv(5, pad=(2, 2))


def padded_pixel(t: Tail) -> None:
    t.conv(1, pad=(1, 1))


def dilated(t: Tail) -> None:
    need(min(t.rows, t.columns) > 4)
    t.conv(3, dilation=(2, 2))


def grouped(t: Tail) -> None:
    need(t.channels % 2 == 0 and t.channels > 2 and t.columns > 1)
    weight = t.constant(4, t.channels // 2, 1, 1)
    t.add(ai8x.Conv2d, weight=weight, groups=2)


def padded_transpose(t: Tail) -> None:
    need(min(t.rows, t.columns) > 4)
    t.add(ai8x.ConvTranspose2d, weight=t.constant(4, t.channels, 3, 3), pad=(3, 3))


def bypassed(t: Tail) -> None:
    need(not t.device.has("bypass"))
    t.conv(1, bypass=True)


def large_pool(t: Tail) -> None:
    size = t.device.max_pool + 1
    need(t.rows >= size and t.channels <= t.device.processors)
    t.pool((size, 1), (1, 1))


def long_stride(t: Tail) -> None:
    step = t.device.max_pool_stride + t.random.randint(1, 4)
    t.pool((1, 1), (step, step))


def unequal_stride(t: Tail) -> None:
    need(t.columns > 2 and t.rows > 2 and t.channels <= t.device.processors)
    t.pool((2, 2), (1, 2))


def dilated_pool(t: Tail) -> None:
    dilation = t.device.max_pool_dilation + 1
    need(dilation < t.device.max_pool)  # a wider one breaks the rule of the window as well
    need(min(t.rows, t.columns) > dilation and t.channels <= t.device.processors)
    t.pool((2, 2), (1, 1), dilation, dilation)


def late_pool(t: Tail) -> None:
    need(min(t.rows, t.columns) > 1 and t.channels <= t.device.processors)
    t.add(ai8x.Passthrough, pool=Pool((2, 2), (1, 1)), pool_first=False)


def many_operands(t: Tail) -> None:
    need(t.channels <= t.device.processors)
    count = t.device.max_operands + 1
    need(4 * count * t.rows * t.columns <= t.device.data_memory_bytes)
    t.add(ai8x.Passthrough, xs=(t.x,) * count, parts=count, eltwise="add")


def large_shift(t: Tail) -> None:
    t.conv(1, output_shift=t.random.choice([t.device.max_shift + 1, t.device.min_shift - 1]))


def binary(t: Tail) -> None:
    need(not t.device.has("binary-weights") and not _has_one_bit(t.graph))
    t.add(ai8x.Conv2d, weight=t.constant(4, t.channels, 1, 1, element="bin"))


def both_single_bits(t: Tail) -> None:
    need(t.device.has("binary-weights"))
    t.add(ai8x.Conv2d, weight=t.constant(t.channels, t.channels, 1, 1, element="bin"))
    one_bit = t.constant(4, t.channels, 1, 1, element="i1", value=-1)
    t.add(ai8x.Conv2d, xs=(t.made[-2],), weight=one_bit)


def large_weight(t: Tail) -> None:
    t.add(ai8x.Conv2d, weight=t.constant(4, t.channels, 1, 1, element="i4", value=8))


def binary_zero(t: Tail) -> None:
    need(t.device.has("binary-weights") and not _has_one_bit(t.graph))
    t.add(ai8x.Conv2d, weight=t.constant(4, t.channels, 1, 1, element="bin", value=0))


def _has_one_bit(graph: Graph) -> bool:
    return any(op.type.element in ("i1", "bin") for op in graph.ops)


def four_at_once(t: Tail) -> None:
    t.conv(3 if min(t.rows, t.columns) > 2 else 1, 6, mode=Mode(calcx4=True))


def long_kernel(t: Tail) -> None:
    length = t.device.max_kernel_1d + 1
    need(t.rows >= length)
    t.conv1d(length)


def wide_padding(t: Tail) -> None:
    need(t.channels <= t.device.processors)
    t.conv1d(5, pad=(t.device.max_pad + 1, 0))


def sequence_on_plane(t: Tail) -> None:
    need(t.columns > 1)
    t.add(ai8x.Conv1d, weight=t.constant(4, t.channels, 1))


def dilated_value(t: Tail) -> None:
    t.conv1d(1, dilation=(2, 1))


def grouped_1d(t: Tail) -> None:
    need(t.channels % 2 == 0 and t.channels > 2 and t.columns == 1)
    t.add(ai8x.Conv1d, weight=t.constant(4, t.channels // 2, 1), groups=2)


def flat_pool(t: Tail) -> None:
    need(min(t.rows, t.columns) > 3 and t.channels == 4 and t.rows * t.columns < 257)
    values = 4 * (t.rows - 1) * (t.columns - 1)
    pool = Pool((2, 2), (1, 1))
    t.add(ai8x.Linear, weight=t.constant(2, values), flatten=True, pool=pool)


def many_pixels(t: Tail) -> None:
    values = t.channels * t.rows * t.columns
    need(t.rows * t.columns > t.device.max_flatten_pixels)
    need(values <= t.device.max_flatten_inputs and t.channels <= t.device.processors)
    t.add(ai8x.Linear, weight=t.constant(2, values), flatten=True)


def many_outputs(t: Tail) -> None:
    t.conv(1, t.device.max_channels + t.random.randint(1, 50))


def late_chw(t: Tail) -> None:
    need(t.channels <= t.device.processors)
    t.conv(1, mode=Mode(chw=True))


def rectified_wide(t: Tail) -> None:
    t.conv(1, wide=True, activation=t.random.choice(["relu", "abs"]))


_UNPLACED: Final = PIPELINES["layers"].partition(",place-layers")[0]

Break = Callable[[Tail], None]
BREAKS: Final[tuple[tuple[str, Break], ...]] = (
    ("CONV2D-KERNEL", large_kernel),
    ("PAD-KERNEL", padded_pixel),
    ("CONV2D-DIL", dilated),
    ("CONV2D-GROUPS", grouped),
    ("X2D-PAD", padded_transpose),
    ("BYPASS", bypassed),
    ("POOL-SIZE", large_pool),
    ("POOL-STRIDE", long_stride),
    ("POOL-STRIDE-SQ", unequal_stride),
    ("POOL-DIL", dilated_pool),
    ("POOL-FIRST-USE", late_pool),
    ("OPERANDS-RANGE", many_operands),
    ("SHIFT-RANGE", large_shift),
    ("QUANT-BINARY", binary),
    ("QUANT-MIX", both_single_bits),
    ("QUANT-FIT", large_weight),
    ("QUANT-BINVAL", binary_zero),
    ("CALCX4", four_at_once),
    ("CONV1D-KERNEL", long_kernel),
    ("CONV1D-PAD", wide_padding),
    ("CONV1D-WIDTH", sequence_on_plane),
    ("DIL1D-K1", dilated_value),
    ("DW-CONV1D", grouped_1d),
    ("FLAT-POOL", flat_pool),
    ("FLAT-HW", many_pixels),
    ("CHAN-OUT", many_outputs),
    ("INP-CHW-FIRST", late_chw),
    ("OUTWIDTH-ACT", rectified_wide),
)


def layered(random: Random, device: Device) -> Graph:
    """Return a random legal network as hardware layers, not placed."""
    graph = legal(random, device, longest=3)
    return compile_graph(graph, Options(device.name, pipeline=_UNPLACED)).graph


def illegal_layers(random: Random, device: Device) -> tuple[str, Graph]:
    """Return the rule that is broken, and a network of layers that breaks it."""
    rule, breaks = random.choice([entry for entry in BREAKS if possible(entry[0], device)])
    while True:
        graph = layered(random, device)
        try:
            tail = Tail(random, device, graph)
            breaks(tail)
        except Unsuited:
            continue
        return rule, with_tail(graph, tail.made)


def possible(rule: str, device: Device) -> bool:
    """Whether a device can break a rule: some have the feature that others lack."""
    impossible = {
        "BYPASS": device.has("bypass"),
        "QUANT-BINARY": device.has("binary-weights"),
        "QUANT-MIX": not device.has("binary-weights"),
        "QUANT-BINVAL": not device.has("binary-weights"),
        "POOL-DIL": device.max_pool_dilation >= device.max_pool - 1,
    }
    return not impossible.get(rule, False)


def with_tail(graph: Graph, made: list[Op]) -> Graph:
    """Return the network that ends in the last of these ops."""
    outputs = [op for op in graph.outputs if op.type.element != "i32"]
    ends = dict.fromkeys([*outputs, made[-1]])
    return make_graph(graph.name, graph.level, [*graph.ops, *made], ends)
