"""The scale of every tensor and the weight range of every layer, by least expected error."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from ai8xc.dialects import nn
from ai8xc.ir.core import Graph, Op
from ai8xc.passes.quantization.error import LayerError, tensor_error, weight_step
from ai8xc.passes.quantization.groups import Group
from ai8xc.passes.quantization.layers import WEIGHTED, Weighted
from ai8xc.passes.quantization.statistics import Profile

FINER: Final = 20
"""Scales tried below the one that just holds the largest value, in eighths of an octave."""

COARSER: Final = 8
"""Scales tried above it: a layer's weights may use their range better there."""


@dataclass
class Scales:
    """The scales found so far: of tensors, and of the weights of layers with their shift.

    The shift of a wide layer is None.
    """

    tensors: dict[Op, float] = field(default_factory=dict)
    weights: dict[Op, tuple[float, int | None]] = field(default_factory=dict)


@dataclass(frozen=True)
class Search:
    """The search over one graph. `real` says that the profiles are of real samples.

    Made-up samples say little about how rarely a large value occurs, so without real ones no
    value is cut off.
    """

    graph: Graph
    profiles: Mapping[Op, Profile]
    bits: Mapping[Op, int]
    real: bool

    def run(self, found: list[Group]) -> Scales:
        """Return scales for all groups, in their order, then the weight ranges."""
        scales = Scales()
        layers = [op for op in self.graph.ops if isinstance(op, WEIGHTED)]
        errors: dict[Op, LayerError] = {op: self.layer_error(op) for op in layers}
        for group in found:
            best = self.best_scale(group, scales, errors)
            scales.tensors.update(dict.fromkeys(group.members, best))
        for op, error in errors.items():
            scales.weights[op] = self.weight_scale(op, error, scales)
        return scales

    def layer_error(self, op: Weighted) -> LayerError:
        """Return the error function of a layer."""
        return LayerError(op, self.bits[op], self.profiles[op.x], self.profiles[op])

    def weight_scale(self, op: Op, error: LayerError, scales: Scales) -> tuple[float, int | None]:
        """Return step and shift of the weights of one layer, all tensors being known."""
        x = scales.tensors[error.layer.x]
        if op not in scales.tensors:
            return error.best_step(x)[0], None
        shift, _ = error.best_shift(x, scales.tensors[op])
        return weight_step(x, scales.tensors[op], shift), shift

    def best_scale(self, group: Group, scales: Scales, errors: Mapping[Op, LayerError]) -> float:
        """Return the scale of a group with the smallest sum of relative errors.

        It counts tensors of the group, and layers between it and groups that have a scale.
        """
        if group.pinned is not None:
            return group.pinned
        origins = list(group.origins())
        members = set(group.members)
        layers = [error for op, error in errors.items() if self._is_due(op, error, members, scales)]

        def cost(scale: float) -> float:
            own = sum(tensor_error(self.profiles[op], scale) for op in origins)
            for error in layers:
                x = scales.tensors.get(error.layer.x, scale)
                y = scales.tensors.get(error.layer, scale)
                own += error.best_shift(x, y)[1]
            return own

        return min(self.candidates(origins), key=cost)

    @staticmethod
    def _is_due(op: Op, error: LayerError, members: set[Op], scales: Scales) -> bool:
        ends = (error.layer.x, op)
        known = all(end in members or end in scales.tensors for end in ends)
        return known and any(end in members for end in ends)

    def candidates(self, origins: list[Op]) -> list[float]:
        """Return the scales to try, coarsest first."""
        peak = max((self.profiles[op].peak for op in origins), default=0.0) or 1.0
        limits = [limit for op in origins if (limit := upper_limit(op)) is not None]
        top = peak / 127
        if limits and (not self.real or peak <= max(limits)):
            top = max(limits) / 127
        if limits and len(limits) == len(origins) and not self.real:
            return [top]
        above = 0 if limits else COARSER
        below = FINER if self.real else 0
        return [top * 2.0 ** (i / 8) for i in range(above, -below - 1, -1)]


def upper_limit(op: Op) -> float | None:
    """Return the largest value that an op lets through, None where there is none."""
    limit = float("inf")
    if isinstance(op, WEIGHTED):
        limit = op.limit
    elif isinstance(op, nn.Clip):
        limit = op.high
    return None if limit == float("inf") else limit
