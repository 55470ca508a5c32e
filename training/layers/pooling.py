"""Pooling, alone or in front of an operator."""

from __future__ import annotations

from torch import nn

from ai8xc.training.layers.context import Settings, settings_for
from ai8xc.training.layers.limits import Size, pool_window
from ai8xc.training.layers.module import HardwareLayer, Quantization
from ai8xc.training.layers.preset import Pooling


def pool_module(
    settings: Settings, kind: Pooling | None, axes: int, window: tuple[Size, Size | None, int]
) -> nn.Module | None:
    """Return the pooling of a layer from (size, stride, dilation).

    Raises:
        LayerError: the device has no such window.
    """
    if kind is None:
        return None
    checked = pool_window(settings.device, kind, axes, window)
    if kind == "Max":
        maximum = nn.MaxPool2d if axes == 2 else nn.MaxPool1d
        size = checked.size if axes == 2 else checked.size[0]
        return maximum(size, checked.stride, dilation=checked.dilation)
    if axes == 2:
        return nn.AvgPool2d((checked.size[0], checked.size[1]), checked.stride)
    return nn.AvgPool1d(checked.size[0], checked.stride)


class _Pool(HardwareLayer):
    """A layer that only pools."""

    def __init__(
        self, kind: Pooling, axes: int, kernel_size: Size, stride: Size | None, dilation: int
    ) -> None:
        settings = settings_for(type(self).__name__)
        pool = pool_module(settings, kind, axes, (kernel_size, stride, dilation))
        super().__init__(settings, Quantization(), pool=pool)


class MaxPool2d(_Pool):
    """Maximum over windows of up to 16 x 16; `stride` defaults to the window."""

    def __init__(self, kernel_size: Size, stride: Size | None = None, dilation: int = 1) -> None:
        super().__init__("Max", 2, kernel_size, stride, dilation)


class AvgPool2d(_Pool):
    """Mean of windows of up to 16 x 16, rounded as the device does; `stride` defaults to them."""

    def __init__(self, kernel_size: Size, stride: Size | None = None) -> None:
        super().__init__("Avg", 2, kernel_size, stride, 1)


class MaxPool1d(_Pool):
    """Maximum over windows of up to 16 positions; `stride` defaults to the window."""

    def __init__(self, kernel_size: int, stride: int | None = None, dilation: int = 1) -> None:
        super().__init__("Max", 1, kernel_size, stride, dilation)


class AvgPool1d(_Pool):
    """Mean of windows of up to 16 positions, rounded as the device does."""

    def __init__(self, kernel_size: int, stride: int | None = None) -> None:
        super().__init__("Avg", 1, kernel_size, stride, 1)
