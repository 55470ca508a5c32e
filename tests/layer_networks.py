"""Networks of hardware layers, written in a few words: for the tests of the rules."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from ai8xc.dialects import ai8x
from ai8xc.dialects.settings import Settings
from ai8xc.ir.core import Data, Graph, Input, Mask, Op, make_graph
from ai8xc.ir.types import TensorType


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
