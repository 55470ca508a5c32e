"""Strided convolutions of the network's input as ordinary ones of the folded input."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from ai8xc.device import Device
from ai8xc.dialects import q
from ai8xc.ir.core import Data, Graph, Input, Op, make_graph
from ai8xc.ir.passes import Pass, PassContext, register
from ai8xc.ir.types import Array
from ai8xc.passes.densify_groups import holds_zero


@register
@dataclass(frozen=True)
class FoldInput(Pass):
    """conv(x){stride s} => conv(x folded by s), for the network's input.

    Folding makes s x s channels of each: channel (c * s + i) * s + j at row y and column x is
    channel c at row y * s + i and column x * s + j. Loading does it for nothing, and the layer has
    an s * s-th of the pixels. The graph's attribute `fold` is (s, s). Folds where the window on
    folded data has at most three rows and columns and all channels fit one pass.
    """

    name: ClassVar[str] = "fold-input"
    needs: ClassVar[frozenset[str]] = frozenset({"q", "rank4"})

    def run(self, graph: Graph, ctx: PassContext) -> Graph:
        """Return the graph, folded if that helps."""
        device = ctx.need(Device)
        if len(graph.inputs) != 1 or graph.get("fold") is not None:
            return graph
        x = graph.inputs[0]
        readers = [op for op in graph.ops if x in op.operands]
        if len(readers) != 1 or x in graph.outputs:
            return graph
        conv = readers[0]
        if not isinstance(conv, q.Conv) or not _folds(conv, device):
            return graph
        made = _folded(x, conv)
        if made.type.shape != conv.type.shape or (_cut(made) and not _pooled(graph, conv)):
            return graph
        new: dict[Op, Op] = {conv: made}
        ops: list[Op] = []
        for op in graph.ops:
            if op not in (x, conv):
                current = op.with_operands(new)
                new[op] = current
                ops.append(current)
            elif op is conv:
                ops.append(made)
        outputs = [new[op] for op in graph.outputs]
        folded = make_graph(graph.name, graph.level, ops, outputs, graph.attributes)
        return _without_old(folded, x).having(fold=conv.geometry.strides)


def _cut(made: q.Conv) -> bool:
    """Whether no window with equal padding gives so many columns: one of them must be left out."""
    return (made.x.type.shape[3] - made.type.shape[3]) % 2 == 1


def _pooled(graph: Graph, conv: q.Conv) -> bool:
    """Whether only pools read the value; they may stop before its last column."""
    readers = [op for op in graph.ops if conv in op.operands]
    pools = all(isinstance(op, q.MaxPool | q.AveragePool) for op in readers)
    return pools and conv not in graph.outputs


def _without_old(graph: Graph, old: Op) -> Graph:
    kept = tuple(op for op in graph.ops if op is not old)
    return replace(graph, ops=kept)


def _folds(conv: q.Conv, device: Device) -> bool:
    strides, sizes = conv.geometry.strides, conv.x.type.shape[2:]
    if len(set(strides)) != 1 or strides[0] == 1 or set(conv.geometry.dilations) != {1}:
        return False
    if not isinstance(conv.weight, q.Constant) or conv.groups != 1:
        return False
    s = strides[0]
    if any(size % s for size in sizes) or conv.x.type.shape[1] * s * s > device.processors:
        return False
    spans = [_span(k, p, s) for k, p in zip(conv.kernel, conv.geometry.pads, strict=False)]
    ends = [_end(conv, axis) for axis in (0, 1)]
    return all(taps <= 3 for _, taps in spans) and min(ends) >= 0


def _span(taps: int, begin: int, stride: int) -> tuple[int, int]:
    """Return the first folded row, relative to the output's, and the number of folded rows."""
    first, last = -begin // stride, (taps - 1 - begin) // stride
    return first, last - first + 1


def _end(conv: q.Conv, axis: int) -> int:
    """Return the padding behind the folded data that gives as many outputs."""
    s = conv.geometry.strides[axis]
    first, taps = _span(conv.kernel[axis], conv.geometry.pads[axis], s)
    return conv.type.shape[2 + axis] - conv.x.type.shape[2 + axis] // s + first + taps - 1


def _folded(x: Input, conv: q.Conv) -> q.Conv:
    assert isinstance(conv.weight, q.Constant)
    s, pads = conv.geometry.strides[0], conv.geometry.pads
    channels, rows, columns = x.type.shape[1:]
    shape = (1, channels * s * s, rows // s, columns // s)
    spans = [_span(k, p, s) for k, p in zip(conv.kernel, pads, strict=False)]
    weight = _folded_weight(conv.weight.value.array, s, pads, spans)
    element = holds_zero(conv.weight.element)
    made = replace(conv.weight, value=Data(weight), element=element)
    ends = tuple(_end(conv, axis) for axis in (0, 1))
    return replace(
        conv,
        x=replace(x, value_type=x.type.with_shape(shape)),
        weight=made,
        strides=(),
        pads=(-spans[0][0], -spans[1][0], *ends),
        output_shift=conv.output_shift + (element != conv.weight.element),
    )


def _folded_weight(
    array: Array, s: int, pads: tuple[int, ...], spans: list[tuple[int, int]]
) -> Array:
    outputs, channels, rows, columns = array.shape
    wide = np.zeros((outputs, channels, s, s, spans[0][1], spans[1][1]), array.dtype)
    for i in range(rows):
        row, phase = divmod(i - pads[0], s)
        for j in range(columns):
            column, other = divmod(j - pads[1], s)
            wide[:, :, phase, other, row - spans[0][0], column - spans[1][0]] = array[:, :, i, j]
    return wide.reshape(outputs, channels * s * s, spans[0][1], spans[1][1])
