"""The step from the float level to the integer level."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from ai8xc.ir.core import Graph, make_graph
from ai8xc.ir.diag import errors
from ai8xc.ir.loc import UNKNOWN
from ai8xc.ir.passes import Pass, PassContext, register
from ai8xc.passes.fold_batch_norm import FoldBatchNorm
from ai8xc.passes.fold_constants import FoldConstants
from ai8xc.passes.fuse_activation import FuseActivation
from ai8xc.passes.normalize_linear import NormalizeLinear
from ai8xc.passes.quantization.bits import weight_bits
from ai8xc.passes.quantization.calibration import Calibration, synthetic
from ai8xc.passes.quantization.host import without_host_tail
from ai8xc.passes.quantization.integers import (
    Evidence,
    Integers,
    Steps,
    nearest,
    nearest_corrected,
)
from ai8xc.passes.quantization.layers import Weighted
from ai8xc.passes.quantization.least_squares import balanced
from ai8xc.passes.quantization.lower import Lowering
from ai8xc.passes.quantization.plan import Plan, Planner, Samples
from ai8xc.passes.quantization.qdq import without_qdq
from ai8xc.passes.quantization.rules import BAD_INPUT_SCALE
from ai8xc.passes.quantization.simulation import Simulation
from ai8xc.passes.quantization.support import unsupported

FLOAT_PASSES: tuple[Pass, ...] = (
    FoldConstants(),
    NormalizeLinear(),
    FoldBatchNorm(),
    FuseActivation(),
)
"""What finds its place only when conversions between reals and integers no longer stand between."""


@register
@dataclass(frozen=True)
class Quantize(Pass):
    """Replace each float layer by an integer layer with scales of least expected error.

    `weight_bits` is the width of all weights, `layer_bits` that of some layers (`conv1=4,fc=2`,
    by op or node name); `input_scale` the real value of one step of the network's inputs;
    `wide` lets a last layer without activation give its accumulator as 32 bits;
    `average_rounding` makes average pools round to nearest (one bit for the whole device).

    Real samples come as `Calibration`; without them, made-up inputs show the ranges. Where there
    are real ones, `bias_correction` keeps the mean of every channel and `adaptive_rounding` lets
    the rounding errors of each layer cancel (which corrects biases too).
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
    adaptive_rounding: bool = True

    def run(self, graph: Graph, ctx: PassContext) -> Graph:
        """Return the integer graph; report what has no integer form."""
        graph, given, odd = without_qdq(graph)
        for step in FLOAT_PASSES if given.is_quantized else ():
            graph = step.run(graph, ctx)
        graph, notes = without_host_tail(graph)
        bits, wrong_bits = weight_bits(graph, self.weight_bits, self.layer_bits)
        calibration = ctx.find(Calibration)
        findings = [*notes, *(odd or unsupported(graph)), *wrong_bits]
        if not 0 < self.input_scale < math.inf:
            findings.append(BAD_INPUT_SCALE.at(UNKNOWN, given=f"{self.input_scale:g}"))
        findings += calibration.check(graph) if calibration is not None else ()
        for finding in findings:
            ctx.report(finding)
        if errors(findings):
            return graph
        planner = Planner(self.input_scale, given, bits, self.wide)
        if calibration is not None:
            samples = Samples(calibration.samples(graph), real=True)
        else:
            samples = Samples(synthetic(graph, planner.pins(graph)), real=False)
        return self.lowered(planner.plan(graph, samples), samples, ctx)

    def lowered(self, plan: Plan, samples: Samples, ctx: PassContext) -> Graph:
        """Return the integer graph that a plan describes."""
        graph = plan.graph
        simulation = Simulation.of(graph, samples.arrays) if samples.real else None
        lowering = Lowering(plan.scales, plan.bits, self.rounded, self.average_rounding, simulation)
        outputs = lowering.run(graph)
        for finding in (*plan.notes, *lowering.findings):
            ctx.report(finding)
        inputs = [lowering.new[source] for source in graph.inputs]
        named = graph.having(outputs=graph.output_names)
        return make_graph(graph.name, "q", [*inputs, *outputs], outputs, named.attributes)

    def rounded(self, layer: Weighted, steps: Steps, seen: Evidence | None) -> Integers:
        """Return the integers of one layer."""
        if seen is not None and self.adaptive_rounding:
            return balanced(layer, steps, seen)
        if seen is not None and self.bias_correction:
            return nearest_corrected(layer, steps, seen)
        return nearest(layer, steps)
