"""Choose the group and the first byte of each layer's biases, in the order of the vendor.

Source: memory description, section 2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ai8xc.device import Device
from ai8xc.dialects.ai8x import Layer
from ai8xc.ir.core import Graph
from ai8xc.ir.diag import Diagnostic, declare
from ai8xc.ir.passes import Pass, PassContext, register
from ai8xc.passes.allocate_kernels import replace_places
from ai8xc.passes.hardware.biases import bias_bytes, spread_bias_bytes, spread_biases
from ai8xc.passes.hardware.layer import HardwareLayer, round_up
from ai8xc.passes.hardware.network import HardwareNetwork

BIASES_FULL = declare(
    "AX402",
    "the biases of `{layer}` do not fit: {count} bytes are needed",
    """Each group of processors has its own bias memory, and the biases of one layer lie in one
    group (those of a depthwise layer in every group that it uses).""",
)


@register
@dataclass(frozen=True)
class AllocateBiases(Pass):
    """Give the biases of each layer a group and a first byte: the longest into the emptiest group.

    Equal biases are stored once unless `deduplicate` is off. A `bias_group` without a
    `bias_start` in a layer's place is kept.
    """

    deduplicate: bool = True

    name: ClassVar[str] = "allocate-biases"
    needs: ClassVar[frozenset[str]] = frozenset({"ai8x", "placed"})
    gives: ClassVar[frozenset[str]] = frozenset({"biases-allocated"})

    def run(self, graph: Graph, ctx: PassContext) -> Graph:
        """Return the graph with the place of every bias; reports what does not fit."""
        device = ctx.need(Device)
        network = HardwareNetwork.of(graph, device)
        biased = [layer for layer in network.by_slot if layer.bias is not None]
        shared = _originals(biased) if self.deduplicate else {}
        fill = dict.fromkeys(range(device.groups), 0)
        found: dict[HardwareLayer, dict[str, object]] = {}
        for layer in biased:
            if layer not in shared and spread_biases(layer):
                found[layer] = {"bias_starts": _place_spread(layer, fill)}
        plain = [layer for layer in biased if not spread_biases(layer) and layer not in shared]
        for layer in sorted(plain, key=lambda layer: _key(layer, network)):
            group = _emptiest(layer, _candidates(layer, network), fill)
            start = round_up(fill[group], 4) if layer.calcx4 else fill[group]
            found[layer] = {"bias_group": group, "bias_start": start}
            fill[group] = start + len(bias_bytes(layer))
            if fill[group] > device.bias_bytes_per_group:
                ctx.report(_full(layer))
        found |= {layer: found[original] for layer, original in shared.items()}
        return replace_places(graph, _changes(found))


def _changes(found: dict[HardwareLayer, dict[str, object]]) -> dict[Layer, dict[str, object]]:
    return {layer.op: fields for layer, fields in found.items()}


def _full(layer: HardwareLayer) -> Diagnostic:
    size = layer.device.bias_bytes_per_group
    return BIASES_FULL.at(
        layer.op,
        layer=layer.op.name,
        count=len(bias_bytes(layer)),
        notes=(f"each group has {size} bytes",),
    )


def _place_spread(layer: HardwareLayer, fill: dict[int, int]) -> tuple[int | None, ...]:
    starts: list[int | None] = [None] * layer.device.groups
    for group in layer.groups_of(layer.processors):
        if layer.broadcast:
            fill[group] = round_up(fill[group], 4)
        starts[group] = fill[group]
    for group, values in spread_bias_bytes(layer).items():
        fill[group] += len(values)
    return tuple(starts)


def _key(layer: HardwareLayer, network: HardwareNetwork) -> int:
    """Return the rank of a layer: flatten layers (MAX78000), those without choice, long ones."""
    if layer.flatten and layer.device.has("flatten-bias-first"):
        return -1
    if len(_candidates(layer, network)) == 1:
        return 0
    return layer.device.bias_bytes_per_group - len(bias_bytes(layer))


def _candidates(layer: HardwareLayer, network: HardwareNetwork) -> tuple[int, ...]:
    wish = layer.place.bias_group
    return network.groups if wish is None else (wish,)


def _emptiest(layer: HardwareLayer, groups: tuple[int, ...], fill: dict[int, int]) -> int:
    step = 4 if layer.calcx4 else 1
    return min(groups, key=lambda group: round_up(fill[group], step))


def _originals(biased: list[HardwareLayer]) -> dict[HardwareLayer, HardwareLayer]:
    """Return the first layer with the same bytes, for each that repeats them."""
    seen: dict[object, HardwareLayer] = {}
    found: dict[HardwareLayer, HardwareLayer] = {}
    for layer in biased:
        spread = spread_biases(layer)
        place = (layer.processors, layer.output_processors) if spread else layer.place.bias_group
        key = (spread, place, layer.calcx4, bias_bytes(layer).tobytes())
        if key in seen:
            found[layer] = seen[key]
        else:
            seen[key] = layer
    return found
