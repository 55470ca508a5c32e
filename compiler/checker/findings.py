"""What the replay of a placement may find."""

from __future__ import annotations

from ai8xc.ir.diag import Rule, declare

MISPLACED = declare(
    "AX130",
    "the placement of `{layer}` is wrong: {why}",
    """Every placement is replayed on labelled memories before registers are made of it. A network
    with places of its own (text, or a vendor description) must obey the layouts of the memories;
    in a placement that the compiler chose, this is a mistake of the compiler.""",
)

OVERWRITTEN = declare(
    "MEM-OVER-IN",
    "data are overwritten before they were read: {why}",
    """Two tensors that are needed at the same time must not share bytes of a data memory, and a
    layer must not write to words that it reads. The placement lets a layer do so where it has
    provably read each word by then; in a description only `--overlap-data` does, and a stream that
    ends in front of the layer.""",
    title="data that are still needed",
    level="network",
    source="hardware semantics, section 2.12",
    limit="no common bytes while both are needed",
    cure="move one of them by its offset, or to other processors",
)
NOT_WRITTEN = declare(
    "OPROC-NEXT",
    "`{layer}` reads where nothing was written: {why}",
    """A layer reads from the memories of its processors, at its input offset. The layer that
    computes the data must write to the same processors, at the same offset and with the same gaps.
    The vendor's tool does not check this.""",
    title="outputs lie where they are read",
    level="network",
    source="hardware semantics, section 2.9",
    limit="the processors, offset and gaps of the reader",
    cure="set `output_processors` and `out_offset` of the layer before to what this one reads",
)


class WrongError(Exception):
    """What is wrong with a layer, and the rule that it breaks."""

    def __init__(self, why: str, rule: Rule = MISPLACED) -> None:
        self.rule = rule
        super().__init__(why)
