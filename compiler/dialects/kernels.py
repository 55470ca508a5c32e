"""Array kernels that the interpreters of all levels share: windows, convolution, pooling.

Tensors are batch, channels, then any number of spatial axes. `pads` are ONNX's: all begins, then
all ends. Integer inputs are computed exactly: products are summed in floating point by the BLAS,
in float64, which is exact below 2**53 (the largest sum of a layer is below 2**31), or in float32
where no sum can exceed 2**24.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ai8xc.ir.types import Array

Sizes = Sequence[int]


def window_size(size: int, kernel: int, stride: int, dilation: int, *, ceil: bool = False) -> int:
    """Return the number of windows along an axis of this padded size."""
    room = size - dilation * (kernel - 1) - 1
    steps = -(-room // stride) if ceil else room // stride
    return steps + 1


def pad(x: Array, pads: Sizes, value: float = 0) -> Array:
    """Return `x` with its spatial axes padded; negative amounts crop."""
    rank = len(pads) // 2
    if not any(pads):
        return x
    before, after = pads[:rank], pads[rank:]
    grow = [(max(b, 0), max(a, 0)) for b, a in zip(before, after, strict=True)]
    lead = x.ndim - rank
    padded = np.pad(x, [(0, 0)] * lead + grow, constant_values=np.array(value, x.dtype))
    crop = tuple(
        slice(max(-b, 0), size - max(-a, 0))
        for b, a, size in zip(before, after, padded.shape[lead:], strict=True)
    )
    return padded[(slice(None),) * lead + crop]


def windows(x: Array, kernel: Sizes, strides: Sizes, dilations: Sizes) -> Array:
    """Return a view with all windows of `x`: batch, channels, positions..., taps..."""
    axes = tuple(range(2, x.ndim))
    spans = tuple(d * (k - 1) + 1 for k, d in zip(kernel, dilations, strict=True))
    view = sliding_window_view(x, spans, axis=axes)
    steps = tuple(slice(None, None, s) for s in strides)
    taps = tuple(slice(None, None, d) for d in dilations)
    return view[(slice(None), slice(None), *steps, *taps)]


def convolve(
    x: Array, weight: Array, strides: Sizes, pads: Sizes, dilations: Sizes, groups: int = 1
) -> Array:
    """Return the cross-correlation of `x` (N, C, ...) with `weight` (M, C / groups, ...).

    Integers give int64, floats their own type.
    """
    rank = x.ndim - 2
    exact = np.issubdtype(x.dtype, np.integer)
    kind = _exact_kind(x, weight) if exact else x.dtype
    padded = pad(x, pads).astype(kind, copy=False)
    view = windows(padded, weight.shape[2:], strides, dilations)
    n, out = x.shape[0], view.shape[2 : 2 + rank]
    parts = []
    for columns, taps in zip(
        np.split(view, groups, axis=1), np.split(weight.astype(kind), groups), strict=True
    ):
        order = (0, *range(2, 2 + rank), 1, *range(2 + rank, 2 + 2 * rank))
        matrix = columns.transpose(order).reshape(n * math.prod(out), -1)
        parts.append(matrix @ taps.reshape(taps.shape[0], -1).T)
    flat = np.concatenate(parts, axis=1) if groups > 1 else parts[0]
    result = np.moveaxis(flat.reshape(n, *out, -1), -1, 1)
    return np.rint(result).astype(np.int64) if exact else np.ascontiguousarray(result)


def _exact_kind(x: Array, weight: Array) -> np.dtype[Any]:
    """Return the smallest float type in which all sums of products of integers are exact."""
    terms = math.prod(weight.shape[1:])
    small = x.dtype == np.int8 and weight.dtype == np.int8 and terms * 2**14 <= 2**24
    return np.dtype(np.float32 if small else np.float64)


def spread(x: Array, strides: Sizes) -> Array:
    """Return `x` with `stride - 1` zeros between its neighbours on each spatial axis."""
    sizes = [(size - 1) * s + 1 for size, s in zip(x.shape[2:], strides, strict=True)]
    wide = np.zeros((*x.shape[:2], *sizes), x.dtype)
    wide[(slice(None), slice(None), *(slice(None, None, s) for s in strides))] = x
    return wide


def flip_kernel(weight: Array, groups: int = 1) -> Array:
    """Return the weight of the convolution that a transposed one is on spread data.

    From (C, M / groups, ...) to (M, C / groups, ...), every spatial axis reversed.
    """
    rank = weight.ndim - 2
    turned = weight[(slice(None), slice(None), *(slice(None, None, -1),) * rank)]
    return np.concatenate([part.swapaxes(0, 1) for part in np.split(turned, groups)])


def convolve_transposed(  # noqa: PLR0913, PLR0917 - ONNX's attributes
    x: Array,
    weight: Array,
    strides: Sizes,
    pads: Sizes,
    dilations: Sizes,
    groups: int = 1,
    output_padding: Sizes | None = None,
) -> Array:
    """Return the transposed convolution of `x` (N, C, ...) with `weight` (C, M / groups, ...)."""
    rank = x.ndim - 2
    extra = output_padding or (0,) * rank
    reach = [d * (k - 1) for k, d in zip(weight.shape[2:], dilations, strict=True)]
    begins = [r - p for r, p in zip(reach, pads[:rank], strict=True)]
    ends = [r - p + e for r, p, e in zip(reach, pads[rank:], extra, strict=True)]
    ones = (1,) * rank
    wide = spread(x, strides)
    return convolve(wide, flip_kernel(weight, groups), ones, (*begins, *ends), dilations, groups)


def pool_padding(
    shape: Sizes, kernel: Sizes, strides: Sizes, pads: Sizes, dilations: Sizes
) -> tuple[int, ...]:
    """Return `pads` with the ends grown so that a ceil-mode window is never cut off.

    A window that would start in the padding at the end does not count (as in ONNX and torch).
    """
    rank = len(shape)
    ends = []
    for axis, (size, k, s, d) in enumerate(zip(shape, kernel, strides, dilations, strict=True)):
        begin, end = pads[axis], pads[axis + rank]
        count = ceil_count(size, begin, end, k, s, d)
        ends.append(max(end, (count - 1) * s + d * (k - 1) + 1 - size - begin))
    return (*pads[:rank], *ends)


def ceil_count(size: int, begin: int, end: int, kernel: int, stride: int, dilation: int) -> int:
    """Return the number of windows of a ceil-mode pool along one axis."""
    count = window_size(size + begin + end, kernel, stride, dilation, ceil=True)
    if (count - 1) * stride >= size + begin:
        count -= 1
    return count


def lowest(dtype: np.dtype[Any]) -> float | int:
    """Return the smallest value of a type: what padding is for a maximum."""
    if np.issubdtype(dtype, np.floating):
        return -math.inf
    return int(np.iinfo(dtype).min) if np.issubdtype(dtype, np.integer) else 0


def pool_max(x: Array, kernel: Sizes, strides: Sizes, pads: Sizes, dilations: Sizes) -> Array:
    """Return the maximum of each window."""
    padded = pad(x, pads, lowest(x.dtype))
    view = windows(padded, kernel, strides, dilations)
    return np.asarray(view.max(axis=tuple(range(-len(kernel), 0))))


def pool_sum(x: Array, kernel: Sizes, strides: Sizes, pads: Sizes, dilations: Sizes) -> Array:
    """Return the sum of each window; integers give int64."""
    wide = x.astype(np.int64) if np.issubdtype(x.dtype, np.integer) else x
    view = windows(pad(wide, pads), kernel, strides, dilations)
    return np.asarray(view.sum(axis=tuple(range(-len(kernel), 0))))


def reshape_batch(x: Array, old: Sizes, new: Sizes) -> Array:
    """Return `x` reshaped from `old` to `new`; where `x` holds more samples, so does the result."""
    if old and new and x.shape[0] != old[0]:
        return x.reshape(-1, *new[1:])
    return x.reshape(tuple(new))


def take(x: Array, shape: Sizes, starts: Sizes, ends: Sizes, steps: Sizes) -> Array:
    """Return a slice of `x`; an axis that is taken whole may have any size (the batch)."""
    index = []
    for size, start, end, step in zip(shape, starts, ends, steps, strict=True):
        whole = (start, end, step) == (0, size, 1)
        index.append(slice(None) if whole else slice(start, None if end < 0 else end, step))
    return x[tuple(index)]


def repeat(x: Array, scales: Sizes) -> Array:
    """Return `x` with each value repeated `scales[i]` times along spatial axis i."""
    for axis, scale in enumerate(scales, 2):
        x = np.repeat(x, scale, axis=axis)
    return x
