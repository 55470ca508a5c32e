"""Random networks that break one rule about channels, windows, pools, operands or constants."""

from collections.abc import Callable
from typing import Final

from layer_networks import (
    add,
    added,
    conv,
    conv1,
    copy,
    data,
    linear,
    net,
    pool,
    up,
)

from ai8xc.device import Device
from ai8xc.ir.core import Graph
from fuzz.illegal_places import Break, Some, dry, every, having


def input_channels(s: Some) -> Graph:
    return net(conv(data(s.device.max_channels + s.number(1, 60), 4, 4), s.few, 1))


def biased_channels(s: Some) -> Graph:
    outputs = s.device.bias_bytes_per_group + s.number(1, 60)
    return net(conv(data(4, s.side, s.side), outputs, 1, bias=True))


def many_biases(s: Some) -> Graph:
    """One layer more than there are groups, each with as many biases as a group holds."""
    most, x = s.device.bias_bytes_per_group, data(4, 1, 1)
    layers = [conv(x, most, 1, bias=True, element="i1") for _ in range(s.device.groups)]
    return net(*layers, conv(x, s.few, 1, bias=True, element="i1"))


def operands_of_sequence(s: Some) -> Graph:
    parts = s.number(2, 4)
    return net(conv1(data(4 * parts, s.number(10, 30)), parts=parts, eltwise="add"))


def padded_passes(s: Some) -> Graph:
    return net(conv1(data(64 + s.number(1, 60), s.number(10, 30)), pad=1))


def wide_padding(s: Some) -> Graph:
    return net(conv(s.value(), s.few, 3, pad=(s.device.max_pad + 1,) * 2))


def long_gap(s: Some) -> Graph:
    kind = s.number(0, 2)
    distance = s.number(9, 12)
    x = s.sequence(4, 64)
    if kind == 0:
        return net(conv1(x, k=s.number(4, 5), d=distance))
    if kind == 1:
        return net(conv1(x, d=distance, pad=1))
    return net(conv1(x, d=distance, pool=pool((2, 1))))


def longest_gap(s: Some) -> Graph:
    most = s.device.max_dilation_1d
    return net(conv1(data(1, min(s.device.max_rows, most + 2)), 1, 2, d=most + 1))


def last_window(s: Some) -> Graph:
    half = s.device.max_columns // 2
    return net(up(data(1, s.number(2, 6), half + 1), 1, pad=2))


def padded_rows(s: Some) -> Graph:
    rows = s.device.max_rows - s.number(0, 1)
    return net(conv(data(1, rows, 2), 1))


def bias_and_operands(s: Some) -> Graph:
    return net(added(bias=True))


def operands_of_passes(s: Some) -> Graph:
    x = data(64 + s.number(1, 60), 8, 8)
    return net(copy(**add(x, x, x), pool=pool(8)))


def rows_of_operands(s: Some) -> Graph:
    x = data(65, s.device.max_rows // 2 + s.number(1, 40), 1)
    return net(copy(**add(x, x, x)))


def large_matrix(s: Some) -> Graph:
    return net(linear(data(s.device.max_flatten_inputs // 256 + s.number(1, 4), 16, 16), 1))


def dilated_window(s: Some) -> Graph:
    image = data(s.few, 12, 12)
    return net(copy(image, pool=pool(s.number(3, 4), 1, dilations=(2, 2))))


def late_pool(s: Some) -> Graph:
    x = s.image()
    count = s.number(3, 6)
    return net(copy(**add(*[x] * count), pool=pool(2), pool_first=False))


def pooled_passes(s: Some) -> Graph:
    return net(copy(data(64 + s.number(1, 60), s.side, s.side), pool=pool(2, 2)))


def large_transpose(s: Some) -> Graph:
    return net(up(s.value(), s.few, k=s.random.choice([1, 5])))


BREAKS: Final[tuple[tuple[str, Break, Callable[[Device], bool]], ...]] = (
    ("CHAN-IN", input_channels, every),
    ("CHAN-BIAS", biased_channels, lambda d: d.bias_bytes_per_group < d.max_channels),
    ("BIAS-MEM", many_biases, lambda d: d.bias_bytes_per_group < d.max_channels),
    ("CONV1D-ELT", operands_of_sequence, every),
    ("CONV1D-MPPAD", padded_passes, dry("conv1d-multipass-pad")),
    ("CONV2D-PAD", wide_padding, every),
    ("DIL1D-LARGE", long_gap, every),
    ("DIL1D-MAX", longest_gap, lambda d: d.max_padded is not None),
    ("DIM-CNT", last_window, lambda d: d.position_limit is not None),
    ("DIM-PADDED", padded_rows, lambda d: d.max_padded is not None),
    ("ELT-BIAS", bias_and_operands, dry("eltwise-conv-bias")),
    ("ELT-MP", operands_of_passes, having("multipass-eltwise-limit")),
    ("ELT-MP-ROWS", rows_of_operands, having("multipass-eltwise-limit")),
    ("FLAT-SIZE", large_matrix, every),
    ("POOL-DIL-GEOM", dilated_window, lambda d: d.max_pool_dilation > 1),
    ("POOL-LAST-ELT", late_pool, every),
    ("POOL-MP-PASS", pooled_passes, lambda d: d.max_pool_passes == 1),
    ("X2D-KERNEL", large_transpose, every),
)
"""Rule, network, and which devices can break it."""
