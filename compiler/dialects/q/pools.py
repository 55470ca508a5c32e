"""Pools of the integer level."""

from __future__ import annotations

import numpy as np

from ai8xc import numerics
from ai8xc.dialects import kernels, windows
from ai8xc.dialects.q.common import narrow
from ai8xc.ir.core import op
from ai8xc.ir.types import Array


@op("q.max_pool")
class MaxPool(windows.Pool):
    """Maximum of each window; padding never wins."""

    def compute(self, *operands: Array) -> Array:
        """Return the maxima."""
        g = self.geometry
        return kernels.pool_max(operands[0], self.kernel, g.strides, g.pads, g.dilations)


@op("q.average_pool")
class AveragePool(windows.Pool):
    """Mean of each window (padding counts as zeros), towards zero or, `rounding`, to nearest."""

    rounding: bool = False

    def compute(self, *operands: Array) -> Array:
        """Return the means."""
        g = self.geometry
        sums = kernels.pool_sum(operands[0], self.kernel, g.strides, g.pads, g.dilations)
        count = int(np.prod(self.kernel))
        return narrow(numerics.average(sums, count, rounding=self.rounding))
