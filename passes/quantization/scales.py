"""The scale of every tensor and the weight range of every layer, by least expected error."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import numpy as np

from ai8xc.dialects import nn
from ai8xc.ir.core import Graph, Op
from ai8xc.ir.diag import Diagnostic
from ai8xc.numerics import FRACTION_BITS, SHIFT_RANGE
from ai8xc.passes.quantization.error import LayerError, tensor_error, weight_step
from ai8xc.passes.quantization.groups import Group
from ai8xc.passes.quantization.layers import WEIGHTED, Weighted
from ai8xc.passes.quantization.rules import LIMIT_LOST
from ai8xc.passes.quantization.statistics import Profile

FINER: Final = 20
"""Scales tried below the one that just holds the largest value, in eighths of an octave."""

COARSER: Final = 8
"""Scales tried above it: a layer's weights may use their range better there."""

FAR: Final = 16
"""An upper limit so many times the largest value seen says nothing about a tensor's range."""

_SAME_POWER: Final = 1e-5
"""How far the logarithm of a ratio may be from an integer: scales are products of float32."""


@dataclass(frozen=True)
class WeightScale:
    """The real step of a layer's weights and its total shift (None for a wide layer).

    `kept` says that the weights are integers of the model in this step.
    """

    step: float
    shift: int | None
    kept: bool = False


@dataclass
class Scales:
    """The scales found so far, of tensors and of the weights of layers."""

    tensors: dict[Op, float] = field(default_factory=dict)
    weights: dict[Op, WeightScale] = field(default_factory=dict)


@dataclass(frozen=True)
class Search:
    """The search over one graph.

    `real` says that the profiles are of real samples: made-up ones tell little of how rarely a
    large value occurs, so without real ones no value is cut off. `given` are scales that the
    model gives its weights, by name.
    """

    graph: Graph
    profiles: Mapping[Op, Profile]
    bits: Mapping[Op, int]
    real: bool
    given: Mapping[str, float] = field(default_factory=dict)

    @cached_property
    def errors(self) -> Mapping[Op, LayerError]:
        """The error function of each layer with weights."""
        layers = [op for op in self.graph.ops if isinstance(op, WEIGHTED)]
        return {op: self.layer_error(op) for op in layers}

    @cached_property
    def layers_at(self) -> Mapping[Op, list[Op]]:
        """The layers with weights that read a tensor or compute it."""
        found: dict[Op, list[Op]] = {}
        for op, error in self.errors.items():
            found.setdefault(op, []).append(op)
            found.setdefault(error.layer.x, []).append(op)
        return found

    def run(self, found: list[Group]) -> Scales:
        """Return scales for all groups, in their order, then the weight ranges."""
        scales = Scales()
        for group in found:
            best = group.pinned
            if best is None:
                best = min(self.candidates(group, scales), key=self.cost(group, scales))
            scales.tensors.update(dict.fromkeys(group.members, best))
        for op, error in self.errors.items():
            scales.weights[op] = self.weight_scale(op, error, scales)
        return scales

    def layer_error(self, op: Weighted) -> LayerError:
        """Return the error function of a layer."""
        return LayerError(op, self.bits[op], self.profiles[op.x], self.profiles[op])

    def weight_scale(self, op: Op, error: LayerError, scales: Scales) -> WeightScale:
        """Return the range of the weights of one layer, all tensors being known."""
        x, y = scales.tensors[error.layer.x], scales.tensors.get(op)
        step = self.given_step(error)
        if y is None:
            return WeightScale(step or error.best_step(x)[0], None, step is not None)
        if step is not None:
            exact = FRACTION_BITS + math.log2(step * x / y)
            low, high = SHIFT_RANGE
            if abs(exact - round(exact)) < _SAME_POWER and low <= round(exact) <= high:
                return WeightScale(weight_step(x, y, round(exact)), round(exact), kept=True)
        shift, _ = error.best_shift(x, y)
        return WeightScale(weight_step(x, y, shift), shift)

    def given_step(self, error: LayerError) -> float | None:
        """Return the scale of the weights if the model gives one and they are its integers."""
        step = self.given.get(error.layer.weight.name)
        if step is None:
            return None
        low, high = error.limits
        steps = error.weight / np.float32(step)
        integers = np.rint(steps)
        inside = (integers >= low) & (integers <= high)
        return step if inside.all() and np.allclose(steps, integers, atol=1e-2) else None

    def cost(self, group: Group, scales: Scales) -> Callable[[float], float]:
        """Return the sum of relative errors as a function of a group's scale.

        It counts tensors of the group, and layers between it and groups that have a scale.
        """
        members = set(group.members)
        touching = {layer: None for op in members for layer in self.layers_at.get(op, ())}

        def known(op: Op) -> bool:
            return op in members or op in scales.tensors

        order = [op for op in self.errors if op in touching]
        layers = [self.errors[op] for op in order if known(op) and known(self.errors[op].layer.x)]

        def total(scale: float) -> float:
            own = sum(tensor_error(self.profiles[op], scale) for op in group.origins)
            for error in layers:
                x = scales.tensors.get(error.layer.x, scale)
                y = scales.tensors.get(error.layer, scale)
                own += error.best_shift(x, y)[1]
            return own

        return total

    def candidates(self, group: Group, scales: Scales) -> list[float]:
        """Return the scales to try, coarsest first."""
        limits = {op: self.near_limit(op) for op in group.origins}
        reach = (limit or self.profiles[op].peak for op, limit in limits.items())
        top = (max(reach, default=0.0) or 1.0) / 127
        limited = all(limit is not None for limit in limits.values())
        if limited and not self.real:
            return [top]
        above = 0 if limited else COARSER
        below = FINER if self.real else 0
        free = [top * 2.0 ** (i / 8) for i in range(above, -below - 1, -1)]
        return self.exact_for_weights(group, scales, free) or free

    def near_limit(self, op: Op) -> float | None:
        """Return the upper limit of an op, None where its values come nowhere near it."""
        limit = upper_limit(op)
        return None if limit is None or limit > FAR * self.profiles[op].peak > 0 else limit

    def exact_for_weights(self, group: Group, scales: Scales, free: list[float]) -> list[float]:
        """Return scales with which given weights of a layer that makes the group are kept."""
        for op in group.members:
            error = self.errors.get(op)
            step = self.given_step(error) if error is not None else None
            if error is None or step is None or error.layer.x not in scales.tensors:
                continue
            unit = step * scales.tensors[error.layer.x]
            low, high = min(free) / 2, max(free)
            exact = [unit * 2.0**k for k in range(-8, 23) if low <= unit * 2.0**k <= high]
            if exact:
                return exact
        return []


def lost_limits(graph: Graph, scales: Scales) -> Iterator[Diagnostic]:
    """Yield a note for each upper limit that 127 steps exceed."""
    for op in graph.ops:
        limit, scale = upper_limit(op), scales.tensors.get(op)
        if limit is not None and scale is not None and 127 * scale > limit * (1 + 1e-6):
            reach = f"{127 * scale:.4g}"
            yield LIMIT_LOST.at(op, limit=f"{limit:g}", name=op.name, reach=reach)


def upper_limit(op: Op) -> float | None:
    """Return the largest value that an op lets through, None where there is none."""
    limit = float("inf")
    if isinstance(op, WEIGHTED):
        limit = op.limit
    elif isinstance(op, nn.Clip):
        limit = op.high
    return None if limit == float("inf") else limit
