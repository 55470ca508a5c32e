"""Axes in another order: what a transpose does to attributes and constants of its reader.

For `t = transpose(x){perm}`, axis i of `t` is axis `perm[i]` of `x`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ai8xc.dialects import nn
from ai8xc.dialects.shapes import Ints
from ai8xc.ir.core import Data
from ai8xc.ir.types import Array


def inverse(perm: Ints) -> Ints:
    """Return the order that undoes `perm`."""
    return tuple(perm.index(axis) for axis in range(len(perm)))


def in_order(perm: Ints) -> bool:
    """Whether a transpose leaves all axes where they are."""
    return perm == tuple(range(len(perm)))


def keeps_channels(perm: Ints) -> bool:
    """Whether batch and channels stay the first two axes."""
    return perm[:2] == (0, 1)


def moved(values: Sequence[int], perm: Ints) -> Ints:
    """Return values given for each axis of `t` in the order of the axes of `x`."""
    return tuple(values[i] for i in inverse(perm))


def moved_pairs(values: Sequence[int], perm: Ints) -> Ints:
    """Return begins, then ends, of each axis of `t` in the order of the axes of `x`."""
    half = len(perm)
    return moved(values[:half], perm) + moved(values[half:], perm)


def moved_windows(values: Ints, perm: Ints) -> Ints:
    """Return values of the spatial axes (or begins and ends, or none at all) likewise."""
    spatial = tuple(axis - 2 for axis in perm[2:])
    if len(values) == 2 * len(spatial):
        return moved_pairs(values, spatial)
    return moved(values, spatial) if values else values


def moved_constant(c: nn.Constant, perm: Ints) -> nn.Constant:
    """Return the constant that broadcasts over `x` as `c` does over `t`."""
    array = c.value.array
    if array.size == 1:
        return c
    full = array.reshape((1,) * (len(perm) - array.ndim) + array.shape)
    return nn.Constant(Data(full.transpose(inverse(perm))), name=c.name, loc=c.loc)


def moved_columns(matrix: Array, shape: Ints, perm: Ints) -> Array:
    """Return a matrix M x K whose columns count through `t` of `shape`, counting through `x`."""
    by_axis = matrix.reshape(matrix.shape[0], *shape[1:])
    return np.asarray(by_axis.transpose(inverse(perm)).reshape(matrix.shape))


def only_moves_ones(t: nn.Transpose) -> bool:
    """Whether row-major order stays: all axes that move have size 1. The batch counts as more."""
    shape = t.x.type.shape
    kept = [axis for axis in t.perm if axis == 0 or shape[axis] != 1]
    return kept == sorted(kept) and t.perm[:1] == (0,)
