"""Padding into the windows behind it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final, TypeVar

from ai8xc.dialects import nn
from ai8xc.dialects.shapes import Ints
from ai8xc.ir.core import Graph, Op
from ai8xc.ir.passes import Pass, PassContext, register
from ai8xc.ir.rewrite import rewrite
from ai8xc.passes.laws.activations import is_never_negative
from ai8xc.passes.laws.windows import reads_only_padding

Windowed = TypeVar("Windowed", nn.Conv, nn.AveragePool, nn.MaxPool)


def pad_of_conv(op: Op, uses: Mapping[Op, int]) -> Op | None:
    """conv(pad(x)){pads = p} => conv(x){pads = p + pad}, for zeros on spatial axes."""
    match op:
        case nn.Conv(x=nn.Pad(value=0.0) as pad) as conv:
            return _widened(conv, pad)
    return None


def pad_of_average(op: Op, uses: Mapping[Op, int]) -> Op | None:
    """average_pool(pad(x)) => average_pool(x){pads, count_include_pad}, for zeros.

    The zeros count as values of the mean, so pads that the pool has already must count too.
    """
    match op:
        case nn.AveragePool(x=nn.Pad(value=0.0) as pad) as pool:
            counted = pool.count_include_pad or not any(pool.pads)
            wide = _widened(pool, pad) if counted else None
            return None if wide is None else dataclasses.replace(wide, count_include_pad=True)
    return None


def pad_of_maximum(op: Op, uses: Mapping[Op, int]) -> Op | None:
    """max_pool(pad(x)) => max_pool(x){pads}, where what is padded is no larger than any value.

    That is minus infinity, or zero beside values that are never negative. A window must not hold
    padding alone: its maximum would be the lowest number.
    """
    match op:
        case nn.MaxPool(x=nn.Pad() as pad) as pool:
            lowest = pad.value == -math.inf or (pad.value == 0 and is_never_negative(pad.x))
            wide = _widened(pool, pad) if lowest else None
            return None if wide is None or reads_only_padding(wide) else wide
    return None


def _widened(op: Windowed, pad: nn.Pad) -> Windowed | None:
    """Return an op on windows that pads by itself; None where the windows would be others."""
    added = _spatial(pad)
    if added is None:
        return None
    pads = tuple(a + b for a, b in zip(op.geometry.pads, added, strict=True))
    wide = dataclasses.replace(op, x=pad.x, pads=pads, loc=pad.loc.fuse(op.loc))
    return wide if wide.type == op.type else None  # ceil mode depends on where the data end


def _spatial(pad: nn.Pad) -> Ints | None:
    """Return begins and ends of the spatial axes; None where a pad does, or has, anything else."""
    rank = len(pad.x.type.shape)
    lead, begins = pad.pads[:2] + pad.pads[rank : rank + 2], pad.pads[2:rank]
    spatial = begins + pad.pads[rank + 2 :]
    if pad.mode != "constant" or any(lead) or min(spatial, default=-1) < 0 or not any(spatial):
        return None
    return spatial


LAWS: Final = (pad_of_conv, pad_of_average, pad_of_maximum)


@register
@dataclass(frozen=True)
class FoldPads(Pass):
    """Fold padding into the convolution or the pool that reads it.

    Other readers of the padding keep it; it is removed when all have taken it in.
    """

    name: ClassVar[str] = "fold-pads"
    needs: ClassVar[frozenset[str]] = frozenset({"nn"})

    def run(self, graph: Graph, ctx: PassContext) -> Graph:
        """Return the graph with padding as fields of the ops that read it."""
        return rewrite(graph, LAWS)
