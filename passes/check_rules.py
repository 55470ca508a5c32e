"""The catalogue of rules as a step of the pipeline: no registers are made of an illegal layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ai8xc.device import Device
from ai8xc.ir.core import Graph
from ai8xc.ir.passes import Pass, PassContext, register
from ai8xc.passes.hardware import kernel_rules as _stored  # noqa: F401 - makes them known
from ai8xc.passes.hardware import streaming_rules as _streams  # noqa: F401 - as above
from ai8xc.passes.placement import kernel_rules as _kernels  # noqa: F401 - as above
from ai8xc.rules.catalogue import check


@register
@dataclass(frozen=True)
class CheckRules(Pass):
    """Report every rule of the hardware that a layer or the network breaks."""

    name: ClassVar[str] = "check-rules"
    needs: ClassVar[frozenset[str]] = frozenset({"ai8x"})

    def run(self, graph: Graph, ctx: PassContext) -> Graph:
        """Return the graph as it is."""
        for finding in check(graph, ctx.need(Device)):
            if finding.severity != "note":
                ctx.report(finding)
        return graph
