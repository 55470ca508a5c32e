"""Where a layer may write over its own input: behind the reads, provably.

Results are written in the order of pixels, each when its window has been read. The last word of
output row r is written once the windows of that row are done; what is left to read begins at the
top row of the windows of row r, (r - padding) * stride. An output that begins so many bytes in
front of the input never reaches it.
"""

from __future__ import annotations

from ai8xc.device import Device
from ai8xc.dialects import ai8x
from ai8xc.passes.layers.limits import passes_of

WORD = 4


def distance(layer: ai8x.Layer, device: Device) -> int | None:
    """Return the bytes by which the output must begin in front of the input; None: never.

    Proven for one pass in and out, one operand of whole tensors, without gaps between words.
    """
    channels, outputs = layer.in_shape[0], layer.type.shape[1]
    single = passes_of(channels, device) == passes_of(outputs, device) == 1 == layer.parts
    whole = layer.gather == "channels" and layer.crop == (0, 0)
    flat = isinstance(layer, ai8x.Linear) and layer.flatten
    dilated = isinstance(layer, ai8x.Conv1d) and layer.dilation[0] > 1
    turned = isinstance(layer, ai8x.ConvTranspose2d) or layer.type.element == "i32"
    if not single or not whole or flat or dilated or turned or layer.mode.streaming:
        return None
    stride = layer.pool.strides[0] if layer.pool else 1
    pad = layer.pad[0] if isinstance(layer, ai8x.Conv2d | ai8x.Conv1d) else 0
    _, _, rows, columns = layer.type.shape
    step = stride * layer.in_shape[2]
    words = max((row + 1) * columns - max(0, row - pad) * step for row in range(rows))
    return WORD * max(0, words)
