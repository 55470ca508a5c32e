"""Random small integer graphs that the accelerator can run, in the forms that networks have."""

from collections.abc import Callable

import numpy as np
from growing import Growing
from hypothesis import strategies as st

from ai8xc.dialects import q
from ai8xc.ir.core import Graph, Input, Op, make_graph
from ai8xc.ir.loc import Loc
from ai8xc.ir.types import TensorType

SHIFT = {"i8": -4, "i4": 0, "i2": 4, "i1": 5}
CHANNELS = [1, 2, 3, 4, 5, 8, 12, 16, 20, 32, 40, 64, 68, 100, 128]


class Maker(Growing):
    """Grows a graph with choices that hypothesis draws."""

    def __init__(self, draw: st.DrawFn, shape: tuple[int, ...]) -> None:
        self.draw = draw
        arrays = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
        super().__init__(Input(TensorType(shape, "i8"), name="x", loc=Loc("", ("x",))), arrays)

    def pick(self, low: int, high: int) -> int:
        return self.draw(st.integers(low, high))

    def of(self, values: list[int]) -> int:
        return self.draw(st.sampled_from(values))

    def flag(self) -> bool:
        return self.draw(st.booleans())

    def layer(self) -> dict[str, object]:
        """Weight element, shift and activation of a layer."""
        element = self.draw(st.sampled_from(["i8", "i8", "i8", "i4", "i2", "i1"]))
        activation = self.draw(st.sampled_from(["none", "relu", "relu", "abs"]))
        return {"element": element, "output_shift": SHIFT[element], "activation": activation}


def conv(m: Maker, outputs: int = 0, kernel: int = 0, stride: int = 1) -> None:
    layer = m.layer()
    element = str(layer.pop("element"))
    kernel = kernel or (m.of([1, 3]) if m.rank == 2 else m.pick(1, 9))
    pad = m.pick(0, min(2, kernel - 1))
    while min(m.shape[2:]) + 2 * pad < kernel:
        pad, kernel = (pad + 1, kernel) if pad < min(2, kernel - 1) else (0, 1)
    outputs = outputs or m.of(CHANNELS)
    weight = m.constant((outputs, m.shape[1], *m.both(kernel)), element)
    bias = m.constant((outputs,)) if m.flag() else None
    pads, strides = m.both(pad) * 2, m.both(stride)
    m.then(q.Conv, m.value, weight, bias, strides, pads, **layer)


def transposed(m: Maker) -> None:
    if m.rank != 2 or max(m.shape[2:]) > 12:
        return
    layer = m.layer()
    outputs = m.of([2, 4, 12, 64])
    weight = m.constant((m.shape[1], outputs, 3, 3), str(layer.pop("element")))
    bias = m.constant((outputs,)) if m.flag() else None
    ones, twos = (1, 1), (2, 2)
    m.then(q.ConvTranspose, m.value, weight, bias, twos, ones * 2, output_padding=ones, **layer)


def pool(m: Maker) -> None:
    kernel = m.pick(1, min(3, *m.shape[2:]))
    stride = m.pick(1, 3)
    if m.flag():
        m.then(q.MaxPool, m.value, m.both(kernel), m.both(stride))
    else:
        m.then(q.AveragePool, m.value, m.both(kernel), m.both(stride))


def residual(m: Maker) -> None:
    """Combine with an earlier value of the same shape, or go on to one and combine."""
    same = [op for op in m.earlier if op.type.shape == m.shape]
    if len(same) == 1 and m.flag():
        conv(m, outputs=m.shape[1], kernel=1)
        same = [op for op in m.earlier if op.type.shape == m.shape]
    others = m.draw(st.lists(st.sampled_from(same), min_size=1, max_size=3))
    cls = m.draw(st.sampled_from([q.Add, q.Add, q.Sub, q.BitwiseOr, q.BitwiseXor]))
    m.then(cls, (m.value, *others))


def join(m: Maker) -> None:
    """Join with an earlier value of the same size; in passes only parts that fill them."""

    def joins(op: Op) -> bool:
        channels = m.shape[1] + op.type.shape[1]
        aligned = -(-m.shape[1] // 4) * 4 + -(-op.type.shape[1] // 4) * 4 <= 64
        halves = m.shape[1] == op.type.shape[1] and m.shape[1] % 4 == 0
        return aligned or (halves and 32 < m.shape[1] <= 64 and channels <= 128)

    fits = [op for op in m.earlier if op.type.shape[2:] == m.shape[2:] and joins(op)]
    if fits:
        m.then(q.Concat, (m.value, m.draw(st.sampled_from(fits))))


def two_branches(m: Maker) -> None:
    """Two layers on the same value, added or joined."""
    start, outputs = m.value, m.of([4, 8, 16, 64])
    conv(m, outputs, kernel=1)
    left = m.value
    m.value = start
    conv(m, outputs, kernel=1)
    if left.type.shape == m.shape:
        m.then(q.Add, (left, m.value)) if m.flag() else m.then(q.Concat, (left, m.value))


def rectify(m: Maker) -> None:
    m.then(m.draw(st.sampled_from([q.Relu, q.Abs])), m.value)


def view(m: Maker) -> None:
    if m.rank == 2 and m.value is not m.earlier[0]:
        m.then(q.Reshape, m.value, (1, m.shape[1], m.shape[3], m.shape[2]))


LAYERS: list[Callable[[Maker], None]] = [
    conv, conv, conv, transposed, pool, pool, residual, residual, join, two_branches, view, rectify
]  # fmt: skip


def classify(m: Maker) -> None:
    """A matrix on all values, and perhaps more matrices."""
    k = int(np.prod(m.shape[1:]))
    channels = m.shape[1]
    fills = channels <= 64 or channels % 8 == 0
    if k > 1024 or not fills or k // channels > 256:
        m.then(q.AveragePool, m.value, m.shape[2:], m.shape[2:])
        k = m.shape[1]
    m.then(q.Reshape, m.value, (1, k))
    for _ in range(m.pick(1, 3)):
        layer = m.layer()
        outputs = m.of([1, 4, 10, 64, 80])
        weight = m.constant((outputs, m.shape[1]), str(layer.pop("element")))
        m.then(q.Linear, m.value, weight, m.constant((outputs,)) if m.flag() else None, **layer)
    if m.flag():
        weight = m.constant((3, m.shape[1]))
        m.then(q.Linear, m.value, weight, m.constant((3,)), wide=True)


@st.composite
def q_graphs(draw: st.DrawFn, *, longest: int = 7) -> Graph:
    """A chain with residuals, branches and joins on 1-D or 2-D data, one output or several."""
    rank = draw(st.sampled_from([1, 2, 2]))
    channels = draw(st.sampled_from([1, 2, 3, 4, 16, 64, 66]))
    shape = (1, channels, *(draw(st.integers(3, 9)) for _ in range(rank)))
    m = Maker(draw, shape)
    for layer in draw(st.lists(st.sampled_from(LAYERS), min_size=1, max_size=longest)):
        layer(m)
    seen = list(m.earlier)
    if draw(st.booleans()):
        classify(m)
    outputs = [m.value]
    if draw(st.integers(0, 3)) == 0:
        outputs.append(draw(st.sampled_from(seen)))
    return make_graph("random", "q", m.ops, dict.fromkeys(outputs))
