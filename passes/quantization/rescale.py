"""Layers that give a tensor another scale, where it joins tensors of a very different range.

A residual network adds to one stream of data from its first layer to its last. All of it would
share one scale; where its range has grown too far, an identity layer starts a new one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from ai8xc.dialects import nn
from ai8xc.ir.core import Data, Graph, Input, Op, make_graph
from ai8xc.passes.quantization.groups import Group
from ai8xc.passes.quantization.layers import JOINS, Weighted
from ai8xc.passes.quantization.statistics import Profile

TOLERATED: Final = 1.05
"""How far a tensor may exceed the range that an input forces on it before a layer is worth it."""

UNUSED: Final = 4.0
"""How far it may stay below that range: two of eight bits."""

APART: Final = 8.0
"""How far the ranges of joins that share a scale may be apart: three of eight bits."""


@dataclass
class Segment:
    """Tensors that keep one scale; `low` and `high` are the smallest and largest range of joins.

    `fixed` is the largest value of a given scale.
    """

    low: float
    high: float
    fixed: float | None = None

    def takes(self, peak: float) -> bool:
        """Whether a join of this range can be part of the segment."""
        if self.fixed is not None:
            return self.fixed / UNUSED <= peak <= TOLERATED * self.fixed
        return max(self.high, peak) <= APART * min(self.low, peak)

    def take(self, peak: float) -> None:
        """Make a join part of the segment."""
        self.low, self.high = min(self.low, peak), max(self.high, peak)


@dataclass
class Cut:
    """Where a group falls apart: the segment of each member."""

    profiles: Mapping[Op, Profile]
    of: dict[Op, Segment] = field(default_factory=dict)

    def add(self, group: Group) -> None:
        """Give every member a segment; layers with weights have that of what reads them."""
        if len(group.members) == 1 or (group.pinned is not None and not group.inputs):
            return
        for op in group.members:
            if isinstance(op, Input):
                assert group.pinned is not None
                self.of[op] = Segment(0.0, 0.0, 128 * group.pinned)
            elif isinstance(op, JOINS):
                self.join(op)
            elif not isinstance(op, Weighted):
                self.pass_on(op)

    def pass_on(self, op: Op) -> None:
        """Put an op that passes values on where its operand is."""
        (source,) = (x for x in op.operands if not isinstance(x, nn.Constant))
        if source in self.of:
            self.of[op] = self.of[source]

    def join(self, op: Op) -> None:
        """Put a join into the last segment among its operands, or start a new one."""
        peak = max(self.profiles[x].peak for x in (op, *op.operands))
        peak = max(peak, 1e-9)
        found = [self.of[x] for x in op.operands if x in self.of]
        fitting = [segment for segment in found if segment.takes(peak)]
        segment = fitting[-1] if fitting else Segment(peak, peak)
        segment.take(peak)
        self.of[op] = segment


def cut_apart(
    graph: Graph, found: list[Group], profiles: Mapping[Op, Profile]
) -> tuple[Graph, list[Op]]:
    """Return the graph with an identity layer between segments, and these layers."""
    cut = Cut(profiles)
    for group in found:
        cut.add(group)
    layers: dict[tuple[Op, int], Op] = {}
    new: dict[Op, Op] = {}
    for op in graph.ops:
        changes = dict(new)
        for source in op.operands if op in cut.of else ():
            origin = cut.of.get(source, cut.of[op])
            if origin is not cut.of[op]:
                key = (source, id(cut.of[op]))
                layers[key] = layers.get(key) or _identity(new[source])
                changes[source] = layers[key]
        new[op] = op.with_operands(changes)
    if not layers:
        return graph, []
    outputs = [new[output] for output in graph.outputs]
    named = graph.having(outputs=graph.output_names)
    made = make_graph(graph.name, graph.level, [*new.values()], outputs, named.attributes)
    names = {layer.name for layer in layers.values()}
    return made, [op for op in made.ops if op.name in names]


def _identity(source: Op) -> Op:
    """Return a 1x1 convolution (a linear layer for vectors) that computes its input."""
    channels, *space = source.type.shape[1:]
    name = f"{source.name}_rescaled"
    eye = np.eye(channels, dtype=np.float32)
    matrix = nn.Constant(Data(eye), name=f"{name}_weight", loc=source.loc)
    if not space:
        return nn.Linear(source, matrix, name=name, loc=source.loc)
    kernel = Data(eye.reshape(channels, channels, *(1,) * len(space)))
    return nn.Conv(source, replace(matrix, value=kernel), name=name, loc=source.loc)
