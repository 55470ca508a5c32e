"""Conversion between real numbers and integers in the float level."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Final

import numpy as np

from ai8xc.dialects.shapes import SHAPES
from ai8xc.ir.core import Op, op
from ai8xc.ir.diag import Diagnostic
from ai8xc.ir.types import Array, Element, TensorType, storage

INTEGER_KINDS: Final = ("i8", "u8", "i16", "u16", "i32")


@op("nn.quantize")
class Quantize(Op):
    """`clamp(round(x / scale) + zero_point)`, halves to even; by tensor or along `axis`."""

    x: Op
    scale: Op
    zero_point: Op | None = None
    axis: int = 1
    to: Element = "u8"

    @cached_property
    def type(self) -> TensorType:
        """The shape of `x` in integers."""
        return TensorType(self.x.type.shape, self.to)

    def verify(self) -> Iterator[Diagnostic]:
        """Only integer types can be the result."""
        if self.to not in INTEGER_KINDS:
            yield SHAPES.at(self, opcode=self.opcode, why=f"quantized to {self.to}")

    def compute(self, *operands: Array) -> Array:
        """Return the integers."""
        x, scale, *zero = (_along(self.axis, operands[0], operand) for operand in operands)
        steps = np.rint(x / scale) + (zero[0].astype(np.float64) if zero else 0)
        limits = np.iinfo(storage(self.to))  # type: ignore[type-var] # integers only
        return np.asarray(np.clip(steps, limits.min, limits.max).astype(storage(self.to)))


@op("nn.dequantize")
class Dequantize(Op):
    """`(x - zero_point) * scale`; by tensor or along `axis`."""

    x: Op
    scale: Op
    zero_point: Op | None = None
    axis: int = 1

    @cached_property
    def type(self) -> TensorType:
        """The shape of `x` in the type of the scale."""
        return TensorType(self.x.type.shape, self.scale.type.element)

    def compute(self, *operands: Array) -> Array:
        """Return the real values."""
        x, scale, *zero = (_along(self.axis, operands[0], operand) for operand in operands)
        steps = x.astype(np.int64) - (zero[0].astype(np.int64) if zero else 0)
        return np.asarray((steps * scale).astype(scale.dtype))


def _along(axis: int, x: Array, operand: Array) -> Array:
    """Return a parameter so that it broadcasts along an axis of `x`."""
    if operand.ndim == 1 and operand.size > 1 and operand is not x:
        return operand.reshape(tuple(-1 if i == axis % x.ndim else 1 for i in range(x.ndim)))
    return operand.reshape(()) if operand.size == 1 and operand is not x else operand
