"""Windows on folded data: `by` rows and columns become channels, and a window sees as much less.

An axis folded by f holds value f * y + a as part a of folded value y. A window with n taps on it,
which gives p = f / stride values at a time, is p windows of about n / f taps: one for each phase.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from ai8xc.dialects import q
from ai8xc.ir.core import Op
from ai8xc.ir.types import Array
from ai8xc.passes.densify_groups import dense
from ai8xc.passes.identity import OUTPUT_SHIFT, q_constant
from ai8xc.passes.laws.weights import repeated_bias, with_weight

SIDE = 3
"""Rows and columns of the window that gathers and spreads values."""

Channel = Callable[[int, int, int], int]
"""The folded channel of a channel and its parts of rows and columns."""


@dataclass(frozen=True)
class FoldedAxis:
    """A window along one axis of data folded by `by`; `out` is the number of its values."""

    taps: int
    begin: int
    stride: int
    dilation: int
    size: int
    out: int
    by: int

    @property
    def phases(self) -> int:
        """Values that each position on folded data gives."""
        return self.by // self.stride

    def spot(self, phase: int, tap: int) -> tuple[int, int]:
        """Return the folded value, relative to the first output's, and the part that a tap reads.

        Output f * y + phase reads value (f * y + phase) * stride + tap * dilation - begin.
        """
        return divmod(phase * self.stride + tap * self.dilation - self.begin, self.by)

    @property
    def first(self) -> int:
        """The first folded value that the window reads."""
        return self.spot(0, 0)[0]

    @property
    def window(self) -> int:
        """Taps of the folded window."""
        return self.spot(self.phases - 1, self.taps - 1)[0] - self.first + 1

    @property
    def pads(self) -> tuple[int, int]:
        """Padding of the folded window in front and behind, at least as much as is needed."""
        rows, wanted = -(-self.size // self.by), -(-self.out // self.phases)
        return -self.first, max(0, wanted - rows + self.first + self.window - 1)


def folded_axes(op: q.Conv, by: Sequence[int]) -> list[FoldedAxis]:
    """Return both axes of a convolution on data folded by so many rows and columns."""
    g = op.geometry
    return [
        FoldedAxis(
            op.kernel[a],
            g.pads[a],
            g.strides[a],
            g.dilations[a],
            op.x.type.shape[2 + a],
            op.type.shape[2 + a],
            by[a],
        )
        for a in (0, 1)
    ]


def as_loaded(by: Sequence[int]) -> Channel:
    """Return the order of channels in which the network's input is folded while it is loaded."""
    return lambda channel, row, column: (channel * by[0] + row) * by[1] + column


def as_gathered(by: int) -> Channel:
    """Return the order of channels that `gathered` gives: halves of halves."""

    def channel(channel: int, row: int, column: int) -> int:
        rest = by
        while rest > 1:
            channel = (channel * 2 + row % 2) * 2 + column % 2
            row, column, rest = row // 2, column // 2, rest // 2
        return channel

    return channel


def folded_conv(op: q.Conv, x: Op, axes: Sequence[FoldedAxis], channel: Channel) -> q.Conv:
    """Return the convolution on `x`, its folded data; phases are channels as `spread` reads them.

    The output may have more rows and columns than are needed, at the end.
    """
    assert isinstance(op.weight, q.Constant)
    array = dense(op.weight.value.array, op.groups)
    phases = axes[0].phases * axes[1].phases
    weight = _folded_weight(array, axes, channel, x.type.shape[1])
    (top, bottom), (left, right) = (axis.pads for axis in axes)
    return with_weight(
        op,
        weight,
        x=x,
        bias=repeated_bias(op, phases),
        strides=(),
        dilations=(),
        groups=1,
        pads=(top, left, bottom, right),
    )


def _folded_weight(
    array: Array, axes: Sequence[FoldedAxis], channel: Channel, channels: int
) -> Array:
    outputs, inputs = array.shape[:2]
    rows, columns = axes
    down, across = rows.phases, columns.phases
    place = as_gathered(down) if down == across else as_loaded((down, across))
    wide = np.zeros((outputs * down * across, channels, rows.window, columns.window), array.dtype)
    spots = product(range(down), range(across), range(rows.taps), range(columns.taps))
    for p, o, i, j in spots:
        y, a = rows.spot(p, i)
        x, b = columns.spot(o, j)
        target = [place(m, p, o) for m in range(outputs)]
        source = [channel(c, a, b) for c in range(inputs)]
        wide[np.ix_(target, source, [y - rows.first], [x - columns.first])] += array[
            :, :, i : i + 1, j : j + 1
        ]
    return wide


def gathered(x: Op, by: int, name: str) -> Op:
    """Return `x` folded by a power of two: copies shifted by one, of which each second is read."""
    while by > 1:
        channels = x.type.shape[1]
        weight = np.zeros((channels, 2, 2, channels, SIDE, SIDE), np.int8)
        for c, a, b in product(range(channels), (0, 1), (0, 1)):
            weight[c, a, b, c, 1 + a, 1 + b] = 1
        shifted = q.Conv(
            x,
            q_constant(weight.reshape(4 * channels, channels, SIDE, SIDE)),
            pads=(1, 1, 1, 1),
            output_shift=OUTPUT_SHIFT,
            name=f"{name}_shifted{by}",
            loc=x.loc,
        )
        x = q.MaxPool(shifted, (1, 1), (2, 2), name=f"{name}_folded{by}", loc=x.loc)
        by //= 2
    return x


def spread(x: Op, phases: int, name: str) -> Op:
    """Return data whose channels are phases, a power of two, as rows and columns again.

    Rectified data are rectified again, which changes nothing and tells those that pad them.
    """
    rectified = isinstance(x, q.Conv) and x.activation != "none"
    while phases > 1:
        channels = x.type.shape[1] // 4
        weight = np.zeros((channels, 2, 2, channels, SIDE, SIDE), np.int8)
        for c, p, o in product(range(channels), (0, 1), (0, 1)):
            weight[c, p, o, c, 1 + p, 1 + o] = 1
        x = q.ConvTranspose(
            x,
            q_constant(weight.reshape(4 * channels, channels, SIDE, SIDE)),
            strides=(2, 2),
            pads=(1, 1, 1, 1),
            output_padding=(1, 1),
            output_shift=OUTPUT_SHIFT,
            activation="relu" if rectified else "none",
            name=f"{name}_spread{phases}",
            loc=x.loc,
        )
        phases //= 2
    return x


def named(x: Op, op: Op) -> Op:
    """Return `x` without the rows and columns that `op` has not, under its name."""
    if x.type.shape == op.type.shape:
        return replace(x, name=op.name, loc=op.loc)
    return q.Slice(x, (0,) * 4, op.type.shape, (1,) * 4, name=op.name, loc=op.loc)
