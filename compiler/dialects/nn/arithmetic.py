"""Element-wise ops of the float level."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ai8xc.dialects.shapes import SHAPES, broadcast
from ai8xc.ir.core import Op, op
from ai8xc.ir.diag import Diagnostic
from ai8xc.ir.types import Array, Element, TensorType, storage


@dataclass(frozen=True, eq=False, repr=False)
class _Binary(Op):
    """An element-wise op of two tensors."""

    a: Op
    b: Op

    @cached_property
    def type(self) -> TensorType:
        """The common shape."""
        shape = broadcast(self, self.a.type.shape, self.b.type.shape)
        return TensorType(shape, self.a.type.element)

    def verify(self) -> Iterator[Diagnostic]:
        """Both operands hold the same kind of numbers."""
        if self.a.type.element != self.b.type.element:
            why = f"{self.a.type.element} and {self.b.type.element}"
            yield SHAPES.at(self, opcode=self.opcode, why=why)


@op("nn.add")
class Add(_Binary):
    """`a + b`."""

    def compute(self, *operands: Array) -> Array:
        """Return the sum."""
        return np.asarray(operands[0] + operands[1])


@op("nn.sub")
class Sub(_Binary):
    """`a - b`."""

    def compute(self, *operands: Array) -> Array:
        """Return the difference."""
        return np.asarray(operands[0] - operands[1])


@op("nn.mul")
class Mul(_Binary):
    """`a * b`."""

    def compute(self, *operands: Array) -> Array:
        """Return the product."""
        return np.asarray(operands[0] * operands[1])


@op("nn.div")
class Div(_Binary):
    """`a / b`; integers are divided towards zero."""

    def compute(self, *operands: Array) -> Array:
        """Return the quotient."""
        a, b = operands
        if not self.type.is_float:
            wide = np.abs(a.astype(np.int64)) // np.abs(b.astype(np.int64))
            return np.asarray((np.sign(a) * np.sign(b) * wide).astype(a.dtype))
        return np.asarray(a / b)


@op("nn.bitwise_or")
class BitwiseOr(_Binary):
    """Bits that are set in `a` or `b`."""

    def compute(self, *operands: Array) -> Array:
        """Return the bits."""
        return np.asarray(operands[0] | operands[1])


@op("nn.bitwise_xor")
class BitwiseXor(_Binary):
    """Bits that differ between `a` and `b`."""

    def compute(self, *operands: Array) -> Array:
        """Return the bits."""
        return np.asarray(operands[0] ^ operands[1])


@dataclass(frozen=True, eq=False, repr=False)
class _Unary(Op):
    """An element-wise op of one tensor."""

    x: Op

    @cached_property
    def type(self) -> TensorType:
        """The type of `x`."""
        return self.x.type


@op("nn.relu")
class Relu(_Unary):
    """`max(x, 0)`."""

    def compute(self, *operands: Array) -> Array:
        """Return the values, negative ones as 0."""
        return np.asarray(np.maximum(operands[0], operands[0].dtype.type(0)))


@op("nn.abs")
class Abs(_Unary):
    """Magnitude."""

    def compute(self, *operands: Array) -> Array:
        """Return the magnitudes."""
        return np.asarray(np.abs(operands[0]))


@op("nn.clip")
class Clip(_Unary):
    """Values limited to `low`..`high`."""

    low: float = -math.inf
    high: float = math.inf

    def compute(self, *operands: Array) -> Array:
        """Return the limited values."""
        x = operands[0]
        if self.type.is_float:
            return np.asarray(np.clip(x, x.dtype.type(self.low), x.dtype.type(self.high)))
        return np.asarray(np.clip(x, *_integer_bounds(x.dtype, self.low, self.high)))


def _integer_bounds(dtype: np.dtype[np.generic], low: float, high: float) -> tuple[int, int]:
    limits = np.iinfo(dtype)  # type: ignore[type-var] # integers only
    return (
        int(max(low, limits.min)) if math.isfinite(low) else int(limits.min),
        int(min(high, limits.max)) if math.isfinite(high) else int(limits.max),
    )


@op("nn.leaky_relu")
class LeakyRelu(_Unary):
    """`x` where positive, `alpha * x` elsewhere."""

    alpha: float = 0.01

    def compute(self, *operands: Array) -> Array:
        """Return the values."""
        x = operands[0]
        return np.asarray(np.where(x > 0, x, x * x.dtype.type(self.alpha)))


@op("nn.sigmoid")
class Sigmoid(_Unary):
    """`1 / (1 + exp(-x))`."""

    def compute(self, *operands: Array) -> Array:
        """Return the values."""
        x = operands[0]
        return np.asarray((1 / (1 + np.exp(-x.astype(np.float64)))).astype(x.dtype))


@op("nn.tanh")
class Tanh(_Unary):
    """Hyperbolic tangent."""

    def compute(self, *operands: Array) -> Array:
        """Return the values."""
        return np.asarray(np.tanh(operands[0]))


@op("nn.softmax")
class Softmax(_Unary):
    """`exp(x)` divided by its sum along `axis`."""

    axis: int = -1

    def compute(self, *operands: Array) -> Array:
        """Return the shares."""
        x = operands[0]
        powers = np.exp(x - x.max(axis=self.axis, keepdims=True))
        return np.asarray(powers / powers.sum(axis=self.axis, keepdims=True))


@op("nn.identity")
class Identity(_Unary):
    """`x`; also what a Dropout is at inference."""

    def compute(self, *operands: Array) -> Array:
        """Return `x`."""
        return operands[0]


@op("nn.cast")
class Cast(Op):
    """`x` as another element type."""

    x: Op
    to: Element = "f32"

    @cached_property
    def type(self) -> TensorType:
        """The shape of `x`."""
        return TensorType(self.x.type.shape, self.to)

    def compute(self, *operands: Array) -> Array:
        """Return the converted values."""
        return operands[0].astype(storage(self.to))
