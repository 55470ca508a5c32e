"""Windows that the hardware does not have, as ones that it has: zeros around the taps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Final

import numpy as np

from ai8xc.device import Device
from ai8xc.dialects import q
from ai8xc.ir.core import Graph, Op
from ai8xc.ir.passes import Pass, PassContext, register
from ai8xc.ir.rewrite import Rule, rewrite
from ai8xc.passes.identity import ELEMENT, OUTPUT_SHIFT, identity_weight, q_constant, q_identity
from ai8xc.passes.laws.folding import SIDE
from ai8xc.passes.laws.weights import with_weight
from ai8xc.passes.trim_windows import plain


@dataclass(frozen=True)
class Axis:
    """Taps and padding along one axis."""

    taps: int
    begin: int
    end: int


@dataclass(frozen=True)
class Fit:
    """The same along an axis with `taps` taps, the old ones from `offset` on, and equal `pad`.

    `more`: by how many values the output is longer, at its end.
    """

    taps: int
    offset: int
    pad: int
    more: int = 0


def fit(axis: Axis, sizes: range, max_pad: int) -> Fit | None:
    """Return the smallest window of a size in `sizes` that computes the same; None without one.

    Output y of k taps with padding b reads x[y + i - b]; in K taps, the old ones at offset o, it
    reads x[y + i + o - P]: P = b + o. The output has as many values if K = k + 2P - b - e.
    """
    for more in range(3):
        for pad in range(max_pad + 1):
            offset = pad - axis.begin
            taps = axis.taps + 2 * pad - axis.begin - axis.end - more
            inside = 0 <= offset <= taps - axis.taps
            if taps in sizes and inside and (pad == 0 or pad < taps):
                return Fit(taps, offset, pad, more)
    return None


def fitted(device: Device) -> Rule:
    """Return the law for a device."""

    def law(op: Op, uses: Mapping[Op, int]) -> Op | None:
        """conv(x, w) => conv(x, w between zeros), or that without its last rows and columns."""
        if not plain(op) or not isinstance(op, q.Conv) or not isinstance(op.weight, q.Constant):
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
        made = with_weight(op, wide, pads=pads)
        if not any(f.more for f in fits):
            return made
        made = replace(made, name=f"{op.name}_larger")
        ends = op.type.shape
        return q.Slice(made, (0,) * 4, ends, (1,) * 4, name=op.name, loc=op.loc)

    return law


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
        if not plain(op) or not isinstance(op, q.Conv):
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


def rows_of_zeros(op: Op, uses: Mapping[Op, int]) -> Op | None:
    """pad(x) by many rows => zeros above x above zeros: what lies there is read as one tensor.

    The zeros are the first rows of x with weights of 0.
    """
    if not isinstance(op, q.Pad) or len(op.pads) != 8 or min(op.pads) < 0:
        return None
    before, behind = op.pads[2], op.pads[6]
    others = [p for i, p in enumerate(op.pads) if i not in (2, 6)]
    if before + behind <= _PADDED_BY_COPY or any(others):
        return None
    x = op.x
    parts = (*_zeros(x, before, f"{op.name}_above"), x, *_zeros(x, behind, f"{op.name}_below"))
    return q.Concat(parts, 2, name=op.name, loc=op.loc)


_PADDED_BY_COPY: Final = 2
"""Rows in front and behind that one layer which copies can add."""


def _zeros(x: Op, rows: int, name: str) -> list[Op]:
    """Return tensors of so many rows of zeros in all, each as large as `x` at most."""
    _, channels, most, columns = x.type.shape
    found: list[Op] = []
    while rows:
        height = min(rows, most)
        first = q.Slice(x, (0,) * 4, (1, channels, height, columns), (1,) * 4, loc=x.loc)
        source = x if height == most else replace(first, name=f"{name}_rows")
        weight = q_constant(np.zeros((channels, channels, 1, 1), np.int8), "i1")
        made = q.Conv(source, weight, name=f"{name}{len(found) or ''}", loc=x.loc)
        found.append(made)
        rows -= height
    return found


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


@register
@dataclass(frozen=True)
class FitKernels(Pass):
    """Windows of 3x3 (or up to 9 values of a sequence) with equal padding; see the laws.

    A window of more than 3x3 that sees data everywhere stays.
    """

    name: ClassVar[str] = "fit-kernels"
    needs: ClassVar[frozenset[str]] = frozenset({"q", "rank4"})

    def run(self, graph: Graph, ctx: PassContext) -> Graph:
        """Return the graph with windows that the device has, where there is an equal one."""
        device = ctx.need(Device)
        graph = rewrite(graph, (large_padding(device), rows_of_zeros, pad_alone))
        return rewrite(graph, (fitted(device),))
