"""Matrices on more values, pixels or channels than a layer takes: the same, lying otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import prod
from typing import ClassVar

import numpy as np

from ai8xc.device import Device
from ai8xc.dialects import q
from ai8xc.ir.core import Data, Graph, Input, Op, make_graph
from ai8xc.ir.passes import Pass, PassContext, register
from ai8xc.ir.rewrite import Rule, rewrite
from ai8xc.ir.types import Array
from ai8xc.passes.fold_windows import FACTORS
from ai8xc.passes.laws.folding import as_gathered, gathered
from ai8xc.passes.laws.weights import with_weight
from ai8xc.passes.layers.limits import lanes_of, passes_of

Shape = tuple[int, int, int]


def fits(shape: Shape, device: Device) -> bool:
    """Whether a layer can flatten data of this shape (rules CHAN-IN, FLAT-HW, FLAT-SIZE)."""
    channels, pixels = shape[0], shape[1] * shape[2]
    if pixels == 1:
        return channels <= device.max_channels
    filled = channels == passes_of(channels, device) * lanes_of(channels, device)
    small = pixels <= device.max_flatten_pixels and prod(shape) <= device.max_flatten_inputs
    return filled and small and channels <= device.max_channels


def loaded_shape(values: int, device: Device) -> Shape | None:
    """Return the shape with the fewest pixels in which so many values are loaded and flattened."""
    found = [
        (channels, values // channels, 1)
        for channels in range(device.processors, 0, -1)
        if values % channels == 0
    ]
    return next((shape for shape in found if fits(shape, device)), None)


def folded_matrix(device: Device) -> Rule:
    """Return the law for a device."""

    def law(op: Op, uses: Mapping[Op, int]) -> Op | None:
        """linear(flat x, w) => linear(flat (fold x), w in that order), where x has many pixels."""
        source = _flattened(op)
        if source is None or not isinstance(op, q.Linear) or fits(_shape(source), device):
            return None
        channels, rows, columns = _shape(source)
        for by in FACTORS:
            folded = (channels * by * by, -(-rows // by), -(-columns // by))
            if min(rows, columns) > 1 and fits(folded, device):
                return _on_folded(op, source, by)
        return None

    return law


def filled_passes(device: Device) -> Rule:
    """Return the law for a device."""

    def law(op: Op, uses: Mapping[Op, int]) -> Op | None:
        """linear(flat x, w) => linear(flat (x with channels of zeros), w with zeros for them)."""
        source = _flattened(op)
        if source is None or not isinstance(op, q.Linear) or fits(_shape(source), device):
            return None
        channels, rows, columns = _shape(source)
        filled = passes_of(channels, device) * lanes_of(channels, device)
        if rows * columns == 1 or not fits((filled, rows, columns), device):
            return None
        more = filled - channels
        pads = (0, 0, 0, 0, 0, more, 0, 0)
        padded = q.Pad(source, pads, name=f"{op.name}_filled", loc=op.loc)
        assert isinstance(op.weight, q.Constant)
        array = op.weight.value.array.reshape(-1, channels, rows, columns)
        return _with(op, padded, np.pad(array, ((0, 0), (0, more), (0, 0), (0, 0))))

    return law


def channels_of_pool(op: Op, uses: Mapping[Op, int]) -> Op | None:
    """pad(pool(x)){channels} => pool(pad(x)): a pool of zeros is zero."""
    if not _pads_channels(op) or not isinstance(op, q.Pad) or uses[op.x] != 1:
        return None
    if not isinstance(op.x, q.MaxPool | q.AveragePool):
        return None
    inner = replace(op, x=op.x.x, name=f"{op.name}_in")
    return replace(op.x, x=inner, name=op.name)


def channels_of_conv(op: Op, uses: Mapping[Op, int]) -> Op | None:
    """pad(conv(x, w)){channels} => conv(x, w with outputs of zeros)."""
    if not _pads_channels(op) or not isinstance(op, q.Pad) or uses[op.x] != 1:
        return None
    conv = op.x
    if not isinstance(conv, q.Conv) or conv.groups > 1 or not isinstance(conv.weight, q.Constant):
        return None
    before, after = op.pads[1], op.pads[5]
    array = np.pad(conv.weight.value.array, ((before, after), (0, 0), (0, 0), (0, 0)))
    bias = conv.bias
    if isinstance(bias, q.Constant):
        bias = replace(bias, value=Data(np.pad(bias.value.array, (before, after))))
    return with_weight(conv, array, bias=bias, name=op.name)


def _pads_channels(op: Op) -> bool:
    if not isinstance(op, q.Pad) or len(op.pads) != 8:
        return False
    others = [p for axis, p in enumerate(op.pads) if axis not in (1, 5)]
    return not any(others) and min(op.pads) >= 0


def _flattened(op: Op) -> Op | None:
    """Return the data with four axes that a matrix reads as a vector."""
    if not isinstance(op, q.Linear) or not isinstance(op.x, q.Reshape):
        return None
    source = op.x.x
    return source if len(source.type.shape) == 4 and isinstance(op.weight, q.Constant) else None


def _shape(op: Op) -> Shape:
    _, channels, rows, columns = op.type.shape
    return channels, rows, columns


def _on_folded(op: q.Linear, source: Op, by: int) -> Op:
    assert isinstance(op.weight, q.Constant)
    channels, rows, columns = _shape(source)
    data = gathered(source, by, op.name)
    array = op.weight.value.array.reshape(-1, channels, rows, columns)
    wide = np.zeros((len(array), *_shape(data)), array.dtype)
    place = as_gathered(by)
    for a in range(by):
        for b in range(by):
            part = array[:, :, a::by, b::by]
            target = [place(c, a, b) for c in range(channels)]
            wide[:, target, : part.shape[2], : part.shape[3]] = part
    return _with(op, data, wide)


def _with(op: q.Linear, data: Op, array: Array) -> Op:
    """Return a matrix on other data."""
    values = prod(data.type.shape)
    flat = q.Reshape(data, (1, values), name=f"{op.name}_flat", loc=op.loc)
    return with_weight(op, array.reshape(-1, values), x=flat)


@register
@dataclass(frozen=True)
class FitLinear(Pass):
    """Matrices on data that a layer can flatten; see the laws.

    The network's input is loaded in any shape: where a matrix alone reads it, in one that a layer
    can flatten, with the fewest pixels: its kernels spread over the most processors.
    """

    name: ClassVar[str] = "fit-linear"
    needs: ClassVar[frozenset[str]] = frozenset({"q", "rank4"})

    def run(self, graph: Graph, ctx: PassContext) -> Graph:
        """Return the graph with data that can be flattened, where that is possible."""
        device = ctx.need(Device)
        for x in graph.inputs:
            graph = _reloaded(graph, x, device)
        graph = rewrite(graph, (filled_passes(device), folded_matrix(device)))
        return rewrite(graph, (channels_of_pool, channels_of_conv))


def _reloaded(graph: Graph, x: Input, device: Device) -> Graph:
    """Return the graph with an input in another shape, where matrices read it as a vector."""
    if graph.get("fold") is not None or x in graph.outputs:
        return graph
    readers = [op for op in graph.ops if x in op.operands]
    flat = [op for op in readers if isinstance(op, q.Reshape) and len(op.shape) == 2]
    vector = len(x.type.shape) == 2 and all(isinstance(op, q.Linear) for op in readers)
    if not readers or (flat != readers and not vector):
        return graph
    channels, rows, columns = (*x.type.shape[1:], 1, 1)[:3]
    values = channels * rows * columns
    shape = loaded_shape(values, device)
    taken = fits((channels, rows, columns), device)
    if shape is None or (taken and rows * columns <= shape[1]):
        return graph
    made = replace(x, value_type=x.type.with_shape((1, *shape)))
    vector_of = q.Reshape(made, (1, values), name=f"{x.name}_flat", loc=x.loc)
    new: dict[Op, Op] = {x: vector_of}
    for op in graph.ops:
        if op in flat:
            new[op] = vector_of
        elif op is not x:
            new[op] = op.with_operands(new)
    outputs = [new[op] for op in graph.outputs]
    return make_graph(graph.name, graph.level, new.values(), outputs, graph.attributes)
