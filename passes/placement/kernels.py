"""Kernel columns that a layer needs, for outputs on processors without holes from a multiple of 4.

Source: memory description, sections 1.4, 1.5 and 1.6.
"""

from __future__ import annotations

from ai8xc.device import Device
from ai8xc.dialects import ai8x
from ai8xc.passes.layers.limits import lanes_of, passes_of


def is_grouped(layer: ai8x.Layer) -> bool:
    """Whether each channel has kernels of its own."""
    kinds = ai8x.Conv2d | ai8x.Conv1d | ai8x.ConvTranspose2d
    return isinstance(layer, kinds) and layer.groups > 1


def stored_taps(layer: ai8x.Weighted, device: Device) -> int:
    """Return the values of one kernel as the hardware stores it."""
    if isinstance(layer, ai8x.Linear):
        return 1
    if isinstance(layer, ai8x.Conv1d):
        reach = (layer.kernel[0] - 1) * layer.dilation[0] + 1
        return 9 if reach > device.max_stretched_kernel_1d else reach
    assert isinstance(layer, ai8x.Conv2d | ai8x.ConvTranspose2d)
    return layer.kernel[0] * layer.kernel[1]


def kernel_columns(layer: ai8x.Layer, device: Device, bits: int | None = None) -> int:
    """Return the columns on each processor of the layer, with its bits or others; 0 without."""
    if not isinstance(layer, ai8x.Weighted) or layer.bypass:
        return 0
    bits, taps = bits or layer.weight_bits, stored_taps(layer, device)
    channels, outputs = layer.in_shape[0], layer.type.shape[1]
    passes, out_passes = passes_of(channels, device), passes_of(outputs, device)
    slots = out_passes * lanes_of(outputs, device)
    if isinstance(layer, ai8x.Linear) and layer.flatten:
        values = passes * layer.pooled_shape[1] * layer.pooled_shape[2]
        absent = slots - outputs if bits == 8 else 0
        stored = -(-(outputs * values * bits) // 8) + absent
        return max(_columns(outputs * values, 1, bits), -(-stored // 9))
    if is_grouped(layer):
        return _columns(passes, taps, 8)  # zeros are written behind narrow kernels
    # narrow kernels are packed output by output: those of an odd one fill bytes of their own
    lanes = -(-lanes_of(outputs, device) // (8 // bits))
    return max(_columns(slots * passes, taps, bits), -(-out_passes * lanes * passes * taps // 9))


def _columns(kernels: int, taps: int, bits: int) -> int:
    per_byte = 8 // bits
    unused = (kernels % per_byte) * taps * (per_byte - 1)
    return (kernels * taps * bits + unused + 71) // 72
