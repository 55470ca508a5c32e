"""Ops that no output depends on."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

from ai8xc.ir.core import Graph, Input, Op
from ai8xc.ir.passes import Pass, PassContext, register


@register
@dataclass(frozen=True)
class RemoveDeadOps(Pass):
    """Remove the ops that no output depends on; inputs stay, they are the network's interface."""

    name: ClassVar[str] = "remove-dead-ops"

    def run(self, graph: Graph, ctx: PassContext) -> Graph:
        """Return the graph without dead ops, of any level."""
        alive: set[Op] = set(graph.outputs)
        for op in reversed(graph.ops):
            if op in alive:
                alive.update(op.operands)
        kept = tuple(op for op in graph.ops if op in alive or isinstance(op, Input))
        return graph if len(kept) == len(graph.ops) else dataclasses.replace(graph, ops=kept)
