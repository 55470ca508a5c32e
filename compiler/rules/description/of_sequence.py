"""The order of layers, and the weights and biases that they take."""

from __future__ import annotations

from ai8xc.rules.description.rule import described

SEQ_NEXT_RANGE = described(
    "SEQ-NEXT-RANGE",
    "2.10",
    "`{layer}` names layer {number} as the next, which does not exist",
    "It is taken for a stop.",
    "warning",
    title="next layer exists",
)
SEQ_IN_FWD = described(
    "SEQ-IN-FWD",
    "2.10",
    "`{layer}` reads layer {number}, which has not run before it",
    "Layers read what earlier ones have written; on MAX78002 links may change the order.",
    title="inputs come before",
    cure="name a layer that runs before, or change the order of the layers",
)
SEQ_UNREACHED = described(
    "SEQ-UNREACHED",
    "2.10",
    "`{layer}` is never reached",
    "The links between the layers pass it by.",
    title="layers that run",
    cure="delete the layer, or correct `next_sequence` of the one before",
)
SNOOP_SEQ = described(
    "SNOOP-SEQ",
    "2.10",
    "`snoop_sequence` of `{layer}` is {value}",
    "It is the number of a layer.",
    title="target of a snooper",
    cure="give the number of a layer",
)
BIAS_LEN = described(
    "BIAS-LEN",
    "2.11",
    "`{layer}` has {count} biases for {outputs} outputs",
    "Weights and biases come from different networks, or in another order.",
    title="a bias for each output",
    cure="give one bias for each output channel, or the checkpoint of this network",
)
BIAS_RANGE = described(
    "BIAS-RANGE",
    "2.11",
    "`{layer}` has a bias of {value}, 8 bits are -128 to 127",
    "Biases are 8-bit integers in units of 128 accumulator steps.",
    title="8-bit biases",
    limit="-128 to 127",
    cure="""quantise the checkpoint again with `ai8xc quantize`, which scales biases with their
    layer; larger ones saturate""",
)
