"""For each rule of the hardware: a network that breaks it alone, and its legal neighbour."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import golden_corpus
import numpy as np
import pytest

from ai8xc.device import load_device
from ai8xc.dialects import ai8x
from ai8xc.dialects.settings import Settings
from ai8xc.ir.core import Data, Graph, Input, Mask, Op, make_graph
from ai8xc.ir.diag import rules
from ai8xc.ir.types import TensorType
from ai8xc.passes.check_rules import check
from ai8xc.plugins import load_rules
from ai8xc.rules.catalogue import checks
from ai8xc.rules.examples import EXAMPLES
from ai8xc.rules.limits import limit_on

Build = Callable[[Any], Graph]


def data(c: int, h: int, w: int = 1, name: str = "x") -> Input:
    return Input(TensorType((1, c, h, w), "i8"), name=name)


numbers = itertools.count(1)


def constant(
    shape: tuple[int, ...], element: str = "i8", value: int | None = None
) -> ai8x.Constant:
    """Weights or biases; unlike those of any other layer, so that nothing is shared."""
    array = np.full(shape, -1 if element in ("i1", "bin") else 1, np.int8)
    if value is not None:
        array[...] = value
    elif element == "i8":
        array.reshape(-1)[0] = next(numbers) % 100 + 1
    return ai8x.Constant(Data(array), element)  # type: ignore[arg-type] # one of the elements


def conv(x: Op, m: int = 4, k: int | tuple[int, int] = 3, **fields: Any) -> ai8x.Conv2d:
    kernel = (k, k) if isinstance(k, int) else k
    c = fields.pop("channels", x.type.shape[1])
    weight = constant((m, c // fields.get("groups", 1), *kernel), fields.pop("element", "i8"))
    bias = constant((m,)) if fields.pop("bias", False) else None
    fields.setdefault("pad", (1, 1) if kernel == (3, 3) else (0, 0))
    return ai8x.Conv2d(xs=(x,), weight=weight, bias=fields.pop("biases", bias), **fields)


def conv1(x: Op, m: int = 4, k: int = 3, d: int = 1, **fields: Any) -> ai8x.Conv1d:
    c = x.type.shape[1] // fields.get("parts", 1)
    weight = constant((m, c // fields.get("groups", 1), k))
    pad = (fields.pop("pad", 0), 0)
    return ai8x.Conv1d(xs=(x,), weight=weight, dilation=(d, 1), pad=pad, **fields)


def up(x: Op, m: int = 4, k: int = 3, pad: int = 1, **fields: Any) -> ai8x.ConvTranspose2d:
    weight = constant((m, x.type.shape[1], k, k))
    return ai8x.ConvTranspose2d(xs=(x,), weight=weight, pad=(pad, pad), **fields)


def linear(x: Op, m: int = 4, *, flatten: bool = True, **fields: Any) -> ai8x.Linear:
    pooled = ai8x.Passthrough(xs=(x,), pool=fields.get("pool")).pooled_shape
    inputs = int(np.prod(pooled)) if flatten else pooled[0]
    return ai8x.Linear(xs=(x,), weight=constant((m, inputs)), flatten=flatten, **fields)


def copy(*xs: Op, **fields: Any) -> ai8x.Passthrough:
    return ai8x.Passthrough(**{"xs": xs, **fields})


def add(*xs: Op, **fields: Any) -> dict[str, Any]:
    return {"xs": xs, "parts": len(xs), "eltwise": "add", **fields}


def pool(k: int | tuple[int, int], s: int | tuple[int, int] = 1, **fields: Any) -> ai8x.Pool:
    pairs = [(n, n) if isinstance(n, int) else n for n in (k, s)]
    return ai8x.Pool(pairs[0], pairs[1], **fields)


def at(reads: int, writes: int, start: int = 0, to: int = 0x2000, **fields: Any) -> ai8x.Place:
    return ai8x.Place(Mask(reads), Mask(writes), in_offset=start, out_offset=to, **fields)


def net(*outputs: Op, **settings: Any) -> Graph:
    return Settings(**settings).on(make_graph("net", "ai8x", outputs, outputs))


def chain(count: int, make: Callable[[Op, int], ai8x.Layer], c: int = 4, n: int = 4) -> Graph:
    x: Op = data(c, n, n)
    for number in range(count):
        x = make(x, number)
    return net(x)


def stream(*layers: Callable[[Op], ai8x.Layer], x: Input | None = None, **settings: Any) -> Graph:
    value: Op = x or data(4, 16, 16)
    for make in layers:
        value = make(value)
    return net(value, **{"input_mode": "fifo", **settings})


FLOWS = ai8x.Mode(streaming=True)
CHW = ai8x.Mode(chw=True)
IMAGE = data(4, 8, 8)


def placed(*, reads: int = 0xF, writes: int = 0xF, **fields: Any) -> ai8x.Conv2d:
    """A convolution from 4 to 4 channels at a place."""
    place = at(reads, writes, **fields.pop("at", {}))
    return conv(IMAGE, place=place, **fields)


def pair(first: ai8x.Place, second: ai8x.Place, **fields: Any) -> Graph:
    return net(conv(conv(IMAGE, place=first), place=second, **fields))


def joined(*places: ai8x.Place, m: int = 4, reads: int = 0) -> Graph:
    """Parts of m channels each, side by side."""
    parts = []
    for place in places:
        parts.append(conv(data(4, 8, 8), m, place=place))
        reads |= 0 if reads == 0xFFF else place.output_processors
    reader = conv(
        parts[0], channels=m * len(parts), place=at(reads, 0xF, places[0].out_offset, 0x4000)
    )
    return net(ai8x.Conv2d(**{**vars_of(reader), "xs": tuple(parts)}))


def vars_of(layer: ai8x.Conv2d) -> dict[str, Any]:
    return {name: getattr(layer, name) for name in ("weight", "pad", "place")}


def summed(written: int, other: int, mask: int = 0xF, to: int = 0x2000, gap: int = 0) -> Graph:
    """Two operands, word by word beside each other."""
    a = conv(data(4, 8, 8), place=at(0xF, 0xF, 0, to, write_gap=written))
    b = conv(data(4, 8, 8, "y"), place=at(0xF, mask, 0x1000, to + 4, write_gap=other))
    return net(copy(**add(a, b), place=at(0xF, 0xF, to, 0x6000, read_gap=gap)))


def zeroed(value: int) -> ai8x.Layer:
    return ai8x.Conv2d(xs=(IMAGE,), weight=constant((4, 4, 3, 3), value=value), pad=(1, 1))


def valued(element: str, value: int) -> ai8x.Layer:
    return ai8x.Conv2d(xs=(IMAGE,), weight=mixed(element, value), pad=(1, 1))


def mixed(element: str, value: int) -> ai8x.Constant:
    array = np.ones((4, 4, 3, 3), np.int8)
    array[0, 0, 0, 0] = value
    return ai8x.Constant(Data(array), element)  # type: ignore[arg-type] # one of the elements


def chw(mask: int) -> Graph:
    return net(conv(data(2, 8, 8), place=at(mask, 0xF), mode=CHW))


def lanes(channels: int) -> int:
    return (1 << min(channels, 64)) - 1


def wide_depthwise(first: int) -> ai8x.Layer:
    x = data(20, 8, 8)
    return conv(x, 20, groups=20, place=at(((1 << 20) - 1) << first, ((1 << 20) - 1) << 4))


def operands1(parts: int) -> ai8x.Layer:
    x = data(4 * parts, 16)
    fields = {"parts": parts, "eltwise": "add"} if parts > 1 else {}
    return conv1(x, **fields)


def added(*, bias: bool) -> ai8x.Layer:
    weight, biases = constant((4, 4, 3, 3)), constant((4,)) if bias else None
    return ai8x.Conv2d(**add(IMAGE, IMAGE), weight=weight, bias=biases, pad=(1, 1))


def many_depthwise(start: int) -> ai8x.Layer:
    """A depthwise layer of eight passes: eight columns."""
    x, mask = data(512, 4, 4), (1 << 64) - 1
    return conv(x, 512, groups=512, place=at(mask, mask, 0, 0x4000, kernel_start=start))


def two_streams(
    second: int = 0x1000, out: int = 0x3000, m: int = 4, *, ahead: bool = False
) -> Graph:
    """Two layers that stream; the second reads at `second` and writes at `out`."""
    first, later = (0xF, 0xF) if m == 4 else (0x3, 0xC)
    mode = ai8x.Mode(streaming=True, readahead=ahead)
    return stream(
        lambda x: conv(x, m, mode=FLOWS, place=at(first, later, 0, second)),
        lambda x: conv(x, m, mode=mode, place=at(later, first, second, out)),
        x=data(m, 16, 16),
    )


class Pair(NamedTuple):
    rule: str
    device: str
    build: Build
    bad: Any
    good: Any


D0, D2 = "max78000", "max78002"
PAIRS = [
    # 2.1 network
    Pair("NET-LAYERS", D0, lambda n: chain(n, lambda x, _: conv(x, 4, 1)), 33, 32),
    Pair("NET-LAYERS", D2, lambda n: chain(n, lambda x, _: conv(x, 4, 1)), 129, 128),
    Pair("NET-LAYERS-HW", D0, lambda n: net(conv(IMAGE), repeat=n), 33, 32),
    Pair("NET-QUAD0", D0, lambda m: net(placed(reads=m, writes=m)), 0xF0000, 0xF),
    Pair("NET-START", D0, lambda s: net(placed(at={"slot": s})), 1, 0),
    Pair("NET-START", D2, lambda s: net(placed(at={"slot": s})), 128, 127),
    Pair("NET-START-STREAM", D2, lambda s: net(placed(at={"slot": s}), input_mode="fifo"), 1, 0),
    Pair("NET-SNOOP", D0, lambda n: net(conv(IMAGE), snoop=(0,) * n), 32, 0),
    Pair("NET-SNOOP", D2, lambda n: net(conv(IMAGE), snoop=(0,) * n), 31, 32),
    Pair("NET-LINK", D0, lambda on: net(conv(IMAGE), link_layers=on), True, False),
    Pair("NET-ONESHOT", D0, lambda on: net(conv(IMAGE), one_shot=on), True, False),
    Pair("NET-FIFOGO", D0, lambda on: net(conv(IMAGE), fifo_go=on), True, False),
    Pair("NET-CLOCK", D2, lambda on: net(conv(IMAGE), pipeline=on), False, True),
    Pair("NET-WZERO", D0, lambda v: net(zeroed(v)), 0, 1),
    # 2.2 input
    Pair("INP-POOL", D0, lambda k: net(conv(IMAGE, pool=pool(k))), 2, 1),
    Pair("INP-CHW-SHARE", D0, chw, 0x3, 0x11),
    Pair("INP-CHW-FIRST", D0, lambda mode: net(conv(conv(IMAGE), mode=mode)), CHW, ai8x.Mode()),
    Pair("INP-CHW-PASS", D0, lambda c: net(conv(data(c, 8, 8), mode=CHW)), 65, 64),
    Pair(
        "INP-CHW-ELT", D0, lambda mode: net(copy(**add(IMAGE, IMAGE), mode=mode)), CHW, ai8x.Mode()
    ),
    # 2.3, 2.4 sizes
    Pair(
        "OPERANDS-RANGE",
        D0,
        lambda n: net(copy(**add(*(data(4, 4, 4, f"x{i}") for i in range(n))))),
        17,
        16,
    ),
    Pair("CHAN-IN", D2, lambda c: net(conv(data(c, 4, 4))), 1025, 1024),
    Pair("CHAN-OUT", D2, lambda m: net(conv(IMAGE, m)), 1025, 1024),
    Pair("CHAN-BIAS", D0, lambda m: net(conv(IMAGE, m, bias=True)), 513, 512),
    Pair("CHAN-4", D0, lambda m: net(conv(conv(IMAGE, m), 4)), 6, 8),
    Pair("DIM-MAX", D0, lambda n: net(conv(data(1, n, 2), 1, 1)), 1025, 1024),
    Pair("DIM-MAX", D2, lambda n: net(conv(data(1, 2, n), 1)), 2049, 2048),
    Pair("DIM-PADDED", D0, lambda n: net(conv(data(1, n, 2), 1)), 1023, 1022),
    Pair("DIM-PADDED", D0, lambda n: net(up(data(1, n, 2), 1)), 512, 511),
    Pair("DIM-CNT", D2, lambda n: net(up(data(1, 2, n), 1, pad=2)), 1025, 1024),
    Pair("CHAN-OUT", D0, lambda m: net(conv(IMAGE, m, 1)), 1025, 1024),
    Pair(
        "IN-CAT-4",
        D0,
        lambda m: joined(at(0xF, 0xF, 0, 0x2000), at(0xF, m, 0, 0x2000)),
        0x1E0,
        0xF0,
    ),
    # 2.5 windows
    Pair("CONV2D-KERNEL", D0, lambda k: net(conv(IMAGE, k=k)), (5, 5), (3, 3)),
    Pair("CONV2D-KERNEL", D0, lambda k: net(conv(IMAGE, k=k)), (1, 3), (1, 1)),
    Pair("CONV2D-PAD", D0, lambda p: net(conv(IMAGE, pad=(p, p))), 3, 2),
    Pair("PAD-KERNEL", D0, lambda p: net(conv(IMAGE, k=1, pad=(p, p))), 1, 0),
    Pair("CONV2D-DIL", D2, lambda d: net(conv(IMAGE, dilation=(d, d))), 2, 1),
    Pair("CONV2D-GROUPS", D0, lambda g: net(conv(IMAGE, groups=g)), 4, 1),
    Pair("CONV2D-GROUPS", D2, lambda g: net(conv(IMAGE, groups=g)), 2, 4),
    Pair(
        "DW-BIASGRP", D2, lambda g: net(placed(groups=4, bias=True, at={"bias_group": g})), 0, None
    ),
    Pair("DW-OUT4", D2, lambda m: net(placed(groups=4, writes=m)), 0x1E, 0xF0),
    Pair("DW-IN4", D2, lambda m: net(wide_depthwise(m)), 2, 4),
    Pair("DW-GAPS", D2, lambda m: net(placed(groups=4, reads=m, writes=0xF0)), 0x17, 0xF),
    Pair("DW-MOVE", D2, lambda m: net(placed(groups=4, writes=m)), 0xF0, 0xF),
    Pair("X2D-KERNEL", D0, lambda k: net(up(IMAGE, k=k)), 5, 3),
    Pair("X2D-PAD", D0, lambda p: net(up(IMAGE, pad=p)), 3, 2),
    Pair("BYPASS", D0, lambda on: net(conv(IMAGE, bypass=on)), True, False),
    Pair("FLAT-POOL", D0, lambda k: net(linear(IMAGE, pool=pool(k))), 2, 1),
    Pair(
        "FLAT-STREAM", D2, lambda mode: stream(lambda x: linear(x, mode=mode)), FLOWS, ai8x.Mode()
    ),
    Pair("FLAT-HW", D0, lambda n: net(linear(data(4, n, 1), 1)), 257, 256),
    Pair("FLAT-SIZE", D0, lambda c: net(linear(data(c, 16, 16), 1)), 65, 64),
    Pair("FLAT-1", D0, lambda n: net(linear(data(4, n, n))), 1, 2),
    # 2.6 sequences
    Pair("CONV1D-KERNEL", D0, lambda k: net(conv1(data(4, 16), k=k)), 10, 9),
    Pair("CONV1D-PAD", D0, lambda p: net(conv1(data(4, 16), k=5, pad=p)), 3, 2),
    Pair("PAD-KERNEL", D0, lambda p: net(conv1(data(4, 16), k=2, pad=p)), 2, 1),
    Pair("CONV1D-MPPAD", D2, lambda c: net(conv1(data(c, 16), pad=1)), 65, 64),
    Pair("CONV1D-ELT", D0, lambda n: net(operands1(n)), 2, 1),
    Pair("CONV1D-WIDTH", D0, lambda w: net(conv1(data(4, 16, w))), 2, 1),
    Pair("DIL1D-K1", D0, lambda d: net(conv1(data(4, 16), k=1, d=d)), 2, 1),
    Pair("DIL1D-LARGE", D0, lambda k: net(conv1(data(4, 64), k=k, d=9)), 4, 3),
    Pair("DIL1D-LARGE", D0, lambda p: net(conv1(data(4, 64), d=9, pad=p)), 1, 0),
    Pair("DIL1D-LARGE", D0, lambda k: net(conv1(data(4, 64), d=9, pool=pool((k, 1)))), 2, 1),
    Pair("DIL1D-MAX", D0, lambda d: net(conv1(data(1, 1024), 1, 2, d=d)), 1023, 1022),
    Pair(
        "DIL1D-OFFS", D0, lambda o: net(conv1(data(4, 64), d=9, place=at(0xF, 0xF0, 0, o))), 32, 36
    ),
    Pair("DW-CONV1D", D0, lambda g: net(conv1(data(4, 16), groups=g)), 4, 1),
    Pair("DW-CONV1D", D2, lambda g: net(conv1(data(4, 16), groups=g)), 2, 4),
    # 2.7 pools
    Pair("POOL-SIZE", D0, lambda k: net(copy(data(4, 20, 20), pool=pool(k))), 17, 16),
    Pair("POOL-STRIDE", D0, lambda s: net(copy(data(4, 20, 20), pool=pool(2, s))), 17, 16),
    Pair("POOL-STRIDE-SQ", D0, lambda s: net(copy(IMAGE, pool=pool(2, s))), (1, 2), (2, 2)),
    Pair("POOL-DIL", D0, lambda d: net(copy(IMAGE, pool=pool(2, 1, dilations=d))), (2, 2), ()),
    Pair("POOL-DIL-GEOM", D2, lambda k: net(copy(IMAGE, pool=pool(k, 1, dilations=(2, 2)))), 3, 2),
    Pair("POOL-MP-PASS", D0, lambda c: net(copy(data(c, 8, 8), pool=pool(2, 2))), 65, 64),
    Pair("POOL-MP-PASS", D0, lambda n: net(copy(data(65, 8, 8), pool=pool(n))), 7, 8),
    Pair(
        "POOL-LAST-ELT",
        D0,
        lambda n: net(copy(**add(*[IMAGE] * n), pool=pool(2), pool_first=False)),
        3,
        2,
    ),
    Pair(
        "POOL-FIRST-USE",
        D0,
        lambda k: net(copy(**add(IMAGE, IMAGE), pool=pool(k), pool_first=False)),
        1,
        2,
    ),
    # 2.8 layers without operator, operands
    Pair("PASS-MAP", D0, lambda m: net(copy(IMAGE, place=at(0xF, m))), 0x1B, 0xF0),
    Pair("PASS-STREAM", D2, lambda mode: stream(lambda x: copy(x, mode=mode)), FLOWS, ai8x.Mode()),
    Pair("PASS-PASS", D0, lambda k: net(copy(copy(IMAGE), pool=pool(k))), 1, 2),
    Pair("ELT-MP", D0, lambda c: net(copy(**add(*[data(c, 8, 8)] * 3), pool=pool(8))), 65, 64),
    Pair("ELT-MP-ROWS", D0, lambda n: net(copy(**add(*[data(65, n, 1)] * 3))), 513, 512),
    Pair("ELT-BIAS", D2, lambda on: net(added(bias=on)), True, False),
    Pair("ELT-PROC", D0, lambda m: summed(1, 1, m), 0xF0, 0xF),
    Pair("ELT-GAP", D0, lambda gap: summed(gap, gap), 2, 1),
    Pair("ELT-READGAP", D2, lambda gap: summed(1, 1, gap=gap), 1, 0),
    Pair("ELT-GAP-ALL", D0, lambda gap: summed(1, gap), 2, 1),
    # 2.9 processors
    Pair("PROC-COUNT", D0, lambda m: net(placed(reads=m)), 0x1F, 0xF0),
    Pair("OPROC-COUNT", D0, lambda m: net(placed(writes=m)), 0x7, 0xF0),
    Pair(
        "CAT-OVERLAP",
        D0,
        lambda m: joined(at(0xF, 0x3F, 0, 0x2000), at(0xF, m), m=6, reads=0xFFF),
        0x3F0,
        0x3F00,
    ),
    Pair(
        "CAT-ORDER",
        D0,
        lambda ms: joined(*(at(0xF, m, 0, 0x2000) for m in ms)),
        (0xF0, 0xF),
        (0xF, 0xF0),
    ),
    Pair(
        "IN-PROC-MISS", D0, lambda m: pair(at(0xF, 0xF, 0, 0x1000), at(m, 0xF, 0x1000)), 0xF0, 0xF
    ),
    Pair(
        "IN-PROC-OR",
        D0,
        lambda m: pair(at(0xF, m, 0, 0x1000), at(0xF, 0xF, 0x1000)),
        0xF0,
        0xF,
    ),
    Pair("PROC-UNALIGNED-Q", D0, lambda m: net(placed(writes=m, element="i4")), 0x1E, 0xF0),
    Pair("PROC-GAPS", D0, lambda m: net(placed(writes=m)), 0x1B, 0x55),
    # 2.10 sequence, gaps, wide outputs
    Pair(
        "SEQ-NEXT",
        D0,
        lambda s: pair(at(0xF, 0xF, 0, 0x1000, slot=0), at(0xF, 0xF, 0x1000, slot=s)),
        2,
        1,
    ),
    Pair(
        "SEQ-STREAM",
        D2,
        lambda s: stream(
            lambda x: conv(x, mode=FLOWS, place=at(0xF, 0xF, 0, 0x1000, slot=0)),
            lambda x: conv(x, place=at(0xF, 0xF, 0x1000, 0x2000, slot=s)),
        ),
        2,
        1,
    ),
    Pair("RGAP-DEV", D0, lambda g: net(placed(at={"read_gap": g})), 1, 0),
    Pair(
        "RGAP-MP",
        D2,
        lambda c: net(conv(data(c, 8, 8), place=at(lanes(c), 0xF, 0, 0x4000, read_gap=1))),
        128,
        64,
    ),
    Pair(
        "RGAP-MATCH",
        D2,
        lambda g: pair(
            at(0xF, 0xF, 0, 0x1000, write_gap=1), at(0xF, 0xF, 0x1000, 0x4000, read_gap=g)
        ),
        0,
        1,
    ),
    Pair("WGAP-MAX", D0, lambda g: net(placed(at={"write_gap": g})), 16, 15),
    Pair("WGAP-MAX", D2, lambda g: net(placed(at={"write_gap": g, "to": 0})), 256, 255),
    Pair("OUTWIDTH-MID", D0, lambda wide: net(conv(conv(IMAGE, wide=wide))), True, False),
    Pair(
        "OUTWIDTH-ACT", D0, lambda act: net(conv(IMAGE, wide=True, activation=act)), "relu", "none"
    ),
    # 2.11 weights
    Pair("SHIFT-RANGE", D0, lambda s: net(conv(IMAGE, output_shift=s)), 16, 15),
    Pair("SHIFT-RANGE", D0, lambda s: net(conv(IMAGE, output_shift=s, element="i2")), 10, 9),
    Pair("SHIFT-RANGE", D0, lambda s: net(conv(IMAGE, output_shift=s, element="i4")), -20, -19),
    Pair("QUANT-FIT", D0, lambda v: net(valued("i4", v)), 8, 7),
    Pair("QUANT-BINARY", D0, lambda e: net(conv(IMAGE, element=e)), "bin", "i1"),
    Pair("QUANT-MIX", D2, lambda e: net(conv(conv(IMAGE, element="bin"), element=e)), "i1", "bin"),
    Pair("QUANT-BINVAL", D2, lambda v: net(valued("bin", v)), 0, 1),
    Pair("BIAS-ZERO", D0, lambda v: net(conv(IMAGE, biases=constant((4,), value=v))), 0, 1),
    Pair("BIAS-GROUP", D0, lambda g: net(placed(bias=True, at={"bias_group": g})), 1, 0),
    Pair(
        "BIAS-MEM",
        D0,
        lambda n: chain(n, lambda x, _: conv(x, 512, 1, bias=True, element="i1"), c=4, n=1),
        5,
        4,
    ),
    Pair("WMEM-DW", D2, lambda s: net(many_depthwise(s)), 1020, 1024),
    Pair("WMEM", D0, lambda k: chain(7, lambda x, _: conv(x, 64 * k, 3), c=64, n=1), 2, 1),
    Pair(
        "CALCX4", D0, lambda mode: net(conv(IMAGE, mode=mode)), ai8x.Mode(calcx4=True), ai8x.Mode()
    ),
    Pair("CALCX4", D2, lambda m: net(conv(IMAGE, m, mode=ai8x.Mode(calcx4=True))), 6, 8),
    Pair(
        "QUAD-M", D2, lambda m: net(conv(IMAGE, m, element="i4"), input_mode="fast-fifo-quad"), 4, 8
    ),
    # 2.12 memory
    Pair(
        "OFFS-RANGE",
        D0,
        lambda o: stream(
            lambda x: conv(x, mode=FLOWS, place=at(0xF, 0xF0, 0, o)),
            lambda x: conv(x, place=at(0xF0, 0xF, 0x2000, 0x4000)),
        ),
        0x20000,
        0x1FFFC,
    ),
    Pair("OFFS-ALIGN", D0, lambda o: net(placed(at={"to": o})), 0x2002, 0x2004),
    Pair("IN-MEM", D0, lambda o: net(placed(at={"start": o, "to": 0})), 0x8000 - 252, 0x8000 - 256),
    Pair("OUT-MEM", D0, lambda o: net(placed(at={"to": o})), 0x8000 - 252, 0x8000 - 256),
    Pair("OUT-MEM", D2, lambda m: net(conv(data(4, 143, 143), m, 1)), 65, 64),
    Pair("RDA-DEV", D0, lambda on: net(placed(mode=ai8x.Mode(readahead=on))), True, False),
    Pair(
        "RDA-INST",
        D2,
        lambda o: net(placed(mode=ai8x.Mode(readahead=True), at={"to": o})),
        0x3000,
        0x4000,
    ),
    # 2.13 streams
    Pair(
        "RDA-STREAM",
        D2,
        lambda o: two_streams(second=o, out=0xC000, ahead=True),
        0x2000,
        0x8000,
    ),
    Pair(
        "STREAM-FIFO",
        D0,
        lambda mode: stream(lambda x: conv(x, mode=FLOWS), input_mode=mode),
        "memory",
        "fifo",
    ),
    Pair(
        "STREAM-ORDER",
        D2,
        lambda mode: stream(lambda x: conv(x, mode=mode), lambda x: conv(x, mode=FLOWS)),
        ai8x.Mode(),
        FLOWS,
    ),
    Pair("STREAM-LAYERS", D2, lambda n: stream(*[lambda x: conv(x, mode=FLOWS)] * n), 9, 8),
    Pair("STREAM-1X1", D0, lambda k: stream(lambda x: conv(x, k=k, mode=FLOWS)), 1, 3),
    Pair("STREAM-FINALPAD", D0, lambda p: stream(lambda x: conv(x, pad=(p, p), mode=FLOWS)), 0, 1),
    Pair("STREAM-BIAS", D0, lambda on: stream(lambda x: conv(x, mode=FLOWS, bias=on)), True, False),
    Pair(
        "STREAM-INVOL",
        D2,
        lambda m: stream(
            *[lambda x: conv(x, 64 * m, 1, mode=FLOWS)] * 5, lambda x: conv(x, mode=FLOWS)
        ),
        4,
        3,
    ),
    Pair(
        "STREAM-TRAM",
        D0,
        lambda w: stream(
            lambda x: conv(x, 256, mode=FLOWS),
            lambda x: conv(x, 4, mode=FLOWS),
            lambda x: conv(x, 4, mode=FLOWS),
            x=data(4, 4, w),
        ),
        820,
        819,
    ),
    Pair(
        "STREAM-FRAME",
        D0,
        lambda n: stream(lambda x: conv(x, 1, 1, mode=FLOWS, pool=pool(1, 16)), x=data(1, 1024, n)),
        1024,
        1023,
    ),
    Pair("STREAM-INOUT", D0, lambda o: two_streams(out=o), 0x1004, 0x3000),
    Pair("STREAM-BUF", D0, lambda o: two_streams(second=o, m=2), 4, 0x1000),
    # 2.14 FIFOs
    Pair("FIFO-CHAN", D0, lambda c: net(conv(data(c, 8, 8)), input_mode="fifo"), 17, 16),
    Pair("FIFO-CHAN", D0, lambda c: net(conv(data(c, 8, 8), mode=CHW), input_mode="fifo"), 5, 4),
    Pair("BIAS-HOLES", D0, lambda m: net(placed(writes=m, bias=True)), 0x55, 0xF0),
    Pair("FIFO-LANES", D0, lambda m: net(placed(reads=m), input_mode="fifo"), 0x30003, 0xF0000),
    Pair("FIFO-PROC", D0, lambda m: net(placed(reads=m), input_mode="fifo"), 0xF0, 0xF),
    Pair(
        "FIFO-ELT",
        D0,
        lambda mode: net(copy(**add(IMAGE, IMAGE)), input_mode=mode),
        "fifo",
        "memory",
    ),
    Pair("FFIFO-CHAN", D0, lambda c: net(conv(data(c, 8, 8)), input_mode="fast-fifo"), 5, 4),
    Pair(
        "FFIFO-CHAN", D0, lambda c: net(conv(data(c, 8, 8), mode=CHW), input_mode="fast-fifo"), 2, 1
    ),
    Pair(
        "FFIFO-WIDTH", D0, lambda on: net(conv(IMAGE, wide=on), input_mode="fast-fifo"), True, False
    ),
    Pair("FFIFO-OP", D0, lambda mode: net(copy(IMAGE), input_mode=mode), "fast-fifo", "fifo"),
]


WITHOUT = {
    "CHAN-PASS16": "16 passes are 1,024 channels on both devices: CHAN-IN is broken first",
    "DIM-FRAME": "the largest rows, columns and channels of a device break IN-MEM as well",
    "STREAM-START": "the count follows from sizes that break the rule of the row buffer first",
    "STREAM-D1": "strides of up to 16 with one operand stay below the limit",
    "STREAM-D2": "rows that are long enough break the rule of the row buffer first",
    "STREAM-ROLL": "buffers of that length break STREAM-INST first",
    "STREAM-INST": "a buffer at the end of a memory also breaks the order of buffers",
}
"""Rules without a network that breaks them alone, and why."""


def rules_of(graph: Graph, device: str) -> tuple[set[str], set[str]]:
    """Return the ids of all findings, and of the errors."""
    found = check(graph, load_device(device))
    return {f.rule.id for f in found}, {f.rule.id for f in found if f.severity == "error"}


@pytest.mark.parametrize(
    "case", PAIRS, ids=lambda case: f"{case.rule}-{case.device}-{case.bad}"[:60]
)
def test_rule(case: Pair) -> None:
    rule, _ = checks()[case.rule]
    found, errors = rules_of(case.build(case.bad), case.device)
    assert case.rule in found
    assert errors == ({case.rule} if rule.severity == "error" else set())
    legal, errors = rules_of(case.build(case.good), case.device)
    assert case.rule not in legal
    assert not errors


def test_examples_are_about_rules() -> None:
    load_rules()
    assert set(EXAMPLES) <= set(rules())
    assert all(wrong != right for wrong, right in EXAMPLES.values())


def test_texts_of_rules_are_complete() -> None:
    """Each has a title, an explanation, a source and, for each device, what it allows."""
    for rule, _ in checks().values():
        assert rule.title
        assert rule.explanation
        assert rule.source
        for device in (D0, D2):
            assert limit_on(rule, load_device(device))


def test_every_rule_has_a_pair() -> None:
    paired = {case.rule for case in PAIRS}
    assert set(checks()) - paired == set(WITHOUT)


ELSEWHERE = {
    "CFG-LINT": "there is no external linter; the reader checks what one would",
    "NET-OUTDIR": "IR052: an output folder of somebody else is not replaced",
    "INP-OVERLAP": "MEM-OVER-IN: the memories are replayed byte by byte",
    "DIL1D-SMALL": "allows something",
    "AVG-ELT-RESET": "NET-LAYERS-HW counts the hidden layer",
    "POOL-PAD": "AX108; a description has no key for it",
    "POOL-CONVT": "allows something",
    "ELT-CONV1D": "another name of CONV1D-ELT",
    "ELT-1D2D": "allows something",
    "INOFF-NODEF": "OPROC-NEXT or MEM-OVER-IN: the memories are replayed byte by byte",
    "INOFF-CAT": "as INOFF-NODEF",
    "INOFF-ILV": "as INOFF-NODEF",
    "NEXT-OFFS": "as INOFF-NODEF",
    "NEXT-DIM": "as INOFF-NODEF",
    "MEM-OVER-OUT": "words of an output have different addresses for every gap and width",
    "MEM-RANGE": "IN-MEM, OUT-MEM and OFFS-RANGE",
    "WIDE-MAP": "OUT-MEM counts 32-bit outputs fourfold",
    "D2": "STREAM-D2",
    "STREAM-NEED": "IN-MEM",
    "MLATOR-HINT": "the byte swapper is used where it is asked for",
}
"""Ids of the facts that have no rule of that name here, and what stands in their place."""


def test_the_catalogue_is_complete() -> None:
    """Every id of the tables in the semantics is a rule, or is accounted for."""
    folder = golden_corpus.golden_folder()
    facts = folder.parent / "hw" / "semantics.md" if folder else None
    if facts is None or not facts.is_file():
        pytest.skip("the facts about the hardware are not present")
    load_rules()
    assert ids_of(facts.read_text()) - set(rules()) == set(ELSEWHERE)


def ids_of(text: str) -> set[str]:
    section = text[text.index("## 2 Legality rules") : text.index("### 2.16")]
    heads = [line.split("|")[1] for line in section.splitlines() if line.startswith("| ")]
    parts = [part.strip() for head in heads for part in head.split("/")]
    named = re.findall(r"`((?:MLATOR|KAT)-[A-Z0-9]+)`", section)
    return {part for part in parts if re.fullmatch(r"[A-Z][A-Z0-9]*(-[A-Z0-9]+)*", part)} - {
        "ID"
    } | set(named)
