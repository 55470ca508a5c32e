"""Fully connected layers that the host computes, behind the accelerator's last layer."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from ai8xc.training.layers.context import Mode, settings_for


class SoftwareLinear(nn.Module):
    """Fully connected layer in software, without limits of size; it is not compiled.

    Input (n, in_features), output (n, out_features): in [-1, 127/128], in the simulation 16-bit
    integers.
    """

    def __init__(
        self, in_features: int, out_features: int, bias: bool | None = None, relu: bool = False
    ) -> None:
        super().__init__()
        self.mode: Mode = settings_for(type(self).__name__).mode
        self.relu = relu
        self.op = nn.Linear(in_features, out_features, bias=bias is True)

    def forward(self, x: Tensor) -> Tensor:
        """Return the layer's output in the range of the mode."""
        y = self.op(x)
        if self.mode == "simulate":
            y = torch.floor(y / 128 + 0.5).clamp(-(1 << 15), (1 << 15) - 1)
        else:
            y = y.clamp(-1.0, 127 / 128)
        return functional.relu(y) if self.relu else y


class FusedSoftwareLinearReLU(SoftwareLinear):
    """Fully connected layer and ReLU in software."""

    def __init__(
        self, in_features: int, out_features: int, bias: bool | None = None, relu: bool = True
    ) -> None:
        super().__init__(in_features, out_features, bias, relu)
