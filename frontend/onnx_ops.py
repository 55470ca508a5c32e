"""The operators of ONNX that are imported, and what to do about some that are not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ai8xc.frontend import (
    onnx_arithmetic,
    onnx_constant,
    onnx_conv,
    onnx_quant,
    onnx_resize,
    onnx_shape,
)
from ai8xc.frontend.onnx_node import Converter

OLDEST_OPSET: Final = 9
NEWEST_OPSET: Final = 28
STANDARD_DOMAINS: Final = ("", "ai.onnx")

CONVERTERS: Final[Mapping[str, Converter]] = {
    **onnx_arithmetic.CONVERTERS,
    **onnx_constant.CONVERTERS,
    **onnx_conv.CONVERTERS,
    **onnx_quant.CONVERTERS,
    **onnx_resize.CONVERTERS,
    **onnx_shape.CONVERTERS,
}

_RELU: Final = "train the network with ReLU in its place"
_CONVOLUTION: Final = "use convolutions over time instead"
_BATCH_NORM: Final = "train with batch normalisation, which is folded into the convolutions"
_FLAT: Final = "export the network for one fixed shape, without control flow"

CURES: Final[Mapping[str, str]] = {
    **dict.fromkeys(
        ("Celu", "Elu", "Gelu", "HardSwish", "Mish", "PRelu", "Selu", "Softplus", "Swish"), _RELU
    ),
    **dict.fromkeys(("Erf", "HardSigmoid", "Softsign", "ThresholdedRelu"), _RELU),
    **dict.fromkeys(("GRU", "LSTM", "RNN"), _CONVOLUTION),
    **dict.fromkeys(
        ("GroupNormalization", "InstanceNormalization", "LayerNormalization"), _BATCH_NORM
    ),
    **dict.fromkeys(("LRN", "LpNormalization", "MeanVarianceNormalization"), _BATCH_NORM),
    **dict.fromkeys(("If", "Loop", "Scan"), _FLAT),
    "DepthToSpace": "use ConvTranspose or a nearest-neighbour Resize",
    "DynamicQuantizeLinear": "quantise the model statically",
    "LogSoftmax": "end the network with Softmax, or without it",
    "Max": "use Relu or Clip for a maximum with a constant",
    "Min": "use Clip for a minimum with a constant",
    "ReduceMax": "use GlobalMaxPool for a maximum over space",
    "ReduceSum": "use ReduceMean or GlobalAveragePool and scale the result",
    "SpaceToDepth": "fold the input before it enters the network",
}
"""An obvious way out for operators that are not imported."""

SHAPE_KEEPING: Final = frozenset(
    kind for kind, cure in CURES.items() if cure in (_RELU, _BATCH_NORM)
)
"""Operators that are not imported and give what they read in the same shape."""
