"""Which layers of a quantised model do not keep its integers, and why."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ai8xc.ir.core import Graph, Input, Op
from ai8xc.ir.diag import Diagnostic
from ai8xc.ir.types import same_scale
from ai8xc.numerics import BIAS_UNIT
from ai8xc.passes.quantization.layers import Weighted, biases
from ai8xc.passes.quantization.qdq import Given
from ai8xc.passes.quantization.rules import REQUANTIZED
from ai8xc.passes.quantization.scales import Scales


def requantized(graph: Graph, given: Given, scales: Scales) -> Iterator[Diagnostic]:
    """Yield a note with all reasons for each layer with weights that changes its integers."""
    if not given.is_quantized:
        return
    for op in graph.ops:
        if isinstance(op, Weighted):
            reasons = [*_of_tensors(op, given, scales), *_of_integers(op, given, scales)]
            if reasons:
                why, *notes = reasons
                yield REQUANTIZED.at(op, name=op.name, why=why, notes=notes)


def _of_tensors(op: Weighted, given: Given, scales: Scales) -> Iterator[str]:
    for tensor, noun in ((_source(op.x), "the data"), (op, "the result")):
        why = given.reasons.get(tensor.name)
        if why:
            yield f"{noun}: {why}"
        wanted, found = given.pins.get(tensor.name), scales.tensors.get(tensor)
        if wanted is not None and not same_scale(wanted, found):
            yield f"{noun}: it shares a scale with other tensors"


def _of_integers(op: Weighted, given: Given, scales: Scales) -> Iterator[str]:
    scale, name = scales.weights[op], op.weight.name
    if name in given.reasons:
        yield f"the weights: {given.reasons[name]}"
    elif name not in given.scales:
        yield "the weights are not quantised"
    elif not scale.kept:
        yield "the product of its scales is no power of two times that of the result"
    steps = biases(op) / (BIAS_UNIT * scales.tensors[op.x] * scale.step)
    if scale.kept and not np.allclose(steps, np.rint(steps), atol=1e-2):
        yield "its biases are no multiples of 128 accumulator steps"


def _source(op: Op) -> Op:
    """Return the op that computes the values which `op` passes on."""
    while not isinstance(op, Input | Weighted) and len(op.operands) == 1:
        op = op.operands[0]
    return op
