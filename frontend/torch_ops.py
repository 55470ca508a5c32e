"""The operations of torch that are imported, and what to do about some that are not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ai8xc.frontend import torch_arithmetic, torch_layers, torch_shape
from ai8xc.frontend.torch_node import Converter

CONVERTERS: Final[Mapping[str, Converter]] = {
    **torch_arithmetic.CONVERTERS,
    **torch_layers.CONVERTERS,
    **torch_shape.CONVERTERS,
}

VIEWS: Final = frozenset(torch_shape.VIEWS | torch_arithmetic.VIEWS)
"""Operations whose result may be the same memory as their operand."""

_RELU: Final = "train the network with ReLU in its place"
_BATCH_NORM: Final = "train with batch normalisation, which is folded into the convolutions"
_CONVOLUTION: Final = "use convolutions over time instead"

CURES: Final[Mapping[str, str]] = {
    **dict.fromkeys(("celu", "elu", "gelu", "hardsigmoid", "hardswish", "mish", "prelu"), _RELU),
    **dict.fromkeys(("selu", "silu", "softplus"), _RELU),
    **dict.fromkeys(("group_norm", "instance_norm", "layer_norm"), _BATCH_NORM),
    **dict.fromkeys(("gru", "lstm", "rnn_tanh"), _CONVOLUTION),
    "amax": "use adaptive_max_pool2d for a maximum over space",
    "log_softmax": "end the network with softmax, or without it",
    "max": "use adaptive_max_pool2d for a maximum over space",
    "pixel_shuffle": "use ConvTranspose2d or nearest-neighbour interpolation",
    "pixel_unshuffle": "fold the input before it enters the network",
    "sum": "use mean and scale the result",
    "upsample_bilinear2d": "use nearest-neighbour interpolation",
}
"""An obvious way out for operations that are not imported, by name without the overload."""
