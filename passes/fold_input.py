"""Strided and large convolutions of the network's input as small ones of the folded input."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from ai8xc.device import Device
from ai8xc.dialects import q
from ai8xc.ir.core import Graph, Input, Op, make_graph
from ai8xc.ir.passes import Pass, PassContext, register
from ai8xc.passes.fold_windows import FACTORS, is_large, report
from ai8xc.passes.laws.folding import SIDE, as_loaded, folded_axes, folded_conv, named, spread


@register
@dataclass(frozen=True)
class FoldInput(Pass):
    """conv(x){stride s} => conv(x folded by s), for the network's input; unfold(...) if large.

    Folding makes s x s channels of each: channel (c * s + i) * s + j at row y and column x is
    channel c at row y * s + i and column x * s + j (of a sequence, s channels). Loading does it for
    nothing, and the layer has an s * s-th of the pixels. The graph's attribute `fold` is (s, s).
    Folds where the window on folded data is one of the hardware and all channels fit one pass.
    """

    name: ClassVar[str] = "fold-input"
    needs: ClassVar[frozenset[str]] = frozenset({"q", "rank4"})

    def run(self, graph: Graph, ctx: PassContext) -> Graph:
        """Return the graph, folded if that helps."""
        device = ctx.need(Device)
        conv = _first(graph)
        by = None if conv is None else _factors(conv, device)
        if conv is None or by is None:
            return graph
        x = graph.inputs[0]
        _, channels, rows, columns = x.type.shape
        shape = (1, channels * by[0] * by[1], rows // by[0], columns // by[1])
        data = replace(x, value_type=x.type.with_shape(shape))
        axes = folded_axes(conv, by)
        inner = folded_conv(conv, data, axes, as_loaded(by))
        phases = axes[0].phases
        if phases == 1 and _cut(inner, conv) and not _pooled(graph, conv):
            return graph
        if phases > 1:
            report(conv, 1 + phases.bit_length() - 1, ctx)
            inner = replace(inner, name=f"{conv.name}_inner")
        made = named(spread(inner, phases, conv.name), conv)
        return _replaced(graph, x, conv, made).having(fold=by)


def _first(graph: Graph) -> q.Conv | None:
    """Return the convolution that alone reads the input."""
    if len(graph.inputs) != 1 or graph.get("fold") is not None:
        return None
    x = graph.inputs[0]
    readers = [op for op in graph.ops if x in op.operands]
    if len(readers) != 1 or x in graph.outputs or not isinstance(readers[0], q.Conv):
        return None
    return readers[0]


def _cut(inner: q.Conv, conv: q.Conv) -> bool:
    """Whether no window with equal padding gives so many columns: one of them must be left out."""
    return (inner.x.type.shape[3] - conv.type.shape[3]) % 2 == 1


def _pooled(graph: Graph, conv: q.Conv) -> bool:
    """Whether only pools read the value; they may stop before its last column."""
    readers = [op for op in graph.ops if conv in op.operands]
    pools = all(isinstance(op, q.MaxPool | q.AveragePool) for op in readers)
    return pools and conv not in graph.outputs


def _factors(conv: q.Conv, device: Device) -> tuple[int, int] | None:
    """Return by how many rows and columns the input is folded."""
    if not isinstance(conv.weight, q.Constant):
        return None
    down, across = conv.geometry.strides
    if conv.x.type.shape[3] == 1 and conv.kernel[1] == 1:
        candidates = [(down, 1)] if down > 1 else []
        limit = device.max_kernel_1d
    elif down != across:
        return None
    else:
        large = [n for n in FACTORS if n > down and n % down == 0 and is_large(conv)]
        candidates = [(n, n) for n in ([down] if down > 1 else []) + large]
        limit = SIDE
    return next((by for by in candidates if _folds(conv, by, limit, device)), None)


def _folds(conv: q.Conv, by: tuple[int, int], limit: int, device: Device) -> bool:
    sizes, channels = conv.x.type.shape[2:], conv.x.type.shape[1] * by[0] * by[1]
    axes = folded_axes(conv, by)
    phases = axes[0].phases
    outputs = conv.type.shape[1] * phases * phases
    whole = not any(size % n for size, n in zip(sizes, by, strict=True))
    small = all(axis.window <= limit for axis in axes)
    written = phases == 1 or (not conv.wide and outputs <= device.bias_bytes_per_group)
    return whole and small and written and channels <= device.processors


def _replaced(graph: Graph, x: Input, conv: q.Conv, made: Op) -> Graph:
    """Return the graph with another first layer, on another input."""
    new: dict[Op, Op] = {conv: made}
    gone = {x, conv, *(op for op in conv.operands if graph.uses[op] == 1)}
    for op in graph.ops:
        if op not in gone:
            new[op] = op.with_operands(new)
    outputs = [new[op] for op in graph.outputs]
    return make_graph(graph.name, graph.level, new.values(), outputs, graph.attributes)
