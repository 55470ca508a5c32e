"""Channels, rows and columns that do not fit together."""

from __future__ import annotations

from ai8xc.rules.description.rule import described

CHAN_ZERO = described(
    "CHAN-ZERO",
    "2.4",
    "the input channels of `{layer}` are not known",
    "They follow from weights, from the layers that are read, or from `in_channels`.",
    title="channels known",
    cure="give `in_channels`",
)
DIM_POOL0 = described(
    "DIM-POOL0",
    "2.4",
    "`{layer}` pools {size} by {pool}, which leaves nothing",
    "A pool without padding needs data of at least its window.",
    title="pooled size",
    cure="""pool less, or by a smaller window: `max_pool` of at most the rows and columns; train
    again""",
)
DIM_OUT0 = described(
    "DIM-OUT0",
    "2.4",
    "`{layer}` has an output of {size}",
    "The kernel is larger than its padded input.",
    title="output size",
    cure="give `pad`, or a smaller kernel; train again",
)
DIM_CAT = described(
    "DIM-CAT",
    "2.4",
    "the inputs of `{layer}` have different sizes: {sizes}",
    "Inputs of different sizes are put one behind the other, which needs `in_dim`.",
    title="equal sizes of inputs",
    cure="""pool or crop them to one size in the layers before, or give `in_dim` for rows one
    behind the other""",
)
DIM_CATPIX = described(
    "DIM-CATPIX",
    "2.4",
    "`in_dim` of `{layer}` has {wanted} pixels, its inputs have {count}",
    "Inputs one behind the other fill `in_dim` exactly.",
    title="pixels of inputs",
    cure="give the rows and columns that the inputs fill together",
)
DIM_DATA = described(
    "DIM-DATA",
    "2.4",
    "`{layer}` reads {wanted}, its data are {given}",
    """Channels, rows and columns of a layer are those of the data that reach it, or a reshape of
    them.""",
    title="data fit the layer",
    cure="correct `in_channels` or `in_dim`, or delete them: they follow from the layers before",
)
DIM_1D2D = described(
    "DIM-1D2D",
    "2.4",
    "the 1-D output before `{layer}` is read by a 2-D operator",
    "Give `in_dim` for what is meant.",
    "warning",
    title="2-D data",
)
DIM_2D1D = described(
    "DIM-2D1D",
    "2.4",
    "`{layer}` is a 1-D convolution on data of {size}",
    "Sequences have one column; `in_dim` with one number makes one of rows and columns.",
    title="1-D data",
    cure="give `in_dim: LENGTH`, which makes one column of all pixels, or use conv2d",
)
IN_CAT_CHAN = described(
    "IN-CAT-CHAN",
    "2.4",
    "the operands of `{layer}` have {sizes} channels",
    """Operands of an element-wise operation have equally many channels. (The vendor's tool asks
    this of joined tensors too.)""",
    title="equal channels of operands",
    cure="give the layers before equally many output channels, or delete `eltwise` to join them",
)
