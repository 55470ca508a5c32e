"""Other weights for a layer, with zeros among them."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from ai8xc.dialects import q
from ai8xc.ir.core import Data
from ai8xc.ir.types import Array, Element

Weighted = TypeVar("Weighted", q.Conv, q.ConvTranspose, q.Linear)


def holds_zero(element: Element) -> Element:
    """Return the narrowest element type that holds these weights and zeros."""
    return "i2" if element == "bin" else element


def with_weight(op: Weighted, array: Array, **changes: object) -> Weighted:
    """Return a layer with weights that may hold zeros, and other fields changed.

    The total shift is output shift + 8 - weight bits: it is kept when the width changes.
    """
    assert isinstance(op.weight, q.Constant)
    before = op.weight.element
    element = holds_zero(before)
    weight = replace(op.weight, value=Data(array), element=element)
    shift = op.output_shift + int(element != before)
    return replace(op, weight=weight, output_shift=shift, **changes)  # type: ignore[arg-type] # fields of the op


def repeated_bias(op: q.Conv | q.ConvTranspose, times: int) -> q.Constant | None:
    """Return the biases, each so many times."""
    if not isinstance(op.bias, q.Constant):
        return None
    return replace(op.bias, value=Data(op.bias.value.array.repeat(times)))
