"""Whether a layer that writes over its own input has read what it overwrites, for the checker."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np

from ai8xc.checker.layout import WORD
from ai8xc.device import Device
from ai8xc.dialects import ai8x
from ai8xc.ir.types import Array


def writes_behind(layer: ai8x.Layer, place: ai8x.Place, device: Device) -> bool:
    """Whether a layer has read every word of its input that it overwrites.

    With one pass out, results are written in the order of pixels, each when all passes of its
    window have been read. A pixel is read for the last time by the last window that it is in; no
    word may be written before that, in this order, which takes its place.
    """
    single = layer.type.shape[1] <= device.processors and layer.parts == 1
    plain = not (layer.mode.chw or layer.mode.streaming or place.read_gap or place.write_gap)
    dilated = isinstance(layer, ai8x.Conv1d) and layer.dilation[0] > 1
    turned = isinstance(layer, ai8x.ConvTranspose2d) or layer.type.element == "i32"
    flat = isinstance(layer, ai8x.Linear) and layer.flatten
    if not (single and plain) or dilated or turned or flat:
        return False
    passes = -(-layer.in_shape[0] // device.processors)
    last = _last_use(layer)
    base = (place.out_offset - place.in_offset) // WORD
    pixel, _ = np.divmod(base + np.arange(layer.type.shape[2] * layer.type.shape[3]), passes)
    inside = (pixel >= 0) & (pixel < last.size)
    return bool(np.all(last[pixel[inside]] <= np.flatnonzero(inside)))


def _last_use(layer: ai8x.Layer) -> Array:
    """Return the number of the last output pixel whose window has each input pixel, or -1."""
    _, _, rows, columns = layer.type.shape
    pads, sizes = (0, 0), (1, 1)
    if isinstance(layer, ai8x.Conv2d | ai8x.Conv1d):
        pads, sizes = layer.pad, layer.kernel
    pool = layer.pool or ai8x.Pool((1, 1), (1, 1))
    reach = [(n - 1) * d + 1 for n, d in zip(pool.kernel, pool.dilations or (1, 1), strict=True)]
    down, across = (
        [
            slice(first * step, last * step + span if first <= last else 0)
            for first, last in _windows(count, pad, size, seen)
        ]
        for count, pad, size, seen, step, span in zip(
            (rows, columns), pads, sizes, layer.pooled_shape[1:], pool.strides, reach, strict=True
        )
    )
    last = np.full(layer.in_shape[1:], -1)
    for number, window in enumerate(product(down, across)):
        last[window] = number
    return last.ravel()


def _windows(count: int, pad: int, size: int, seen: int) -> Iterator[tuple[int, int]]:
    """Yield the first and last pooled value of each window that is not padding."""
    for at in range(count):
        yield max(0, at - pad), min(at - pad + size, seen) - 1
