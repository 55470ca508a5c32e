"""From the offsets of tensors to those of layers."""

from __future__ import annotations

from collections.abc import Mapping

from ai8xc.dialects import ai8x
from ai8xc.ir.core import Op
from ai8xc.passes.placement.problem import Problem
from ai8xc.passes.placement.tensors import WORD


def read_offset(layer: ai8x.Layer, problem: Problem, offsets: Mapping[Op, int]) -> int:
    """Return the byte at which a layer begins to read: behind the rows that it leaves out."""
    first = layer.xs[0]
    columns, passes = first.type.shape[3], problem.tensors[first].passes
    return offsets[first] + layer.crop[0] * columns * passes * problem.step(first) * WORD
