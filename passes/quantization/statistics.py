"""Which values occur in a float graph: run it on samples and keep what the searches need."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from ai8xc.dialects import nn
from ai8xc.ir.core import Graph, Input, Op
from ai8xc.ir.types import Array
from ai8xc.passes.quantization.layers import WEIGHTED, activated, bare

CHUNK: Final = 16
"""Samples that are computed at once: bounds the memory for windows of convolutions."""

KEPT: Final = 8192
"""Values that are kept of each tensor, about."""


@dataclass
class Profile:
    """What is known of one tensor.

    `values` are some of its values as the model has them, `raw` the same before an upper limit
    was applied; `square` is the mean square by channel and `peak` the largest magnitude of all.
    """

    values: Array
    raw: Array
    square: Array
    peak: float

    @property
    def power(self) -> float:
        """Mean square of the tensor, never 0."""
        return max(float(self.square.mean()), 1e-12)


@dataclass
class _Sums:
    """What is added up over the chunks of samples."""

    keep: int
    values: list[Array] = field(default_factory=list)
    raw: list[Array] = field(default_factory=list)
    square: Array | float = 0.0
    peak: float = 0.0

    def add(self, value: Array, raw: Array, share: float) -> None:
        step = max(1, value.size // self.keep) | 1  # odd: not always the same column
        self.values.append(value.reshape(-1)[::step].astype(np.float32))
        same = raw is value
        self.raw.append(self.values[-1] if same else raw.reshape(-1)[::step].astype(np.float32))
        axes = tuple(axis for axis in range(value.ndim) if axis != 1)
        wide = value.astype(np.float32, copy=False)
        self.square = self.square + share * np.square(wide).mean(axis=axes, dtype=np.float64)
        self.peak = max(self.peak, float(np.abs(wide).max()))

    def profile(self) -> Profile:
        values, raw = np.concatenate(self.values), np.concatenate(self.raw)
        return Profile(values, raw, np.asarray(self.square), self.peak)


def chunks(samples: Mapping[str, Array]) -> Iterator[tuple[dict[str, Array], float]]:
    """Yield the samples in parts, each with its share of the whole."""
    total = len(next(iter(samples.values())))
    for start in range(0, total, CHUNK):
        part = {name: array[start : start + CHUNK] for name, array in samples.items()}
        yield part, min(CHUNK, total - start) / total


def profiles(graph: Graph, samples: Mapping[str, Array]) -> dict[Op, Profile]:
    """Return a profile of every tensor that is not a constant."""
    total = len(next(iter(samples.values())))
    keep = max(64, KEPT * min(CHUNK, total) // total)
    sums = {op: _Sums(keep) for op in graph.ops if not isinstance(op, nn.Constant)}
    with np.errstate(over="ignore", invalid="ignore"):  # shows in `peak`
        for part, share in chunks(samples):
            _add_chunk(graph, part, sums, share)
    return {op: total.profile() for op, total in sums.items()}


def _add_chunk(
    graph: Graph, inputs: Mapping[str, Array], sums: Mapping[Op, _Sums], share: float
) -> None:
    known: dict[Op, Array] = {}
    pending = dict(graph.uses)
    for op in graph.ops:
        operands = [known[operand] for operand in op.operands]
        known[op], raw = _value(op, operands, inputs)
        if op in sums:
            sums[op].add(known[op], raw, share)
        for operand in op.operands:
            pending[operand] -= 1
            if not pending[operand]:
                del known[operand]


def _value(op: Op, operands: list[Array], inputs: Mapping[str, Array]) -> tuple[Array, Array]:
    """Return the value of an op, and the value before its upper limit."""
    if isinstance(op, Input):
        return inputs[op.name], inputs[op.name]
    if isinstance(op, WEIGHTED) and np.isfinite(op.limit):
        raw = activated(bare(op).compute(*operands), op)
        return np.clip(raw, -op.limit, op.limit), raw
    value = op.compute(*operands)
    return value, operands[0] if isinstance(op, nn.Clip) else value
