"""The float network as it is lowered, and every decision about its scales."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ai8xc.ir.core import Graph, Op
from ai8xc.ir.diag import Diagnostic, Rejected
from ai8xc.ir.types import Array
from ai8xc.passes.quantization.groups import groups
from ai8xc.passes.quantization.kept import requantized
from ai8xc.passes.quantization.layers import WEIGHTED
from ai8xc.passes.quantization.qdq import Given
from ai8xc.passes.quantization.rescale import cut_apart
from ai8xc.passes.quantization.rules import RESCALED, TOO_LARGE
from ai8xc.passes.quantization.scales import Scales, Search, lost_limits
from ai8xc.passes.quantization.statistics import Profile, profiles

LARGEST: Final = 1e15
"""Values that are taken for real: their squares can be added up in float32."""


@dataclass(frozen=True)
class Samples:
    """Values of the inputs by name; `real` tells the user's from made-up ones."""

    arrays: Mapping[str, Array]
    real: bool


@dataclass(frozen=True)
class Plan:
    """A graph, which may have got layers that rescale, with scales and weight bits."""

    graph: Graph
    scales: Scales
    bits: Mapping[Op, int]
    notes: tuple[Diagnostic, ...]


@dataclass(frozen=True)
class Planner:
    """What is given: scales of inputs and of the model itself, weight bits by layer name."""

    input_scale: float
    given: Given
    bits: Mapping[str, int]
    wide: bool

    def pins(self, graph: Graph) -> dict[str, float]:
        """Return the given scales of tensors by name: the model's own, or the option's."""
        defaults = {source.name: self.input_scale for source in graph.inputs}
        return defaults | self.given.pins

    def plan(self, graph: Graph, samples: Samples) -> Plan:
        """Return the decisions for a graph whose ops all have an integer form.

        Raises `Rejected` when the network computes numbers out of all bounds.
        """
        pins = self.pins(graph)
        seen = profiles(graph, samples.arrays)
        _check_size(seen)
        found = groups(graph, pins, wide=self.wide)
        notes: list[Diagnostic] = []
        graph, layers = cut_apart(graph, found, seen)
        if layers:
            notes += [RESCALED.at(layer, name=layer.operands[0].name) for layer in layers]
            seen = profiles(graph, samples.arrays)
            found = groups(graph, pins, wide=self.wide)
        weighted = [op for op in graph.ops if isinstance(op, WEIGHTED)]
        bits: dict[Op, int] = {op: self.bits.get(op.name, 8) for op in weighted}
        scales = Search(graph, seen, bits, samples.real, self.given.scales).run(found)
        notes += [*requantized(graph, self.given, scales), *lost_limits(graph, scales)]
        return Plan(graph, scales, bits, tuple(notes))


def _check_size(seen: Mapping[Op, Profile]) -> None:
    wrong = [(op, profile.peak) for op, profile in seen.items() if not profile.peak < LARGEST]
    if wrong:
        op, peak = wrong[0]  # all that follow are its consequence
        raise Rejected([TOO_LARGE.at(op, name=op.name, peak=f"{peak:.3g}")])
