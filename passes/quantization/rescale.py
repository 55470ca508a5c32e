"""Layers that give a network input another scale, where tensors of another range join it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import numpy as np

from ai8xc.dialects import nn
from ai8xc.ir.core import Data, Graph, Input, Op, make_graph
from ai8xc.passes.quantization.groups import Group
from ai8xc.passes.quantization.layers import WEIGHTED
from ai8xc.passes.quantization.statistics import Profile

TOLERATED: Final = 1.05
"""How far a tensor may exceed the range that an input forces on it before a layer is worth it."""


def inputs_to_rescale(found: list[Group], profiles: Mapping[Op, Profile]) -> list[Input]:
    """Return the inputs whose scale does not suit the tensors that they meet.

    That is where a tensor would be cut off, or uses less than a quarter of the range.
    """
    chosen: list[Input] = []
    for group in found:
        if not group.inputs or group.pinned is None:
            continue
        others = [profiles[op].peak for op in group.origins if not isinstance(op, Input)]
        reach = 128 * group.pinned
        clipped = any(peak > TOLERATED * reach for peak in others)
        if clipped or any(peak < reach / 4 for peak in others):
            chosen.extend(group.inputs)
    return chosen


def with_rescaled(graph: Graph, inputs: list[Input]) -> tuple[Graph, list[Op]]:
    """Return the graph with an identity layer behind each input, and these layers.

    Layers with weights go on reading the input itself.
    """
    layers: dict[Op, Op] = {source: _identity(source) for source in inputs}
    new: dict[Op, Op] = {}
    for op in graph.ops:
        changes = dict(new)
        if not isinstance(op, WEIGHTED):
            changes |= layers
        new[op] = op.with_operands(changes)
    outputs = [new[output] for output in graph.outputs]
    named = graph.having(outputs=graph.output_names)
    made = make_graph(graph.name, graph.level, [*new.values()], outputs, named.attributes)
    names = {layer.name for layer in layers.values()}
    return made, [op for op in made.ops if op.name in names]


def _identity(source: Input) -> Op:
    """Return a 1x1 convolution (a linear layer for vectors) that computes its input."""
    channels, *space = source.type.shape[1:]
    name = f"{source.name}_rescaled"
    eye = np.eye(channels, dtype=np.float32)
    matrix = nn.Constant(Data(eye), name=f"{name}_weight", loc=source.loc)
    if not space:
        return nn.Linear(source, matrix, name=name, loc=source.loc)
    kernel = Data(eye.reshape(channels, channels, *(1,) * len(space)))
    return nn.Conv(source, replace(matrix, value=kernel), name=name, loc=source.loc)
