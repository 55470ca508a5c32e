"""Inputs of models whose images have their channels last, as TensorFlow exports them.

Samples are channels first for every model. An input that the model itself turns to channels
first before any layer reads it is therefore imported that way round, followed by a transpose to
the model's own layout, which meets the model's transpose and disappears with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from ai8xc.dialects import nn
from ai8xc.ir.core import Graph, Input, Op, make_graph

if TYPE_CHECKING:
    from onnx import NodeProto

CHANNELS_LAST: Final[Mapping[int, str]] = {3: "NLC", 4: "NHWC"}
"""Name of the layout by rank, for the graph's attribute `input_layouts`."""

_ELEMENTWISE: Final = (
    "Add",
    "Cast",
    "Clip",
    "DequantizeLinear",
    "Div",
    "Dropout",
    "Identity",
    "Mul",
    "QuantizeLinear",
    "Relu",
    "Sub",
)


def to_first(rank: int) -> tuple[int, ...]:
    """Return the permutation from channels last to channels first."""
    return (0, rank - 1, *range(1, rank - 1))


def to_last(rank: int) -> tuple[int, ...]:
    """Return the permutation from channels first to channels last."""
    return (0, *range(2, rank), 1)


def is_channels_last(name: str, rank: int, nodes: Sequence[NodeProto]) -> bool:
    """Whether layers read an input only through a transpose to channels first.

    Element-wise nodes may stand between (a model often scales its images first).
    """
    if rank not in CHANNELS_LAST:
        return False
    readers: dict[str, list[NodeProto]] = {}
    for node in nodes:
        for operand in node.input:
            readers.setdefault(operand, []).append(node)
    pending, seen, turned = [name], {name}, False
    while pending:
        for node in readers.get(pending.pop(), []):
            if node.op_type == "Transpose" and _perm(node) == to_first(rank):
                turned = True
            elif node.op_type not in _ELEMENTWISE:
                return False
            else:
                pending.extend(set(node.output) - seen)
                seen.update(node.output)
    return turned


def _perm(node: NodeProto) -> tuple[int, ...]:
    return tuple(value for item in node.attribute if item.name == "perm" for value in item.ints)


def single_channels_first(graph: Graph) -> tuple[Graph, Mapping[str, str]]:
    """Return the graph with inputs of one channel turned where the model does so by a reshape.

    With one channel both layouts are the same values in the same order, so exporters write a
    reshape instead of a transpose. The layouts of the inputs turned come by name.
    """
    turned: dict[Op, Op] = {}
    layouts: dict[str, str] = {}
    for op in graph.inputs:
        shape, rank = op.type.shape, len(op.type.shape)
        readers = [reader for reader in graph.ops if op in reader.operands]
        if rank not in CHANNELS_LAST or shape[-1] != 1 or op in graph.outputs or not readers:
            continue
        first = tuple(shape[axis] for axis in to_first(rank))
        if not all(isinstance(reader, nn.Reshape) and reader.shape == first for reader in readers):
            continue
        new = Input(op.type.with_shape(first), name=op.name, loc=op.loc)
        layouts[op.name] = CHANNELS_LAST[rank]
        turned |= {op: new} | dict.fromkeys(readers, new)
    if not turned:
        return graph, layouts
    for old in graph.ops:
        if old not in turned:
            turned[old] = old.with_operands(turned)
    outputs = [turned[old] for old in graph.outputs]
    ops = [turned[old] for old in graph.ops]
    return make_graph(graph.name, graph.level, ops, outputs, graph.attributes), layouts
