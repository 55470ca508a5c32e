"""For each rule of the hardware: a network that breaks it alone, and its legal neighbour."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

import golden_corpus
import pytest
from layer_networks import (
    CHW,
    FLOWS,
    IMAGE,
    add,
    added,
    at,
    chain,
    chw,
    constant,
    conv,
    conv1,
    copy,
    data,
    joined,
    lanes,
    linear,
    many_depthwise,
    net,
    operands1,
    pair,
    placed,
    pool,
    stream,
    summed,
    two_streams,
    up,
    valued,
    wide_depthwise,
    zeroed,
)

from ai8xc.device import load_device
from ai8xc.dialects import ai8x
from ai8xc.ir.core import Graph
from ai8xc.ir.diag import rules
from ai8xc.passes.check_rules import check
from ai8xc.plugins import load_rules
from ai8xc.rules.catalogue import checks
from ai8xc.rules.examples import EXAMPLES
from ai8xc.rules.limits import limit_on

Build = Callable[[Any], Graph]


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
    Pair("NET-REPEAT-FIFO", D0, lambda n: net(conv(IMAGE), repeat=n, input_mode="fifo"), 2, 1),
    Pair("NET-FIFOGO", D0, lambda on: net(conv(IMAGE), fifo_go=on), True, False),
    Pair("NET-CLOCK", D2, lambda on: net(conv(IMAGE), pipeline=on), False, True),
    Pair("NET-WZERO", D0, lambda v: net(zeroed(v)), 0, 1),
    # 2.2 input
    Pair("INP-POOL", D0, lambda k: net(conv(IMAGE, pool=pool(k))), 2, 1),
    Pair("INP-CROP", D0, lambda n: net(conv(IMAGE, crop=(n, 0)), input_mode="fifo"), 1, 0),
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
    Pair("DW-WIDE", D2, lambda wide: net(conv(IMAGE, groups=4, wide=wide)), True, False),
    Pair("DW-OUT4", D2, lambda m: net(placed(groups=4, writes=m)), 0x1E, 0xF0),
    Pair("DW-IN4", D2, lambda m: net(wide_depthwise(m)), 2, 4),
    Pair("DW-GAPS", D2, lambda m: net(placed(groups=4, reads=m, writes=0xF0)), 0x17, 0xF),
    Pair("DW-MOVE", D2, lambda m: net(placed(groups=4, writes=m)), 0xF0, 0xF),
    Pair("X2D-KERNEL", D0, lambda k: net(up(IMAGE, k=k)), 5, 3),
    Pair("POOL-CONVT", D0, lambda step: net(up(IMAGE, pool=pool(2, step))), 2, 1),
    Pair("POOL-CONVT", D2, lambda step: net(up(IMAGE, pool=pool(3, step))), 3, 2),
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
        "RGAP-FLAT",
        D2,
        lambda n: net(linear(data(4, n, n), place=at(0xF, 0xF, read_gap=1))),
        2,
        1,
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
    Pair(
        "QUANT-BINZERO",
        D2,
        lambda k: stream(
            lambda x: conv(x, mode=FLOWS), lambda x: conv(x, k=k, mode=FLOWS, element="bin")
        ),
        1,
        3,
    ),
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
    # 2.15 unloading
    Pair("MLATOR-32", D0, lambda on: net(conv(IMAGE, wide=on), mlator=True), True, False),
    Pair("MLATOR-4", D0, lambda n: net(conv(data(4, 5, n)), mlator=True), 5, 4),
    Pair("MLATOR-SMALL", D0, lambda n: net(conv(data(4, 1, n)), mlator=True), 3, 4),
    Pair("MLATOR-ALIGN", D0, lambda m: net(conv(IMAGE, m), mlator=True), 65, 64),
    # 2.14 FIFOs
    Pair("FIFO-CHAN", D0, lambda c: net(conv(data(c, 8, 8)), input_mode="fifo"), 17, 16),
    Pair("FIFO-CHAN", D0, lambda c: net(conv(data(c, 8, 8), mode=CHW), input_mode="fifo"), 5, 4),
    Pair("BIAS-HOLES", D0, lambda m: net(placed(writes=m, bias=True)), 0x55, 0xF0),
    Pair("FIFO-LANES", D0, lambda m: net(placed(reads=m), input_mode="fifo"), 0x30003, 0xF),
    Pair(
        "FIFO-LANES",
        D0,
        lambda m: net(conv(data(3, 8, 8), mode=CHW, place=at(m, 0xF)), input_mode="fifo"),
        0x1_0001_0000_0001,
        0x1_0001_0001,
    ),
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
    "FIFO-START": "NET-START-STREAM",
    "X1D": "OP-VALUE: there is no operator of that name",
    "NET-CLKDIV": "OPT-NOEFFECT: the divider is a matter of the application's clocks",
    "NET-SOFTMAX8": "the softmax of the project takes 8-bit outputs by their scale",
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
