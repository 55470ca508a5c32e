"""Windows that the hardware does not have, on folded data: exact, for some more layers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Final

from ai8xc.device import Device
from ai8xc.dialects import q
from ai8xc.dialects.shapes import dims
from ai8xc.ir.core import Graph, Op
from ai8xc.ir.diag import declare
from ai8xc.ir.passes import Pass, PassContext, register
from ai8xc.ir.rewrite import Rule, rewrite
from ai8xc.passes.laws.folding import (
    SIDE,
    as_gathered,
    folded_axes,
    folded_conv,
    gathered,
    named,
    spread,
)

FOLDED = declare(
    "AX119",
    "the {kernel} window of `{name}` is computed on folded data, by {layers} layers",
    """A window of more than 3x3, or with dilation, is exact on data whose rows and columns are
    folded into channels; copies fold and unfold them. Two layers of 3x3 see as much as one of 5x5
    and take fewer weights and cycles.""",
    severity="note",
)

FACTORS: Final = (2, 4)
"""Rows and columns that become channels: one layer in front and one behind for each doubling."""


def large_window(device: Device, ctx: PassContext) -> Rule:
    """Return the law for a device."""

    def law(op: Op, uses: Mapping[Op, int]) -> Op | None:
        """conv(x, w){large, dilated} => unfold(conv(fold(x), w folded))."""
        by = factor(op, device)
        if by is None or not isinstance(op, q.Conv):
            return None
        axes = folded_axes(op, (by, by))
        data = gathered(op.x, by, op.name)
        made = replace(folded_conv(op, data, axes, as_gathered(by)), name=f"{op.name}_inner")
        report(op, FACTORS.index(by) + 2 + _spreads(axes[0].phases), ctx)
        return named(spread(made, axes[0].phases, op.name), op)

    return law


def report(op: q.Conv, layers: int, ctx: PassContext) -> None:
    """Say by how many layers a window is computed."""
    ctx.report(FOLDED.at(op, kernel=dims(op.kernel), name=op.name, layers=layers))


def _spreads(phases: int) -> int:
    return phases.bit_length() - 1


def factor(op: Op, device: Device) -> int | None:
    """Return by what to fold a convolution that has no window of the hardware; None without."""
    if not isinstance(op, q.Conv) or len(op.kernel) != 2:
        return None
    if not is_large(op) and not _strided_and_wide(op):
        return None
    return next((by for by in FACTORS if folds(op, by, device)), None)


def is_large(op: q.Conv) -> bool:
    """Whether the window of a 2-D convolution is too large, or has values between its taps."""
    sequence = op.x.type.shape[3] == 1 and op.kernel[1] == 1
    return not sequence and (max(op.kernel) > SIDE or set(op.geometry.dilations) != {1})


def _strided_and_wide(op: q.Conv) -> bool:
    """Whether no reader can take every n-th value of a 2-D convolution: nobody reads 32 bits."""
    sequence = op.x.type.shape[3] == 1 and op.kernel[1] == 1
    return op.wide and not sequence and set(op.geometry.strides) != {1}


def folds(op: q.Conv, by: int, device: Device) -> bool:
    """Whether the folded window is one of the hardware and all channels can be counted."""
    strides = op.geometry.strides
    if strides[0] != strides[1] or by % strides[0] or not isinstance(op.weight, q.Constant):
        return False
    axes = folded_axes(op, (by, by))
    phases = axes[0].phases
    if op.wide and phases > 1:
        return False
    channels = (op.x.type.shape[1] * by * by, op.type.shape[1] * phases * phases)
    small = all(axis.window <= SIDE for axis in axes)
    biased = op.bias is None or channels[1] <= device.bias_bytes_per_group
    return small and max(channels) <= device.max_channels and biased


@register
@dataclass(frozen=True)
class FoldWindows(Pass):
    """Compute windows of up to 9x9, and dilated ones, on data folded by 2 or 4; see the law."""

    name: ClassVar[str] = "fold-windows"
    needs: ClassVar[frozenset[str]] = frozenset({"q", "rank4"})

    def run(self, graph: Graph, ctx: PassContext) -> Graph:
        """Return the graph with windows of 3x3 on folded data."""
        return rewrite(graph, (large_window(ctx.need(Device), ctx),))
