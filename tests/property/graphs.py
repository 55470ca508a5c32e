"""Random small float graphs in double precision, every op with a location of its own."""

from collections.abc import Callable

import numpy as np
from hypothesis import strategies as st

from ai8xc.dialects import nn
from ai8xc.ir.core import Data, Graph, Input, Op, make_graph
from ai8xc.ir.loc import Loc
from ai8xc.ir.types import TensorType

MAX_VALUES = 4000


class Maker:
    """Grows a graph from its input, one layer at a time; `value` is the last result."""

    def __init__(self, draw: st.DrawFn, shape: tuple[int, ...]) -> None:
        self.draw = draw
        self.rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
        self.count = 0
        self.value: Op = Input(TensorType(shape, "f64"), name="x", loc=Loc("", ("x",)))
        self.ops: list[Op] = [self.value]
        self.earlier: list[Op] = [self.value]

    def pick(self, low: int, high: int) -> int:
        return self.draw(st.integers(low, high))

    def flag(self) -> bool:
        return self.draw(st.booleans())

    def named(self) -> dict[str, object]:
        self.count += 1
        return {"name": f"v{self.count}", "loc": Loc("", (f"node{self.count}",))}

    def add(self, cls: type[Op], *args: object, **kwargs: object) -> Op:
        made = cls(*args, **kwargs, **self.named())
        self.ops.append(made)
        return made

    def constant(self, *shape: int, low: float = -1.0, high: float = 1.0) -> Op:
        self.count += 1
        data = Data(self.rng.uniform(low, high, shape))
        made = nn.Constant(data, name=f"c{self.count}")
        self.ops.append(made)
        return made

    def then(self, cls: type[Op], *args: object, **kwargs: object) -> None:
        """Add an op that reads the last value."""
        self.value = self.add(cls, self.value, *args, **kwargs)
        self.earlier.append(self.value)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.value.type.shape

    @property
    def rank(self) -> int:
        return len(self.shape) - 2

    def each(self, low: int, high: int) -> tuple[int, ...]:
        return tuple(self.pick(low, high) for _ in range(self.rank))

    def groups(self) -> int:
        channels = self.shape[1]
        return self.draw(st.sampled_from([g for g in (1, 2, 3, channels) if channels % g == 0]))

    def bias(self, size: int) -> Op | None:
        return self.constant(size) if self.flag() else None


def conv(m: Maker) -> None:
    kernel = tuple(m.pick(1, min(3, size)) for size in m.shape[2:])
    groups = m.groups()
    outputs = groups * m.pick(1, 2)
    weight = m.constant(outputs, m.shape[1] // groups, *kernel)
    pads = m.each(0, 1) * 2 if m.flag() else m.each(0, 1) + m.each(0, 1)
    bias = m.bias(outputs)
    m.then(nn.Conv, weight, bias, strides=m.each(1, 2), pads=pads, groups=groups)


def dilated_conv(m: Maker) -> None:
    weight = m.constant(2, m.shape[1], *(2,) * m.rank)
    m.then(nn.Conv, weight, m.bias(2), pads=(1,) * 2 * m.rank, dilations=(2,) * m.rank)


def conv_transpose(m: Maker) -> None:
    groups = m.groups()
    per_group = m.pick(1, 2)
    weight = m.constant(m.shape[1], per_group, *m.each(2, 3))
    strides, pads = m.each(1, 2), m.each(0, 1) * 2
    if np.prod(m.shape) > MAX_VALUES / 8:
        return
    if min(m.shape[2:]) > 1:
        bias = m.bias(groups * per_group)
        m.then(nn.ConvTranspose, weight, bias, strides=strides, pads=pads, groups=groups)


def batch_norm(m: Maker) -> None:
    size = m.shape[1]
    scale, bias, mean = m.constant(size), m.constant(size), m.constant(size)
    if m.flag():
        scale = m.constant(size, low=0.5, high=2)
    if m.flag():
        mean = bias = m.constant(size, low=0, high=0)
    m.then(nn.BatchNorm, scale, bias, mean, m.constant(size, low=0.25, high=2))


def activation(m: Maker) -> None:
    cls = m.draw(st.sampled_from([nn.Relu, nn.Relu, nn.Abs, nn.LeakyRelu, nn.Identity]))
    m.then(cls)


def clip(m: Maker) -> None:
    bounds = [(0.0, 1.5), (-0.5, 0.5), (0.0, np.inf), (-1.0, 2.0), (-np.inf, 0.7), (0.2, 0.9)]
    m.then(nn.Clip, *m.draw(st.sampled_from(bounds)))


def pool(m: Maker) -> None:
    kernel = tuple(m.pick(1, min(2, size)) for size in m.shape[2:])
    pads = tuple(m.pick(0, k - 1) for k in kernel * 2) if m.flag() else ()
    shared = {"kernel": kernel, "strides": m.each(1, 2), "pads": pads, "ceil_mode": m.flag()}
    if m.flag():
        m.then(nn.MaxPool, **shared)
    else:
        m.then(nn.AveragePool, **shared, count_include_pad=m.flag())


def mean(m: Maker) -> None:
    spatial = tuple(range(2, 2 + m.rank))
    kind = m.pick(0, 3)
    if kind == 0:
        m.then(nn.GlobalAveragePool)
    elif kind == 1:
        m.then(nn.GlobalMaxPool)
    else:
        m.then(nn.ReduceMean, spatial if kind == 2 else spatial[-1:])


def join(m: Maker) -> None:
    """Add to, or join with, an earlier value."""
    same = [op for op in m.earlier if op.type.shape == m.shape]
    other = m.draw(st.sampled_from(same))
    if m.flag():
        m.then(nn.Add, other)
    elif m.shape[1] < 12:
        m.value = m.add(nn.Concat, (m.value, other), axis=1)
        m.earlier.append(m.value)


def arithmetic(m: Maker) -> None:
    """Multiply with or add a constant, of one value or one a channel."""
    cls = m.draw(st.sampled_from([nn.Mul, nn.Add, nn.Sub, nn.Div]))
    shapes = [(), (1,), (1, m.shape[1], *(1,) * m.rank), (m.shape[1], *(1,) * m.rank)]
    shape = m.draw(st.sampled_from(shapes))
    c = m.constant(*shape, low=0.5, high=2) if m.flag() else m.constant(*shape, low=-2, high=-0.5)
    if cls is not nn.Div and m.flag():
        m.value = m.add(cls, c, m.value)
        m.earlier.append(m.value)
    else:
        m.then(cls, c)


def pad(m: Maker) -> None:
    spatial = m.each(0, 1) + m.each(0, 1)
    pads = (0, 0, *spatial[: m.rank], 0, 0, *spatial[m.rank :])
    value = m.draw(st.sampled_from([0.0, 0.0, 0.0, 1.0, -np.inf]))
    m.then(nn.Pad, pads, value if value != -np.inf else 0.0)


def crop(m: Maker) -> None:
    starts = (0, 0, *(m.pick(0, min(1, size - 1)) for size in m.shape[2:]))
    m.then(nn.Slice, starts, m.shape, (1,) * len(m.shape))


def channels_last(m: Maker) -> None:
    """Channels to the end, something element-wise there, and (perhaps) back."""
    last = (0, *range(2, 2 + m.rank), 1)
    first = (0, 1 + m.rank, *range(1, 1 + m.rank))
    m.value = m.add(nn.Transpose, m.value, last)
    kind = m.pick(0, 4)
    if kind == 0:
        m.value = m.add(nn.Relu, m.value)
    elif kind == 1:
        m.value = m.add(nn.Add, m.value, m.constant(m.shape[-1]))
    elif kind == 2:
        m.value = m.add(nn.Concat, (m.value, m.value), axis=len(m.shape) - 1)
    elif kind == 3:
        pads = [0] * 2 * len(m.shape)
        pads[1] = pads[-2] = 1
        m.value = m.add(nn.Pad, m.value, tuple(pads))
    else:
        weight = m.constant(m.shape[-1], 3)
        m.value = m.add(nn.MatMul, m.value, weight)
    m.value = m.add(nn.Transpose, m.value, first)
    m.earlier.append(m.value)


def line(m: Maker) -> None:
    """A 2-D convolution on 1-D data, or the other way round, channels last in between."""
    last = (0, *range(2, 2 + m.rank), 1)
    if m.rank == 2 and 1 not in m.shape[2:]:
        return
    m.value = m.add(nn.Transpose, m.value, last)
    n, *sizes, channels = m.shape
    middle = (1, *sizes) if m.rank == 1 else tuple(size for size in sizes if size != 1) or (1,)
    m.value = m.add(nn.Reshape, m.value, (n, *middle, channels))
    rank = m.rank
    m.value = m.add(nn.Transpose, m.value, (0, 1 + rank, *range(1, 1 + rank)))
    conv(m)
    channels, *middle = m.shape[1:]
    m.value = m.add(nn.Transpose, m.value, (0, *range(2, 2 + rank), 1))
    if rank == 2 and 1 not in middle:
        m.value = m.add(nn.Reshape, m.value, (n, *middle, channels))
    else:
        sizes = [size for size in middle if size != 1] or [1]
        if rank == 1:
            sizes.insert(m.pick(0, 1), 1)
        m.value = m.add(nn.Reshape, m.value, (n, *sizes, channels))
    m.value = m.add(nn.Transpose, m.value, (0, len(m.shape) - 1, *range(1, len(m.shape) - 1)))
    m.earlier.append(m.value)


def resize(m: Maker) -> None:
    if np.prod(m.shape) < MAX_VALUES / 8:
        m.then(nn.Resize, m.each(1, 2))


LAYERS: list[Callable[[Maker], None]] = [
    conv,
    conv,
    dilated_conv,
    conv_transpose,
    batch_norm,
    batch_norm,
    activation,
    activation,
    clip,
    pool,
    mean,
    join,
    arithmetic,
    arithmetic,
    pad,
    crop,
    channels_last,
    line,
    resize,
]


def classify(m: Maker) -> None:
    """Flatten (in either layout) and a linear layer in one of its forms."""
    if m.flag():
        m.value = m.add(nn.Transpose, m.value, (0, *range(2, 2 + m.rank), 1))
    k = int(np.prod(m.shape[1:]))
    m.then(nn.Reshape, (m.shape[0], k))
    if m.flag():
        batch_norm(m)
    outputs = m.pick(1, 4)
    kind = m.pick(0, 3)
    if kind == 0:
        m.then(nn.Linear, m.constant(outputs, k), m.bias(outputs))
    elif kind == 1:
        bias = m.constant(outputs) if m.flag() else m.constant(1, outputs)
        m.then(nn.Gemm, m.constant(outputs, k), bias, alpha=0.5, beta=2.0, trans_b=True)
    else:
        m.then(nn.MatMul, m.constant(k, outputs))
        m.then(nn.Add, m.constant(outputs))
    if m.flag():
        activation(m)


@st.composite
def float_graphs(draw: st.DrawFn) -> Graph:
    """A graph of up to eight layers on 1-D or 2-D data."""
    rank = draw(st.integers(1, 2))
    channels = draw(st.sampled_from([1, 2, 4]))
    shape = (1, channels, *(draw(st.integers(3, 7)) for _ in range(rank)))
    maker = Maker(draw, shape)
    for layer in draw(st.lists(st.sampled_from(LAYERS), min_size=1, max_size=7)):
        layer(maker)
    outputs = [maker.value]
    if draw(st.integers(0, 4)) == 0:
        outputs.append(draw(st.sampled_from(maker.earlier)))
    if draw(st.booleans()):
        classify(maker)
        outputs[0] = maker.value
    return make_graph("random", "nn", maker.ops, outputs)
