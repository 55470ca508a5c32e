"""The step from the float level to the integer level."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ai8xc.ir.core import Graph, Op, make_graph
from ai8xc.ir.diag import errors
from ai8xc.ir.passes import Pass, PassContext, register
from ai8xc.passes.quantization.bits import weight_bits
from ai8xc.passes.quantization.calibration import Calibration, synthetic
from ai8xc.passes.quantization.groups import groups
from ai8xc.passes.quantization.host import without_host_tail
from ai8xc.passes.quantization.integers import (
    Evidence,
    Integers,
    Steps,
    nearest,
    nearest_corrected,
)
from ai8xc.passes.quantization.layers import Weighted
from ai8xc.passes.quantization.lower import Lowering
from ai8xc.passes.quantization.scales import Search
from ai8xc.passes.quantization.simulation import Simulation
from ai8xc.passes.quantization.statistics import profiles
from ai8xc.passes.quantization.support import unsupported


@register
@dataclass(frozen=True)
class Quantize(Pass):
    """Replace each float layer by an integer layer with scales of least expected error.

    `weight_bits` is the width of all weights, `layer_bits` that of some layers (`conv1=4,fc=2`,
    by op or node name); `input_scale` the real value of one step of the network's inputs;
    `wide` lets a last layer without activation give its accumulator as 32 bits;
    `average_rounding` makes average pools round to nearest (one bit for the whole device);
    `bias_correction` keeps the mean of every channel, where there are real samples.

    Real samples come as `Calibration`; without them, made-up inputs show the ranges.
    """

    name: ClassVar[str] = "quantize"
    needs: ClassVar[frozenset[str]] = frozenset({"nn"})
    gives: ClassVar[frozenset[str]] = frozenset({"q"})

    weight_bits: int = 8
    layer_bits: str = ""
    input_scale: float = 1 / 128
    wide: bool = True
    average_rounding: bool = False
    bias_correction: bool = True

    def run(self, graph: Graph, ctx: PassContext) -> Graph:
        """Return the integer graph; report what has no integer form."""
        graph, notes = without_host_tail(graph)
        bits, wrong_bits = weight_bits(graph, self.weight_bits, self.layer_bits)
        calibration = ctx.find(Calibration)
        findings = [*notes, *unsupported(graph), *wrong_bits]
        findings += calibration.check(graph) if calibration is not None else ()
        for finding in findings:
            ctx.report(finding)
        if errors(findings):
            return graph
        return self.lowered(graph, bits, calibration, ctx)

    def lowered(
        self,
        graph: Graph,
        bits: dict[Op, int],
        calibration: Calibration | None,
        ctx: PassContext,
    ) -> Graph:
        """Return the integer graph of a float graph that has one."""
        pins = {source.name: self.input_scale for source in graph.inputs}
        real = calibration is not None
        samples = calibration.samples(graph) if calibration else synthetic(graph, pins)
        search = Search(graph, profiles(graph, samples), bits, real=real)
        scales = search.run(groups(graph, pins, wide=self.wide))
        simulation = Simulation.of(graph, samples) if real else None
        lowering = Lowering(scales, bits, self.rounded, self.average_rounding, simulation)
        outputs = lowering.run(graph)
        for finding in lowering.findings:
            ctx.report(finding)
        inputs = [lowering.new[source] for source in graph.inputs]
        named = graph.having(outputs=graph.output_names)
        return make_graph(graph.name, "q", [*inputs, *outputs], outputs, named.attributes)

    def rounded(self, layer: Weighted, steps: Steps, seen: Evidence | None) -> Integers:
        """Return the integers of one layer."""
        if seen is None or not self.bias_correction:
            return nearest(layer, steps)
        return nearest_corrected(layer, steps, seen)
