"""Activations, and the laws by which layers take them in."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping

from ai8xc.dialects import nn
from ai8xc.ir.core import Op
from ai8xc.numerics import Activation as Kind
from ai8xc.passes.laws.constants import Layer, in_place_of
from ai8xc.passes.laws.windows import reads_only_padding

Activation = nn.Relu | nn.Abs | nn.Clip


def absorbed(x: Op, act: Activation, uses: Mapping[Op, int]) -> Op | None:
    """Return what computes `act(x)` in the layer that makes `x`; None where that is not exact.

    On the way to the layer the activation passes ops that only move values, and a maximum where
    it keeps the order of values. Nothing on the way may have another reader.
    """
    if uses[x] != 1:
        return None
    match x:
        case nn.Conv() | nn.ConvTranspose() | nn.Linear():
            layer = _activated(x, act)
            return None if layer is None else in_place_of(x, layer, act)
        case nn.Concat():
            return _absorbed_by_parts(x, act, uses)
        case nn.Reshape() | nn.Transpose() | nn.Slice() | nn.Resize():
            pass
        case nn.MaxPool() if not isinstance(act, nn.Abs) and not reads_only_padding(x):
            pass
        case _:
            return None
    inner = absorbed(x.operands[0], act, uses)
    return None if inner is None else x.with_operands({x.operands[0]: inner})


def _absorbed_by_parts(x: nn.Concat, act: Activation, uses: Mapping[Op, int]) -> Op | None:
    parts = []
    for operand in x.xs:
        part = absorbed(operand, act, uses)
        if part is None:
            return None
        parts.append(part)
    return dataclasses.replace(x, xs=tuple(parts))


def _activated(layer: Layer, act: Activation) -> Layer | None:
    """Return the layer with one more activation on its way out."""
    match act:
        case nn.Relu():  # of a magnitude: nothing; a limit on both sides stays on the upper one
            after: Kind = "abs" if layer.activation == "abs" else "relu"
            return dataclasses.replace(layer, activation=after)
        case nn.Abs():
            after = "relu" if layer.activation == "relu" else "abs"
            return dataclasses.replace(layer, activation=after)
        case nn.Clip():
            return _limited(layer, act.low, act.high)


def _limited(layer: Layer, low: float, high: float) -> Layer | None:
    lowest = -layer.limit if layer.activation == "none" else 0.0
    limit = min(layer.limit, high)
    if high <= 0:
        return None
    if low <= lowest and (high >= layer.limit or layer.activation != "none"):
        return dataclasses.replace(layer, limit=limit)
    if low == -high:
        return dataclasses.replace(layer, limit=limit)
    if low == 0 and layer.activation == "none":
        return dataclasses.replace(layer, activation="relu", limit=limit)
    return None


def bounds(op: nn.Relu | nn.Clip) -> tuple[float, float]:
    """Return the smallest and the largest value that an activation lets through."""
    return (0.0, math.inf) if isinstance(op, nn.Relu) else (op.low, op.high)


def is_never_negative(x: Op) -> bool:
    """Whether a value is zero or above by what makes it, whatever the inputs are."""
    while isinstance(x, nn.Reshape | nn.Transpose | nn.Slice | nn.Resize):
        x = x.x
    match x:
        case nn.Relu() | nn.Abs():
            return True
        case nn.Clip():
            return 0 <= x.low <= x.high
        case nn.Conv() | nn.ConvTranspose() | nn.Linear():
            return x.activation in {"relu", "abs"} and x.limit >= 0
        case nn.MaxPool():
            return not reads_only_padding(x) and is_never_negative(x.x)
        case _:
            return False
