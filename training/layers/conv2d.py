"""Two-dimensional convolutions, plain and transposed, with what one hardware layer does besides.

The classes differ by pooling in front, batch norm and activation behind; their constructors are
one and the same. Names and arguments are the vendor's.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from torch import nn

from ai8xc.training.layers.context import settings_for
from ai8xc.training.layers.limits import Size, checked_groups, in_range, require, square
from ai8xc.training.layers.module import Activation, Operator, Quantization
from ai8xc.training.layers.pooling import pool_module
from ai8xc.training.layers.preset import (
    EPS,
    MOMENTUM,
    BatchNormChoice,
    Pooling,
    PresetLayer,
)


class Conv2d(PresetLayer):
    """Convolution of images, optionally with a pool before it and an activation behind it.

    Input (n, in_channels, h, w), output (n, out_channels, h', w').

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: 1 or 3.
        op: `Conv2d` or `ConvTranspose2d`; only to be given to this very class.
        pooling: `Max` or `Avg`, in front of the convolution.
        pool_size: window of the pool, each side up to 16.
        pool_stride: stride of the pool, up to 16; None: the window.
        pool_dilation: dilation of the pool, on the MAX78002 with `Max` up to 16, else 1.
        stride: 1 with a pool, else 1 to 3; 2 for a transposed convolution.
        padding: 0 to 2.
        dilation: 1.
        bias: add a bias to each channel.
        activation: `ReLU`, `Abs` or None.
        wide: 32-bit output, without activation.
        batchnorm: `Affine`, `NoAffine` or None; by default what the class stands for.
        weight_bits: 1, 2, 4 or 8 for a quantised layer; by default the mode decides.
        bias_bits: the same as `weight_bits`.
        quantize_activation: True when bits are given.
        groups: 1; on the MAX78002 any.
        eps: added to the variance of the batch norm.
        momentum: of the batch norm's statistics.

    Raises:
        LayerError: the device has no such layer; `argument` names the reason.
    """

    default_op: ClassVar[str] = "Conv2d"

    def __init__(  # noqa: PLR0913, PLR0917 - the vendor's signature
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        op: Literal["Conv2d", "ConvTranspose2d"] | None = None,
        pooling: Pooling | None = None,
        pool_size: Size = 2,
        pool_stride: Size | None = 2,
        pool_dilation: int = 1,
        stride: Size = 1,
        padding: Size = 0,
        dilation: Size = 1,
        bias: bool = True,
        activation: Activation | None = None,
        wide: bool = False,
        batchnorm: BatchNormChoice = "preset",
        weight_bits: int | None = None,
        bias_bits: int | None = None,
        quantize_activation: bool = False,
        groups: int = 1,
        eps: float = EPS,
        momentum: float = MOMENTUM,
    ) -> None:
        settings = settings_for(type(self).__name__)
        preset = self.preset
        kind = preset.chosen_pooling(pooling)
        name = op or self.default_op
        known = name in ("Conv2d", "ConvTranspose2d")
        require(known, "op", f"{op!r} is not Conv2d or ConvTranspose2d")
        transposed = name == "ConvTranspose2d"
        kernel = square("kernel_size", kernel_size)
        require(kernel in (1, 3), "kernel_size", f"{kernel} is not 1 or 3")
        step = _stride(square("stride", stride), transposed=transposed, pooled=kind is not None)
        pad = in_range("padding", square("padding", padding), 0, 2)
        in_range("dilation", square("dilation", dilation), 1, 1)
        count = checked_groups(settings.device, in_channels if preset.depthwise else groups)
        operator: Operator
        if transposed:
            operator = nn.ConvTranspose2d(
                in_channels, out_channels, kernel, step, pad, 1, groups=count, bias=bias
            )
        else:
            operator = nn.Conv2d(
                in_channels, out_channels, kernel, step, pad, groups=count, bias=bias
            )
        super().__init__(
            settings,
            Quantization(weight_bits, bias_bits, quantize_activation),
            op=operator,
            pool=pool_module(settings, kind, 2, (pool_size, pool_stride, pool_dilation)),
            activation=preset.chosen_activation(activation),
            wide=wide,
            norm=preset.chosen_norm(batchnorm, eps, momentum),
        )


def _stride(stride: int, *, transposed: bool, pooled: bool) -> int:
    if transposed:
        require(stride == 2, "stride", f"a transposed convolution needs stride=2, not {stride}")
        return stride
    if pooled:
        require(stride == 1, "stride", f"a convolution behind a pool needs stride=1, not {stride}")
    return in_range("stride", stride, 1, 3)


class ConvTranspose2d(Conv2d):
    """Transposed convolution with stride 2 and output padding 1: it doubles both sides (k=3, p=1).

    `stride=2` has to be given.
    """

    default_op = "ConvTranspose2d"


class FusedMaxPoolConv2d(Conv2d, pooling="Max"):
    """Max pool and convolution."""


class FusedAvgPoolConv2d(Conv2d, pooling="Avg"):
    """Average pool and convolution."""


class FusedConv2dReLU(Conv2d, activation="ReLU"):
    """Convolution and ReLU."""


class FusedMaxPoolConv2dReLU(Conv2d, pooling="Max", activation="ReLU"):
    """Max pool, convolution and ReLU."""


class FusedAvgPoolConv2dReLU(Conv2d, pooling="Avg", activation="ReLU"):
    """Average pool, convolution and ReLU."""


class FusedConv2dAbs(Conv2d, activation="Abs"):
    """Convolution and absolute value."""


class FusedMaxPoolConv2dAbs(Conv2d, pooling="Max", activation="Abs"):
    """Max pool, convolution and absolute value."""


class FusedAvgPoolConv2dAbs(Conv2d, pooling="Avg", activation="Abs"):
    """Average pool, convolution and absolute value."""


class FusedConv2dBN(Conv2d, batchnorm="Affine"):
    """Convolution and batch norm."""


class FusedMaxPoolConv2dBN(Conv2d, pooling="Max", batchnorm="Affine"):
    """Max pool, convolution and batch norm."""


class FusedConv2dBNReLU(Conv2d, activation="ReLU", batchnorm="Affine"):
    """Convolution, batch norm and ReLU."""


class FusedMaxPoolConv2dBNReLU(Conv2d, pooling="Max", activation="ReLU", batchnorm="Affine"):
    """Max pool, convolution, batch norm and ReLU."""


class FusedAvgPoolConv2dBNReLU(Conv2d, pooling="Avg", activation="ReLU", batchnorm="Affine"):
    """Average pool, convolution, batch norm and ReLU."""


class FusedMaxPoolConv2dBNAbs(Conv2d, pooling="Max", activation="Abs", batchnorm="Affine"):
    """Max pool, convolution, batch norm and absolute value."""


class FusedAvgPoolConv2dBNAbs(Conv2d, pooling="Avg", activation="Abs", batchnorm="Affine"):
    """Average pool, convolution, batch norm and absolute value."""


class DepthwiseConv2d(Conv2d, depthwise=True):
    """Depthwise convolution."""


class FusedMaxPoolDepthwiseConv2d(Conv2d, pooling="Max", depthwise=True):
    """Max pool and depthwise convolution."""


class FusedAvgPoolDepthwiseConv2d(Conv2d, pooling="Avg", depthwise=True):
    """Average pool and depthwise convolution."""


class FusedDepthwiseConv2dReLU(Conv2d, activation="ReLU", depthwise=True):
    """Depthwise convolution and ReLU."""


class FusedMaxPoolDepthwiseConv2dReLU(Conv2d, pooling="Max", activation="ReLU", depthwise=True):
    """Max pool, depthwise convolution and ReLU."""


class FusedAvgPoolDepthwiseConv2dReLU(Conv2d, pooling="Avg", activation="ReLU", depthwise=True):
    """Average pool, depthwise convolution and ReLU."""


class FusedDepthwiseConv2dBNReLU(Conv2d, activation="ReLU", batchnorm="Affine", depthwise=True):
    """Depthwise convolution, batch norm and ReLU."""


class FusedMaxPoolDepthwiseConv2dBNReLU(
    Conv2d, pooling="Max", activation="ReLU", batchnorm="Affine", depthwise=True
):
    """Max pool, depthwise convolution, batch norm and ReLU."""


class FusedAvgPoolDepthwiseConv2dBNReLU(
    Conv2d, pooling="Avg", activation="ReLU", batchnorm="Affine", depthwise=True
):
    """Average pool, depthwise convolution, batch norm and ReLU."""


class FusedMaxPoolConvTranspose2d(ConvTranspose2d, pooling="Max"):
    """Max pool and transposed convolution."""


class FusedAvgPoolConvTranspose2d(ConvTranspose2d, pooling="Avg"):
    """Average pool and transposed convolution."""


class FusedConvTranspose2dReLU(ConvTranspose2d, activation="ReLU"):
    """Transposed convolution and ReLU."""


class FusedMaxPoolConvTranspose2dReLU(ConvTranspose2d, pooling="Max", activation="ReLU"):
    """Max pool, transposed convolution and ReLU."""


class FusedAvgPoolConvTranspose2dReLU(ConvTranspose2d, pooling="Avg", activation="ReLU"):
    """Average pool, transposed convolution and ReLU."""


class FusedConvTranspose2dAbs(ConvTranspose2d, activation="Abs"):
    """Transposed convolution and absolute value."""


class FusedMaxPoolConvTranspose2dAbs(ConvTranspose2d, pooling="Max", activation="Abs"):
    """Max pool, transposed convolution and absolute value."""


class FusedAvgPoolConvTranspose2dAbs(ConvTranspose2d, pooling="Avg", activation="Abs"):
    """Average pool, transposed convolution and absolute value."""


class FusedConvTranspose2dBNReLU(ConvTranspose2d, activation="ReLU", batchnorm="Affine"):
    """Transposed convolution, batch norm and ReLU."""


class FusedMaxPoolConvTranspose2dBNReLU(
    ConvTranspose2d, pooling="Max", activation="ReLU", batchnorm="Affine"
):
    """Max pool, transposed convolution, batch norm and ReLU."""


class FusedAvgPoolConvTranspose2dBNReLU(
    ConvTranspose2d, pooling="Avg", activation="ReLU", batchnorm="Affine"
):
    """Average pool, transposed convolution, batch norm and ReLU."""


class DepthwiseConvTranspose2d(ConvTranspose2d, depthwise=True):
    """Depthwise transposed convolution."""


class FusedMaxPoolDepthwiseConvTranspose2d(ConvTranspose2d, pooling="Max", depthwise=True):
    """Max pool and depthwise transposed convolution."""


class FusedAvgPoolDepthwiseConvTranspose2d(ConvTranspose2d, pooling="Avg", depthwise=True):
    """Average pool and depthwise transposed convolution."""


class FusedDepthwiseConvTranspose2dReLU(ConvTranspose2d, activation="ReLU", depthwise=True):
    """Depthwise transposed convolution and ReLU."""


class FusedMaxPoolDepthwiseConvTranspose2dReLU(
    ConvTranspose2d, pooling="Max", activation="ReLU", depthwise=True
):
    """Max pool, depthwise transposed convolution and ReLU."""


class FusedAvgPoolDepthwiseConvTranspose2dReLU(
    ConvTranspose2d, pooling="Avg", activation="ReLU", depthwise=True
):
    """Average pool, depthwise transposed convolution and ReLU."""


class FusedDepthwiseConvTranspose2dBNReLU(
    ConvTranspose2d, activation="ReLU", batchnorm="Affine", depthwise=True
):
    """Depthwise transposed convolution, batch norm and ReLU."""


class FusedMaxPoolDepthwiseConvTranspose2dBNReLU(
    ConvTranspose2d, pooling="Max", activation="ReLU", batchnorm="Affine", depthwise=True
):
    """Max pool, depthwise transposed convolution, batch norm and ReLU."""


class FusedAvgPoolDepthwiseConvTranspose2dBNReLU(
    ConvTranspose2d, pooling="Avg", activation="ReLU", batchnorm="Affine", depthwise=True
):
    """Average pool, depthwise transposed convolution, batch norm and ReLU."""
