"""Rules of descriptions and their weights that are not in the catalogue of `ai8xc.rules`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from ai8xc.ir.diag import Diagnostic, Rule, declare
from ai8xc.ir.loc import Loc
from ai8xc.rules import description as known

KEY_RULES: Final[dict[str, Rule]] = {
    "processors": known.PROC_RANGE,
    "output_processors": known.PROC_RANGE,
    "quantization": known.QUANT_VALUE,
    "output_width": known.OUTWIDTH_VALUE,
    "activate": known.ACT_VALUE,
    "op": known.OP_VALUE,
    "eltwise": known.ELT_VALUE,
    "pad": known.PAD_NEG,
    "output_pad": known.OPAD_NEG,
    "in_dim": known.INDIM_FORM,
    "data_format": known.DATAFMT_VALUE,
    "stride": known.STRIDE_FORM,
    "buffer_shift": known.BUF_SHIFT,
    "buffer_insert": known.BUF_INSERT,
    "data_buffer": known.BUF_KEYS,
    "unload": known.UNLOAD_KEYS,
    "snoop_sequence": known.SNOOP_SEQ,
}
"""The rule about the values of a key; those of other keys break `CFG-VALUE`."""

PASSTHROUGH: Final[dict[str, Rule]] = {
    "activate": known.PASS_ACT,
    "pad": known.PASS_PAD,
    "output_shift": known.PASS_SHIFT,
    "output_width": known.PASS_WIDTH,
    "dilation": known.DIL_OP,
    "flatten": known.FLAT_OP,
}
"""The rule about a key that layers without operator do not have."""

STRIDES: Final[dict[str, Rule]] = {
    "conv1d": known.CONV1D_STRIDE,
    "convtranspose2d": known.X2D_STRIDE,
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
UNLOAD = declare(
    "UNLOAD-USE",
    "the entries of `unload` are not used",
    """The unload function copies every output layer whole, channels first. What the entries name
    otherwise is read with the addresses in `cnn.h`.""",
    "warning",
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
