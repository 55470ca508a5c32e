"""What is wrong with the value of a key of a layer."""

from __future__ import annotations

from ai8xc.rules.description.rule import described

PROC_MISSING = described(
    "PROC-MISSING",
    "2.3",
    "`{layer}` has no `processors`",
    """Each layer names the processors that it reads from, one bit each: `processors:
    0x000000000000000f`.""",
    title="processors given",
    cure="""give one bit for each input channel: `processors: 0x000000000000000f` for four; or
    place the network anew: `--replace` needs no maps""",
)
PROC_RANGE = described(
    "PROC-RANGE",
    "2.3",
    "`{key}` of `{layer}` is {value}, not a map of 64 processors",
    "A map is an integer with one bit for each processor and at least one bit set.",
    title="64 processors",
    limit="1 to 2^64 - 1",
    cure="give one bit for each channel of a pass, 64 at most: `0x000000000000000f` for four",
)
SEQ_DUP = described(
    "SEQ-DUP",
    "2.3",
    "two layers have the sequence number {number}",
    "Layers are sorted by their sequence numbers.",
    title="one layer for a number",
    cure="give each layer a number of its own, or leave `sequence` out",
)
QUANT_VALUE = described(
    "QUANT-VALUE",
    "2.3",
    "`{layer}` has `quantization: {value}`",
    "Weights have 1, 2, 4 or 8 bits, or are `binary`: -1 and +1.",
    title="weight width",
    limit="{bits}, or binary where the device has it",
    cure="give 1, 2, 4 or 8: 3-bit weights fit in 4 bits, with the same outputs",
)
OUTWIDTH_VALUE = described(
    "OUTWIDTH-VALUE",
    "2.3",
    "`{layer}` has `output_width: {value}`",
    "Outputs have 8 bits, or 32 bits for the processor's core.",
    title="output width",
    limit="{widths}",
    cure="leave the key out for 8 bits, or give 32 in the last layer",
)
ACT_VALUE = described(
    "ACT-VALUE",
    "2.3",
    "`{layer}` has the activation `{value}`",
    "Layers rectify, take the absolute value, or do neither.",
    title="activation",
    limit="relu, abs, none",
    cure="use `relu`, at no cost, and train again; or compute it on the core behind the last layer",
)
OP_VALUE = described(
    "OP-VALUE",
    "2.3",
    "`{layer}` has the operator `{value}`",
    "Operators are conv1d, conv2d, convtranspose2d, linear, passthrough, add, sub, or, xor.",
    title="operator",
    cure="use one of the operators of the list, or several layers of them",
)
ELT_VALUE = described(
    "ELT-VALUE",
    "2.3",
    "`{layer}` has the element-wise operation `{value}`",
    "Operands are added, subtracted, or combined bit by bit with or and xor.",
    title="element-wise operation",
    limit="add, sub, or, xor",
    cure="use add, sub, or, xor; a multiplication needs a convolution with constant weights",
)
OPERANDS_ELT = described(
    "OPERANDS-ELT",
    "2.3",
    "`{layer}` has {count} operands and no element-wise operation",
    "Several operands need an operation that combines them.",
    title="operands of an operation",
    cure="add `eltwise: add` (or sub, or, xor), or delete `operands`",
)
PAD_NEG = described(
    "PAD-NEG",
    "2.3",
    "`{layer}` has a padding of {value}",
    "Rows and columns are added, not removed; `in_crop` removes rows.",
    title="padding from 0",
    cure="use `in_crop` to remove rows, or a pool; `pad: 0` reads the data as they are",
)
OPAD_NEG = described(
    "OPAD-NEG",
    "2.3",
    "`{layer}` has an output padding of {value}",
    "Output padding is 1 for transposed convolutions and 0 elsewhere.",
    title="output padding from 0",
    cure="delete the key",
)
INDIM_FORM = described(
    "INDIM-FORM",
    "2.3",
    "`in_dim` of `{layer}` is {value}",
    "`in_dim` is a length, or rows and columns.",
    title="form of in_dim",
    cure="give `in_dim: 64` for a sequence, `in_dim: [28, 28]` for rows and columns",
)
DATAFMT_VALUE = described(
    "DATAFMT-VALUE",
    "2.3",
    "`{layer}` has the data format `{value}`",
    "Data are HWC (or `little`), the network's input may be CHW (or `big`).",
    title="data format",
    limit="hwc, chw",
    cure="give hwc or chw; which one, the application decides that writes the data",
)
STRIDE_FORM = described(
    "STRIDE-FORM",
    "2.3",
    "the strides {value} of `{layer}` differ",
    "One number is the stride of both axes.",
    title="equal strides",
    cure="give one number, and pool with it: the accelerator has no strides that differ",
)
STRIDE_POOL = described(
    "STRIDE-POOL",
    "2.3",
    "`{layer}` pools and has a stride of {value}",
    "The stride of a layer that pools is `pool_stride`.",
    title="no stride beside pools",
    cure="delete `stride`, and give `pool_stride`",
)
POOLDIL_POOL = described(
    "POOLDIL-POOL",
    "2.3",
    "`{layer}` has a pool dilation and no pool",
    "There is no window that could be dilated.",
    title="dilation of a pool",
    cure="delete the key, or add `max_pool` or `avg_pool`",
)
DIL_OP = described(
    "DIL-OP",
    "2.3",
    "`{layer}` has a dilation and no kernel",
    "Only convolutions have a kernel that could be dilated.",
    title="dilation of a kernel",
    cure="delete the key: it would change nothing",
)
NAME_DUP = described(
    "NAME-DUP",
    "2.3",
    "two layers are called `{name}`",
    "Names are compared without case.",
    title="names once",
    cure="give one of them another name",
)
NAME_RES = described(
    "NAME-RES",
    "2.3",
    "a layer cannot be called `{name}`",
    "`stop` and `input` have a meaning in sequences.",
    title="free names",
    cure="give it another name",
)
NAME_UNKNOWN = described(
    "NAME-UNKNOWN",
    "2.3",
    "`{key}` of `{layer}` names `{name}`, which is no layer",
    "Layers are named by their `name` or their sequence number.",
    title="known names",
    cure="correct the name, or add `name` to the layer that is meant",
)
BUF_SHIFT = described(
    "BUF-SHIFT",
    "2.3",
    "`buffer_shift` of `{layer}`: {why}",
    "A buffer is shifted by a positive number of rows by a layer that reads it.",
    title="shift of a buffer",
    cure="""delete the key, and keep earlier rows in the application: they are rows of the input
    then""",
)
BUF_INSERT = described(
    "BUF-INSERT",
    "2.3",
    "`buffer_insert` of `{layer}`: {why}",
    "The last rows of a buffer are replaced by a layer with an `out_offset`.",
    title="insertion into a buffer",
    cure="""delete the key, and keep earlier rows in the application: they are rows of the input
    then""",
)
BUF_KEYS = described(
    "BUF-KEYS",
    "2.3",
    "the data buffer: {why}",
    """A buffer has processors, channels, dim, offset and name; layers that read it give their
    offsets and sizes.""",
    title="keys of a buffer",
    cure="""delete the buffer, and keep earlier rows in the application: they are rows of the
    input then""",
)
UNLOAD_KEYS = described(
    "UNLOAD-KEYS",
    "2.3",
    "`unload`: {why}",
    "An entry has processors, channels, dim and offset, and may have width and write_gap.",
    title="keys of unload",
    cure="correct the entry, or delete it: every output layer is unloaded whole",
)
OP_DEFAULT = described(
    "OP-DEFAULT",
    "2.3",
    "`{layer}` has no operator, conv2d is assumed",
    "State the operator: `op: conv2d`.",
    "warning",
    title="operator given",
)
ACT_DEFAULT = described(
    "ACT-DEFAULT",
    "2.3",
    "`{layer}` has no activation",
    "Layers without the key do not rectify.",
    "note",
    title="activation given",
)
OUTOFF_DEFAULT = described(
    "OUTOFF-DEFAULT",
    "2.3",
    "`{layer}` has no `out_offset`, 0 is assumed",
    "Layers in turn usually write to different offsets.",
    "warning",
    title="output offset given",
)
POOLSTRIDE_DEFAULT = described(
    "POOLSTRIDE-DEFAULT",
    "2.3",
    "`{layer}` pools without `pool_stride`, 1 is assumed",
    "In most frameworks the default is the window.",
    "warning",
    title="pool stride given",
)
