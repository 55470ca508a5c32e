"""Strided convolutions as convolutions of which the next layer reads every n-th value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from ai8xc.dialects import q
from ai8xc.ir.core import Graph, Op
from ai8xc.ir.passes import Pass, PassContext, register
from ai8xc.ir.rewrite import rewrite


def strided_pixels(op: Op, uses: Mapping[Op, int]) -> Op | None:
    """conv1x1(x){strides = s} => conv1x1(every s-th value of x): n-th values are all it reads."""
    if not _strided(op) or not isinstance(op, q.Conv):
        return None
    if set(op.kernel) != {1} or any(op.geometry.pads):
        return None
    taken = q.MaxPool(op.x, (1, 1), op.strides, name=f"{op.name}_in", loc=op.loc)
    return replace(op, x=taken, strides=())


def strided_windows(op: Op, uses: Mapping[Op, int]) -> Op | None:
    """conv(x){strides = s} => every s-th value of conv(x).

    Each output depends on its own window only, and rounding is done value by value.
    """
    if not _strided(op) or not isinstance(op, q.Conv):
        return None
    whole = replace(op, strides=(), name=f"{op.name}_all")
    return q.MaxPool(whole, (1, 1), op.strides, name=op.name, loc=op.loc)


def _strided(op: Op) -> bool:
    return isinstance(op, q.Conv) and not op.wide and set(op.geometry.strides) != {1}


@register
@dataclass(frozen=True)
class SplitStrides(Pass):
    """Let the reader of a strided convolution skip values; see the laws."""

    name: ClassVar[str] = "split-strides"
    needs: ClassVar[frozenset[str]] = frozenset({"q", "rank4"})

    def run(self, graph: Graph, ctx: PassContext) -> Graph:
        """Return the graph with convolutions of stride 1."""
        return rewrite(graph, (strided_pixels, strided_windows))
