"""Arithmetic with constants that is left over, as layers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from ai8xc.ir.core import Graph, Op
from ai8xc.ir.passes import Pass, PassContext, register
from ai8xc.ir.rewrite import rewrite
from ai8xc.passes.fold_scales import scale_behind_layer
from ai8xc.passes.laws.affine import of_arithmetic
from ai8xc.passes.laws.depthwise import depthwise


def scale_alone(op: Op, uses: Mapping[Op, int]) -> Op | None:
    """mul(x, s) => conv(x, s){groups = channels} with a 1x1 kernel; sums go into its bias."""
    found = of_arithmetic(op)
    if found is None:
        return None
    x, _, f = found
    return depthwise(op, x, f)


@register
@dataclass(frozen=True)
class LowerScales(Pass):
    """Make products and sums with constants layers where no layer beside them took them in.

    Several in a row become one. To be run behind `fold-scales`: it costs a layer.
    """

    name: ClassVar[str] = "lower-scales"
    needs: ClassVar[frozenset[str]] = frozenset({"nn"})
    keeps_values: ClassVar[bool] = False

    def run(self, graph: Graph, ctx: PassContext) -> Graph:
        """Return the graph without arithmetic with one constant a tensor or a channel."""
        return rewrite(graph, (scale_behind_layer, scale_alone))
