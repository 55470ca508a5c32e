"""Blocks of several layers that networks for these devices are made of.

Structure and names of the layers are those of the vendor's networks (training facts, section 1.8).
"""

from __future__ import annotations

from typing import Final, TypedDict, Unpack, cast

import torch
from torch import Tensor, nn

from ai8xc.training.layers import conv2d
from ai8xc.training.layers.elementwise import Add
from ai8xc.training.layers.limits import in_range

_EFFICIENT_NORM: Final = {"eps": 1e-3, "momentum": 0.01}


class Bits(TypedDict, total=False):
    """The arguments of a quantised layer, for all layers of a block."""

    weight_bits: int | None
    bias_bits: int | None
    quantize_activation: bool


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
        x = self.squeeze_layer(x)
        return torch.cat((self.expand1x1_layer(x), self.expand3x3_layer(x)), dim=1)


class _Residual(nn.Module):
    """Layers in a row, and the input added where its shape allows."""

    def __init__(self, *, residual: bool) -> None:
        super().__init__()
        self.resid = Add() if residual else None

    def _added(self, y: Tensor, x: Tensor) -> Tensor:
        return y if self.resid is None else cast("Tensor", self.resid(y, x))


class ResidualBottleneck(_Residual):
    """1x1 to `expansion` times the channels, depthwise 3x3, 1x1 to the output; for the MAX78002.

    A `stride` is a maximum pool in front of the depthwise convolution. The input is added when
    the stride is 1 and both channel counts are equal.
    """

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
        hidden = _hidden(in_channels, expansion_factor)
        self.conv1 = _expansion(in_channels, hidden, bias, bits)
        in_range("stride", stride, 1, 16)
        depthwise: type[conv2d.Conv2d] = conv2d.FusedMaxPoolDepthwiseConv2dReLU
        if depthwise_bias:
            depthwise = conv2d.FusedMaxPoolDepthwiseConv2dBNReLU
        if stride == 1:
            depthwise = conv2d.FusedDepthwiseConv2dReLU
            if depthwise_bias:
                depthwise = conv2d.FusedDepthwiseConv2dBNReLU
        self.conv2 = depthwise(
            hidden,
            hidden,
            3,
            padding=1,
            pool_size=stride,
            pool_stride=stride,
            bias=depthwise_bias,
            **bits,
        )
        self.conv3 = conv2d.FusedConv2dBN(hidden, out_channels, 1, bias=bias, **bits)

    def forward(self, x: Tensor) -> Tensor:
        """Return (n, out_channels, h // stride, w // stride)."""
        return self._added(self.conv3(self.conv2(self.conv1(x))), x)


class ConvResidualBottleneck(_Residual):
    """1x1 to `expansion` times the channels, then a full 3x3 to the output without activation.

    A `stride` is a maximum pool in front of the 3x3. The input is added when the stride is 1 and
    both channel counts are equal.
    """

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
        hidden = _hidden(in_channels, expansion_factor)
        self.conv1 = _expansion(in_channels, hidden, bias, bits)
        in_range("stride", stride, 1, 16)
        self.conv2 = conv2d.Conv2d(
            hidden,
            out_channels,
            3,
            padding=1,
            pooling="Max" if stride > 1 else None,
            pool_size=stride,
            pool_stride=stride,
            bias=depthwise_bias,
            batchnorm="Affine" if depthwise_bias else None,
            **bits,
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return (n, out_channels, h // stride, w // stride)."""
        return self._added(self.conv2(self.conv1(x)), x)


def _hidden(channels: int, expansion: float) -> int:
    return round(channels * expansion)


def _expansion(channels: int, hidden: int, bias: bool, bits: Bits) -> nn.Module:
    if hidden == channels:
        return nn.Identity()
    return conv2d.FusedConv2dBNReLU(channels, hidden, 1, bias=bias, **bits)


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
        normed, pad = conv2d.FusedConv2dBNReLU, (kernel_size - 1) // 2
        eps, momentum = _EFFICIENT_NORM["eps"], _EFFICIENT_NORM["momentum"]
        self.expand_conv: nn.Module = nn.Identity()
        if expand_ratio != 1 and fused:
            self.expand_conv = normed(
                in_channels,
                hidden,
                kernel_size,
                stride=stride,
                padding=pad,
                bias=bias,
                eps=eps,
                momentum=momentum,
                **bits,
            )
        elif expand_ratio != 1:
            self.expand_conv = normed(
                in_channels, hidden, 1, bias=bias, eps=eps, momentum=momentum, **bits
            )
        self.depthwise_conv: nn.Module = nn.Identity()
        if not fused:
            self.depthwise_conv = normed(
                hidden,
                hidden,
                kernel_size,
                stride=stride,
                padding=pad,
                groups=hidden,
                bias=bias,
                eps=eps,
                momentum=momentum,
                **bits,
            )
        self.se: nn.Module = nn.Identity()
        if se_ratio is not None:
            self.se = SqueezeExcite(hidden, max(1, int(in_channels * se_ratio)))
        self.project_conv = conv2d.FusedConv2dBN(
            hidden, out_channels, 1, bias=bias, eps=eps, momentum=momentum, **bits
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return (n, out_channels, h, w) for a stride of 1."""
        y = self.se(self.depthwise_conv(self.expand_conv(x)))
        return self._added(self.project_conv(y), x)
