"""One-dimensional convolutions, with what one hardware layer does besides.

The classes differ by pooling in front, batch norm and activation behind; their constructors are
one and the same. Names and arguments are the vendor's.
"""

from __future__ import annotations

from torch import nn

from ai8xc.training.layers.context import Settings, settings_for
from ai8xc.training.layers.limits import LIMITS, Size, checked_groups, in_range, require, square
from ai8xc.training.layers.module import Activation, Quantization
from ai8xc.training.layers.pooling import pool_module
from ai8xc.training.layers.preset import (
    EPS,
    MOMENTUM,
    BatchNormChoice,
    Pooling,
    PresetLayer,
)


class Conv1d(PresetLayer):
    """Convolution of sequences, optionally with a pool before it and an activation behind it.

    Input (n, in_channels, length), output (n, out_channels, length').

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: 1 to 9.
        pooling: `Max` or `Avg`, in front of the convolution.
        pool_size: window of the pool, up to 16.
        pool_stride: stride of the pool, up to 16; None: the window.
        pool_dilation: dilation of the pool, on the MAX78002 with `Max` up to 16, else 1.
        stride: 1.
        padding: 0 to 2; on the MAX78002 0 with more than 64 input channels.
        dilation: `(kernel_size - 1) * dilation < 9`, or any without padding and a kernel up to 3.
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

    def __init__(  # noqa: PLR0913, PLR0917 - the vendor's signature
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
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
        kernel = in_range("kernel_size", square("kernel_size", kernel_size), 1, 9)
        in_range("stride", square("stride", stride), 1, 1)
        pad = _padding(settings, square("padding", padding), in_channels)
        spread = square("dilation", dilation)
        _check_dilation(kernel, pad, spread)
        count = checked_groups(settings.device, groups)
        super().__init__(
            settings,
            Quantization(weight_bits, bias_bits, quantize_activation),
            op=nn.Conv1d(
                in_channels, out_channels, kernel, 1, pad, dilation=spread, groups=count, bias=bias
            ),
            pool=pool_module(settings, kind, 1, (pool_size, pool_stride, pool_dilation)),
            activation=preset.chosen_activation(activation),
            wide=wide,
            norm=preset.chosen_norm(batchnorm, eps, momentum),
        )


def _padding(settings: Settings, padding: int, channels: int) -> int:
    in_range("padding", padding, 0, 2)
    most = LIMITS[settings.device].padded_conv1d_channels
    fits = most is None or channels <= most or padding == 0
    message = f"{settings.device} pads sequences of at most {most} channels, not of {channels}"
    require(fits, "padding", message)
    return padding


def _check_dilation(kernel: int, padding: int, dilation: int) -> None:
    in_range("dilation", dilation, 1, 1023)
    fits = (kernel - 1) * dilation < 9 or (padding == 0 and kernel <= 3)
    message = (
        f"{dilation} with kernel_size={kernel} reaches over {(kernel - 1) * dilation} positions: "
        "use less than 9, or no padding and a kernel of at most 3"
    )
    require(fits, "dilation", message)


class FusedMaxPoolConv1d(Conv1d, pooling="Max"):
    """Max pool and convolution."""


class FusedAvgPoolConv1d(Conv1d, pooling="Avg"):
    """Average pool and convolution."""


class FusedConv1dReLU(Conv1d, activation="ReLU"):
    """Convolution and ReLU."""


class FusedMaxPoolConv1dReLU(Conv1d, pooling="Max", activation="ReLU"):
    """Max pool, convolution and ReLU."""


class FusedAvgPoolConv1dReLU(Conv1d, pooling="Avg", activation="ReLU"):
    """Average pool, convolution and ReLU."""


class FusedConv1dAbs(Conv1d, activation="Abs"):
    """Convolution and absolute value."""


class FusedMaxPoolConv1dAbs(Conv1d, pooling="Max", activation="Abs"):
    """Max pool, convolution and absolute value."""


class FusedAvgPoolConv1dAbs(Conv1d, pooling="Avg", activation="Abs"):
    """Average pool, convolution and absolute value."""


class FusedMaxPoolConv1dBN(Conv1d, pooling="Max", batchnorm="Affine"):
    """Max pool, convolution and batch norm."""


class FusedConv1dBNReLU(Conv1d, activation="ReLU", batchnorm="Affine"):
    """Convolution, batch norm and ReLU."""


class FusedMaxPoolConv1dBNReLU(Conv1d, pooling="Max", activation="ReLU", batchnorm="Affine"):
    """Max pool, convolution, batch norm and ReLU."""


class FusedAvgPoolConv1dBNReLU(Conv1d, pooling="Avg", activation="ReLU", batchnorm="Affine"):
    """Average pool, convolution, batch norm and ReLU."""


class FusedConv1dBNAbs(Conv1d, activation="Abs", batchnorm="Affine"):
    """Convolution, batch norm and absolute value."""


class FusedMaxPoolConv1dBNAbs(Conv1d, pooling="Max", activation="Abs", batchnorm="Affine"):
    """Max pool, convolution, batch norm and absolute value."""


class FusedAvgPoolConv1dBNAbs(Conv1d, pooling="Avg", activation="Abs", batchnorm="Affine"):
    """Average pool, convolution, batch norm and absolute value."""
