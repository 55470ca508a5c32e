"""Random networks that a device can run, grown from its own description.

Everything that a layer may be is asked of the `Device`: kernel sizes, padding, pools, operands,
weight bits, passes. Sizes stay small, so that a network that does not fit is a finding.
"""

from collections.abc import Callable
from random import Random
from typing import Final

import numpy as np
from growing import Growing

from ai8xc.device import Device
from ai8xc.dialects import q
from ai8xc.ir.core import Graph, Input, Op, make_graph
from ai8xc.ir.loc import Loc
from ai8xc.ir.types import TensorType

ELEMENT: Final = {8: "i8", 4: "i4", 2: "i2", 1: "i1"}
MAX_VALUES: Final = 6000
"""Values of one tensor: those of a few layers fit together in every memory."""


class Maker(Growing):
    """Grows a graph with random choices."""

    def __init__(self, random: Random, device: Device) -> None:
        self.random = random
        self.device = device
        arrays = np.random.default_rng(random.randrange(2**32))
        source = Input(TensorType(self.first_shape(), "i8"), name="x", loc=Loc("", ("x",)))
        super().__init__(source, arrays)
        self.columns = device.kernel_columns // 2

    def first_shape(self) -> tuple[int, ...]:
        rank = self.random.choice([1, 2, 2])
        channels = self.random.choice([1, 2, 3, 4, 5, 16, 33, 64, 66, 100])
        limit = max(4, min(24, int((MAX_VALUES / channels) ** (1 / rank) / 2)))
        return (1, channels, *(self.pick(3, limit) for _ in range(rank)))

    def pick(self, low: int, high: int) -> int:
        return self.random.randint(low, max(low, high))

    def flag(self, share: float = 0.5) -> bool:
        return self.random.random() < share

    def element(self) -> str:
        """The type of the weights of a layer: mostly bytes."""
        choices = [ELEMENT[bits] for bits in sorted(self.device.weight_bits)]
        choices += ["bin"] if self.device.has("binary-weights") else []
        return "i8" if self.flag() else self.random.choice(choices)

    def bias(self, outputs: int) -> Op | None:
        return self.constant((outputs,)) if self.flag(0.6) else None

    def finish(self, element: str, terms: int) -> dict[str, object]:
        """Shift and activation: mostly a shift that fills the 8 bits, sometimes any that exists."""
        bits = {"i8": 8, "i4": 4, "i2": 2}.get(element, 1)
        low, high = self.device.min_shift, self.device.max_shift
        fitting = 8 - bits - round(np.log2(terms) / 2)  # a sum of that many random products
        total = self.pick(low, high) if self.flag(0.1) else fitting + self.pick(-2, 2)
        activation = self.random.choice(["none", "relu", "relu", "abs"])
        shift = min(max(total, low), high) - (8 - bits)
        return {"output_shift": shift, "activation": activation}

    @property
    def passes(self) -> int:
        """Passes of a layer that reads the last value."""
        return -(-self.shape[1] // self.device.processors)

    def outputs(self) -> int:
        """Channels of a layer on data of this size."""
        pixels = int(np.prod(self.shape[2:]))
        some = [1, 2, 3, 4, 5, 8, 12, 16, 20, 32, 40, 63, 64, 65, 68, 100, 128, 200]
        return self.random.choice([n for n in some if n * pixels <= MAX_VALUES] or [1])

    def spend(self, kernels: int, taps: int) -> bool:
        """Whether byte-wide kernels on each processor still fit; takes their columns if so."""
        need = -(-(kernels + 2 * self.device.processors_per_memory) * taps // 9) + 4
        if need > self.columns:
            return False
        self.columns -= need
        return True


def conv(m: Maker, outputs: int = 0, kernel: int = 0, stride: int = 1) -> None:
    """A convolution on data of either rank, perhaps strided or dilated."""
    device = m.device
    sizes = [rows for rows, columns in sorted(device.kernel_sizes_2d) if rows == columns]
    kernel = kernel or (m.random.choice(sizes) if m.rank == 2 else m.pick(1, device.max_kernel_1d))
    pad = m.pick(0, min(device.max_pad, kernel - 1))
    if min(m.shape[2:]) + 2 * pad < kernel:
        kernel, pad = 1, 0
    outputs = outputs or m.outputs()
    if not m.spend(m.passes * outputs, kernel**m.rank):
        return
    element = m.element()
    weight = m.constant((outputs, m.shape[1], *m.both(kernel)), element)
    layer = m.finish(element, m.shape[1] * kernel**m.rank)
    bias = m.bias(outputs)
    m.then(q.Conv, m.value, weight, bias, m.both(stride), m.both(pad) * 2, **layer)


def strided(m: Maker) -> None:
    """A convolution that steps over rows and columns."""
    conv(m, stride=m.pick(2, 3))


def dilated(m: Maker) -> None:
    """A 1-D convolution with gaps that fit into one stored kernel."""
    device = m.device
    if m.rank != 1:
        return
    kernel = m.pick(2, 4)
    dilation = m.pick(2, (device.max_stretched_kernel_1d - 1) // (kernel - 1))
    reach = (kernel - 1) * dilation + 1
    if reach > min(m.shape[2], device.max_stretched_kernel_1d):
        return
    outputs, element = m.outputs(), m.element()
    if not m.spend(m.passes * outputs, reach):
        return
    weight = m.constant((outputs, m.shape[1], kernel), element)
    layer = m.finish(element, m.shape[1] * kernel)
    bias = m.bias(outputs)
    m.then(q.Conv, m.value, weight, bias, (1,), (0, 0), (dilation,), **layer)


def depthwise(m: Maker) -> None:
    """A kernel for each channel: native on one device, made dense for the other."""
    channels = m.shape[1]
    if m.rank != 2 or min(m.shape[2:]) < 3 or not m.spend(channels * m.passes, 9):
        return
    weight = m.constant((channels, 1, 3, 3))
    layer = m.finish("i8", 9)
    bias = m.bias(channels)
    m.then(q.Conv, m.value, weight, bias, (1, 1), (1,) * 4, (1, 1), channels, **layer)


def transposed(m: Maker) -> None:
    """Twice the rows and columns."""
    if m.rank != 2 or 4 * 16 * np.prod(m.shape[2:]) > MAX_VALUES:
        return
    element, outputs = m.element(), m.random.choice([2, 4, 12, 16])
    if not m.spend(m.passes * outputs, 9):
        return
    weight = m.constant((m.shape[1], outputs, 3, 3), element)
    layer = m.finish(element, m.shape[1] * 4)
    bias = m.bias(outputs)
    ones, twos = (1, 1), (2, 2)
    m.then(q.ConvTranspose, m.value, weight, bias, twos, ones * 2, output_padding=ones, **layer)


def pool(m: Maker) -> None:
    """A maximum or a mean of a window, sometimes a large one."""
    device = m.device
    largest = device.max_pool if m.flag(0.2) else 3
    kernel = m.pick(1, min(largest, *m.shape[2:]))
    stride = m.pick(1, min(device.max_pool_stride, max(kernel, 2)))
    cls = q.MaxPool if m.flag() else q.AveragePool
    m.then(cls, m.value, m.both(kernel), m.both(stride))


def combine(m: Maker) -> None:
    """An element-wise operation with earlier values of the same shape."""
    same = [op for op in m.earlier if op.type.shape == m.shape]
    if len(same) == 1:
        conv(m, outputs=m.shape[1], kernel=1)
        same = [op for op in m.earlier if op.type.shape == m.shape]
    most = min(m.device.max_operands, (m.device.write_step_limit - 1) // m.passes) - 1
    many = most if m.flag(0.1) else min(most, 2)
    # a tensor that is an operand twice is copied, which takes a layer
    others = m.random.sample(same * 2, k=min(m.pick(1, many), len(same) + 1))
    cls = m.random.choice([q.Add, q.Add, q.Sub, q.BitwiseOr, q.BitwiseXor])
    m.then(cls, (m.value, *others))


def join(m: Maker) -> None:
    """Channels of an earlier value beside those of the last one."""
    share, width = m.device.processors_per_memory, m.device.processors

    def joins(op: Op) -> bool:
        if op.type.shape[2:] != m.shape[2:]:
            return False
        own, other = (-(-n // share) * share for n in (m.shape[1], op.type.shape[1]))
        halves = m.shape[1] == op.type.shape[1] and own == m.shape[1] and own > width // 2
        return own + other <= width or (halves and own <= width)

    fits = [op for op in m.earlier if joins(op)]
    if fits:
        m.then(q.Concat, (m.value, m.random.choice(fits)))


def branches(m: Maker) -> None:
    """Two or three layers on the same value, added or joined."""
    start, outputs = m.value, m.random.choice((4, 8, 16, 64))
    ends = []
    for _ in range(m.pick(2, 3)):
        m.value = start
        conv(m, outputs, kernel=1)
        ends.append(m.value)
    same = [op for op in ends if op.type.shape == m.shape]
    if len(same) > 1:
        joined = len(same) * outputs <= m.device.processors and m.flag()
        m.then(q.Concat if joined else q.Add, tuple(same))


def rectify(m: Maker) -> None:
    """An activation by itself."""
    m.then(m.random.choice([q.Relu, q.Abs]), m.value)


def view(m: Maker) -> None:
    """Rows and columns in another shape."""
    if m.rank == 2 and m.value is not m.earlier[0]:
        m.then(q.Reshape, m.value, (1, m.shape[1], m.shape[3], m.shape[2]))


Step = Callable[[Maker], None]
STEPS: Final[tuple[Step, ...]] = (
    conv, conv, conv, strided, dilated, depthwise, transposed, pool, pool,
    combine, combine, join, branches, rectify, view,
)  # fmt: skip


def classify(m: Maker) -> None:
    """A matrix on all values, more matrices behind it, the last one perhaps wide."""
    device, channels = m.device, m.shape[1]
    pixels = int(np.prod(m.shape[2:]))
    full = channels % (m.passes * device.processors_per_memory) == 0 or m.passes == 1
    if pixels > device.max_flatten_pixels or channels * pixels > 1024 or not full:
        size = tuple(min(n, device.max_pool) for n in m.shape[2:])
        m.then(q.MaxPool, m.value, size, m.both(device.max_pool))
        pixels = int(np.prod(m.shape[2:]))
    values = int(np.prod(m.shape[1:]))
    m.then(q.Reshape, m.value, (1, values))
    for _ in range(m.pick(1, 3)):
        if matrix(m, m.random.choice([1, 4, 10, 64, 80]), pixels):
            pixels = 1
    if m.flag():
        matrix(m, 3, pixels, wide=True)


def matrix(m: Maker, outputs: int, pixels: int, *, wide: bool = False) -> bool:
    """A linear layer on so many pixels, if there is room for it."""
    if not m.spend(outputs * pixels * m.passes, 1):
        return False
    element, terms = m.element(), m.shape[1]
    weight = m.constant((outputs, terms), element)
    layer = {"wide": True} if wide else m.finish(element, terms)
    bias = m.bias(outputs)
    m.then(q.Linear, m.value, weight, bias, **layer)
    return True


def legal(random: Random, device: Device, longest: int = 8) -> Graph:
    """Return a random network of the integer level that the device can run."""
    m = Maker(random, device)
    for _ in range(m.pick(1, longest)):
        random.choice(STEPS)(m)
    seen = list(m.earlier)
    if m.flag(0.4):
        classify(m)
    outputs = [m.value]
    if m.flag(0.2):
        outputs.append(random.choice(seen))
    return make_graph("random", "q", m.ops, dict.fromkeys(outputs))
