"""Both graphs side by side on real samples, so that each layer can repair what came before it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from ai8xc.dialects import nn, q
from ai8xc.ir.core import Graph, Input, Op
from ai8xc.ir.types import Array
from ai8xc.passes.quantization.integers import BATCH, Evidence

BUDGET: Final = 16_000_000
"""Values of the largest tensor that are kept; bounds the number of samples."""

MOST: Final = 128
"""Samples that are followed; more hardly change a layer's integers."""


@dataclass
class Simulation:
    """The values of float ops and of their integer ops that are still to be read."""

    samples: Mapping[str, Array]
    pending: dict[Op, int]
    real: dict[Op, Array] = field(default_factory=dict)
    steps: dict[Op, Array] = field(default_factory=dict)

    @classmethod
    def of(cls, graph: Graph, samples: Mapping[str, Array]) -> Simulation:
        """Return the simulation before the first op."""
        largest = max(op.type.size for op in graph.ops)
        count = max(1, min(MOST, BUDGET // largest))
        taken = {name: array[:count] for name, array in samples.items()}
        return cls(taken, dict(graph.uses))

    def advance(self, op: Op, integer: Op, *, alias: bool) -> None:
        """Compute the value of a float op and of the integer op that stands for it.

        `alias` says that the integer op is that of the float op's operand.
        """
        if isinstance(op, Input):
            self.real[op] = self.samples[op.name]
            self.steps[op] = to_steps(self.samples[op.name], integer)
        else:
            self.real[op] = _batched(op, [_known(x, self.real) for x in op.operands])
            sources = [self.steps[x] for x in op.operands if not isinstance(x, nn.Constant)]
            self.steps[op] = sources[0] if alias else _integer(integer, sources)
        for operand in op.operands:
            self.pending[operand] -= 1
            if not self.pending[operand]:
                self.real.pop(operand, None)
                self.steps.pop(operand, None)

    def evidence(self, op: Op) -> Evidence:
        """Return the values of a tensor in both graphs."""
        return Evidence(self.real[op], self.steps[op])


def to_steps(samples: Array, source: Op) -> Array:
    """Return samples of an input as its integers (halves to even, limited to -128..127).

    Samples that are integers already are the input's integers.
    """
    scale = source.type.scale
    if scale is None or np.issubdtype(samples.dtype, np.integer):
        return np.clip(samples, -128, 127).astype(np.int8)
    steps = np.rint(samples.astype(np.float64) / scale)
    return np.clip(steps, -128, 127).astype(np.int8)


def _known(op: Op, known: Mapping[Op, Array]) -> Array:
    return op.value.array if isinstance(op, nn.Constant) else known[op]


def _integer(op: Op, sources: list[Array]) -> Array:
    """Return the value of an integer op for its computed operands, in order."""
    pending = iter(sources)
    operands = [x.value.array if isinstance(x, q.Constant) else next(pending) for x in op.operands]
    return _batched(op, operands)


def _batched(op: Op, operands: list[Array]) -> Array:
    """Compute an op a few samples at a time; constants are the operands of another length."""
    constant = [isinstance(x, nn.Constant | q.Constant) for x in op.operands]
    count = next(len(x) for x, fixed in zip(operands, constant, strict=True) if not fixed)
    parts = []
    for start in range(0, count, BATCH):
        part = slice(start, start + BATCH)
        taken = [x if fixed else x[part] for x, fixed in zip(operands, constant, strict=True)]
        parts.append(op.compute(*taken))
    return np.concatenate(parts)
