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


def with_unit_axes(t: nn.Transpose, wanted: Ints) -> tuple[Ints, Ints] | None:
    """Return a shape for `x` and the order that turns it into `wanted`, a reshape of `t`.

    None where `wanted` is not the shape of `t` with axes of size 1 put in or left out.
    """
    sources = _kept_axes(t.type.shape, wanted)
    if sources is None or sources[0] != 0 or t.perm[0] != 0:
        return None
    order: list[tuple[int, int]] = []  # axes of `wanted` by their place in `x`: new ones go with
    place = len(t.perm)  # the axis behind them
    for axis in reversed(range(len(wanted))):
        source = sources[axis]
        place = place if source is None else t.perm[source]
        order.append((place, axis))
    order.sort()
    by_place = tuple(axis for _, axis in order)
    return tuple(wanted[axis] for axis in by_place), inverse(by_place)


def _kept_axes(shape: Ints, wanted: Ints) -> list[int | None] | None:
    """Return for each size of `wanted` the axis of `shape` it is, None where it is a new 1."""
    sources: list[int | None] = []
    axis = 0
    for size in wanted:
        while axis < len(shape) and shape[axis] == 1 != size:
            axis += 1
        if axis < len(shape) and shape[axis] == size:
            sources.append(axis)
            axis += 1
        elif size == 1:
            sources.append(None)
        else:
            return None
    return sources if all(size == 1 for size in shape[axis:]) else None
