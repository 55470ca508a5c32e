"""Random networks that break one rule: a legal one with an op at its end that the device has not.

Each entry of `BREAKS` names the rule and appends the op; where the network grown so far does not
suit, it says so by `Unsuited`, and another one is grown.
"""

from collections.abc import Callable
from random import Random
from typing import Final

import numpy as np

from ai8xc.device import Device
from ai8xc.dialects import q
from ai8xc.ir.core import Data, Graph, Input, make_graph
from ai8xc.ir.types import TensorType
from fuzz.networks import STEPS, Maker, conv


class Unsuited(Exception):  # noqa: N818 - says what the network is
    """The op cannot follow this network."""


Break = Callable[[Maker], None]


def need(holds: bool) -> None:
    """Raise `Unsuited` where something does not hold."""
    if not holds:
        raise Unsuited


def plane(m: Maker, smallest: int = 3) -> None:
    """Data of both axes, not large, at least so many rows and columns."""
    need(m.rank == 2 and min(m.shape[2:]) >= smallest and m.shape[1] <= m.device.processors)


def weights(m: Maker, *shape: int) -> q.Constant:
    """Random bytes that are not zero, so that nothing can be left out."""
    made = q.Constant(Data(m.arrays.integers(1, 128, shape).astype(np.int8)), name=f"w{m.count}")
    m.count += 1
    m.ops.append(made)
    return made


def batch(m: Maker) -> None:
    need(len(m.ops) == 1)
    value = TensorType((m.pick(2, 5), *m.shape[1:]), "i8")
    m.value = m.ops[0] = m.earlier[0] = Input(value, name="x", loc=m.value.loc)
    outputs = 4
    m.then(q.Conv, m.value, weights(m, outputs, m.shape[1], *m.both(1)), output_shift=-4)


def transposed_stride(m: Maker) -> None:
    plane(m)
    weight = weights(m, m.shape[1], 4, 3, 3)
    m.then(q.ConvTranspose, m.value, weight, None, (3, 3), output_shift=-5)


def unequal_pool(m: Maker) -> None:
    plane(m, 4)
    strides = m.random.choice([(1, 2), (2, 1), (2, 3), (3, 1)])
    cls = m.random.choice([q.MaxPool, q.AveragePool])
    m.then(cls, m.value, (2, 2), strides)


def large_mean(m: Maker) -> None:
    """A prime number of rows has no exact steps."""
    need(m.rank == 1 and m.shape[2] in (17, 19, 23))
    m.then(q.AveragePool, m.value, m.shape[2:], m.shape[2:])


def mixed_channels(m: Maker) -> None:
    """Pixels become channels."""
    plane(m)
    need(m.shape[1] % 2 == 0)
    channels, rows, columns = m.shape[1:]
    need(m.value is not m.earlier[0])
    m.then(q.Reshape, m.value, (1, channels // 2, rows, columns * 2))


def swapped_axes(m: Maker) -> None:
    plane(m)
    need(m.value is not m.earlier[0])
    m.then(q.Transpose, m.value, (0, 1, 3, 2))


def many_operands(m: Maker) -> None:
    count = m.device.max_operands + m.pick(1, 5)
    need(m.shape[1] <= m.device.processors)
    m.then(q.Add, (m.value,) * count)


def both_roundings(m: Maker) -> None:
    plane(m, 5)
    m.then(q.AveragePool, m.value, (2, 2), (1, 1), rounding=True)
    conv(m, 4, kernel=1)
    m.then(q.AveragePool, m.value, (2, 2), (1, 1))


def many_channels(m: Maker) -> None:
    need(m.rank == 2 and np.prod(m.shape[2:]) <= 16)
    outputs = m.device.max_channels + m.pick(1, 100)
    weight = q.Constant(Data(np.ones((outputs, m.shape[1], 1, 1), np.int8)), name="many")
    m.ops.append(weight)
    m.then(q.Conv, m.value, weight, output_shift=-4)


def many_layers(m: Maker) -> None:
    need(m.rank == 2 and m.shape[1] <= 16)
    for _ in range(m.device.max_layers + m.pick(1, 8)):
        weight = weights(m, m.shape[1], m.shape[1], 1, 1)
        m.then(q.Conv, m.value, weight, output_shift=-5, activation="relu")


def large_kernels(m: Maker) -> None:
    """More columns than any processor has."""
    device = m.device
    need(m.rank == 2 and m.shape[1] >= 16 and min(m.shape[2:]) >= 3)
    outputs = device.max_channels
    for _ in range(2 + device.kernel_columns_large // outputs):
        weight = weights(m, outputs, m.shape[1], 3, 3)
        m.then(q.Conv, m.value, weight, None, (1, 1), (1, 1, 1, 1), output_shift=-6)


def large_data(m: Maker) -> None:
    """An input that is larger than all memories, and a small output."""
    need(len(m.ops) == 1 and m.rank == 2)
    device = m.device
    side = int((device.data_memory_bytes / 4 * 1.2) ** 0.5) + 1
    value = TensorType((1, device.processors, side, side), "i8")
    m.value = m.ops[0] = m.earlier[0] = Input(value, name="x", loc=m.value.loc)
    m.then(q.MaxPool, m.value, (3, 3), (16, 16))


def no_shift(m: Maker) -> None:
    plane(m)
    shift = m.random.choice([m.device.min_shift - 1, m.device.max_shift + 1])
    m.then(q.Conv, m.value, weights(m, 4, m.shape[1], 1, 1), output_shift=shift)


def too_long(m: Maker) -> None:
    need(len(m.ops) == 1 and m.rank == 1)
    rows = m.device.max_rows + m.pick(1, 7)
    value = TensorType((1, 4, rows), "i8")
    m.value = m.ops[0] = m.earlier[0] = Input(value, name="x", loc=m.value.loc)
    m.then(q.MaxPool, m.value, (rows - m.device.max_rows + 8,), (1,))  # windows start early
    m.then(q.Conv, m.value, weights(m, 4, 4, 1), None, (1,), (0, 0), output_shift=-4)


def large_window(m: Maker) -> None:
    """Larger than what folded data can give."""
    plane(m, 12)
    need(m.shape[1] <= 16)
    m.then(q.Conv, m.value, weights(m, 4, m.shape[1], 11, 11), output_shift=-6)


def unequal_padding(m: Maker) -> None:
    plane(m, 4)
    pads = m.random.choice([(0, 0, 0, 5), (0, 0, 1, 1), (0, 0, 3, 0)])
    m.then(q.Conv, m.value, weights(m, 4, m.shape[1], 3, 3), None, (1, 1), pads, output_shift=-6)


def wide_gaps(m: Maker) -> None:
    plane(m, 16)
    d = m.random.choice([5, 6, 7])
    weight = weights(m, 4, m.shape[1], 3, 3)
    m.then(q.Conv, m.value, weight, None, (1, 1), (0,) * 4, (d, d), output_shift=-6)


def many_wide_operands(m: Maker) -> None:
    """Words of all operands and passes lie too far apart."""
    device = m.device
    channels = 64 * m.pick(4, 8)
    need(len(m.ops) == 1 and m.rank == 2 and device.write_step_limit < 64)
    value = TensorType((1, channels, 2, 2), "i8")
    m.value = m.ops[0] = m.earlier[0] = Input(value, name="x", loc=m.value.loc)
    m.then(q.Add, (m.value,) * m.pick(8, 16))


def large_number(m: Maker) -> None:
    """A constant beyond its type."""
    plane(m)
    made = q.Constant(Data(np.full((4, m.shape[1], 1, 1), 9, np.int8)), "i4", name="beyond")
    m.ops.append(made)
    m.then(q.Conv, m.value, made, output_shift=-4)


BREAKS: Final[tuple[tuple[str, Break], ...]] = (
    ("AX101", batch),
    ("AX107", transposed_stride),
    ("AX108", unequal_pool),
    ("AX108", large_mean),
    ("AX109", mixed_channels),
    ("AX110", swapped_axes),
    ("AX111", many_operands),
    ("AX113", both_roundings),
    ("CHAN-OUT", many_channels),
    ("DIM-MAX", too_long),
    ("NET-LAYERS", many_layers),
    ("AX120", large_data),
    ("WMEM", large_kernels),
    ("Q002", no_shift),
    ("AX102", large_window),
    ("AX104", unequal_padding),
    ("AX106", wide_gaps),
    ("AX124", many_wide_operands),
    ("Q003", large_number),
)


def possible(rule: str, device: Device) -> bool:
    """Whether a device can break a rule: operands that are far apart need a short pointer step."""
    return rule != "AX124" or device.write_step_limit < 64


def illegal(
    random: Random, device: Device, entry: tuple[str, Break] | None = None
) -> tuple[str, Graph]:
    """Return the rule that is broken, and a network that breaks it; any entry without one."""
    rule, breaks = entry or random.choice([x for x in BREAKS if possible(x[0], device)])
    while True:
        m = Maker(random, device)
        for _ in range(m.pick(0, 3)):
            random.choice(STEPS)(m)
        try:
            breaks(m)
        except Unsuited:
            continue
        return rule, make_graph("random", "q", m.ops, [m.value])
