"""What can be said about a model on its way to integers."""

from __future__ import annotations

from ai8xc.ir.diag import declare

NO_INTEGER_FORM = declare(
    "Q010",
    "`{opcode}` has no integer form on the accelerators",
    """The accelerators multiply by constant weights, add and subtract tensors, pool, rectify and
    take magnitudes. Every other function has to be replaced before training, or to stand at the
    very end of the network, where it is left to the processor's core.""",
)
NOT_CONSTANT = declare(
    "Q011",
    "the {operand} of `{opcode}` is not a constant",
    "Weights and biases are stored in the accelerator before it starts, so they must be constants.",
)
HOST_TAIL = declare(
    "Q012",
    "`{opcode}` at the end of the network is left to the processor's core",
    """A function without an integer form may stand at the very end of a network: it is not part of
    the integer graph, whose attribute `host` names it in the order of computation. The class with
    the largest score is the same with and without a softmax or sigmoid.""",
    severity="note",
)
BIAS_CLAMPED = declare(
    "Q013",
    "{count} of {total} biases of `%{name}` do not fit and were limited",
    """A bias is an 8-bit integer in units of 128 accumulator steps. The quantiser gives up weight
    resolution where that costs less than limiting a bias; a bias that is still too large is
    limited to -128..127.""",
    severity="warning",
)
LIMIT_LOST = declare(
    "Q014",
    "the limit {limit} of `%{name}` is not kept: its integers reach {reach}",
    """An upper limit such as that of ReLU6 costs nothing when 127 steps are the limit. Where the
    tensor shares its scale with tensors of a larger range, it can grow beyond its limit.""",
    severity="note",
)
BAD_WEIGHT_BITS = declare(
    "Q015",
    "weight bits {given} are not possible",
    "Weights have 8, 4, 2 or 1 bits; layers are named as in the model or as in the IR text.",
)
REQUANTIZED = declare(
    "Q016",
    "`%{name}` does not keep the integers of the model: {why}",
    """A layer of a quantised model keeps its integers when weights and data have zero point 0 and
    at most 8 bits, one scale for the tensor, and a product of scales that is a power of two times
    the output's scale. Any other layer is quantised anew from the real values.""",
    severity="note",
)
RESCALED = declare(
    "Q017",
    "`%{name}` is rescaled by a layer of its own",
    """Tensors that meet in an add or a concat share one scale. Where the scale of one of them is
    given (a network input) or does not suit the other (a residual stream whose range has grown
    eightfold), a 1x1 convolution with a diagonal weight is put in between; it costs a layer and
    weights.""",
    severity="note",
)
BAD_OPERANDS = declare(
    "Q018",
    "`{opcode}` combines {what}",
    """An element-wise layer combines tensors of equal shape, computed by the network or given as
    its inputs. Constants belong into the weights or biases of a layer.""",
)
BAD_CALIBRATION = declare(
    "Q019",
    "calibration data {why}",
    """Calibration data are an array for each input of the network: any number of samples, each of
    the input's shape, finite and in its range.""",
)
NOT_FINITE = declare(
    "Q020",
    "the {operand} of `{opcode}` holds values that are NaN or infinite",
    "Training has diverged, or the file is damaged: integers can only stand for real numbers.",
)
BAD_INPUT_SCALE = declare(
    "Q021",
    "an input scale of {given} is not possible",
    "The input scale is the real value of one integer step: a finite number above 0.",
)
TOO_LARGE = declare(
    "Q022",
    "values of `%{name}` reach {peak}, which no integers can follow",
    """The quantiser runs the network on samples. Numbers this large come from weights that are
    broken, or from data that are not in the range that the network was trained for.""",
)
