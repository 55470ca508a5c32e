"""What a training layer computes on integers, stated in numpy from the formulas alone.

Source: training facts, sections 1.3, 1.5 and 4.2. Nothing here is taken from the package.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Array = np.ndarray


@dataclass(frozen=True)
class Window:
    """How an operator or a pool walks over its input; pairs are rows and columns."""

    stride: tuple[int, int] = (1, 1)
    pad: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)


def windows(x: Array, kernel: tuple[int, int], how: Window) -> Array:
    """Return the values that each output sees: (n, c, kernel rows * columns, h', w')."""
    (kh, kw), (dh, dw), (ph, pw) = kernel, how.dilation, how.pad
    x = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    h, w = x.shape[2] - (kh - 1) * dh, x.shape[3] - (kw - 1) * dw
    rows = [
        x[:, :, i * dh : i * dh + h : how.stride[0], j * dw : j * dw + w : how.stride[1]]
        for i in range(kh)
        for j in range(kw)
    ]
    return np.stack(rows, 2)


def convolved(x: Array, weight: Array, how: Window, groups: int) -> Array:
    """Return the sums of products; weight (m, c / groups, kh, kw)."""
    seen = windows(x, weight.shape[2:], how)
    n, _, _, h, w = seen.shape
    grouped = seen.reshape(n, groups, -1, h, w)
    own = weight.reshape(groups, weight.shape[0] // groups, -1)
    return np.einsum("ngkhw,gmk->ngmhw", grouped, own).reshape(n, -1, h, w)


def transposed(x: Array, weight: Array, pad: int, groups: int) -> Array:
    """Return the transposed convolution of stride 2 and output padding 1; weight (c, m, k, k)."""
    n, c, h, w = x.shape
    k = weight.shape[2]
    spread = np.zeros((n, c, 2 * h, 2 * w), x.dtype)  # a zero behind each, the last for the padding
    spread[:, :, ::2, ::2] = x
    more = k - 1 - pad
    spread = np.pad(spread, ((0, 0), (0, 0), (max(more, 0),) * 2, (max(more, 0),) * 2))
    if more < 0:
        spread = spread[:, :, -more:more, -more:more]
    flipped = weight.reshape(groups, c // groups, -1, k, k)[..., ::-1, ::-1]
    ordinary = flipped.swapaxes(1, 2).reshape(-1, c // groups, k, k)
    return convolved(spread, ordinary, Window(), groups)


def pooled(x: Array, kind: str, kernel: tuple[int, int], how: Window, *, rounding: bool) -> Array:
    """Return the pooled integers; averages towards zero, or to the nearest, ties to even."""
    seen = windows(x, kernel, how)
    if kind == "Max":
        return seen.max(2)
    mean = seen.mean(2)
    return np.clip(np.rint(mean) if rounding else np.trunc(mean), -128, 127)


def shift_of(parameters: Array, bits: int, quantile: float) -> int:
    """Return the shift that brings the quantile of the magnitudes between 1/2 and 1."""
    largest = float(np.quantile(np.abs(parameters.astype(np.float64)), np.float32(quantile)))
    found = -int(np.clip(np.floor(-np.log2(max(largest, 2.0**-20))), -15, 15))
    return min(found, 15 - (8 - bits))


def integers(values: Array, shift: int, bits: int) -> Array:
    """Return real parameters as integers of a width."""
    steps = 2 ** (bits - 1)
    rounded = np.floor(values.astype(np.float64) * 2.0**-shift * steps + 0.5)
    return np.clip(rounded, -steps, steps - 1)


def finished(acc: Array, shift: int, bits: int, activation: str | None, *, wide: bool) -> Array:
    """Return what leaves the layer for sums in units of 8-bit weights."""
    if wide:
        return np.clip(np.floor(acc / 2 ** (8 - bits) + 0.5), -(2**29), 2**29 - 1)
    y = np.floor(acc * 2.0**shift)
    y = np.maximum(y, 0) if activation == "ReLU" else np.abs(y) if activation == "Abs" else y
    return np.clip(np.floor(y / 128 + 0.5), -128, 127)
