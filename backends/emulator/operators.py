"""The arithmetic of a layer on arrays of exact integers (semantics.md 1).

Arrays are `(channels, rows, columns)`; element-wise operands come first: `(operands, ...)`.
"""

import numpy as np
from numpy.typing import NDArray

from ai8xc.backends.emulator.decode import Window

Int8 = NDArray[np.int8]
Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]
Mask = NDArray[np.bool_]

SUB, ADD, OR, XOR = range(4)  # element-wise function codes, registers.md 4.1

FLOAT32_EXACT = 1 << 24  # float32 sums of integers are exact below this
BLOCK_VALUES = 1 << 22  # convolution works on blocks of rows of about this many values


def windows(x: NDArray[np.generic], rows: Window, columns: Window) -> list[NDArray[np.generic]]:
    """One view `(..., pooled rows, pooled columns)` per element of the pooling window."""
    return [
        x[..., i * rows.dilation :, j * columns.dilation :][
            ..., : (rows.pooled - 1) * rows.stride + 1 : rows.stride, :
        ][..., : (columns.pooled - 1) * columns.stride + 1 : columns.stride]
        for i in range(rows.pool)
        for j in range(columns.pool)
    ]


def pool_maximum(x: Int8, rows: Window, columns: Window) -> Int8:
    """The maximum of each window; with a window of 1 this is sub-sampling."""
    first, *others = windows(x, rows, columns)
    result = np.array(first, np.int8)
    for view in others:
        np.maximum(result, view, out=result)
    return result


def pool_average(x: Int8, rows: Window, columns: Window, rounded: bool) -> Int8:
    """The mean of each window, truncated toward zero, or rounded with ties away from zero."""
    total = np.zeros((*x.shape[:-2], rows.pooled, columns.pooled), np.int32)
    for view in windows(x, rows, columns):
        total += view.astype(np.int32)
    count = rows.pool * columns.pool
    size = np.abs(total)
    mean = (2 * size + count) // (2 * count) if rounded else size // count
    return _clamp8(np.sign(total) * mean)


def combine(operands: Int8, function: int) -> Int8:
    """The operands (first axis) combined element by element; sums are clamped once, at the end."""
    if function in (OR, XOR):
        bitwise = np.bitwise_or if function == OR else np.bitwise_xor
        pattern: Int8 = bitwise.reduce(operands, axis=0)
        return pattern
    wide = operands.astype(np.int32)
    if function == ADD:
        return _clamp8(wide.sum(axis=0))
    return _clamp8(wide[0] - wide[1:].sum(axis=0))


def insert_zeros(x: Int8, rows: Window, columns: Window) -> Int8:
    """A frame for a transposed convolution of stride 2, padded for a plain one.

    One zero between neighbours, the padding around, one more zero row and column at the end.
    """
    channels, height, width = x.shape
    frame = np.zeros((channels, 2 * height + 2 * rows.pad, 2 * width + 2 * columns.pad), np.int8)
    frame[:, rows.pad : rows.pad + 2 * height : 2, columns.pad : columns.pad + 2 * width : 2] = x
    return frame


def surround(x: Int8, rows: Window, columns: Window) -> Int8:
    """A frame with its zero padding."""
    if not rows.pad and not columns.pad:
        return x
    return np.pad(x, ((0, 0), (rows.pad, rows.pad), (columns.pad, columns.pad)))


def correlate(frame: Int8, weights: Int8, rows: int, columns: int) -> Int64:
    """The cross-correlation of a padded frame with kernels of `rows` x `columns` taps.

    `weights` is `(outputs, channels, taps)`; the result `(outputs, rows, columns)` is exact: the
    products are summed in float32 only where every partial sum stays below 2**24.
    """
    outputs, channels, _ = weights.shape
    height, width = frame.shape[1] - rows + 1, frame.shape[2] - columns + 1
    bound = int(np.abs(weights.astype(np.int32)).sum(axis=(1, 2), dtype=np.int64).max()) << 7
    dtype: type[np.floating] = np.float32 if bound < FLOAT32_EXACT else np.float64
    kernels: NDArray[np.floating] = np.ascontiguousarray(weights.transpose(2, 0, 1), dtype)
    result = np.empty((outputs, height, width), np.int64)
    block = max(1, BLOCK_VALUES // (frame.shape[2] * max(outputs, channels)))
    for top in range(0, height, block):
        count = min(block, height - top)
        part = _correlate_block(frame[:, top : top + count + rows - 1], kernels, rows, columns)
        result[:, top : top + count] = part
    return result


def _correlate_block(
    frame: Int8, kernels: NDArray[np.floating], rows: int, columns: int
) -> NDArray[np.floating]:
    """One matrix product per tap, on shifted views of the flattened frame."""
    channels, height, width = frame.shape
    high = height - rows + 1
    flat = np.zeros((channels, height * width + columns - 1), kernels.dtype)
    flat[:, : height * width] = frame.reshape(channels, -1)
    count = high * width
    total: NDArray[np.floating] | None = None
    for tap, kernel in enumerate(kernels):
        start = tap // columns * width + tap % columns
        product = kernel @ flat[:, start : start + count]
        total = product if total is None else np.add(total, product, out=total)
    assert total is not None
    return total.reshape(-1, high, width)[:, :, : width - columns + 1]


def correlate_each(frame: Int8, weights: Int8, rows: int, columns: int) -> Int64:
    """The cross-correlation of each channel with its own kernel, `(channels, taps)`."""
    height, width = frame.shape[1] - rows + 1, frame.shape[2] - columns + 1
    result = np.zeros((len(frame), height, width), np.int64)
    for tap in range(rows * columns):
        i, j = divmod(tap, columns)
        view = frame[:, i : i + height, j : j + width].astype(np.int32)
        result += weights[:, tap, None, None].astype(np.int32) * view
    return result


def scale(total: Int64, shift: int, relu: bool, absolute: bool) -> Int8:
    """The 8-bit result `clamp8(floor(total * 2**shift / 128 + 1/2))`, then the activation."""
    down = 7 - shift
    value = (total + (1 << (down - 1))) >> down if down > 0 else total << -down
    value = np.clip(value, -128, 127)
    if relu:
        value = np.maximum(value, 0)
    if absolute:
        value = np.minimum(np.abs(value), 127)
    result: Int8 = value.astype(np.int8)
    return result


def _clamp8(values: Int32) -> Int8:
    return np.clip(values, -128, 127).astype(np.int8)
