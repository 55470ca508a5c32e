"""The integer level: the same layers in the accelerators' arithmetic.

Tensors are int8 (or int32 where a layer is `wide`) and carry their scale, the real value of one
integer step. Every result is fully determined by the op: see `ai8xc.numerics` for the arithmetic.
"""

from ai8xc.dialects.q.common import WEIGHT_BITS
from ai8xc.dialects.q.layout import Concat, Pad, Reshape, Resize, Slice, Transpose
from ai8xc.dialects.q.pointwise import Abs, Add, BitwiseOr, BitwiseXor, Relu, Sub
from ai8xc.dialects.q.pools import AveragePool, MaxPool
from ai8xc.dialects.q.weighted import Constant, Conv, ConvTranspose, Linear

__all__ = [
    "WEIGHT_BITS",
    "Abs",
    "Add",
    "AveragePool",
    "BitwiseOr",
    "BitwiseXor",
    "Concat",
    "Constant",
    "Conv",
    "ConvTranspose",
    "Linear",
    "MaxPool",
    "Pad",
    "Relu",
    "Reshape",
    "Resize",
    "Slice",
    "Sub",
    "Transpose",
]
