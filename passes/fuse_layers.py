"""From integer ops to hardware layers, as few of them as the data path allows."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import ClassVar, Final

from ai8xc.device import Device
from ai8xc.dialects import ai8x, q
from ai8xc.ir.core import Graph, Op, make_graph
from ai8xc.ir.diag import errors
from ai8xc.ir.passes import Pass, PassContext, register
from ai8xc.passes.layers import rules
from ai8xc.passes.layers.builder import Builder
from ai8xc.passes.widen_binary import widened
from ai8xc.rules.catalogue import check

PLACED: Final = ("IN-MEM", "OUT-MEM")
"""Rules about data memory: placement can let layers stream, and says what does not fit."""


@register
@dataclass(frozen=True)
class FuseLayers(Pass):
    """pool, element-wise op, concat, view => what the next layer does on its way in.

    One hardware layer for each op with weights; pools and element-wise ops join the layers that
    read them, and get a layer of their own where no reader can do the work or one must find the
    result in memory. Everything that no layer can do is reported, all at once.
    """

    name: ClassVar[str] = "fuse-layers"
    needs: ClassVar[frozenset[str]] = frozenset({"q", "rank4"})
    gives: ClassVar[frozenset[str]] = frozenset({"ai8x"})

    def run(self, graph: Graph, ctx: PassContext) -> Graph:
        """Return the graph of hardware layers, not placed yet."""
        device = ctx.need(Device)
        for op in graph.inputs:
            if op.type.shape[0] != 1:
                help = "export the model with a batch of 1"
                ctx.report(rules.BATCH.at(op, count=op.type.shape[0], help=help))
                return graph
        builder, outputs = _build(graph, device)
        for finding in builder.findings:
            ctx.report(finding)
        if builder.findings:
            return graph
        made = make_graph(graph.name, "ai8x", builder.ops, outputs, graph.attributes)
        made = _without_dead(made)
        if any(layer.pool and layer.pool.rounding for layer in ai8x.layers(made.ops)):
            made = made.having(average_rounding=True)
        self.check(widened(made, device), device, ctx)
        return made

    def partial(self, graph: Graph, ctx: PassContext) -> Graph:
        """Return the layers of all that layers can do, after reporting what they cannot.

        Inputs stand for the rest.
        """
        device = ctx.need(Device)
        builder = Builder(device, frozenset(), readers=dict(graph.uses))
        outputs = builder.run(graph)
        for finding in builder.findings:
            ctx.report(finding)
        return make_graph(graph.name, "ai8x", builder.ops, outputs, graph.attributes)

    def check(self, graph: Graph, device: Device, ctx: PassContext) -> None:
        """Report what exceeds the limits of the device."""
        layers = ai8x.layers(graph.ops)
        for finding in errors(check(graph, device)):
            if finding.rule.id not in PLACED:
                ctx.report(finding)
        pools = [layer.pool for layer in layers if layer.pool and layer.pool.average]
        if len({pool.rounding for pool in pools}) > 1:
            help = "round all averages, or none"
            ctx.report(rules.ROUNDING.at(layers[0], help=help))


def _build(graph: Graph, device: Device) -> tuple[Builder, tuple[Op, ...]]:
    """Build once to learn which ops need a layer of their own, and again with that known.

    An op that has its own layer anyway is read from there by all who come behind it, which saves
    them the work. Where tensors cannot be read with gaps, a combination is kept in both forms:
    its readers combine again rather than need a copy that is laid out differently.
    """
    readers = dict(graph.uses)
    first = Builder(device, frozenset(), readers=readers)
    first.run(graph)
    if first.findings:
        return first, ()
    stored = frozenset(op for op in first.wanted if _worth_storing(op, graph, device))
    builder = Builder(device, stored, readers=readers)
    return builder, builder.run(graph)


def _worth_storing(op: Op, graph: Graph, device: Device) -> bool:
    if not isinstance(op, q.Add | q.Sub | q.BitwiseOr | q.BitwiseXor) or device.has("read-gap"):
        return True
    again = [r for r in graph.ops if isinstance(r, type(op)) and op in r.operands]
    return not again


def _without_dead(graph: Graph) -> Graph:
    """Return the graph without layers and constants that nobody reads."""
    uses = Counter(graph.uses)
    alive: set[Op] = set()
    for op in reversed(graph.ops):
        if op in graph.outputs or op in graph.inputs or uses[op] > 0:
            alive.add(op)
            continue
        for operand in op.operands:
            uses[operand] -= 1
    if len(alive) == len(graph.ops):
        return graph
    kept = [op for op in graph.ops if op in alive]
    return make_graph(graph.name, graph.level, kept, graph.outputs, graph.attributes)
