"""Dilated convolutions of sequences with padding, as ones that the hardware has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from ai8xc.device import Device
from ai8xc.dialects import q
from ai8xc.ir.core import Graph, Op
from ai8xc.ir.passes import Pass, PassContext, register
from ai8xc.ir.rewrite import Rule, rewrite
from ai8xc.passes.layers.limits import passes_of


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


def rows_apart(device: Device) -> Rule:
    """Return the law for a device."""

    def law(op: Op, uses: Mapping[Op, int]) -> Op | None:
        """conv(x){n values, dilation d, padding a*d, b*d} => conv(x in rows of d){n x 1, a, b}.

        Value i of the sequence is column i mod d of row i div d: values at a distance of d lie in
        one column. Nothing moves, and the 2-D window pads rows.
        """
        if not isinstance(op, q.Conv) or not _dilated(op) or _native(op, device):
            return None
        d, values = op.geometry.dilations[0], op.x.type.shape[2]
        before, behind = op.geometry.ends(0)
        if values % d or before % d or behind % d or op.kernel[0] > device.max_kernel_1d_on_2d:
            return None
        rows = q.Reshape(op.x, (1, op.x.type.shape[1], values // d, d), loc=op.loc)
        made = replace(
            op,
            x=replace(rows, name=f"{op.name}_rows"),
            pads=(before // d, 0, behind // d, 0),
            dilations=(),
            name=f"{op.name}_apart",
        )
        return q.Reshape(made, op.type.shape, name=op.name, loc=op.loc)

    return law


def padded_apart(device: Device) -> Rule:
    """Return the law for a device."""

    def law(op: Op, uses: Mapping[Op, int]) -> Op | None:
        """conv(x){dilation, padding} => conv(pad(x)){dilation}."""
        if not isinstance(op, q.Conv) or not _dilated(op) or _native(op, device):
            return None
        before, behind = op.geometry.ends(0)
        if not before and not behind:
            return None
        pads = (0, 0, before, 0, 0, 0, behind, 0)
        return replace(op, x=q.Pad(op.x, pads, name=f"{op.name}_padded", loc=op.loc), pads=())

    return law


def _dilated(op: q.Conv) -> bool:
    """Whether this reads distant values of a sequence, one after the other."""
    if len(op.kernel) != 2 or set(op.geometry.strides) != {1}:
        return False
    sequence = op.x.type.shape[3] == 1 and op.kernel[1] == 1 and op.kernel[0] > 1
    return sequence and op.geometry.dilations[0] > 1


def _native(op: q.Conv, device: Device) -> bool:
    """Whether a layer does this (rules DIL1D): zeros between few values, or no padding."""
    before, behind = op.geometry.ends(0)
    reach = (op.kernel[0] - 1) * op.geometry.dilations[0] + 1
    if reach > device.max_stretched_kernel_1d:
        return not before and not behind
    several = passes_of(op.x.type.shape[1], device) > 1
    padded = not several or device.has("conv1d-multipass-pad") or not before
    return before == behind <= device.max_pad and padded


@register
@dataclass(frozen=True)
class FitDilations(Pass):
    """Padding into the convolutions that read it; dilated sequences without it; see the laws."""

    name: ClassVar[str] = "fit-dilations"
    needs: ClassVar[frozenset[str]] = frozenset({"q", "rank4"})

    def run(self, graph: Graph, ctx: PassContext) -> Graph:
        """Return the graph with dilations that the device has, where there is an equal one."""
        device = ctx.need(Device)
        graph = rewrite(graph, (pad_of_conv,))
        return rewrite(graph, (rows_apart(device), padded_apart(device)))
