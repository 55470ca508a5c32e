"""Keys that an operator does not have."""

from __future__ import annotations

from ai8xc.rules.description.rule import described

LINEAR_KERNEL = described(
    "LINEAR-KERNEL",
    "2.5",
    "`{layer}` is linear and has a `kernel_size`",
    "A linear layer is a 1x1 convolution.",
    title="no kernel of a matrix",
    cure="delete the key, or use conv2d",
)
CONV2D_STRIDE = described(
    "CONV2D-STRIDE",
    "2.5",
    "`{layer}` has a stride of {value}",
    """Windows move by one. A pool, or `pool_stride` alone, in front of the next layer takes every
    n-th value.""",
    title="stride of 2-D layers",
    limit="1",
    cure="""delete the key, and give the next layer `pool_stride` with `max_pool: 1`: it takes
    the same values, `compile` does so for ONNX models""",
)
CONV1D_STRIDE = described(
    "CONV1D-STRIDE",
    "2.6",
    "`{layer}` has a stride of {value}",
    """Windows move by one. `pool_stride` alone, in front of the next layer, takes every n-th
    value.""",
    title="stride of 1-D layers",
    limit="1",
    cure="""delete the key, and give the next layer `pool_stride` with `max_pool: 1`: it takes
    the same values, `compile` does so for ONNX models""",
)
GROUPS_DIV = described(
    "GROUPS-DIV",
    "2.5",
    "{groups} groups do not divide {channels} channels and {outputs} outputs of `{layer}`",
    "Each group has as many channels.",
    title="groups divide channels",
    cure="train with a number of groups that divides both numbers of channels, or with one group",
)
DW_FLATTEN = described(
    "DW-FLATTEN",
    "2.5",
    "`{layer}` flattens and has {groups} groups",
    "A matrix on all values has one group.",
    title="no groups of a matrix",
    cure="delete `groups`: a matrix has one",
)
X2D_STRIDE = described(
    "X2D-STRIDE",
    "2.5",
    "`{layer}` has a stride of {value}, transposed convolutions have {d.transposed_stride}",
    "The data are spread by two.",
    title="stride of transposed layers",
    limit="{d.transposed_stride}",
    cure="delete the key: the stride is always 2",
)
X2D_OPAD = described(
    "X2D-OPAD",
    "2.5",
    "`{layer}` has an output padding of {value}",
    "Transposed convolutions give exactly twice the rows and columns with padding 1.",
    title="output padding of transposed layers",
    limit="{d.transposed_output_pad}",
    cure="give `output_pad: 1`: the output has exactly twice the rows and columns; train again",
)
OPAD_OTHER = described(
    "OPAD-OTHER",
    "2.5",
    "`{layer}` has an output padding of {value} and is no transposed convolution",
    "Only transposed convolutions have an output padding.",
    title="output padding elsewhere",
    limit="0",
    cure="delete the key",
)
X2D_DIL = described(
    "X2D-DIL",
    "2.5",
    "`{layer}` is transposed and has a dilation",
    "The 3x3 window of a transposed convolution is not dilated.",
    title="dilation of transposed layers",
    limit="1",
    cure="train without dilation: three layers of 3x3 behind each other see 7x7 values",
)
KERNEL_WEIGHTS = described(
    "KERNEL-WEIGHTS",
    "2.5",
    "`{layer}` has a kernel of {kernel}, its weights have {given}",
    "The weights come from another network, or in another order.",
    title="kernel of the weights",
    cure="correct `kernel_size`, or give the checkpoint of this network",
)
FLAT_OP = described(
    "FLAT-OP",
    "2.5",
    "`{layer}` flattens without an operator",
    "Flattening is a way of reading for linear layers.",
    title="operator of a flatten layer",
    cure="delete `flatten`, or use `op: linear`",
)
PASS_ACT = described(
    "PASS-ACT",
    "2.8",
    "`{layer}` has no operator and an activation",
    "What activates comes behind the accumulator, which such a layer leaves out.",
    title="no activation without operator",
    limit="none",
    cure="""delete the key where the layer before rectifies already, which changes nothing; or
    use a 1x1 conv2d with identity weights: one kernel for each pair of channels""",
)
PASS_PAD = described(
    "PASS-PAD",
    "2.8",
    "`{layer}` has no operator and a padding",
    "Pools and element-wise operations have no padding.",
    title="no padding without operator",
    limit="0",
    cure="pad in a convolution before; behind `relu`, zeros beside a maximum change nothing",
)
PASS_SHIFT = described(
    "PASS-SHIFT",
    "2.8",
    "`{layer}` has no operator and an output shift",
    "Values are passed on as they are.",
    title="no shift without operator",
    limit="0",
    cure="shift in the layer before or behind, at no cost",
)
PASS_WIDTH = described(
    "PASS-WIDTH",
    "2.8",
    "`{layer}` has no operator and an output of 32 bits",
    "Only the accumulator has 32 bits.",
    title="8 bits without operator",
    limit="8",
    cure="delete the key: values have 8 bits before and behind",
)
