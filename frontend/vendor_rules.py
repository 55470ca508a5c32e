"""Rules of the vendor's network description that the hardware level cannot express.

Ids and limits are those of the catalogue in the hardware semantics, section 2. What concerns
placed layers (channels, offsets, memories) is checked there and not here.
"""

from __future__ import annotations

from typing import Final

from ai8xc.ir.diag import Rule, declare

UNKNOWN_KEY = declare(
    "CFG-KEY",
    "there is no key `{key}` in a network description",
    "The manual lists the keys; a misspelt one would otherwise be ignored without a word.",
)
UNKNOWN_LAYER_KEY = declare(
    "LAYER-KEY",
    "there is no key `{key}` in a layer",
    "The manual lists the keys; a misspelt one would otherwise be ignored without a word.",
)
MISSING = declare(
    "CFG-MANDATORY",
    "`{key}` is missing",
    "A network description needs `arch`, `dataset` and `layers`.",
)
ALIAS_TWICE = declare(
    "LAYER-DUPALIAS",
    "`{key}` and `{other}` mean the same",
    "A layer may say a thing once, under one of its names.",
)
NO_PROCESSORS = declare(
    "PROC-MISSING",
    "`processors` is missing",
    "Every layer says which processors read its input: the channels lie in their memories.",
)
VALUE = declare(
    "CFG-VALUE",
    "`{key}`: {why}",
    "The manual gives the values that each key of a network description takes.",
)

_KEY_RULES: Final = {
    "processors": ("PROC-RANGE", "A processor map has one bit a processor, 64 at most."),
    "output_processors": ("OPROC-RANGE", "A processor map has one bit a processor, 64 at most."),
    "quantization": ("QUANT-VALUE", "Weights have 1, 2, 4 or 8 bits, or are `binary`: +1 and -1."),
    "output_width": ("OUTWIDTH-VALUE", "A layer gives 8 bits, or the accumulator's 32."),
    "activate": ("ACT-VALUE", "A layer rectifies (`relu`), takes magnitudes (`abs`) or neither."),
    "op": ("OP-VALUE", "Operators are conv1d, conv2d, convtranspose2d, linear and none."),
    "eltwise": ("ELT-VALUE", "Element-wise operations are add, sub, or, xor."),
    "operands": ("OPERANDS-RANGE", "An element-wise operation has 2 to 16 operands."),
    "pad": ("PAD-NEG", "Padding is a number of rows and columns, the same on all sides."),
    "output_pad": ("OPAD-NEG", "Output padding is a number of rows and columns."),
    "in_dim": ("INDIM-FORM", "A size is a length, or rows and columns."),
    "data_format": ("DATAFMT-VALUE", "The input is `hwc` (or `little`) or `chw` (or `big`)."),
    "stride": ("STRIDE-FORM", "Rows and columns have the same stride."),
    "buffer_shift": ("BUF-SHIFT", "A buffer is shifted by a positive number of rows."),
    "buffer_insert": ("BUF-INSERT", "A positive number of rows is put into a buffer."),
    "data_buffer": ("BUF-KEYS", "A buffer has processors, channels, dim, offset and name."),
    "unload": ("UNLOAD-KEYS", "An entry has processors, channels, dim, offset (width, write_gap)."),
    "snoop": ("NET-SNOOP", "Snooping takes 32 numbers: two snoopers of 12 registers, 8 results."),
}
KEY_RULES: Final[dict[str, Rule]] = {
    key: declare(id, "`{key}`: {why}", text) for key, (id, text) in _KEY_RULES.items()
}
"""The rule about the values of a key."""

SEQUENCE_TWICE = declare(
    "SEQ-DUP",
    "sequence number {number} stands twice",
    "Layers are put in order by their sequence numbers.",
)
NAME_TWICE = declare(
    "NAME-DUP", "the name `{name}` stands twice", "Layers are referred to by name in any case."
)
NAME_RESERVED = declare(
    "NAME-RES",
    "`{name}` cannot be the name of a layer",
    "References to `input` mean the network's input, to `stop` the end.",
)
UNKNOWN_NAME = declare(
    "NAME-UNKNOWN",
    "`{key}` refers to `{name}`, which is no layer",
    "A reference is a sequence number, a name, `input` (or -1), or `stop` for the next layer.",
)
FORWARD = declare(
    "SEQ-IN-FWD",
    "`in_sequences` refers to {name}, which has not run yet",
    "A layer reads what layers before it, in the order of execution, have written.",
)
NEXT = declare(
    "SEQ-NEXT",
    "the layer that follows is not the next one: {device} runs layers in order",
    "Jumps need the link to the next layer, which MAX78002 has.",
)
NEXT_RANGE = declare(
    "SEQ-NEXT-RANGE",
    "there is no layer {number}: the run ends here",
    "Write `stop` where the run shall end.",
    "warning",
)
UNREACHABLE = declare(
    "SEQ-UNREACHED",
    "`{layer}` never runs",
    """The layers run in the order of `next_sequence`; no step of it leads here. `--start-layer`
    and `--stop-after` say that layers are left out on purpose.""",
)
LOOP = declare(
    "SEQ-LOOP",
    "`next_sequence` leads back to `{layer}`",
    "The layers of a run follow each other once.",
)
START = declare(
    "NET-START",
    "the run cannot start at layer {number}: {why}",
    "Only MAX78002 can start behind the first layer, with an input in the data memory.",
)
PASSTHROUGH = {
    key: declare(f"PASS-{name}", "a layer without operator has no {what}", text)
    for key, name, what, text in (
        ("activation", "ACT", "activation", "Put the activation on the layer in front."),
        ("pad", "PAD", "padding", "Padding is zeros that an operator reads: leave `pad` out."),
        ("shift", "SHIFT", "`output_shift`", "Values pass through unchanged."),
        ("width", "WIDTH", "32-bit output", "Only accumulators have 32 bits."),
    )
}
"""What layers without operator cannot have."""

OPERANDS = declare(
    "OPERANDS-ELT",
    "`operands` without an element-wise operation",
    "`eltwise`, or an operator like `add`, says what is done with the operands.",
)
STRIDE_POOL = declare(
    "STRIDE-POOL",
    "`stride` {stride} in a layer that pools",
    "The pooling has the stride: write `pool_stride`.",
)
STRIDES = {
    kind: declare(
        f"{name}-STRIDE",
        "stride {stride} is not supported, the only one is {only}",
        "The data path computes every output pixel; pooling or the layer in front may skip some.",
    )
    for kind, name, only in (
        ("conv2d", "CONV2D", 1),
        ("conv1d", "CONV1D", 1),
        ("convtranspose2d", "X2D", 2),
    )
}
"""The rule about the stride of an operator."""

DILATION = declare(
    "DIL-OP", "dilation on a layer without operator", "Only kernels are dilated; leave it out."
)
DILATION_TRANSPOSED = declare(
    "X2D-DIL",
    "dilation {dilation} on a transposed convolution",
    "Only 1-D convolutions are dilated.",
)
POOL_DILATION = declare(
    "POOLDIL-POOL", "`pool_dilation` without pooling", "There is no window to dilate."
)
LINEAR_KERNEL = declare(
    "LINEAR-KERNEL", "`kernel_size` on a linear layer", "A linear layer is a 1x1 kernel."
)
OUTPUT_PAD = declare(
    "OPAD-OTHER",
    "output padding {pad} on a layer that is no transposed convolution",
    "Only transposed convolutions have it.",
)
OUTPUT_PAD_TRANSPOSED = declare(
    "X2D-OPAD",
    "output padding {pad} on a transposed convolution",
    "The hardware doubles the size: output padding is 1.",
)
FLATTEN = declare(
    "FLAT-OP",
    "`flatten` on a layer with operator {operator}",
    "Flattened data go through a matrix: `linear`, or a 1x1 convolution.",
)
SHAPE = declare(
    "DIM-DATA",
    "{found} values reach a layer of {wanted}",
    "The data that layers in front give, reshaped, are the channels x rows x columns of a layer.",
)
CHANNELS = declare(
    "CHAN-ZERO", "the number of channels is not known", "Give `in_channels`, or weights."
)
NO_SIZE = declare(
    "INP-SIZE",
    "the size of the network's input is not known",
    "Give `in_dim` in the first layer, or a sample.",
)
JOINED = declare(
    "DIM-CAT",
    "inputs of {shapes} are joined without `in_dim`",
    "Tensors of different sizes can only be joined pixel by pixel, in the size that `in_dim` says.",
)
JOINED_PIXELS = declare(
    "DIM-CATPIX",
    "inputs of {found} pixels are joined to {wanted}",
    "`in_dim`, with the rows of `in_crop`, covers the pixels of all inputs.",
)
JOINED_CHANNELS = declare(
    "IN-CAT-CHAN",
    "element-wise operands of {channels} channels",
    "The operands of an element-wise operation have the same shape.",
)
KERNEL = declare(
    "KERNEL-WEIGHTS",
    "the kernel is {kernel}, the weights `{name}` have {weights}",
    "Weights are M x C/groups x rows x columns (or x length), as `kernel_size` says.",
)
WEIGHT_SHAPE = declare(
    "WEIGHT-SHAPE",
    "the weights `{name}` are {weights}: {why}",
    "Weights are M x C/groups x rows x columns, for linear layers M x inputs.",
)
WEIGHT_COUNT = declare(
    "NET-WCOUNT",
    "the network has {layers} layers with weights, the file has weights for {found}",
    """Weights belong to the layers that have any, in order. A layer that is left out of the
    description by mistake would otherwise change nothing that one sees.""",
)
WEIGHTS_LEFT = declare(
    "CK012",
    "the network has {layers} layers with weights, the file has arrays for {found}",
    "Test networks share files of arrays; the first ones are taken.",
    "warning",
)
BIAS_LENGTH = declare(
    "BIAS-LEN",
    "{found} biases for {channels} output channels",
    "Each output channel has one bias.",
)
ARCH = declare(
    "NET-ARCH",
    "the checkpoint is for `{found}`, the network is `{wanted}`",
    "The architecture in the description and in the checkpoint must be the same, in any case.",
)
WEIGHT_FIT = declare(
    "QUANT-FIT",
    "the weights `{name}` hold {value}, which {bits} bits do not",
    "Quantise the checkpoint for the width that the description says.",
)
BINARY_VALUES = declare(
    "QUANT-BINVAL",
    "the binary weights `{name}` hold {value}",
    "Binary weights are +1 and -1.",
)
NO_WEIGHTS = declare(
    "NET-CKPT",
    "the network needs weights",
    "Give `--weights FILE`: a quantised checkpoint, or arrays in the order of the layers.",
)
OPERATOR_DEFAULT = declare(
    "OP-DEFAULT", "no operator is given: conv2d", "Say what the layer does.", "warning"
)
ACTIVATION_DEFAULT = declare(
    "ACT-DEFAULT", "no activation is given: none", "Say `activate: none` if so.", "note"
)
OFFSET_DEFAULT = declare(
    "OUTOFF-DEFAULT", "no `out_offset` is given: 0", "Say where the output lies.", "warning"
)
POOL_STRIDE_DEFAULT = declare(
    "POOLSTRIDE-DEFAULT",
    "no `pool_stride` is given: 1",
    "Windows that do not overlap have a stride.",
    "warning",
)
OUTPUT_LAST = declare(
    "NET-OUTPUT-LAST",
    "layers are marked `output`, the last one is not",
    "What the last layer computes is not read.",
    "warning",
)
