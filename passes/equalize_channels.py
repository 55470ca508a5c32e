"""Ranges of channels evened out across consecutive layers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Final

import numpy as np

from ai8xc.dialects import nn
from ai8xc.ir.core import Data, Graph, Op, make_graph
from ai8xc.ir.passes import Pass, PassContext, register
from ai8xc.ir.types import Array

Layer = nn.Conv | nn.ConvTranspose | nn.Linear
LAYERS: Final = (nn.Conv, nn.ConvTranspose, nn.Linear)

BETWEEN: Final = (nn.MaxPool, nn.AveragePool, nn.Relu, nn.Abs, nn.Resize, nn.Identity)
"""Ops that keep channels apart and give k times the result for k times the data, k above 0."""

SWEEPS: Final = 4
"""A layer is both first and second of a pair; after a few sweeps hardly anything moves."""

LARGEST: Final = 64.0
"""Limit of one factor in one sweep: a channel that is hardly used must not be blown up."""

WORTH: Final = 4.0
"""By how much the spread of a pair must shrink: factors also change the ranges of the data
between the layers, so that a small gain in weights can be a loss."""


@dataclass(frozen=True)
class Pair:
    """A layer, and the only one that reads its channels."""

    first: Layer
    second: Layer


@register
@dataclass(frozen=True)
class EqualizeChannels(Pass):
    """Scale channels between two layers so that both use one weight range for all of them.

    ReLU, absolute value and pools are positively homogeneous: dividing the weights that make a
    channel and multiplying those that read it changes nothing behind the second layer. Layers of
    one integer scale lose least when their channels have like ranges, as those of depthwise
    layers with folded batch norms never have. Pairs that are even enough stay as they are.
    """

    name: ClassVar[str] = "equalize-channels"
    needs: ClassVar[frozenset[str]] = frozenset({"nn"})
    keeps_values: ClassVar[bool] = False

    def run(self, graph: Graph, ctx: PassContext) -> Graph:
        """Return the graph with other weights and biases; itself where no pair profits."""
        weights: dict[Op, Weights] = {
            op: _weights(op) for op in graph.ops if isinstance(op, LAYERS) and _own(op, graph)
        }
        pairs = [pair for pair in _pairs(graph) if pair.first in weights and pair.second in weights]
        moved: set[Op] = set()
        for _ in range(SWEEPS):
            for pair in pairs:
                factors = _factors(
                    _ranges(_made(pair.first, weights)), _ranges(_read(pair, weights))
                )
                if factors is not None:
                    _apply(pair, factors, weights)
                    moved |= {pair.first, pair.second}
        return _rebuilt(graph, {op: weights[op] for op in moved}) if moved else graph


@dataclass
class Weights:
    """Weights and biases of a layer while they change, in float64."""

    weight: Array
    bias: Array | None


def _weights(op: Layer) -> Weights:
    assert isinstance(op.weight, nn.Constant)
    bias = None
    if isinstance(op.bias, nn.Constant):
        bias = op.bias.value.array.astype(np.float64)
    return Weights(op.weight.value.array.astype(np.float64), bias)


def _own(op: Layer, graph: Graph) -> bool:
    """Whether a layer's weights and biases are constants that no other op reads."""
    parameters = [x for x in (op.weight, op.bias) if x is not None]
    return all(isinstance(x, nn.Constant) and graph.uses[x] == 1 for x in parameters)


def _pairs(graph: Graph) -> Iterator[Pair]:
    for op in graph.ops:
        if not isinstance(op, LAYERS):
            continue
        source: Op = op.x
        while graph.uses[source] == 1 and _passes_channels(source):
            (source,) = source.operands
        alone = graph.uses[source] == 1 and source not in graph.outputs
        if isinstance(source, LAYERS) and alone and math.isinf(source.limit):
            yield Pair(source, op)


def _passes_channels(op: Op) -> bool:
    if isinstance(op, nn.Reshape):  # flatten: each channel becomes a run of features
        old, new = op.x.type.shape, op.type.shape
        return len(new) == 2 and len(old) > 2 and old[0] == new[0]
    return isinstance(op, BETWEEN)


def _made(layer: Layer, weights: Mapping[Op, Weights]) -> Array:
    """Return a view of a layer's weights: output channels first."""
    weight = weights[layer].weight
    if not isinstance(layer, nn.ConvTranspose):
        return weight.reshape(len(weight), -1)
    groups = layer.groups
    split = weight.reshape(groups, len(weight) // groups, weight.shape[1], -1)
    return np.moveaxis(split, 2, 1).reshape(groups * weight.shape[1], -1)


def _read(pair: Pair, weights: Mapping[Op, Weights]) -> Array:
    """Return the weights of the second layer by the channel of the first that they read."""
    weight, layer = weights[pair.second].weight, pair.second
    channels = pair.first.type.shape[1]
    if isinstance(layer, nn.ConvTranspose):
        return weight.reshape(channels, -1)
    groups = layer.groups if isinstance(layer, nn.Conv) else 1
    split = weight.reshape(groups, len(weight) // groups, channels // groups, -1)
    return np.moveaxis(split, 2, 1).reshape(channels, -1)


def _ranges(channels: Array) -> Array:
    return np.asarray(np.abs(channels).max(axis=1))


def _factors(first: Array, second: Array) -> Array | None:
    """Return by what the first layer's channels are divided and the second's multiplied.

    None where evening out the ranges is not worth it.
    """
    used = (first > 0) & (second > 0)
    if not used.any() or not (np.isfinite(first) & np.isfinite(second)).all():
        return None
    factors = np.sqrt(first[used] / second[used])
    factors /= np.exp(np.log(factors).mean())  # the layers as wholes keep their sizes
    factors = np.clip(factors, 1 / LARGEST, LARGEST)
    before = _spread(first[used]) * _spread(second[used])
    after = _spread(first[used] / factors) * _spread(second[used] * factors)
    if after * WORTH > before:
        return None
    result = np.ones_like(first)
    result[used] = factors
    return result


def _spread(ranges: Array) -> float:
    """Return how much coarser one scale is than a scale of its own, for the typical channel."""
    return float(np.sqrt(np.mean(np.square(ranges.max() / ranges))))


def _apply(pair: Pair, factors: Array, weights: Mapping[Op, Weights]) -> None:
    first, second = weights[pair.first], weights[pair.second]
    first.weight = first.weight / _by_output(pair.first, factors)
    if first.bias is not None:
        first.bias = first.bias / factors
    second.weight = second.weight * _by_input(pair, factors)


def _by_output(layer: Layer, factors: Array) -> Array:
    """Return factors of output channels so that they broadcast over a layer's weights."""
    rank = len(layer.weight.type.shape) - 2
    if not isinstance(layer, nn.ConvTranspose):
        return factors.reshape(-1, 1, *(1,) * rank)
    inputs, per_group = layer.weight.type.shape[:2]
    by_group = factors.reshape(layer.groups, 1, per_group)
    wide = np.broadcast_to(by_group, (layer.groups, inputs // layer.groups, per_group))
    return wide.reshape(inputs, per_group, *(1,) * rank)


def _by_input(pair: Pair, factors: Array) -> Array:
    """Return factors of the first layer's channels over the weights of the second."""
    layer = pair.second
    shape = layer.weight.type.shape
    if isinstance(layer, nn.Linear):
        return np.repeat(factors, shape[1] // len(factors)).reshape(1, -1)
    rank = len(shape) - 2
    if isinstance(layer, nn.ConvTranspose):
        return factors.reshape(-1, 1, *(1,) * rank)
    by_group = factors.reshape(layer.groups, 1, -1)
    wide = np.broadcast_to(by_group, (layer.groups, shape[0] // layer.groups, shape[1]))
    return wide.reshape(shape[0], shape[1], *(1,) * rank)


def _rebuilt(graph: Graph, changed: Mapping[Op, Weights]) -> Graph:
    """Return the graph with the changed weights and biases in place."""
    new: dict[Op, Op] = {}
    for op, weights in changed.items():
        assert isinstance(op, LAYERS)
        new[op.weight] = _constant_like(op.weight, weights.weight)
        if op.bias is not None and weights.bias is not None:
            new[op.bias] = _constant_like(op.bias, weights.bias)
    for op in graph.ops:
        new[op] = new[op] if op in new else op.with_operands(new)
    outputs = [new[output] for output in graph.outputs]
    made = [new[op] for op in graph.ops]
    return make_graph(graph.name, graph.level, made, outputs, graph.attributes)


def _constant_like(old: Op, values: Array) -> Op:
    assert isinstance(old, nn.Constant)
    return replace(old, value=Data(values.astype(old.value.array.dtype)))
