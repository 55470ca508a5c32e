"""Rules of vendor descriptions: what is wrong before there are layers to look at.

A front end yields these with the place in the description. Sources are the sections of the
hardware semantics; ids are those of its catalogue, or new ones where it has none.
"""

from __future__ import annotations

from typing import Unpack

from ai8xc.ir.diag import About, Rule, Severity, declare


def _rule(
    id: str,
    section: str,
    message: str,
    explanation: str,
    severity: Severity = "error",
    **about: Unpack[About],
) -> Rule:
    about.setdefault("level", "network" if id.startswith("NET") else "file")
    about["source"] = f"hardware semantics, section {section}"
    return declare(id, message, explanation, severity, **about)


CFG_FILE = _rule(
    "CFG-FILE",
    "2.1",
    "`{name}` cannot be read: {why}",
    "The description is a regular file with one YAML document.",
    title="readable file",
)
CFG_YAML = _rule(
    "CFG-YAML",
    "3.1",
    "the description is not YAML: {why}",
    "A description is one YAML 1.1 document of plain values: a mapping with the list `layers`.",
    title="YAML document",
)
CFG_DUPKEY = _rule(
    "CFG-DUPKEY",
    "2.1",
    "the key `{key}` is given twice",
    "In YAML the second value would silently replace the first.",
    title="keys once",
)
CFG_KEY = _rule(
    "CFG-KEY",
    "2.1",
    "there is no key `{key}` for a network",
    """Keys of a network are `arch`, `dataset`, `layers`, `output_map`, `unload`, `bias`,
    `weights`, `snoop` and `data_buffer`.""",
    title="known keys",
)
CFG_MANDATORY = _rule(
    "CFG-MANDATORY",
    "2.1",
    "the key `{key}` is missing",
    "`arch`, `dataset` and `layers` must be given.",
    title="mandatory keys",
)
CFG_VALUE = _rule(
    "CFG-VALUE",
    "3.2",
    "`{key}` cannot be {value}",
    "The value has another type than the key takes.",
    title="values of keys",
)
LAYER_KEY = _rule(
    "LAYER-KEY",
    "2.1",
    "`{layer}` has an unknown key `{key}`",
    "The manual lists the keys of a layer; a misspelt one would silently change nothing.",
    title="known keys of a layer",
)
LAYER_DUPALIAS = _rule(
    "LAYER-DUPALIAS",
    "2.1",
    "`{layer}` gives `{key}` and `{other}`, which are the same",
    "Some keys have several names; only one of them may be used in a layer.",
    title="one name of a key",
)
NET_CKPT = _rule(
    "NET-CKPT",
    "2.1",
    "network `{arch}` needs a checkpoint",
    """Only networks with `arch: test` take weights from arrays; others need the trained
    checkpoint: `--weights FILE`.""",
    title="checkpoint given",
)
NET_ARCH = _rule(
    "NET-ARCH",
    "2.1",
    "the checkpoint is of `{found}`, not of `{arch}`",
    "A checkpoint names the architecture that it was trained for.",
    title="matching checkpoint",
)
NET_CKPT_KEYS = _rule(
    "NET-CKPT-KEYS",
    "2.1",
    "the checkpoint has no `{key}`",
    "A checkpoint holds `state_dict` and `epoch`.",
    title="complete checkpoint",
)
NET_WCOUNT = _rule(
    "NET-WCOUNT",
    "2.1",
    "{count} weight tensors for {wanted} layers with weights",
    """Each convolution and linear layer without `weight_source` and `bypass` takes the next tensor
    of the checkpoint.""",
    title="weights for each layer",
)
NET_BN = _rule(
    "NET-BN",
    "2.1",
    "`{name}` looks like an unfolded batch norm",
    "Batch norms are folded into the layer before them when a checkpoint is quantised.",
    title="folded batch norm",
)
NET_PIPE = _rule(
    "NET-PIPE",
    "2.1",
    "{device} has no pipeline",
    "Only MAX78002 has one, and uses it unless told otherwise.",
    title="pipeline",
    feature="pipeline",
)
NET_PLL = _rule(
    "NET-PLL",
    "2.1",
    "{device} has no PLL",
    "Only MAX78002 can clock the accelerator by its PLL.",
    title="PLL",
    feature="pll",
)
NET_MAXSPEED = _rule(
    "NET-MAXSPEED",
    "2.1",
    "the fastest loading needs the PLL",
    "Kernels load at full speed only with the clock of the PLL.",
    title="fastest loading",
    feature="pll",
)
NET_CLKDIV = _rule(
    "NET-CLKDIV",
    "2.1",
    "a clock divider of {divider} is more than {d.clocks.max_divider}",
    "The divider is limited.",
    "note",
    title="clock divider",
    limit="1 to {d.clocks.max_divider}",
)
NET_ONESHOT_TIMER = _rule(
    "NET-ONESHOT-TIMER",
    "2.1",
    "a timer cannot measure one-shot execution",
    "The run stops after each layer.",
    title="one-shot without timer",
)
NET_OUTPUT_LAST = _rule(
    "NET-OUTPUT-LAST",
    "2.1",
    "`{layer}` is marked as output, but the last layer is not",
    """As soon as one layer has the key `output`, the last layer is none unless it has it too.""",
    "warning",
    title="last layer is an output",
)
NET_RISCV = _rule(
    "NET-RISCV",
    "2.1",
    "{what} needs the RISC-V core",
    "Deep sleep and the fast FIFO are the work of the second core, which needs its cache.",
    title="RISC-V core",
)
NET_SOFTMAX8 = _rule(
    "NET-SOFTMAX8",
    "2.1",
    "softmax of an 8-bit output",
    """A softmax is computed in software, from 32-bit values it is more exact: set `output_width:
    32`.""",
    "warning",
    title="softmax of 32 bits",
)
NET_SNOOPLOOP = _rule(
    "NET-SNOOPLOOP",
    "2.1",
    "the option for a loop on snooping is not supported",
    "Only the sequence of layers decides what runs.",
    title="no snoop loop",
)
INP_FILE = _rule(
    "INP-FILE",
    "2.2",
    "the sample `{name}` is missing",
    "The sample is given by `--sample`.",
    title="sample file",
)
INP_DTYPE = _rule(
    "INP-DTYPE",
    "2.2",
    "the sample holds {dtype}, not integers",
    "Samples of a description are 8-bit values.",
    title="integer sample",
)
INP_RANGE = _rule(
    "INP-RANGE",
    "2.2",
    "the sample holds {value}, 8 bits are -128 to 127",
    "Inputs of the accelerator are 8-bit integers.",
    title="8-bit sample",
    limit="-128 to 127",
)
INP_CHAN = _rule(
    "INP-CHAN",
    "2.2",
    "the sample has {count} channels, `{layer}` reads {wanted}",
    """The first layer reads all channels of the sample, operand by operand.""",
    title="channels of the sample",
)
INP_DIM = _rule(
    "INP-DIM",
    "2.2",
    "the sample has {size} values a channel, `{layer}` reads {wanted}",
    "Rows and columns of the sample are those of the first layer's `in_dim`.",
    title="size of the sample",
)
INP_SYNTH = _rule(
    "INP-SYNTH",
    "2.2",
    "an input cannot be synthesised here: {why}",
    """Synthesised input needs a FIFO, HWC data of one to four channels and a word count that
    divides the pixels.""",
    title="synthesised input",
)
PROC_MISSING = _rule(
    "PROC-MISSING",
    "2.3",
    "`{layer}` has no `processors`",
    """Each layer names the processors that it reads from, one bit each: `processors:
    0x000000000000000f`.""",
    title="processors given",
)
PROC_RANGE = _rule(
    "PROC-RANGE",
    "2.3",
    "`{key}` of `{layer}` is {value}, not a map of 64 processors",
    "A map is an integer with one bit for each processor and at least one bit set.",
    title="64 processors",
    limit="1 to 2^64 - 1",
)
SEQ_DUP = _rule(
    "SEQ-DUP",
    "2.3",
    "two layers have the sequence number {number}",
    "Layers are sorted by their sequence numbers.",
    title="one layer for a number",
)
QUANT_VALUE = _rule(
    "QUANT-VALUE",
    "2.3",
    "`{layer}` has `quantization: {value}`",
    "Weights have 1, 2, 4 or 8 bits, or are `binary`: -1 and +1.",
    title="weight width",
    limit="{bits}, or binary where the device has it",
)
OUTWIDTH_VALUE = _rule(
    "OUTWIDTH-VALUE",
    "2.3",
    "`{layer}` has `output_width: {value}`",
    "Outputs have 8 bits, or 32 bits for the processor's core.",
    title="output width",
    limit="{widths}",
)
ACT_VALUE = _rule(
    "ACT-VALUE",
    "2.3",
    "`{layer}` has the activation `{value}`",
    "Layers rectify, take the absolute value, or do neither.",
    title="activation",
    limit="relu, abs, none",
)
OP_VALUE = _rule(
    "OP-VALUE",
    "2.3",
    "`{layer}` has the operator `{value}`",
    "Operators are conv1d, conv2d, convtranspose2d, linear, passthrough, add, sub, or, xor.",
    title="operator",
)
ELT_VALUE = _rule(
    "ELT-VALUE",
    "2.3",
    "`{layer}` has the element-wise operation `{value}`",
    "Operands are added, subtracted, or combined bit by bit with or and xor.",
    title="element-wise operation",
    limit="add, sub, or, xor",
)
OPERANDS_ELT = _rule(
    "OPERANDS-ELT",
    "2.3",
    "`{layer}` has {count} operands and no element-wise operation",
    "Several operands need an operation that combines them.",
    title="operands of an operation",
)
PAD_NEG = _rule(
    "PAD-NEG",
    "2.3",
    "`{layer}` has a padding of {value}",
    "Rows and columns are added, not removed; `in_crop` removes rows.",
    title="padding from 0",
)
OPAD_NEG = _rule(
    "OPAD-NEG",
    "2.3",
    "`{layer}` has an output padding of {value}",
    "Output padding is 1 for transposed convolutions and 0 elsewhere.",
    title="output padding from 0",
)
INDIM_FORM = _rule(
    "INDIM-FORM",
    "2.3",
    "`in_dim` of `{layer}` is {value}",
    "`in_dim` is a length, or rows and columns.",
    title="form of in_dim",
)
DATAFMT_VALUE = _rule(
    "DATAFMT-VALUE",
    "2.3",
    "`{layer}` has the data format `{value}`",
    "Data are HWC (or `little`), the network's input may be CHW (or `big`).",
    title="data format",
    limit="hwc, chw",
)
STRIDE_FORM = _rule(
    "STRIDE-FORM",
    "2.3",
    "the strides {value} of `{layer}` differ",
    "One number is the stride of both axes.",
    title="equal strides",
)
STRIDE_POOL = _rule(
    "STRIDE-POOL",
    "2.3",
    "`{layer}` pools and has a stride of {value}",
    "The stride of a layer that pools is `pool_stride`.",
    title="no stride beside pools",
)
POOLDIL_POOL = _rule(
    "POOLDIL-POOL",
    "2.3",
    "`{layer}` has a pool dilation and no pool",
    "There is no window that could be dilated.",
    title="dilation of a pool",
)
DIL_OP = _rule(
    "DIL-OP",
    "2.3",
    "`{layer}` has a dilation and no kernel",
    "Only convolutions have a kernel that could be dilated.",
    title="dilation of a kernel",
)
NAME_DUP = _rule(
    "NAME-DUP",
    "2.3",
    "two layers are called `{name}`",
    "Names are compared without case.",
    title="names once",
)
NAME_RES = _rule(
    "NAME-RES",
    "2.3",
    "a layer cannot be called `{name}`",
    "`stop` and `input` have a meaning in sequences.",
    title="free names",
)
NAME_UNKNOWN = _rule(
    "NAME-UNKNOWN",
    "2.3",
    "`{key}` of `{layer}` names `{name}`, which is no layer",
    "Layers are named by their `name` or their sequence number.",
    title="known names",
)
BUF_SHIFT = _rule(
    "BUF-SHIFT",
    "2.3",
    "`buffer_shift` of `{layer}`: {why}",
    "A buffer is shifted by a positive number of rows by a layer that reads it.",
    title="shift of a buffer",
)
BUF_INSERT = _rule(
    "BUF-INSERT",
    "2.3",
    "`buffer_insert` of `{layer}`: {why}",
    "The last rows of a buffer are replaced by a layer with an `out_offset`.",
    title="insertion into a buffer",
)
BUF_KEYS = _rule(
    "BUF-KEYS",
    "2.3",
    "the data buffer: {why}",
    """A buffer has processors, channels, dim, offset and name; layers that read it give their
    offsets and sizes.""",
    title="keys of a buffer",
)
UNLOAD_KEYS = _rule(
    "UNLOAD-KEYS",
    "2.3",
    "`unload`: {why}",
    "An entry has processors, channels, dim and offset, and may have width and write_gap.",
    title="keys of unload",
)
OP_DEFAULT = _rule(
    "OP-DEFAULT",
    "2.3",
    "`{layer}` has no operator, conv2d is assumed",
    "State the operator: `op: conv2d`.",
    "warning",
    title="operator given",
)
ACT_DEFAULT = _rule(
    "ACT-DEFAULT",
    "2.3",
    "`{layer}` has no activation",
    "Layers without the key do not rectify.",
    "note",
    title="activation given",
)
OUTOFF_DEFAULT = _rule(
    "OUTOFF-DEFAULT",
    "2.3",
    "`{layer}` has no `out_offset`, 0 is assumed",
    "Layers in turn usually write to different offsets.",
    "warning",
    title="output offset given",
)
POOLSTRIDE_DEFAULT = _rule(
    "POOLSTRIDE-DEFAULT",
    "2.3",
    "`{layer}` pools without `pool_stride`, 1 is assumed",
    "In most frameworks the default is the window.",
    "warning",
    title="pool stride given",
)
CHAN_ZERO = _rule(
    "CHAN-ZERO",
    "2.4",
    "the input channels of `{layer}` are not known",
    "They follow from weights, from the layers that are read, or from `in_channels`.",
    title="channels known",
)
DIM_POOL0 = _rule(
    "DIM-POOL0",
    "2.4",
    "`{layer}` pools {size} by {pool}, which leaves nothing",
    "A pool without padding needs data of at least its window.",
    title="pooled size",
)
DIM_OUT0 = _rule(
    "DIM-OUT0",
    "2.4",
    "`{layer}` has an output of {size}",
    "The kernel is larger than its padded input.",
    title="output size",
)
DIM_CAT = _rule(
    "DIM-CAT",
    "2.4",
    "the inputs of `{layer}` have different sizes: {sizes}",
    "Inputs of different sizes are put one behind the other, which needs `in_dim`.",
    title="equal sizes of inputs",
)
DIM_CATPIX = _rule(
    "DIM-CATPIX",
    "2.4",
    "`in_dim` of `{layer}` has {wanted} pixels, its inputs have {count}",
    "Inputs one behind the other fill `in_dim` exactly.",
    title="pixels of inputs",
)
DIM_DATA = _rule(
    "DIM-DATA",
    "2.4",
    "`{layer}` reads {wanted}, its data are {given}",
    """Channels, rows and columns of a layer are those of the data that reach it, or a reshape of
    them.""",
    title="data fit the layer",
)
DIM_1D2D = _rule(
    "DIM-1D2D",
    "2.4",
    "the 1-D output before `{layer}` is read by a 2-D operator",
    "Give `in_dim` for what is meant.",
    "warning",
    title="2-D data",
)
DIM_2D1D = _rule(
    "DIM-2D1D",
    "2.4",
    "`{layer}` is a 1-D convolution on data of {size}",
    "Sequences have one column; `in_dim` with one number makes one of rows and columns.",
    title="1-D data",
)
IN_CAT_CHAN = _rule(
    "IN-CAT-CHAN",
    "2.4",
    "the operands of `{layer}` have {sizes} channels",
    """Operands of an element-wise operation have equally many channels. (The vendor's tool asks
    this of joined tensors too.)""",
    title="equal channels of operands",
)
LINEAR_KERNEL = _rule(
    "LINEAR-KERNEL",
    "2.5",
    "`{layer}` is linear and has a `kernel_size`",
    "A linear layer is a 1x1 convolution.",
    title="no kernel of a matrix",
)
CONV2D_STRIDE = _rule(
    "CONV2D-STRIDE",
    "2.5",
    "`{layer}` has a stride of {value}",
    """Windows move by one. A pool, or `pool_stride` alone, in front of the next layer takes every
    n-th value.""",
    title="stride of 2-D layers",
    limit="1",
)
CONV1D_STRIDE = _rule(
    "CONV1D-STRIDE",
    "2.6",
    "`{layer}` has a stride of {value}",
    """Windows move by one. `pool_stride` alone, in front of the next layer, takes every n-th
    value.""",
    title="stride of 1-D layers",
    limit="1",
)
GROUPS_DIV = _rule(
    "GROUPS-DIV",
    "2.5",
    "{groups} groups do not divide {channels} channels and {outputs} outputs of `{layer}`",
    "Each group has as many channels.",
    title="groups divide channels",
)
DW_FLATTEN = _rule(
    "DW-FLATTEN",
    "2.5",
    "`{layer}` flattens and has {groups} groups",
    "A matrix on all values has one group.",
    title="no groups of a matrix",
)
X2D_STRIDE = _rule(
    "X2D-STRIDE",
    "2.5",
    "`{layer}` has a stride of {value}, transposed convolutions have {d.transposed_stride}",
    "The data are spread by two.",
    title="stride of transposed layers",
    limit="{d.transposed_stride}",
)
X2D_OPAD = _rule(
    "X2D-OPAD",
    "2.5",
    "`{layer}` has an output padding of {value}",
    "Transposed convolutions give exactly twice the rows and columns with padding 1.",
    title="output padding of transposed layers",
    limit="{d.transposed_output_pad}",
)
OPAD_OTHER = _rule(
    "OPAD-OTHER",
    "2.5",
    "`{layer}` has an output padding of {value} and is no transposed convolution",
    "Only transposed convolutions have an output padding.",
    title="output padding elsewhere",
    limit="0",
)
X2D_DIL = _rule(
    "X2D-DIL",
    "2.5",
    "`{layer}` is transposed and has a dilation",
    "The 3x3 window of a transposed convolution is not dilated.",
    title="dilation of transposed layers",
    limit="1",
)
X1D = _rule(
    "X1D",
    "2.5",
    "`{layer}` is a transposed 1-D convolution",
    "Neither device has it; repeat the values and convolve.",
    title="transposed 1-D layers",
)
KERNEL_WEIGHTS = _rule(
    "KERNEL-WEIGHTS",
    "2.5",
    "`{layer}` has a kernel of {kernel}, its weights have {given}",
    "The weights come from another network, or in another order.",
    title="kernel of the weights",
)
FLAT_OP = _rule(
    "FLAT-OP",
    "2.5",
    "`{layer}` flattens without an operator",
    "Flattening is a way of reading for linear layers.",
    title="operator of a flatten layer",
)
PASS_ACT = _rule(
    "PASS-ACT",
    "2.8",
    "`{layer}` has no operator and an activation",
    "What activates comes behind the accumulator, which such a layer leaves out.",
    title="no activation without operator",
    limit="none",
)
PASS_PAD = _rule(
    "PASS-PAD",
    "2.8",
    "`{layer}` has no operator and a padding",
    "Pools and element-wise operations have no padding.",
    title="no padding without operator",
    limit="0",
)
PASS_SHIFT = _rule(
    "PASS-SHIFT",
    "2.8",
    "`{layer}` has no operator and an output shift",
    "Values are passed on as they are.",
    title="no shift without operator",
    limit="0",
)
PASS_WIDTH = _rule(
    "PASS-WIDTH",
    "2.8",
    "`{layer}` has no operator and an output of 32 bits",
    "Only the accumulator has 32 bits.",
    title="8 bits without operator",
    limit="8",
)
SEQ_NEXT_RANGE = _rule(
    "SEQ-NEXT-RANGE",
    "2.10",
    "`{layer}` names layer {number} as the next, which does not exist",
    "It is taken for a stop.",
    "warning",
    title="next layer exists",
)
SEQ_IN_FWD = _rule(
    "SEQ-IN-FWD",
    "2.10",
    "`{layer}` reads layer {number}, which has not run before it",
    "Layers read what earlier ones have written; on MAX78002 links may change the order.",
    title="inputs come before",
)
SEQ_UNREACHED = _rule(
    "SEQ-UNREACHED",
    "2.10",
    "`{layer}` is never reached",
    "The links between the layers pass it by.",
    title="layers that run",
)
SNOOP_SEQ = _rule(
    "SNOOP-SEQ",
    "2.10",
    "`snoop_sequence` of `{layer}` is {value}",
    "It is the number of a layer.",
    title="target of a snooper",
)
BIAS_LEN = _rule(
    "BIAS-LEN",
    "2.11",
    "`{layer}` has {count} biases for {outputs} outputs",
    "Weights and biases come from different networks, or in another order.",
    title="a bias for each output",
)
BIAS_RANGE = _rule(
    "BIAS-RANGE",
    "2.11",
    "`{layer}` has a bias of {value}, 8 bits are -128 to 127",
    "Biases are 8-bit integers in units of 128 accumulator steps.",
    title="8-bit biases",
    limit="-128 to 127",
)
FIFO_START = _rule(
    "FIFO-START",
    "2.14",
    "a FIFO feeds layer 0, the network starts at {number}",
    "See NET-START.",
    title="FIFO feeds layer 0",
)
FFIFO_RISCV = _rule(
    "FFIFO-RISCV",
    "2.14",
    "the fast FIFO needs the RISC-V core",
    "Only the second core can fill it.",
    title="fast FIFO and RISC-V",
)
MLATOR_32 = _rule(
    "MLATOR-32",
    "2.15",
    "the byte swapper is not used: the output has 32 bits",
    "It reorders bytes of 8-bit outputs.",
    "warning",
    title="byte swapper, 8 bits",
)
MLATOR_4 = _rule(
    "MLATOR-4",
    "2.15",
    "the byte swapper is not used: {pixels} pixels are no multiple of four",
    "It reorders four pixels at a time.",
    "warning",
    title="byte swapper, pixels of four",
)
MLATOR_SMALL = _rule(
    "MLATOR-SMALL",
    "2.15",
    "the byte swapper is not used for {pixels} pixels",
    "It reorders four pixels at a time.",
    "warning",
    title="byte swapper, four pixels",
)
MLATOR_ALIGN = _rule(
    "MLATOR-ALIGN",
    "2.15",
    "the byte swapper cannot unload this output: {why}",
    "It reads whole words of aligned processors.",
    title="byte swapper, alignment",
)
KAT_ZERO = _rule(
    "KAT-ZERO",
    "2.15",
    "the output of `{layer}` is 0 everywhere for the sample",
    "A known answer of zeros proves little; weights, shift or sample may be wrong.",
    "warning",
    title="output that tells something",
)
KAT_DEDUP = _rule(
    "KAT-DEDUP",
    "2.15",
    "`{layer}` has the weights of `{other}`, they are stored once",
    "Identical weights on the same processors share their place.",
    "note",
    title="weights stored once",
)
