"""Kernel columns of a layer whose outputs lie on adjacent processors from a multiple of 4 on."""

from __future__ import annotations

from ai8xc.device import Device
from ai8xc.dialects import ai8x
from ai8xc.passes.hardware.kernel_shape import KernelShape
from ai8xc.passes.hardware.kernels import quartered
from ai8xc.passes.hardware.layer import HardwareLayer
from ai8xc.passes.layers.limits import lanes_of, passes_of


def is_grouped(layer: ai8x.Layer) -> bool:
    """Whether each channel has kernels of its own."""
    kinds = ai8x.Conv2d | ai8x.Conv1d | ai8x.ConvTranspose2d
    return isinstance(layer, kinds) and layer.groups > 1


def kernel_columns(layer: ai8x.Layer, device: Device, bits: int | None = None) -> int:
    """Return the columns on each processor of the layer, with its bits or others; 0 without."""
    if not isinstance(layer, ai8x.Weighted) or layer.bypass:
        return 0
    hardware = HardwareLayer(layer, device, 0, 0)
    outputs, passes = layer.type.shape[1], passes_of(layer.in_shape[0], device)
    return KernelShape(
        bits or layer.weight_bits,
        hardware.taps,
        outputs,
        passes,
        (1 << lanes_of(outputs, device)) - 1,
        values=passes * hardware.flat_pixels if hardware.flatten else 0,
        depthwise=hardware.depthwise,
        quartered=quartered(hardware),
        column_bytes=device.kernel_bytes_per_column,
    ).stored
