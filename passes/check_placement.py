"""The checker as a step of the pipeline: no registers are made of a placement that is wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ai8xc.checker import check
from ai8xc.device import Device
from ai8xc.ir.core import Graph
from ai8xc.ir.diag import Diagnostic
from ai8xc.ir.passes import Pass, PassContext, register
from ai8xc.passes.hardware import network as _network  # noqa: F401 - makes the facts known
from ai8xc.passes.layers.streams import counters


@register
@dataclass(frozen=True)
class CheckPlacement(Pass):
    """Replay the placement byte by byte and report everything that is not where it should be."""

    name: ClassVar[str] = "check-placement"
    needs: ClassVar[frozenset[str]] = frozenset({"ai8x", "placed"})

    def run(self, graph: Graph, ctx: PassContext) -> Graph:
        """Return the graph as it is."""
        device = ctx.need(Device)
        for finding in _findings(graph, device):
            ctx.report(finding)
        return graph


def _findings(graph: Graph, device: Device) -> list[Diagnostic]:
    buffers = {layer: found.rollover for layer, found in counters(graph, device).items()}
    return check(graph, device, buffers)


def overwrites(graph: Graph, device: Device) -> bool:
    """Whether a layer writes over its own input, which the vendor's tool must be told to allow."""
    described = graph.having(in_place=False)
    return bool(_findings(described, device))
