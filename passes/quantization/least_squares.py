"""Integer weights whose rounding errors cancel on real data.

Each output channel is a least-squares problem: integers v that bring X v close to what the float
layer computes, where the rows of X are windows of the layer's integer data and a last column of
128 stands for the bias. Integers are fixed one by one, coarsest influence first; the error of each
is passed on to those still free, along the inverse of X'X (as in optimal brain surgery and GPTQ).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ai8xc.dialects import kernels, nn
from ai8xc.ir.types import Array
from ai8xc.numerics import BIAS_UNIT
from ai8xc.passes.quantization.integers import Evidence, Integers, Steps, finish, nearest_corrected
from ai8xc.passes.quantization.layers import Weighted, biases, constant

ROWS: Final = 8192
"""Windows that are looked at."""

LARGEST: Final = 2400
"""Weights of one output channel up to which the problem is solved; time grows with the cube."""

DAMPING: Final = 0.01
"""How strongly weights are held where they are, relative to the mean square of the data."""


def balanced(layer: Weighted, steps: Steps, seen: Evidence) -> Integers:
    """Return the integers of a layer; the nearest where it is too large, or only scales."""
    weight = _as_matrices(layer, constant(layer.weight).astype(np.float64))
    only_scales = np.count_nonzero(weight) <= len(biases(layer))
    if weight.shape[-1] > LARGEST or only_scales:
        return nearest_corrected(layer, steps, seen)
    groups, channels, _ = weight.shape
    bias = biases(layer).reshape(groups, channels)
    solved, offsets = np.empty_like(weight), np.empty_like(bias)
    rows = zip(_windows(layer, seen.steps), _windows(layer, seen.real), strict=True)
    for group, (x, real) in enumerate(rows):
        target = real @ weight[group].T + bias[group]
        start = np.column_stack([weight[group], bias[group] / BIAS_UNIT / steps.x]) / steps.weight
        found = _solve(x, target / steps.accumulator, start, steps.limits)
        solved[group], offsets[group] = found[:, :-1], found[:, -1]
    unit = BIAS_UNIT * steps.accumulator
    return finish(_from_matrices(layer, solved), offsets.ravel() * unit, steps)


def _solve(x: Array, target: Array, start: Array, limits: tuple[int, int]) -> Array:
    """Return integers (channels x columns) near `start` with `[x, 128] @ result.T` near target.

    The last column is the bias.
    """
    columns = np.column_stack([x, np.full(len(x), float(BIAS_UNIT))])
    gram = columns.T @ columns / len(columns)
    gram[np.diag_indices_from(gram)] += DAMPING * max(gram.diagonal()[:-1].mean(), 1e-6)
    residual = columns.T @ (target - columns @ start.T) / len(columns)
    inverse = np.linalg.inv(gram)
    wanted = start + (inverse @ residual).T
    order = np.argsort(-gram.diagonal(), kind="stable")
    factor = np.linalg.cholesky(inverse[np.ix_(order, order)]).T
    free = wanted[:, order]
    low = np.full(len(order), limits[0])
    high = np.full(len(order), limits[1])
    bias = int(np.flatnonzero(order == len(order) - 1)[0])
    low[bias], high[bias] = -128, 127
    for k in range(len(order)):
        fixed = np.clip(np.rint(free[:, k]), low[k], high[k])
        error = (free[:, k] - fixed) / factor[k, k]
        free[:, k + 1 :] -= np.outer(error, factor[k, k + 1 :])
        free[:, k] = fixed
    result: Array = np.empty_like(free)
    result[:, order] = free
    return result


def _windows(layer: Weighted, x: Array) -> Iterator[Array]:
    """Yield, for each group, a matrix of the data that meet its weights: rows x columns."""
    if isinstance(layer, nn.Linear):
        yield x[_picks(len(x))].astype(np.float64)
        return
    x, strides, pads = _spread(layer, x)
    padded = kernels.pad(x, pads)
    rank = x.ndim - 2
    view = kernels.windows(padded, layer.kernel, strides, layer.geometry.dilations)
    positions = (len(x), *view.shape[2 : 2 + rank])
    n, *where = np.unravel_index(_picks(int(np.prod(positions))), positions)
    taken = np.moveaxis(view, 1, 1 + rank)[n, *where]  # rows x channels x taps
    for part in np.split(taken, layer.groups, axis=1):
        yield part.reshape(len(part), -1).astype(np.float64)


def _picks(count: int) -> NDArray[np.intp]:
    """Return which windows are looked at: all, or the same random ones on each call."""
    if count <= ROWS:
        return np.arange(count)
    picks = np.random.RandomState(0).randint(0, count, ROWS)
    return np.asarray(np.sort(picks), np.intp)


def _spread(
    layer: nn.Conv | nn.ConvTranspose, x: Array
) -> tuple[Array, tuple[int, ...], tuple[int, ...]]:
    """Return data, strides and pads of the plain convolution that a layer is."""
    g = layer.geometry
    if isinstance(layer, nn.Conv):
        return x, g.strides, g.pads
    rank = len(g.strides)
    extra = layer.output_padding or (0,) * rank
    reach = [d * (k - 1) for k, d in zip(layer.kernel, g.dilations, strict=True)]
    begins = [r - p for r, p in zip(reach, g.pads[:rank], strict=True)]
    ends = [r - p + e for r, p, e in zip(reach, g.pads[rank:], extra, strict=True)]
    return kernels.spread(x, g.strides), (1,) * rank, (*begins, *ends)


def _as_matrices(layer: Weighted, weight: Array) -> Array:
    """Return weights as groups x output channels x (input channels and taps)."""
    if isinstance(layer, nn.Linear):
        return weight[None]
    if isinstance(layer, nn.ConvTranspose):
        weight = kernels.flip_kernel(weight, layer.groups)
    return weight.reshape(layer.groups, len(weight) // layer.groups, -1)


def _from_matrices(layer: Weighted, matrices: Array) -> Array:
    """Return the layer's weights from `_as_matrices`."""
    shape = layer.weight.type.shape
    if not isinstance(layer, nn.ConvTranspose):
        return matrices.reshape(shape)
    channels, per_group, *taps = shape
    turned = matrices.reshape(layer.groups, per_group, channels // layer.groups, *taps)
    parts = turned.swapaxes(1, 2).reshape(shape)
    return np.asarray(parts[(slice(None), slice(None), *(slice(None, None, -1),) * len(taps))])
