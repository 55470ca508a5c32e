"""Transposed convolutions and enlargements in the one form that the hardware has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import product
from typing import ClassVar

import numpy as np

from ai8xc.device import Device
from ai8xc.dialects import kernels, q
from ai8xc.ir.core import Data, Graph, Op
from ai8xc.ir.passes import Pass, PassContext, register
from ai8xc.ir.rewrite import Rule, rewrite
from ai8xc.passes.fold_windows import FACTORS
from ai8xc.passes.identity import OUTPUT_SHIFT, identity_weight, q_constant
from ai8xc.passes.laws.folding import SIDE, as_gathered, named, spread
from ai8xc.passes.laws.weights import holds_zero, repeated_bias, with_weight


def enlarged(op: Op, uses: Mapping[Op, int]) -> Op | None:
    """resize(x){2n} => resize(conv_transpose(x)){n} whose four taps of 1 repeat each value.

    With padding 1, tap 1 writes value y to 2y and tap 2 writes it to 2y + 1.
    """
    if not isinstance(op, q.Resize) or len(op.scales) != 2:
        return None
    if any(scale % 2 for scale in op.scales):
        return None
    channels = op.x.type.shape[1]
    taps = np.zeros((SIDE, SIDE), np.int8)
    taps[1:, 1:] = 1
    weight = identity_weight(channels, (1, 1), (0, 0)) * taps
    rest = tuple(scale // 2 for scale in op.scales)
    last = set(rest) == {1}
    made = q.ConvTranspose(
        op.x,
        q_constant(weight),
        strides=(2, 2),
        pads=(1, 1, 1, 1),
        output_padding=(1, 1),
        output_shift=OUTPUT_SHIFT,
        name=op.name if last else f"{op.name}_in",
        loc=op.loc,
    )
    return made if last else replace(op, x=made, scales=rest)


def no_enlargement(op: Op, uses: Mapping[Op, int]) -> Op | None:
    """resize(x){1} => x."""
    return op.x if isinstance(op, q.Resize) and set(op.scales) == {1} else None


def stride_one(op: Op, uses: Mapping[Op, int]) -> Op | None:
    """conv_transpose(x, w){stride 1} => conv(x, w turned by 180 degrees)."""
    if not isinstance(op, q.ConvTranspose) or not isinstance(op.weight, q.Constant):
        return None
    g, rank = op.geometry, len(op.kernel)
    if set(g.strides) != {1} or op.groups != 1:
        return None
    extra = op.output_padding or (0,) * rank
    reach = [d * (k - 1) for k, d in zip(op.kernel, g.dilations, strict=True)]
    begins = [r - p for r, p in zip(reach, g.pads[:rank], strict=True)]
    ends = [r - p + e for r, p, e in zip(reach, g.pads[rank:], extra, strict=True)]
    if min(*begins, *ends) < 0:
        return None
    weight = replace(op.weight, value=Data(kernels.flip_kernel(op.weight.value.array)))
    return q.Conv(
        op.x,
        weight,
        op.bias,
        pads=(*begins, *ends),
        dilations=op.dilations,
        output_shift=op.output_shift,
        activation=op.activation,
        wide=op.wide,
        name=op.name,
        loc=op.loc,
    )


def stride_two(device: Device) -> Rule:
    """Return the law for a device."""

    def law(op: Op, uses: Mapping[Op, int]) -> Op | None:
        """conv_transpose(x, w){stride 2} => the same with w between zeros in a 3x3 window.

        Tap i of padding b writes to 2u + i - b; at offset o in the window that is 2u + (i + o) - P
        with P = b + o. The window writes 2H + 2 - 2P values; one more than needed is cut off.
        """
        if not isinstance(op, q.ConvTranspose) or not isinstance(op.weight, q.Constant):
            return None
        g, extra = op.geometry, op.output_padding or (0,) * len(op.kernel)
        stride = (device.transposed_stride,) * 2
        if g.strides != stride or set(g.dilations) != {1} or op.groups != 1:
            return None
        axes = zip(op.kernel, g.pads[:2], g.pads[2:], extra, strict=True)
        fits = [_fit(*axis, device.max_pad) for axis in axes]
        found = [f for f in fits if f is not None]
        if len(found) < len(fits):
            return None
        pads = tuple(pad for _, pad in found) * 2
        if op.kernel == (SIDE, SIDE) and pads == g.pads and extra == (1, 1):
            return None
        made = _widened(op, op.weight, found, pads)
        if made.type.shape == op.type.shape:
            return made
        larger = replace(made, name=f"{op.name}_larger")
        return q.Slice(larger, (0,) * 4, op.type.shape, (1,) * 4, name=op.name, loc=op.loc)

    return law


def _fit(taps: int, begin: int, end: int, extra: int, max_pad: int) -> tuple[int, int] | None:
    """Return offset and padding of the taps in the window, None where they do not fit."""
    for more in (0, 1):
        pad, odd = divmod(4 - taps + begin + end - extra - more, 2)
        offset = pad - begin
        if not odd and 0 <= pad <= max_pad and 0 <= offset <= SIDE - taps:
            return offset, pad
    return None


def _widened(
    op: q.ConvTranspose, weight: q.Constant, found: list[tuple[int, int]], pads: tuple[int, ...]
) -> q.ConvTranspose:
    array = weight.value.array
    wide = np.zeros((*array.shape[:2], SIDE, SIDE), array.dtype)
    spots = [slice(o, o + k) for (o, _), k in zip(found, op.kernel, strict=True)]
    wide[(slice(None), slice(None), *spots)] = array
    return with_weight(op, wide, pads=pads, output_padding=(1, 1))


def phases(device: Device) -> Rule:
    """Return the law for a device."""

    def law(op: Op, uses: Mapping[Op, int]) -> Op | None:
        """conv_transpose(x, w){stride s} => unfold(conv(x, w by phases)), for s = 2 or 4.

        Value s * y + p of the output sees x at y + n through tap i where s * n = p + padding - i:
        each of the s x s phases is a convolution, all of them are one with as many channels.
        """
        if not isinstance(op, q.ConvTranspose) or not isinstance(op.weight, q.Constant):
            return None
        if len(op.kernel) != 2 or _hardware(op, device) or not _has_phases(op, device):
            return None
        made = _by_phases(op, op.weight)
        return named(spread(made, op.geometry.strides[0], op.name), op)

    return law


def _hardware(op: q.ConvTranspose, device: Device) -> bool:
    """Whether this is the form that the hardware has."""
    g, stride = op.geometry, device.transposed_stride
    square = op.kernel == (SIDE, SIDE) and g.pads[:2] == g.pads[2:] and max(g.pads) <= 2
    extra = op.output_padding == (device.transposed_output_pad,) * 2
    return square and extra and g.strides == (stride, stride) and set(g.dilations) == {1}


def _has_phases(op: q.ConvTranspose, device: Device) -> bool:
    g = op.geometry
    strided = g.strides[0] == g.strides[1] and g.strides[0] in FACTORS
    if not strided or set(g.dilations) != {1} or op.wide or op.groups > 1:
        return False
    channels = op.type.shape[1] * g.strides[0] ** 2
    biased = op.bias is None or channels <= device.bias_bytes_per_group
    small = all(_reach(op, a)[1] <= SIDE for a in (0, 1))
    return small and channels <= device.max_channels and biased


def _reach(op: q.ConvTranspose, axis: int) -> tuple[int, int]:
    """Return the first value of x that phases see, relative to theirs, and how many."""
    s, pad, taps = op.geometry.strides[axis], op.geometry.pads[axis], op.kernel[axis]
    first, last = -((taps - 1 - pad) // s), (s - 1 + pad) // s
    return first, last - first + 1


def _by_phases(op: q.ConvTranspose, weight: q.Constant) -> q.Conv:
    array = weight.value.array
    channels, outputs = array.shape[:2]
    g, s = op.geometry, op.geometry.strides[0]
    (row, rows), (column, columns) = (_reach(op, a) for a in (0, 1))
    place = as_gathered(s)
    wide = np.zeros((outputs * s * s, channels, rows, columns), array.dtype)
    for p, o, i, j in product(range(s), range(s), range(op.kernel[0]), range(op.kernel[1])):
        y, odd = divmod(p + g.pads[0] - i, s)
        x, other = divmod(o + g.pads[1] - j, s)
        if not odd and not other:
            target = [place(m, p, o) for m in range(outputs)]
            wide[target, :, y - row, x - column] = array[:, :, i, j].T
    element = holds_zero(weight.element)
    wanted = [-(-n // s) for n in op.type.shape[2:]]
    ends = [
        max(0, n - size + first + taps - 1)
        for n, size, first, taps in zip(
            wanted, op.x.type.shape[2:], (row, column), (rows, columns), strict=True
        )
    ]
    return q.Conv(
        op.x,
        replace(weight, value=Data(wide), element=element),
        repeated_bias(op, s * s),
        pads=(-row, -column, *ends),
        output_shift=op.output_shift + (element != weight.element),
        activation=op.activation,
        name=f"{op.name}_inner",
        loc=op.loc,
    )


@register
@dataclass(frozen=True)
class FitTransposed(Pass):
    """Transposed convolutions of 3x3, stride 2, output padding 1; see the laws."""

    name: ClassVar[str] = "fit-transposed"
    needs: ClassVar[frozenset[str]] = frozenset({"q", "rank4"})

    def run(self, graph: Graph, ctx: PassContext) -> Graph:
        """Return the graph with enlargements that the device has, where there is an equal one."""
        device = ctx.need(Device)
        laws = (no_enlargement, enlarged, stride_one, stride_two(device), phases(device))
        return rewrite(graph, laws)
