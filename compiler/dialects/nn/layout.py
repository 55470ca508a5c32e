"""Ops of the float level that move values and do not change them."""

from __future__ import annotations

from typing import Literal

import numpy as np

from ai8xc.dialects import kernels, moves
from ai8xc.ir.core import op
from ai8xc.ir.types import Array


@op("nn.reshape")
class Reshape(moves.Reshape):
    """The same values, row-major, in another shape (Flatten, Squeeze, Unsqueeze too).

    Where both shapes begin with the same size, that is the batch and may differ when computing.
    """


@op("nn.transpose")
class Transpose(moves.Transpose):
    """Axes in another order: axis i of the result is axis `perm[i]` of `x`."""


@op("nn.concat")
class Concat(moves.Concat):
    """Tensors joined along `axis` (not negative)."""


@op("nn.slice")
class Slice(moves.Slice):
    """Every `steps[i]`-th value from `starts[i]` up to `ends[i]` along axis i of all axes.

    Counts are resolved at import: for a positive step 0 <= start <= end <= size; a negative step
    runs from `start` down to, not including, `end`, which may be -1.
    """


PadMode = Literal["constant", "reflect", "edge", "wrap"]


@op("nn.pad")
class Pad(moves.Pad):
    """Values added around (or, where negative, cropped off) every axis: all begins, all ends."""

    value: float = 0.0
    mode: PadMode = "constant"

    def compute(self, *operands: Array) -> Array:
        """Return the padded array."""
        x, rank = operands[0], len(self.pads) // 2
        if self.mode == "constant":
            return kernels.pad(x, self.pads, self.value)
        amounts = list(zip(self.pads[:rank], self.pads[rank:], strict=True))
        return np.pad(x, amounts, mode=self.mode)


@op("nn.resize")
class Resize(moves.Resize):
    """Each value repeated `scales[i]` times along spatial axis i (nearest neighbour)."""
