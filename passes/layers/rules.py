"""What no layer of the accelerator can do, and what to write instead."""

from ai8xc.ir.diag import declare

BATCH = declare(
    "AX101",
    "the network computes {count} samples at once",
    """The accelerator computes one sample at a time: the first axis of the input is 1. Export the
    model with a batch of 1.""",
)
KERNEL = declare(
    "AX102",
    "a kernel of {kernel} is not supported on {device}",
    """2-D convolutions have 1x1 or 3x3 windows (smaller ones are filled up with zeros), 1-D ones up
    to 9 values. Larger 2-D windows of up to 9x9 are computed on data folded by 2 or 4, where that
    gives no more than 1,024 channels. Others have no exact equivalent, because every layer rounds
    its output to 8 bits. Two 3x3 layers see 5x5, three see 7x7.""",
)
STRIDE = declare(
    "AX103",
    "strides {strides} have no exact equivalent here",
    """Layers move by one; a stride becomes a selection of every n-th row and column in front of
    the next layer, the same n for both and at most 16.""",
)
PADDING = declare(
    "AX104",
    "padding {pads} has no exact equivalent here",
    """Layers pad rows and columns with 0, 1 or 2 zeros on both sides alike. More is done by a
    layer that only copies where the sum of both sides is even.""",
)
GROUPS = declare(
    "AX105",
    "{groups} groups on {channels} channels cannot be computed",
    "Groups become an ordinary convolution whose other weights are zero.",
)
DILATION = declare(
    "AX106",
    "dilation {dilations} of a {kernel} kernel is not supported on {device}",
    """1-D kernels are dilated: up to 9 values with their gaps, or 2 and 3 values at any distance.
    Dilated 2-D windows are computed on folded data, where they see at most 3x3 of it.""",
)
TRANSPOSED = declare(
    "AX107",
    "this transposed convolution has no exact equivalent: {why}",
    """Transposed convolutions have a 3x3 window (smaller ones are filled up with zeros), stride 2
    and give twice the rows and columns. Others of stride 2 or 4 are convolutions whose channels
    become rows and columns, where those see at most 3x3 values.""",
)
POOL = declare(
    "AX108",
    "this pool is not supported on {device}: {why}",
    """Pools have windows of up to 16x16, equal strides of up to 16 for rows and columns and no
    padding of their own.""",
)
RESHAPE = declare(
    "AX109",
    "{before} cannot become {after} without moving data",
    """A layer can read rows and columns in another shape, and all values as one vector, but
    channels lie on processors and stay there.""",
)
LAYOUT = declare(
    "AX110",
    "`{opcode}` has no equivalent on the accelerator: {why}",
    "Moving data needs a layer that computes; see the help for one that does the same.",
)
OPERANDS = declare(
    "AX111",
    "{count} operands are too many for one layer",
    """A layer combines up to 16 operands and clamps once at the end; splitting a longer sum would
    clamp in between.""",
)
LINEAR = declare(
    "AX112",
    "a matrix on {shape} values is too large for one layer: {why}",
    """A flattening layer reads up to 256 pixels and 16,384 values; more than 64 channels must fill
    all passes. Pool first, or put a convolution with fewer channels in front.""",
)
ROUNDING = declare(
    "AX113",
    "averages are rounded in some pools and cut off in others",
    "The rounding of averages is one bit of the accelerator, for the whole network.",
)
APART = declare(
    "AX124",
    "{count} operands of {channels} channels lie too far apart for {device}",
    """The words of all operands lie between each other, those of each pass of 64 channels as well:
    a layer that writes one of them leaves out operands times passes minus one words.""",
)
JOIN = declare(
    "AX117",
    "joined tensors of {sizes} channels cannot lie side by side",
    """Up to 64 channels lie on processors side by side, each part from a multiple of 4 on; more
    are read in passes, and then no part lies in two of them: layers are cut, or copied.""",
)
