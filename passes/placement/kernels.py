"""Kernel columns of a layer whose outputs lie on adjacent processors from a multiple of 4 on."""

from __future__ import annotations

from ai8xc.device import Device
from ai8xc.dialects import ai8x
from ai8xc.passes.hardware.kernel_shape import KernelShape
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
    channels, outputs = layer.in_shape[0], layer.type.shape[1]
    passes, values = passes_of(channels, device), 0
    if isinstance(layer, ai8x.Linear) and layer.flatten:
        values = passes * layer.pooled_shape[1] * layer.pooled_shape[2]
    return KernelShape(
        bits or layer.weight_bits,
        stored_taps(layer, device),
        outputs,
        passes,
        (1 << lanes_of(outputs, device)) - 1,
        values=values,
        depthwise=is_grouped(layer),
        quartered=layer.mode.calcx4,
        column_bytes=device.kernel_bytes_per_column,
    ).stored
