"""Networks that somebody placed, as if nobody had."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from ai8xc.dialects import ai8x
from ai8xc.dialects.settings import Settings
from ai8xc.ir.core import Graph, Op, make_graph
from ai8xc.ir.diag import declare
from ai8xc.ir.loc import UNKNOWN
from ai8xc.ir.passes import Pass, PassContext, register

KEPT = declare(
    "AX140",
    "the network cannot be placed anew: {why}",
    """Some ways to run a network are part of its placement: the layers that a snooper leads to,
    counters given by hand, memories that the next run of the same layers must find untouched.""",
)

UNLOADS = declare(
    "AX141",
    "the entries of `unload` are not used: they name places of the placement that is forgotten",
    """The unload function of a network that is placed anew copies the outputs, one behind the
    other. Mark the layers whose data are wanted as outputs.""",
    "warning",
)


@register
@dataclass(frozen=True)
class ForgetPlacement(Pass):
    """Take away where layers read and write and how they run; what they compute stays."""

    name: ClassVar[str] = "forget-placement"
    needs: ClassVar[frozenset[str]] = frozenset({"ai8x"})

    def run(self, graph: Graph, ctx: PassContext) -> Graph:
        """Return the graph without a place or a mode in any layer."""
        why = _bound(graph)
        if why:
            ctx.report(KEPT.at(UNKNOWN, why=why))
            return graph
        if Settings.of(graph).unload:
            ctx.report(UNLOADS.at(UNKNOWN))
        graph = graph.having(unload=None, in_place=None)
        new: dict[Op, Op] = {}
        for op in graph.ops:
            made = op.with_operands(new)
            if isinstance(made, ai8x.Layer):
                made = replace(made, place=None, mode=ai8x.Mode())
            new[op] = made
        outputs = [new[op] for op in graph.outputs]
        return make_graph(graph.name, graph.level, new.values(), outputs, graph.attributes)


def _bound(graph: Graph) -> str:
    """Return what of the network cannot be had in another placement, or nothing."""
    settings = Settings.of(graph)
    layers = ai8x.layers(graph.ops)
    if settings.snoop or any(layer.mode.on_hit is not None for layer in layers):
        return "a snooper leads to layers by their numbers"
    if settings.repeat > 1:
        return "its layers run several times on one input"
    if settings.quad:
        return "the start layer is fed on four groups"
    by_hand = (settings.stream_start, settings.stream_delta1, settings.stream_delta2)
    if any(value is not None for value in (*by_hand, settings.stream_rollover)):
        return "stream counters are given by hand"
    return ""
