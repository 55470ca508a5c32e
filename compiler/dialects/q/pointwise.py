"""Element-wise operations and activations."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from ai8xc import numerics
from ai8xc.dialects.q.common import cannot_read, equal_scales, narrow
from ai8xc.dialects.shapes import dims, misfit
from ai8xc.ir.core import Op, op
from ai8xc.ir.diag import Diagnostic
from ai8xc.ir.types import Array, TensorType
from ai8xc.numerics import Combination


@dataclass(frozen=True, eq=False, repr=False)
class _Eltwise(Op):
    """What element-wise ops share: 2 to 16 operands of one shape and one scale."""

    xs: tuple[Op, ...]
    operation: ClassVar[Combination]

    @cached_property
    def type(self) -> TensorType:
        """The type of the first operand."""
        found = {x.type.shape for x in self.xs}
        if len(found) != 1 or len(self.xs) < 2:
            raise misfit(self, " and ".join(dims(x.type.shape) for x in self.xs))
        for x in self.xs:
            if x.type.element != "i8":
                raise cannot_read(self, x)
        return self.xs[0].type

    def verify(self) -> Iterator[Diagnostic]:
        """All operands mean the same by one integer step."""
        yield from equal_scales(self, self.xs)

    def compute(self, *operands: Array) -> Array:
        """Return the combination, clamped once."""
        return narrow(numerics.combine(self.operation, operands))


@op("q.add")
class Add(_Eltwise):
    """Sum of the operands, clamped to 8 bits at the end."""

    operation = "add"


@op("q.sub")
class Sub(_Eltwise):
    """The first operand minus all others, clamped to 8 bits at the end."""

    operation = "sub"


@op("q.or")
class BitwiseOr(_Eltwise):
    """Bits that are set in any operand."""

    operation = "or"


@op("q.xor")
class BitwiseXor(_Eltwise):
    """Bits that are set in an odd number of operands."""

    operation = "xor"


@dataclass(frozen=True, eq=False, repr=False)
class _Same(Op):
    """An op whose result has the type of its operand."""

    x: Op

    @cached_property
    def type(self) -> TensorType:
        """The type of `x`."""
        return self.x.type


@op("q.relu")
class Relu(_Same):
    """`max(x, 0)`."""

    def compute(self, *operands: Array) -> Array:
        """Return the values, negative ones as 0."""
        return np.asarray(np.maximum(operands[0], 0))


@op("q.abs")
class Abs(_Same):
    """Magnitude; that of -128 is 127."""

    def compute(self, *operands: Array) -> Array:
        """Return the magnitudes."""
        return narrow(numerics.activate(operands[0], "abs"))
