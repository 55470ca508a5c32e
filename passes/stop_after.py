"""A network without its last layers, to see what the first ones compute."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ai8xc.dialects import ai8x
from ai8xc.dialects.settings import Settings
from ai8xc.ir.core import Graph, Op, make_graph
from ai8xc.ir.diag import declare
from ai8xc.ir.loc import UNKNOWN
from ai8xc.ir.passes import Pass, PassContext, register

NO_LAYER = declare(
    "AX133",
    "there is no layer {number} to stop after: they are numbered {first} to {last}",
    "Layers are counted as the device runs them; `ai8xc inspect` lists them.",
)


@register
@dataclass(frozen=True)
class StopAfter(Pass):
    """Make the layer with the number of the setting `stop_after` the output, where it is set."""

    name: ClassVar[str] = "stop-after"
    needs: ClassVar[frozenset[str]] = frozenset({"ai8x"})

    def run(self, graph: Graph, ctx: PassContext) -> Graph:
        """Return the graph as it is, or the first layers of it."""
        settings = Settings.of(graph)
        number, first = settings.stop_after, settings.start_layer
        if number is None:
            return graph
        layers = ai8x.layers(graph.ops)
        if not 0 <= number - first < len(layers):
            last = first + len(layers) - 1
            ctx.report(NO_LAYER.at(UNKNOWN, number=number, first=first, last=last))
            return graph
        output = layers[number - first]
        kept = [op for op in graph.ops if op in graph.inputs or op in _needed(output)]
        cut = make_graph(graph.name, graph.level, kept, [output], graph.attributes)
        return cut.having(outputs=None)


def _needed(output: Op) -> set[Op]:
    """Return an op and all that it reads, directly or not."""
    found: set[Op] = set()
    waiting = [output]
    while waiting:
        op = waiting.pop()
        if op not in found:
            found.add(op)
            waiting += op.operands
    return found
