"""Windows that the hardware does not have, as ones that it has: zeros around the taps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import prod
from typing import ClassVar

import numpy as np

from ai8xc.device import Device
from ai8xc.dialects import q
from ai8xc.ir.core import Data, Graph, Op
from ai8xc.ir.passes import Pass, PassContext, register
from ai8xc.ir.rewrite import Rule, rewrite
from ai8xc.passes.densify_groups import holds_zero
from ai8xc.passes.identity import ELEMENT, OUTPUT_SHIFT, identity_weight, q_constant, q_identity

SIDE = 3
"""Rows and columns of the large 2-D window."""


@dataclass(frozen=True)
class Axis:
    """Taps and padding along one axis."""

    taps: int
    begin: int
    end: int


@dataclass(frozen=True)
class Fit:
    """The same along an axis with `taps` taps, the old ones from `offset` on, and equal `pad`.

    `more`: the output is one value longer.
    """

    taps: int
    offset: int
    pad: int
    more: bool = False


def fit(axis: Axis, sizes: range, max_pad: int) -> Fit | None:
    """Return the smallest window of a size in `sizes` that computes the same; None without one.

    Output y of k taps with padding b reads x[y + i - b]; in K taps, the old ones at offset o, it
    reads x[y + i + o - P]: P = b + o. The output has as many values if K = k + 2P - b - e.
    """
    for more in (0, 1):
        for pad in range(max_pad + 1):
            offset = pad - axis.begin
            taps = axis.taps + 2 * pad - axis.begin - axis.end - more
            inside = 0 <= offset <= taps - axis.taps
            if taps in sizes and inside and (pad == 0 or pad < taps):
                return Fit(taps, offset, pad, bool(more))
    return None


def pad_of_conv(op: Op, uses: Mapping[Op, int]) -> Op | None:
    """conv(pad(x)) => conv(x) with that much more padding, where rows and columns are padded."""
    if not isinstance(op, q.Conv) or not isinstance(op.x, q.Pad) or any(op.x.pads[:2]):
        return None
    pads, half = op.x.pads, len(op.x.pads) // 2
    if any(pads[half : half + 2]) or min(pads) < 0:
        return None
    own = op.geometry.pads
    added = (*pads[2:half], *pads[half + 2 :])
    total = tuple(a + b for a, b in zip(own, added, strict=True))
    return replace(op, x=op.x.x, pads=total)


def unused_taps(op: Op, uses: Mapping[Op, int]) -> Op | None:
    """conv(x, w) => conv(x, taps of w that see data somewhere and are not all zero)."""
    if not _plain(op) or not isinstance(op, q.Conv) or not isinstance(op.weight, q.Constant):
        return None
    array, pads = op.weight.value.array, list(op.geometry.pads)
    index: list[slice] = [slice(None), slice(None)]
    for axis, taps in enumerate(op.kernel):
        size, out = op.x.type.shape[2 + axis], op.type.shape[2 + axis]
        begin, end = pads[axis], pads[axis + 2]
        filled = np.flatnonzero(np.moveaxis(array, 2 + axis, 0).reshape(taps, -1).any(axis=1))
        low = max(begin - out + 1, int(filled[0]) if filled.size else 0, 0)
        high = min(size + begin, int(filled[-1]) + 1 if filled.size else taps)
        low, high = min(low, begin, taps - 1), max(high, taps - end)
        index.append(slice(low, max(high, low + 1)))
        pads[axis] -= low
        pads[axis + 2] -= taps - max(high, low + 1)
    cut = array[tuple(index)]
    if cut.shape == array.shape:
        return None
    made = replace(op, weight=replace(op.weight, value=Data(cut)), pads=tuple(pads))
    return made if made.type.shape == op.type.shape else None


def whole_window(op: Op, uses: Mapping[Op, int]) -> Op | None:
    """conv(x, w) with w as large as x => w as a matrix on all values of x."""
    if not _plain(op) or not isinstance(op, q.Conv) or not isinstance(op.weight, q.Constant):
        return None
    whole = op.kernel == op.x.type.shape[2:] and not any(op.geometry.pads)
    native = op.kernel in ((1, 1), (SIDE, SIDE)) or (op.kernel[1] == 1 and op.kernel[0] <= 9)
    if not whole or native:
        return None
    outputs, values = op.weight.type.shape[0], prod(op.x.type.shape[1:])
    weight = replace(op.weight, value=Data(op.weight.value.array.reshape(outputs, values)))
    flat = q.Reshape(op.x, (1, values), name=f"{op.name}_flat", loc=op.loc)
    matrix = q.Linear(
        flat,
        weight,
        op.bias,
        output_shift=op.output_shift,
        activation=op.activation,
        wide=op.wide,
        name=f"{op.name}_matrix",
        loc=op.loc,
    )
    return q.Reshape(matrix, op.type.shape, name=op.name, loc=op.loc)


def fitted(device: Device) -> Rule:
    """Return the law for a device."""

    def law(op: Op, uses: Mapping[Op, int]) -> Op | None:
        """conv(x, w) => conv(x, w between zeros), or that without its last row and column."""
        if not _plain(op) or not isinstance(op, q.Conv) or not isinstance(op.weight, q.Constant):
            return None
        sequence = op.x.type.shape[3] == 1 and op.kernel[1] == 1
        fits = _fits(op, device, sequence=sequence)
        if fits is None:
            return None
        target = tuple(f.taps for f in fits)
        pads = tuple(f.pad for f in fits) * 2
        if target == op.kernel and pads == op.geometry.pads:
            return None
        array = op.weight.value.array
        wide = np.zeros((*array.shape[:2], *target), array.dtype)
        spots = [slice(f.offset, f.offset + k) for f, k in zip(fits, op.kernel, strict=True)]
        wide[(slice(None), slice(None), *spots)] = array
        made = _with_weight(op, op.weight, wide, pads)
        if not any(f.more for f in fits):
            return made
        made = replace(made, name=f"{op.name}_larger")
        ends = op.type.shape
        return q.Slice(made, (0,) * 4, ends, (1,) * 4, name=op.name, loc=op.loc)

    return law


def _with_weight(
    op: q.Conv,
    weight: q.Constant,
    array: np.ndarray[tuple[int, ...], np.dtype[np.int8]],
    pads: tuple[int, ...],
) -> q.Conv:
    element = holds_zero(weight.element)
    wider = element != weight.element
    made = replace(weight, value=Data(array), element=element)
    return replace(op, weight=made, pads=pads, output_shift=op.output_shift + wider)


def _fits(op: q.Conv, device: Device, *, sequence: bool) -> list[Fit] | None:
    pads = op.geometry.pads
    axes = [Axis(op.kernel[a], pads[a], pads[a + 2]) for a in (0, 1)]
    if sequence and not pads[1] and not pads[3]:
        sizes = range(1, device.max_kernel_1d + 1)
        if _pads_small_windows_only(op, device):
            sizes = range(SIDE, SIDE + 1)
        found = fit(axes[0], sizes, device.max_pad)
        return None if found is None else [found, Fit(1, 0, 0)]
    if op.kernel == (1, 1) and not any(pads):
        return None
    fits = [fit(axis, range(SIDE, SIDE + 1), device.max_pad) for axis in axes]
    return None if None in fits else [f for f in fits if f is not None]


def _pads_small_windows_only(op: q.Conv, device: Device) -> bool:
    """Whether a sequence of several passes must be padded on the 2-D engine (CONV1D-MPPAD)."""
    sequence = op.x.type.shape[3] == 1 and op.kernel[1] == 1
    several = op.x.type.shape[1] > device.processors and any(op.geometry.pads)
    return sequence and several and not device.has("conv1d-multipass-pad")


def large_padding(device: Device) -> Rule:
    """Return the law for a device."""

    def law(op: Op, uses: Mapping[Op, int]) -> Op | None:
        """conv(x){much padding} => conv(pad(x)){as much padding as a layer has}."""
        if not _plain(op) or not isinstance(op, q.Conv):
            return None
        pads, limit = op.geometry.pads, device.max_pad
        if op.kernel[0] > SIDE and _pads_small_windows_only(op, device):
            limit = 0
        if max(pads) <= limit or max(op.kernel) > device.max_kernel_1d:
            return None
        rest = tuple(min(p, limit) for p in pads)
        more = [p - r for p, r in zip(pads, rest, strict=True)]
        padded = q.Pad(op.x, (0, 0, *more[:2], 0, 0, *more[2:]), name=f"{op.name}_in", loc=op.loc)
        return replace(op, x=padded, pads=rest)

    return law


def pad_alone(op: Op, uses: Mapping[Op, int]) -> Op | None:
    """pad(x) => copy(x) whose window reaches beyond x, by one row and column at a time."""
    if not isinstance(op, q.Pad) or len(op.pads) != 8 or op.pads[0] or op.pads[4]:
        return None
    if min(op.pads) < 0:
        return None
    if op.pads[1] or op.pads[5]:
        return _more_channels(op)
    steps = tuple(min(1, p) for p in (*op.pads[2:4], *op.pads[6:8]))
    left = tuple(p - s for p, s in zip((*op.pads[2:4], *op.pads[6:8]), steps, strict=True))
    if op.x.type.shape[3] == 1 and not steps[1] and not steps[3]:
        steps = (steps[0], 0, steps[2], 0)
    copied = q_identity(op.x, pads=steps)
    if any(left):
        copied = replace(copied, name=f"{op.name}_in", loc=op.loc)
        return replace(op, x=copied, pads=(0, 0, *left[:2], 0, 0, *left[2:]))
    return replace(copied, name=op.name, loc=op.loc)


def _more_channels(op: q.Pad) -> Op:
    channels, before, after = op.x.type.shape[1], op.pads[1], op.pads[5]
    weight = identity_weight(channels, (1, 1), (0, 0))
    rows = np.pad(weight, ((before, after), (0, 0), (0, 0), (0, 0)))
    copied = q.Conv(op.x, q_constant(rows, ELEMENT), output_shift=OUTPUT_SHIFT, loc=op.loc)
    if any(op.pads[2:4]) or any(op.pads[6:]):
        pads = (0, 0, *op.pads[2:4], 0, 0, *op.pads[6:])
        return replace(op, x=replace(copied, name=f"{op.name}_in"), pads=pads)
    return replace(copied, name=op.name)


def slice_unread(op: Op, uses: Mapping[Op, int]) -> Op | None:
    """pool(x without its last rows and columns) => pool(x), where it does not read those."""
    if not isinstance(op, q.MaxPool | q.AveragePool) or not isinstance(op.x, q.Slice):
        return None
    cut = op.x
    if any(cut.starts) or set(cut.steps) != {1} or cut.type.shape[1] != cut.x.type.shape[1]:
        return None
    if any(op.geometry.pads):
        return None
    made = replace(op, x=cut.x)
    return made if made.type.shape == op.type.shape else None


def slice_of_matrix(op: Op, uses: Mapping[Op, int]) -> Op | None:
    """linear(flat part of x, w) => linear(flat x, w between zeros)."""
    match op:
        case q.Linear(x=q.Reshape(x=q.Slice() as cut), weight=q.Constant() as weight):
            pass
        case _:
            return None
    if set(cut.steps) != {1} or len(cut.starts) != 4:
        return None
    outputs, full = op.type.shape[1], cut.x.type.shape[1:]
    wide = np.zeros((outputs, *full), weight.value.array.dtype)
    spots = tuple(slice(s, e) for s, e in zip(cut.starts[1:], cut.ends[1:], strict=True))
    wide[(slice(None), *spots)] = weight.value.array.reshape(outputs, *cut.type.shape[1:])
    element = holds_zero(weight.element)
    made = replace(weight, value=Data(wide.reshape(outputs, -1)), element=element)
    flat = q.Reshape(cut.x, (1, prod(full)), name=op.x.name, loc=op.x.loc)
    shift = op.output_shift + (element != weight.element)
    return replace(op, x=flat, weight=made, output_shift=shift)


def slice_of_channels(op: Op, uses: Mapping[Op, int]) -> Op | None:
    """conv(some channels of x, w) => conv(x, w with zeros for the other channels)."""
    if not isinstance(op, q.Conv) or not isinstance(op.x, q.Slice) or op.groups != 1:
        return None
    cut, weight = op.x, op.weight
    if not isinstance(weight, q.Constant) or cut.x.type.shape[2:] != cut.type.shape[2:]:
        return None
    if set(cut.steps) != {1}:
        return None
    array = weight.value.array
    wide = np.zeros((array.shape[0], cut.x.type.shape[1], *array.shape[2:]), array.dtype)
    wide[:, cut.starts[1] : cut.ends[1]] = array
    return replace(_with_weight(op, weight, wide, op.pads), x=cut.x)


def slice_alone(op: Op, uses: Mapping[Op, int]) -> Op | None:
    """Slice(x) of channels => weights that copy those; of columns => a window inside x.

    Rows in front and behind can be left out by the reader.
    """
    if not isinstance(op, q.Slice) or len(op.starts) != 4 or set(op.steps) != {1}:
        return None
    shape = op.x.type.shape
    cuts = [(s, size - e) for s, e, size in zip(op.starts, op.ends, shape, strict=True)]
    if any(cuts[1]):
        weight = identity_weight(shape[1], (1, 1), (0, 0))[op.starts[1] : op.ends[1]]
        copied = q.Conv(op.x, q_constant(weight), output_shift=OUTPUT_SHIFT, loc=op.loc)
        if not any(cuts[2]) and not any(cuts[3]):
            return replace(copied, name=op.name)
        starts, ends = (0, 0, *op.starts[2:]), (1, copied.type.shape[1], *op.ends[2:])
        return replace(op, x=replace(copied, name=f"{op.name}_in"), starts=starts, ends=ends)
    if cuts[3] == (0, 0) or sum(cuts[3]) != 2:
        return None
    weight = identity_weight(shape[1], (SIDE, SIDE), (1, cuts[3][0]))
    made = q.Conv(
        op.x, q_constant(weight), pads=(1, 0, 1, 0), output_shift=OUTPUT_SHIFT, loc=op.loc
    )
    if cuts[2] == (0, 0):
        return replace(made, name=op.name)
    starts, ends = (0, 0, op.starts[2], 0), (*op.ends[:3], op.type.shape[3])
    return replace(op, x=replace(made, name=f"{op.name}_in"), starts=starts, ends=ends)


def _plain(op: Op) -> bool:
    """Whether this is a convolution without strides and dilations, on four axes."""
    if not isinstance(op, q.Conv) or len(op.kernel) != 2:
        return False
    return {*op.geometry.strides, *op.geometry.dilations} == {1}


@register
@dataclass(frozen=True)
class FitKernels(Pass):
    """Windows of 3x3 (or up to 9 values of a sequence) with equal padding; see the laws.

    A window of more than 3x3 that sees data everywhere has no exact equivalent and stays.
    """

    name: ClassVar[str] = "fit-kernels"
    needs: ClassVar[frozenset[str]] = frozenset({"q", "rank4"})

    def run(self, graph: Graph, ctx: PassContext) -> Graph:
        """Return the graph with windows that the device has, where there is an equal one."""
        device = ctx.need(Device)
        graph = rewrite(graph, (pad_of_conv, unused_taps))
        graph = rewrite(graph, (large_padding(device), pad_alone))
        graph = rewrite(graph, (whole_window, fitted(device)))
        reading = (slice_unread, slice_of_matrix, slice_of_channels)
        return rewrite(rewrite(graph, reading), (slice_alone, fitted(device)))
