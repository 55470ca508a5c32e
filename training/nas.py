"""Once-for-all layers: one set of weights for many kernel sizes and channel counts.

A network of these layers is trained so that its sub-networks work, too; a search then picks one,
which is trained anew from the plain layers. Class names, arguments and state are the vendor's
(training facts, section 5.1). The layers are float only.
"""

from __future__ import annotations

from typing import ClassVar, Final, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from ai8xc.training.layers import LayerError, conv1d, conv2d
from ai8xc.training.layers.module import Activation, Norm
from ai8xc.training.layers.preset import BatchNormChoice, Pooling, PresetLayer

Preset = type[conv1d.Conv1d] | type[conv2d.Conv2d]

BN_DIVISOR: Final = 4


class ElasticLayer(nn.Module):
    """A convolution of which a part can be used.

    Attributes:
        kernel_size: kernel in use, the full one or an entry of `kernel_list`.
        in_channels: input channels in use, the first ones.
        out_channels: output channels in use, the first ones.
    """

    preset: ClassVar[Preset]
    max_kernel_size: Tensor
    kernel_list: Tensor
    padding_list: Tensor

    def __init_subclass__(cls, *, preset: Preset | None = None) -> None:
        super().__init_subclass__()
        if preset is not None:
            cls.preset = preset

    def __init__(  # noqa: PLR0913, PLR0917 - the vendor's signature
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        pooling: Pooling | None = None,
        pool_size: int = 2,
        pool_stride: int = 2,
        stride: int = 1,
        padding: int = 0,
        bias: bool = True,
        activation: Activation | None = None,
        batchnorm: BatchNormChoice = "preset",
    ) -> None:
        super().__init__()
        layer: PresetLayer = self.preset(
            in_channels,
            out_channels,
            kernel_size,
            pooling=pooling,
            pool_size=pool_size,
            pool_stride=pool_stride,
            stride=stride,
            padding=padding,
            bias=bias,
            activation=activation,
            batchnorm=batchnorm,
        )
        if layer.mode != "float":
            raise LayerError("mode", f"once-for-all layers train in float mode, not {layer.mode}")
        op = cast("nn.Conv1d | nn.Conv2d", layer.op)
        self.activation: Activation | None = layer.activation
        kernel, padding = int(op.kernel_size[0]), int(cast("int", op.padding[0]))
        options = kernel_options(kernel, padding, axes=len(op.kernel_size))
        self.register_buffer("max_kernel_size", torch.tensor(kernel))
        self.register_buffer(
            "kernel_list", torch.tensor([k for k, _ in options], dtype=torch.int64)
        )
        self.register_buffer(
            "padding_list", torch.tensor([p for _, p in options], dtype=torch.int64)
        )
        self.pool = layer.pool
        self.op = op
        self.bn = layer.bn
        axes = len(op.kernel_size)
        self.ktm_list = nn.ParameterList(_centre(kernel, k, axes) for k, _ in options)
        self._paddings = {kernel: padding, **dict(options)}
        self.kernel_size = kernel
        self.in_channels = op.in_channels
        self.out_channels = op.out_channels

    @property
    def kernels(self) -> tuple[int, ...]:
        """The kernel sizes that can be used, the full one first."""
        return tuple(self._paddings)

    def use(
        self,
        *,
        kernel_size: int | None = None,
        in_channels: int | None = None,
        out_channels: int | None = None,
    ) -> None:
        """Use a part of the layer; what is not given is used whole.

        Raises LayerError for a part that the layer does not have.
        """
        kernel = kernel_size or self.kernels[0]
        if kernel not in self._paddings:
            raise LayerError("kernel_size", f"{kernel} is not one of {self.kernels}")
        for name, given, most in (
            ("in_channels", in_channels, self.op.in_channels),
            ("out_channels", out_channels, self.op.out_channels),
        ):
            if given is not None and not 1 <= given <= most:
                raise LayerError(name, f"{given} is not in 1..{most}")
        self.kernel_size = kernel
        self.in_channels = in_channels or self.op.in_channels
        self.out_channels = out_channels or self.op.out_channels

    def weight(self) -> Tensor:
        """Return the weights of the part in use, (out_channels, in_channels, kernel...)."""
        part = self.op.weight[: self.out_channels, : self.in_channels]
        if self.kernel_size == self.kernels[0]:
            return part
        transform = self.ktm_list[self.kernels.index(self.kernel_size) - 1]
        shape = (*part.shape[:2], *(self.kernel_size,) * (part.dim() - 2))
        return torch.matmul(part.flatten(2), transform).reshape(shape)

    def forward(self, x: Tensor) -> Tensor:
        """Return the output of the part in use, clamped to [-1, 127/128].

        `x` has as many channels as are in use.
        """
        if self.pool is not None:
            x = self.pool(x)
        bias = None if self.op.bias is None else self.op.bias[: self.out_channels]
        convolve = functional.conv2d if isinstance(self.op, nn.Conv2d) else functional.conv1d
        y = convolve(
            x,
            self.weight(),
            bias,
            self.op.stride,
            self._paddings[self.kernel_size],
        )
        if self.bn is not None:
            y = self._normalised(self.bn, y) / BN_DIVISOR
        if self.activation == "ReLU":
            y = functional.relu(y)
        return y.clamp(-1, 127 / 128)

    def _normalised(self, bn: Norm, y: Tensor) -> Tensor:
        """Return the batch norm of the channels in use, whose statistics it updates in training."""
        n = self.out_channels
        if self.training and bn.num_batches_tracked is not None:
            bn.num_batches_tracked.add_(1)
        mean, variance = cast("Tensor", bn.running_mean), cast("Tensor", bn.running_var)
        return functional.batch_norm(
            y,
            mean[:n],
            variance[:n],
            bn.weight[:n],
            bn.bias[:n],
            self.training,
            bn.momentum or 0.0,
            bn.eps,
        )


def kernel_options(kernel: int, padding: int, axes: int) -> list[tuple[int, int]]:
    """Return the smaller kernels that a layer offers, each with its padding."""
    if axes == 2:
        return [(1, 0)] if kernel == 3 else []
    options = []
    while kernel > 2 and padding > 0:
        kernel, padding = kernel - 2, padding - 1
        options.append((kernel, padding))
    return options


def _centre(kernel: int, smaller: int, axes: int) -> nn.Parameter:
    """Return the matrix that cuts the centre out of a flattened kernel."""
    taps = torch.arange(kernel**axes).reshape((kernel,) * axes)
    margin = (kernel - smaller) // 2
    inner = taps[(slice(margin, margin + smaller),) * axes].flatten()
    return nn.Parameter(torch.eye(kernel**axes)[:, inner])


class Conv2d(ElasticLayer, preset=conv2d.Conv2d):
    """Convolution with a 3x3 kernel, of which the 1x1 in the middle can be used."""


class FusedConv2dReLU(Conv2d, preset=conv2d.FusedConv2dReLU):
    """Convolution and ReLU."""


class FusedConv2dBNReLU(Conv2d, preset=conv2d.FusedConv2dBNReLU):
    """Convolution, batch norm and ReLU."""


class FusedMaxPoolConv2d(Conv2d, preset=conv2d.FusedMaxPoolConv2d):
    """Max pool and convolution."""


class FusedMaxPoolConv2dBN(Conv2d, preset=conv2d.FusedMaxPoolConv2dBN):
    """Max pool, convolution and batch norm."""


class FusedMaxPoolConv2dReLU(Conv2d, preset=conv2d.FusedMaxPoolConv2dReLU):
    """Max pool, convolution and ReLU."""


class FusedMaxPoolConv2dBNReLU(Conv2d, preset=conv2d.FusedMaxPoolConv2dBNReLU):
    """Max pool, convolution, batch norm and ReLU."""


class Conv1d(ElasticLayer, preset=conv1d.Conv1d):
    """Convolution of sequences, of whose kernel a part around the middle can be used."""


class FusedConv1dReLU(Conv1d, preset=conv1d.FusedConv1dReLU):
    """Convolution and ReLU."""


class FusedConv1dBNReLU(Conv1d, preset=conv1d.FusedConv1dBNReLU):
    """Convolution, batch norm and ReLU."""


class FusedMaxPoolConv1d(Conv1d, preset=conv1d.FusedMaxPoolConv1d):
    """Max pool and convolution."""


class FusedMaxPoolConv1dBN(Conv1d, preset=conv1d.FusedMaxPoolConv1dBN):
    """Max pool, convolution and batch norm."""


class FusedMaxPoolConv1dReLU(Conv1d, preset=conv1d.FusedMaxPoolConv1dReLU):
    """Max pool, convolution and ReLU."""


class FusedMaxPoolConv1dBNReLU(Conv1d, preset=conv1d.FusedMaxPoolConv1dBNReLU):
    """Max pool, convolution, batch norm and ReLU."""
