"""What is wrong with the sample that goes with a description, and with what is unloaded."""

from __future__ import annotations

from ai8xc.rules.description.rule import described

INP_FILE = described(
    "INP-FILE",
    "2.2",
    "the sample `{name}` is missing",
    "The sample is given by `--sample`.",
    title="sample file",
    cure="give an existing `.npy` file, or leave `--sample` out: values are then drawn at random",
)
INP_DTYPE = described(
    "INP-DTYPE",
    "2.2",
    "the sample holds {dtype}, not numbers",
    """Samples are integers, in steps of 1/128, or real numbers in the range of the network.""",
    title="sample of numbers",
    cure="save it as integers: `np.save(file, sample.astype(np.int64))`",
)
INP_RANGE = described(
    "INP-RANGE",
    "2.2",
    "the integers of the sample go from {low} to {high}, 8 bits are -128 to 127",
    "Inputs of the accelerator are 8-bit integers.",
    title="8-bit sample",
    limit="-128 to 127",
    cure="scale it to -128 to 127, as in training: `np.clip(np.round(x * 128), -128, 127)`",
)
INP_CHAN = described(
    "INP-CHAN",
    "2.2",
    "the sample has {count} channels, `{layer}` reads {wanted}",
    """The first layer reads all channels of the sample, operand by operand.""",
    title="channels of the sample",
    cure="give a sample of the shape that the first layer reads",
)
INP_DIM = described(
    "INP-DIM",
    "2.2",
    "the sample has {size} values a channel, `{layer}` reads {wanted}",
    "Rows and columns of the sample are those of the first layer's `in_dim`.",
    title="size of the sample",
    cure="give a sample of the shape that the first layer reads, or correct `in_dim`",
)
INP_SYNTH = described(
    "INP-SYNTH",
    "2.2",
    "an input cannot be synthesised here: {why}",
    """Synthesised input needs a FIFO, HWC data of one to four channels and a word count that
    divides the pixels.""",
    title="synthesised input",
    cure="give a sample instead",
)
FFIFO_RISCV = described(
    "FFIFO-RISCV",
    "2.14",
    "the fast FIFO needs the RISC-V core",
    "Only the second core can fill it.",
    title="fast FIFO and RISC-V",
    cure="add `--riscv`, or use `--fifo`, which either core fills",
)
KAT_ZERO = described(
    "KAT-ZERO",
    "2.15",
    "the output of `{layer}` is 0 everywhere for the sample",
    "A known answer of zeros proves little; weights, shift or sample may be wrong.",
    "warning",
    title="output that tells something",
)
KAT_DEDUP = described(
    "KAT-DEDUP",
    "2.15",
    "`{layer}` has the weights of `{other}`, they are stored once",
    "Identical weights on the same processors share their place.",
    "note",
    title="weights stored once",
)
