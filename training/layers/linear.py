"""Fully connected layers."""

from __future__ import annotations

from torch import nn

from ai8xc.training.layers.context import settings_for
from ai8xc.training.layers.limits import MAX_LINEAR, in_range, require
from ai8xc.training.layers.module import Activation, Quantization
from ai8xc.training.layers.preset import PresetLayer


class Linear(PresetLayer):
    """Fully connected layer, optionally with an activation behind it.

    Input (n, in_features), output (n, out_features).

    Args:
        in_features: size of the input, up to 1024.
        out_features: size of the output, up to 1024.
        pooling: None; there is no pool in front of such a layer.
        bias: add a bias to each output; unlike for convolutions, the default is none.
        activation: `ReLU`, `Abs` or None.
        wide: 32-bit output, without activation.
        batchnorm: None.
        weight_bits: 1, 2, 4 or 8 for a quantised layer; by default the mode decides.
        bias_bits: the same as `weight_bits`.
        quantize_activation: True when bits are given.

    Raises:
        LayerError: the device has no such layer; `argument` names the reason.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - the vendor's signature
        self,
        in_features: int,
        out_features: int,
        pooling: None = None,
        bias: bool | None = None,
        activation: Activation | None = None,
        wide: bool = False,
        batchnorm: None = None,
        weight_bits: int | None = None,
        bias_bits: int | None = None,
        quantize_activation: bool = False,
    ) -> None:
        settings = settings_for(type(self).__name__)
        require(pooling is None, "pooling", "a linear layer has no pool")
        require(batchnorm is None, "batchnorm", "a linear layer has no batch norm")
        in_range("in_features", in_features, 1, MAX_LINEAR)
        in_range("out_features", out_features, 1, MAX_LINEAR)
        super().__init__(
            settings,
            Quantization(weight_bits, bias_bits, quantize_activation),
            op=nn.Linear(in_features, out_features, bias=bias is True),
            activation=self.preset.chosen_activation(activation),
            wide=wide,
        )


class FusedLinearReLU(Linear, activation="ReLU"):
    """Fully connected layer and ReLU."""


class FusedLinearAbs(Linear, activation="Abs"):
    """Fully connected layer and absolute value."""
