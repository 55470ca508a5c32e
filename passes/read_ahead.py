"""Layers that read the next data while they compute, where their places allow it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Final

from ai8xc.device import Device
from ai8xc.dialects import ai8x
from ai8xc.ir.core import Graph, Op
from ai8xc.ir.passes import Pass, PassContext, register
from ai8xc.passes.hardware import network as _network  # noqa: F401 - makes the facts known
from ai8xc.passes.layers.limits import passes_of
from ai8xc.rules.catalogue import check

WINDOW: Final = (3, 3)


@register
@dataclass(frozen=True)
class ReadAhead(Pass):
    """Let 3x3 convolutions that pool or take several passes read ahead (MAX78002).

    They wait for data otherwise. Input and output must begin and end in different parts of the
    data memories (rule RDA-INST); layers whose places are not so stay as they are.
    """

    name: ClassVar[str] = "read-ahead"
    needs: ClassVar[frozenset[str]] = frozenset({"ai8x", "placed"})

    def run(self, graph: Graph, ctx: PassContext) -> Graph:
        """Return the graph, modes changed and nothing else."""
        device = ctx.need(Device)
        if not device.has("readahead"):
            return graph
        wanted = {layer.name for layer in ai8x.layers(graph.ops) if _waits(layer, device)}
        changed = _reading_ahead(graph, wanted, device)
        findings = [f for f in check(changed, device) if f.rule.id.startswith("RDA-")]
        refused = {f.subject.name for f in findings if f.subject is not None}
        if len(findings) > len(refused) or wanted == refused:
            return graph
        return _reading_ahead(graph, wanted - refused, device)


def _waits(layer: ai8x.Layer, device: Device) -> bool:
    """Whether reading is what a layer waits for."""
    if not isinstance(layer, ai8x.Conv2d) or layer.kernel != WINDOW or layer.groups > 1:
        return False
    mode = layer.mode
    if layer.parts > 1 or layer.bypass or mode.streaming or mode.readahead or mode.chw:
        return False
    return layer.pool is not None or passes_of(layer.in_shape[0], device) > 1


def _reading_ahead(graph: Graph, names: set[str], device: Device) -> Graph:
    new: dict[Op, Op] = {}
    for op in graph.ops:
        current = op.with_operands(new)
        if isinstance(current, ai8x.Layer) and op.name in names:
            several = passes_of(current.in_shape[0], device) > 1
            mode = replace(current.mode, readahead=True, tcalc=several)
            current = replace(current, mode=mode)
        new[op] = current
    outputs = tuple(new[op] for op in graph.outputs)
    return replace(graph, ops=tuple(new[op] for op in graph.ops), outputs=outputs)
