"""One-bit weights in a form that the kernel memory can hold."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from ai8xc.device import Device
from ai8xc.dialects import ai8x
from ai8xc.ir.core import Graph, Op, make_graph
from ai8xc.ir.passes import Pass, PassContext, register
from ai8xc.passes.layers.limits import lanes_of, passes_of


@register
@dataclass(frozen=True)
class WidenBinary(Pass):
    """Give 2 bits to weights of +1 and -1 where zeros are stored with them, or no device has them.

    A dilated kernel has zeros between its values, and a pass that is not full has them for the
    channels that are absent: neither is +1 or -1. What one stored bit means is one setting of the
    whole network (CTL, bit `binary`), so that weights of 0 and -1 get 2 bits beside binary ones.
    """

    name: ClassVar[str] = "widen-binary"
    needs: ClassVar[frozenset[str]] = frozenset({"ai8x"})

    def run(self, graph: Graph, ctx: PassContext) -> Graph:
        """Return the graph with at most one kind of one-bit weights."""
        return widened(graph, ctx.need(Device))


def widened(graph: Graph, device: Device) -> Graph:
    """Return the graph with at most one kind of one-bit weights, and none beside zeros."""
    layers = [op for op in graph.ops if isinstance(op, ai8x.Weighted)]
    binary = {layer for layer in layers if layer.weight.type.element == "bin"}
    wide = {layer for layer in binary if stores_zeros(layer, device)}
    if not device.has("binary-weights"):
        wide = binary
    if binary - wide:
        wide |= {layer for layer in layers if layer.weight.type.element == "i1"}
    return _with_two_bits(graph, wide) if wide else graph


def stores_zeros(layer: ai8x.Weighted, device: Device) -> bool:
    """Whether kernels are stored with values that the weights do not have."""
    channels = layer.in_shape[0]
    if isinstance(layer, ai8x.Conv1d) and layer.dilation != (1, 1):
        return True
    return channels != passes_of(channels, device) * lanes_of(channels, device)


def _with_two_bits(graph: Graph, layers: set[ai8x.Weighted]) -> Graph:
    """Return the graph with 2-bit weights in these layers, their total shift unchanged."""
    others = {op.weight for op in graph.ops if isinstance(op, ai8x.Weighted) and op not in layers}
    weights = {op.weight for op in layers}
    new: dict[Op, Op] = {}
    wider: dict[Op, Op] = {}
    ops: list[Op] = []
    for op in graph.ops:
        if isinstance(op, ai8x.Constant) and op in weights:
            wider[op] = replace(op, element="i2")
            ops += [wider[op], *([op] if op in others else [])]
            continue
        current = op.with_operands(new)
        if isinstance(current, ai8x.Weighted) and op in layers:
            shift = current.output_shift + 1
            current = replace(current, weight=wider[current.weight], output_shift=shift)
        new[op] = current
        ops.append(current)
    outputs = [new[op] for op in graph.outputs]
    return make_graph(graph.name, graph.level, ops, outputs, graph.attributes)
