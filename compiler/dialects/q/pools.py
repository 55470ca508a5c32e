"""Pools of the integer level."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from ai8xc import numerics
from ai8xc.dialects import kernels, shapes
from ai8xc.dialects.q.common import narrow
from ai8xc.dialects.shapes import Geometry, Ints
from ai8xc.ir.core import Op, op
from ai8xc.ir.types import Array, TensorType


class _Pool(Op):
    """What pools share."""

    x: Op
    kernel: Ints
    strides: Ints
    pads: Ints
    dilations: Ints

    @property
    def geometry(self) -> Geometry:
        """Strides, pads and dilations with the defaults filled in."""
        return Geometry.of(len(self.kernel), self.strides, self.pads, self.dilations)

    @cached_property
    def type(self) -> TensorType:
        """N x C x windows, with the scale of `x`."""
        return self.x.type.with_shape(shapes.pool_shape(self, self.x, self.kernel, self.geometry))


@op("q.max_pool")
class MaxPool(_Pool):
    """Maximum of each window; padding never wins."""

    x: Op
    kernel: Ints = ()
    strides: Ints = ()
    pads: Ints = ()
    dilations: Ints = ()

    def compute(self, *operands: Array) -> Array:
        """Return the maxima."""
        g = self.geometry
        return kernels.pool_max(operands[0], self.kernel, g.strides, g.pads, g.dilations)


@op("q.average_pool")
class AveragePool(_Pool):
    """Mean of each window (padding counts as zeros), towards zero or, `rounding`, to nearest."""

    x: Op
    kernel: Ints = ()
    strides: Ints = ()
    pads: Ints = ()
    dilations: Ints = ()
    rounding: bool = False

    def compute(self, *operands: Array) -> Array:
        """Return the means."""
        g = self.geometry
        sums = kernels.pool_sum(operands[0], self.kernel, g.strides, g.pads, g.dilations)
        count = int(np.prod(self.kernel))
        return narrow(numerics.average(sums, count, rounding=self.rounding))
