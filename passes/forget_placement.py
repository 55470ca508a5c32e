"""Networks that somebody placed, as if nobody had."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from ai8xc.dialects import ai8x
from ai8xc.ir.core import Graph, Op, make_graph
from ai8xc.ir.passes import Pass, PassContext, register


@register
@dataclass(frozen=True)
class ForgetPlacement(Pass):
    """Take away where layers read and write and how they run; what they compute stays."""

    name: ClassVar[str] = "forget-placement"
    needs: ClassVar[frozenset[str]] = frozenset({"ai8x"})

    def run(self, graph: Graph, ctx: PassContext) -> Graph:
        """Return the graph without a place or a mode in any layer."""
        new: dict[Op, Op] = {}
        for op in graph.ops:
            made = op.with_operands(new)
            if isinstance(made, ai8x.Layer):
                made = replace(made, place=None, mode=ai8x.Mode())
            new[op] = made
        outputs = [new[op] for op in graph.outputs]
        return make_graph(graph.name, graph.level, new.values(), outputs, graph.attributes)
