"""Rules of descriptions and their weights that are not in the catalogue of `ai8xc.rules`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from ai8xc.ir.diag import Diagnostic, Rule, declare
from ai8xc.ir.loc import Loc
from ai8xc.rules.description import of_keys, of_operators, of_sequence

KEY_RULES: Final[dict[str, Rule]] = {
    "processors": of_keys.PROC_RANGE,
    "output_processors": of_keys.PROC_RANGE,
    "quantization": of_keys.QUANT_VALUE,
    "output_width": of_keys.OUTWIDTH_VALUE,
    "activate": of_keys.ACT_VALUE,
    "op": of_keys.OP_VALUE,
    "eltwise": of_keys.ELT_VALUE,
    "pad": of_keys.PAD_NEG,
    "output_pad": of_keys.OPAD_NEG,
    "in_dim": of_keys.INDIM_FORM,
    "data_format": of_keys.DATAFMT_VALUE,
    "stride": of_keys.STRIDE_FORM,
    "buffer_shift": of_keys.BUF_SHIFT,
    "buffer_insert": of_keys.BUF_INSERT,
    "data_buffer": of_keys.BUF_KEYS,
    "unload": of_keys.UNLOAD_KEYS,
    "snoop_sequence": of_sequence.SNOOP_SEQ,
}
"""The rule about the values of a key; those of other keys break `CFG-VALUE`."""

PASSTHROUGH: Final[dict[str, Rule]] = {
    "activate": of_operators.PASS_ACT,
    "pad": of_operators.PASS_PAD,
    "output_shift": of_operators.PASS_SHIFT,
    "output_width": of_operators.PASS_WIDTH,
    "dilation": of_keys.DIL_OP,
    "flatten": of_operators.FLAT_OP,
}
"""The rule about a key that layers without operator do not have."""

STRIDES: Final[dict[str, Rule]] = {
    "conv1d": of_operators.CONV1D_STRIDE,
    "convtranspose2d": of_operators.X2D_STRIDE,
}
"""The rule about the stride of an operator, `CONV2D-STRIDE` for others."""

TOO_LARGE = declare(
    "CFG-SIZE",
    "the document {why}",
    """Aliases can make a small file stand for an enormous document, and integers can have any
    length. A network description needs neither.""",
)
LOOP = declare(
    "SEQ-LOOP",
    "`next_sequence` leads back to `{layer}`",
    "The layers of a run follow each other once.",
)
START = declare(
    "NET-START-RANGE",
    "the run cannot start at layer {number}: {why}",
    "`--start-layer` is the number of a layer.",
)
FLATTEN = declare(
    "FLAT-KERNEL",
    "`{layer}` flattens and is a {operator}",
    "Flattened data go through a matrix: `linear`, or a 1x1 convolution.",
)
BUFFER = declare(
    "BUF-USE",
    "`{layer}` uses the data buffer, which is not supported",
    """A data buffer holds samples of earlier runs. Networks here start from their input alone:
    keep earlier samples in the application and give them as channels or rows of the input.""",
)
NO_SIZE = declare(
    "INP-SIZE",
    "the size of the network's input is not known",
    "Give `in_dim` in the first layer, or a sample.",
)
WEIGHT_SHAPE = declare(
    "WEIGHT-SHAPE",
    "the weights `{name}` are {weights}: {why}",
    "Weights are M x C/groups x rows x columns, for linear layers M x inputs.",
)
WEIGHT_RANGE = declare(
    "WEIGHT-RANGE",
    "the weights `{name}` hold {value}, which 8 bits do not",
    "Weights have 8 bits at most.",
)
WEIGHTS_LEFT = declare(
    "WEIGHT-LEFT",
    "{wanted} layers with weights take the first of {count} arrays",
    "Test networks share files of arrays; those that are left are not used.",
    "warning",
)


def tell(
    rule: Rule,
    loc: Loc,
    values: Mapping[str, Any],
    notes: Iterable[str] = (),
    help: str | None = None,
) -> Diagnostic:
    """Return a finding whose message takes these values."""
    return rule.at(loc, notes=notes, help=help, **values)
