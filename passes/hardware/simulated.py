"""The layers that really run, where a snooper ends or shortens the run.

Registers are written for all layers; a known answer is that of the layers which run when the
snooper decides as the user expects for the sample.
"""

from __future__ import annotations

from dataclasses import replace

from ai8xc.dialects.ai8x import Layer, layers
from ai8xc.ir.core import Graph, Op, make_graph


def simulated(graph: Graph) -> Graph:
    """Return the graph of the layers that run; the graph itself where all do.

    A layer that reads what ran before it reads the layer in front of the jump. The output is what
    the last layer gives.
    """
    found = layers(graph.ops)
    if all(layer.mode.simulated is None for layer in found):
        return graph
    by_slot = {_slot(layer, order): order for order, layer in enumerate(found)}
    new: dict[Op, Op] = {op: op for op in graph.ops if not isinstance(op, Layer)}
    order: int | None = 0
    last: Op = graph.inputs[0]
    first: tuple[Op, ...] = (last,)
    while order is not None and order < len(found):
        layer = found[order]
        reads = layer.xs == ((found[order - 1],) if order else first)
        made = layer.with_operands(new)
        last = replace(made, xs=(last,)) if reads else made
        new[layer] = last
        jump = layer.mode.simulated
        order = order + 1 if jump is None else by_slot.get(jump)
    return make_graph(graph.name, graph.level, [*graph.inputs, last], [last], graph.attributes)


def _slot(layer: Layer, order: int) -> int:
    place = layer.place
    return order if place is None or place.slot is None else place.slot
