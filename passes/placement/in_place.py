"""Where a layer may write over its own input: behind the reads, provably.

Results are written in the order of pixels, each when its window has been read, all passes of it.
What is left to read then begins where the next window does, or the first one of the next row:
row and column of a window's first pixel are those of the result, less the padding, times the
stride. An output that stays in front of that pixel, word by word, never reaches it.
"""

from __future__ import annotations

from collections.abc import Iterator

from ai8xc.device import Device
from ai8xc.dialects import ai8x
from ai8xc.passes.layers.limits import passes_of

WORD = 4


def distance(layer: ai8x.Layer, device: Device) -> int | None:
    """Return the bytes by which the output must begin in front of the input; None: never.

    Proven for one operand of whole tensors and one pass out, without gaps between words.
    """
    single = passes_of(layer.type.shape[1], device) == 1 == layer.parts
    whole = layer.gather == "channels" and layer.crop == (0, 0)
    flat = isinstance(layer, ai8x.Linear) and layer.flatten
    dilated = isinstance(layer, ai8x.Conv1d) and layer.dilation[0] > 1
    turned = isinstance(layer, ai8x.ConvTranspose2d) or layer.type.element == "i32"
    if not single or not whole or flat or dilated or turned or layer.mode.streaming:
        return None
    return WORD * max((0, *_ahead(layer, passes_of(layer.in_shape[0], device))))


def _ahead(layer: ai8x.Layer, passes: int) -> Iterator[int]:
    """Yield how many words were written for which no pixel was done with, in each row at worst.

    Along a row both numbers grow, the one by 1, the other behind the padding by `passes` or more:
    the difference is largest where the padding ends, and at the end, where the next row begins.
    """
    _, _, rows, columns = layer.type.shape
    down, right = layer.pool.strides if layer.pool else (1, 1)
    top, left = layer.pad if isinstance(layer, ai8x.Conv2d | ai8x.Conv1d) else (0, 0)
    width = layer.in_shape[2]
    for row in range(rows):
        if columns > 1:
            column = min(max(1, left), columns - 1)
            first = max(0, row - top) * down * width + max(0, column - left) * right
            yield row * columns + column - passes * first
        if row + 1 < rows:
            yield (row + 1) * columns - passes * max(0, row + 1 - top) * down * width
