"""The width of each layer's weights, as the user asked for it."""

from __future__ import annotations

from ai8xc.ir.core import Graph
from ai8xc.ir.diag import Diagnostic
from ai8xc.ir.loc import UNKNOWN
from ai8xc.passes.quantization.error import ELEMENT_OF_BITS
from ai8xc.passes.quantization.layers import WEIGHTED
from ai8xc.passes.quantization.rules import BAD_WEIGHT_BITS


def weight_bits(
    graph: Graph, default: int, by_layer: str
) -> tuple[dict[str, int], list[Diagnostic]]:
    """Return the bits of each layer with weights by name, and what is wrong in the request.

    `by_layer` is `layer=N,...` with op names or node names.
    """
    layers = [op for op in graph.ops if isinstance(op, WEIGHTED)]
    bits = dict.fromkeys((op.name for op in layers), default)
    findings = [] if default in ELEMENT_OF_BITS else [_wrong(f"{default}")]
    for entry in filter(None, (part.strip() for part in by_layer.split(","))):
        name, _, number = entry.rpartition("=")
        named = [op for op in layers if name == op.name or name in op.loc.nodes]
        if not named:
            known = ", ".join(f"`{op.name}`" for op in layers)
            findings.append(_wrong(f"`{entry}`", f"the layers with weights are {known}"))
        elif number not in map(str, ELEMENT_OF_BITS):
            findings.append(_wrong(f"`{entry}`"))
        else:
            bits.update(dict.fromkeys((op.name for op in named), int(number)))
    return bits, findings


def _wrong(given: str, note: str = "") -> Diagnostic:
    notes = [note] if note else []
    cure = "give 8, 4, 2 or 1, or `layer=N,...`"
    return BAD_WEIGHT_BITS.at(UNKNOWN, given=given, notes=notes, help=cure)
