"""Blocks of several layers that networks for these devices are made of.

Structure and names of the layers are those of the vendor's networks (training facts, section 1.8).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypedDict, Unpack, cast

import torch
from torch import Tensor, nn

from ai8xc.training.layers import conv2d
from ai8xc.training.layers.elementwise import Add
from ai8xc.training.layers.limits import in_range


class Bits(TypedDict, total=False):
    """The arguments of a quantised layer, for all layers of a block."""

    weight_bits: int | None
    bias_bits: int | None
    quantize_activation: bool


class Normed(Bits, total=False):
    """Those of a layer with a bias and a batch norm of its own kind."""

    bias: bool
    eps: float
    momentum: float


class Fire(nn.Module):
    """1x1 squeeze, then 1x1 and 3x3 side by side, joined on the channels; ReLU everywhere."""

    def __init__(
        self,
        in_planes: int,
        squeeze_planes: int,
        expand1x1_planes: int,
        expand3x3_planes: int,
        bias: bool = True,
        **bits: Unpack[Bits],
    ) -> None:
        super().__init__()
        layer = conv2d.FusedConv2dReLU
        self.squeeze_layer = layer(in_planes, squeeze_planes, 1, bias=bias, **bits)
        self.expand1x1_layer = layer(squeeze_planes, expand1x1_planes, 1, bias=bias, **bits)
        self.expand3x3_layer = layer(
            squeeze_planes, expand3x3_planes, 3, padding=1, bias=bias, **bits
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return (n, expand1x1 + expand3x3, h, w)."""
        return torch.cat(self.sides(x), dim=1)

    def sides(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the two outputs that are joined."""
        x = self.squeeze_layer(x)
        return self.expand1x1_layer(x), self.expand3x3_layer(x)


class _Residual(nn.Module):
    """Layers in a row, and the input added where its shape allows."""

    def __init__(self, *, residual: bool) -> None:
        super().__init__()
        self.resid = Add() if residual else None

    def _added(self, y: Tensor, x: Tensor) -> Tensor:
        return y if self.resid is None else cast("Tensor", self.resid(y, x))


class _Bottleneck(_Residual):
    """1x1 to `expansion` times the channels, then what a class has for the way back."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        expansion_factor: float,
        stride: int = 1,
        bias: bool = False,
        depthwise_bias: bool = False,
        **bits: Unpack[Bits],
    ) -> None:
        super().__init__(residual=stride == 1 and in_channels == out_channels)
        in_range("stride", stride, 1, 16)
        hidden = round(in_channels * expansion_factor)
        self.conv1: nn.Module = nn.Identity()
        if hidden != in_channels:
            self.conv1 = conv2d.FusedConv2dBNReLU(in_channels, hidden, 1, bias=bias, **bits)
        self.conv2 = self._window(hidden, out_channels, stride, depthwise_bias, bits)
        self.conv3 = self._projection(hidden, out_channels, bias, bits)

    def _window(
        self, hidden: int, outputs: int, stride: int, biased: bool, bits: Bits
    ) -> conv2d.Conv2d:
        raise NotImplementedError

    def _projection(self, hidden: int, outputs: int, bias: bool, bits: Bits) -> nn.Module | None:
        return None

    def forward(self, x: Tensor) -> Tensor:
        """Return (n, out_channels, h // stride, w // stride)."""
        y = self.conv2(self.conv1(x))
        return self._added(y if self.conv3 is None else self.conv3(y), x)


class ResidualBottleneck(_Bottleneck):
    """1x1 to `expansion` times the channels, depthwise 3x3, 1x1 to the output; for the MAX78002.

    A `stride` is a maximum pool in front of the depthwise convolution. The input is added when
    the stride is 1 and both channel counts are equal.
    """

    def _window(
        self, hidden: int, outputs: int, stride: int, biased: bool, bits: Bits
    ) -> conv2d.Conv2d:
        kind = _DEPTHWISE[stride > 1, biased]
        return kind(
            hidden, hidden, 3, padding=1, pool_size=stride, pool_stride=stride, bias=biased, **bits
        )

    def _projection(self, hidden: int, outputs: int, bias: bool, bits: Bits) -> nn.Module:
        return conv2d.FusedConv2dBN(hidden, outputs, 1, bias=bias, **bits)


_DEPTHWISE: Final[Mapping[tuple[bool, bool], type[conv2d.Conv2d]]] = {
    (False, False): conv2d.FusedDepthwiseConv2dReLU,
    (False, True): conv2d.FusedDepthwiseConv2dBNReLU,
    (True, False): conv2d.FusedMaxPoolDepthwiseConv2dReLU,
    (True, True): conv2d.FusedMaxPoolDepthwiseConv2dBNReLU,
}
"""Depthwise layers by whether they pool, and whether they have a bias, and so a batch norm."""


class ConvResidualBottleneck(_Bottleneck):
    """1x1 to `expansion` times the channels, then a full 3x3 to the output without activation.

    A `stride` is a maximum pool in front of the 3x3. The input is added when the stride is 1 and
    both channel counts are equal.
    """

    def _window(
        self, hidden: int, outputs: int, stride: int, biased: bool, bits: Bits
    ) -> conv2d.Conv2d:
        return conv2d.Conv2d(
            hidden,
            outputs,
            3,
            padding=1,
            pooling="Max" if stride > 1 else None,
            pool_size=stride,
            pool_stride=stride,
            bias=biased,
            batchnorm="Affine" if biased else None,
            **bits,
        )


class SqueezeExcite(nn.Module):
    """Channel weights from the channels' means; plain torch, no device computes a sigmoid."""

    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__()
        self.squeeze = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, squeezed, 1),
            nn.ReLU(),
            nn.Conv2d(squeezed, channels, 1),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the channels times their weights."""
        return cast("Tensor", self.squeeze(x)) * x


class MBConvBlock(_Residual):
    """Expansion, depthwise 3x3 (or both in one, `fused`), projection; as in EfficientNet.

    The expansion is absent for `expand_ratio` 1. `se_ratio` adds squeeze-and-excite, which trains
    but cannot be compiled. The input is added when the stride is 1 and channel counts are equal.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - the vendor's signature
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        stride: int = 1,
        bias: bool = False,
        se_ratio: float | None = None,
        expand_ratio: int = 1,
        fused: bool = False,
        **bits: Unpack[Bits],
    ) -> None:
        super().__init__(residual=stride == 1 and in_channels == out_channels)
        hidden = in_channels * expand_ratio
        layer = conv2d.FusedConv2dBNReLU
        given: Normed = {"bias": bias, "eps": 1e-3, "momentum": 0.01, **bits}
        pad = (kernel_size - 1) // 2
        self.expand_conv: nn.Module = nn.Identity()
        if expand_ratio != 1 and fused:
            self.expand_conv = layer(
                in_channels, hidden, kernel_size, stride=stride, padding=pad, **given
            )
        elif expand_ratio != 1:
            self.expand_conv = layer(in_channels, hidden, 1, **given)
        self.depthwise_conv: nn.Module = nn.Identity()
        if not fused:
            self.depthwise_conv = layer(
                hidden, hidden, kernel_size, stride=stride, padding=pad, groups=hidden, **given
            )
        self.se: nn.Module = nn.Identity()
        if se_ratio is not None:
            self.se = SqueezeExcite(hidden, max(1, int(in_channels * se_ratio)))
        self.project_conv = conv2d.FusedConv2dBN(hidden, out_channels, 1, **given)

    def forward(self, x: Tensor) -> Tensor:
        """Return (n, out_channels, h, w) for a stride of 1."""
        y = self.se(self.depthwise_conv(self.expand_conv(x)))
        return self._added(self.project_conv(y), x)
