"""A layer for a scale and a shift that no other layer can take in."""

from __future__ import annotations

import numpy as np

from ai8xc.dialects import nn
from ai8xc.ir.core import Data, Op
from ai8xc.passes.laws.affine import Affine


def depthwise(op: Op, x: Op, f: Affine) -> Op | None:
    """Return a convolution that computes `f(x)` in the place of `op`: 1x1, each channel alone.

    Data without spatial axes get one for it. None where the values differ along another axis.
    """
    shape = x.type.shape
    if len(shape) < 2 or not f.along(1):
        return None
    if len(shape) == 2:
        column = nn.Reshape(x, (*shape, 1), name=f"{op.name}_column", loc=op.loc)
        layer = _layer(f"{op.name}_layer", op, column, f)
        return nn.Reshape(layer, shape, name=op.name, loc=op.loc)
    return _layer(op.name, op, x, f)


def _layer(name: str, op: Op, x: Op, f: Affine) -> Op:
    shape = x.type.shape
    dtype = np.dtype(np.float64 if x.type.element == "f64" else np.float32)
    scale, shift = f.spread(shape[1])
    weight = scale.reshape(-1, 1, *(1,) * (len(shape) - 2)).astype(dtype)
    bias = nn.Constant(Data(shift.astype(dtype)), name=f"{op.name}_bias", loc=op.loc)
    return nn.Conv(
        x,
        nn.Constant(Data(weight), name=f"{op.name}_weight", loc=op.loc),
        bias if f.moves else None,
        groups=shape[1],
        name=name,
        loc=op.loc,
    )
