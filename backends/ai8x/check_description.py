"""What the vendor's language of descriptions cannot say: found before a description is written.

Source: hardware semantics, sections 2.16 and 3.3.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Final

from ai8xc.dialects import ai8x
from ai8xc.dialects.settings import Settings
from ai8xc.ir.core import Graph
from ai8xc.ir.diag import Diagnostic, declare
from ai8xc.ir.loc import UNKNOWN
from ai8xc.ir.passes import Pass, PassContext, register

NOT_SAID = declare(
    "YAML-SAY",
    "`{layer}` cannot be described for the vendor's tool: {why}",
    """The vendor's language has one number for both sides of a padding, a dilation or a stride, and
    operands of one layer come each from one layer. `--emit c` and `--emit registers` have no such
    limit.""",
)
NO_START = declare(
    "YAML-START",
    "a description cannot begin with layer {number}",
    """In a description, layers are numbered from 0 on: one that starts later has all the layers in
    front. Leave `--start-layer` out.""",
)
UNEQUAL = declare(
    "YAML-CONCAT",
    "the vendor's tool refuses the inputs of `{layer}`, which have {channels} channels",
    """The hardware joins tensors of different channels, as the vendor's guide says, but the tool
    compares their channels. What is written here can be compiled with this compiler.""",
    "warning",
)

SIDES: Final = ("rows", "columns")


@dataclass(frozen=True)
class Wishes:
    """The groups in which layers, by name, want their biases; the others go where there is room."""

    bias_groups: Mapping[str, int] = field(default_factory=dict)


@register
@dataclass(frozen=True)
class CheckDescription(Pass):
    """Report what a description for the vendor's tool cannot say of a placed network.

    It comes in front of the places of biases: a wish for a group is still one.
    """

    name: ClassVar[str] = "check-description"
    needs: ClassVar[frozenset[str]] = frozenset({"ai8x", "placed"})

    def run(self, graph: Graph, ctx: PassContext) -> Graph:
        """Return the graph as it is."""
        start = Settings.of(graph).start_layer
        if start:
            ctx.report(NO_START.at(UNKNOWN, number=start))
        layers = ai8x.layers(graph.ops)
        groups = {x.name: x.place.bias_group for x in layers if x.place is not None}
        ctx.give(Wishes({name: group for name, group in groups.items() if group is not None}))
        for layer in layers:
            for why in _misfits(layer):
                ctx.report(NOT_SAID.at(layer, layer=layer.name, why=why))
            for finding in _joined(layer):
                ctx.report(finding)
        return graph


def _misfits(layer: ai8x.Layer) -> Iterator[str]:
    """Yield what has no words."""
    pairs: dict[str, tuple[int, ...]] = {}
    if isinstance(layer, ai8x.Conv2d | ai8x.ConvTranspose2d):
        pairs["padding"] = layer.pad
    if isinstance(layer, ai8x.Conv2d):
        pairs["dilation"] = layer.dilation
    for what, values in pairs.items():
        if len(set(values)) > 1:
            told = " and ".join(f"{n} for {side}" for n, side in zip(values, SIDES, strict=True))
            yield f"its {what} is {told}"
    channels = {x.type.shape[1] for x in layer.xs}
    if layer.eltwise != "none" and len(layer.xs) > 1 and len(channels) > 1:
        yield "one of its operands is made of several tensors"


def _joined(layer: ai8x.Layer) -> Iterator[Diagnostic]:
    """Yield tensors that are joined on channels, of which they have different numbers."""
    channels = [x.type.shape[1] for x in layer.xs]
    if layer.eltwise == "none" and layer.gather == "channels" and len(set(channels)) > 1:
        named = ", ".join(map(str, channels))
        yield UNEQUAL.at(layer, layer=layer.name, channels=named)
