"""Windows without taps that see nothing, and those as large as the data as matrices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import prod
from typing import ClassVar

import numpy as np

from ai8xc.dialects import q
from ai8xc.ir.core import Data, Graph, Op
from ai8xc.ir.passes import Pass, PassContext, register
from ai8xc.ir.rewrite import rewrite
from ai8xc.passes.laws.folding import SIDE


def single_column(op: Op, uses: Mapping[Op, int]) -> Op | None:
    """conv(x){strides = s} on one output value along an axis => stride 1 on that axis."""
    if not isinstance(op, q.Conv) or len(op.geometry.strides) != 2:
        return None
    sizes = op.type.shape[2:]
    strides = tuple(1 if n == 1 else s for n, s in zip(sizes, op.geometry.strides, strict=True))
    if strides == op.geometry.strides:
        return None
    made = replace(op, strides=strides)
    return made if made.type.shape == op.type.shape else None


def unused_taps(op: Op, uses: Mapping[Op, int]) -> Op | None:
    """conv(x, w) => conv(x, taps of w that see data somewhere and are not all zero)."""
    if not plain(op) or not isinstance(op, q.Conv) or not isinstance(op.weight, q.Constant):
        return None
    array, pads = op.weight.value.array, list(op.geometry.pads)
    index: list[slice] = [slice(None), slice(None)]
    for axis, taps in enumerate(op.kernel):
        size, out = op.x.type.shape[2 + axis], op.type.shape[2 + axis]
        begin, end = pads[axis], pads[axis + 2]
        filled = np.flatnonzero(np.moveaxis(array, 2 + axis, 0).reshape(taps, -1).any(axis=1))
        low = max(begin - out + 1, int(filled[0]) if filled.size else 0, 0)
        high = min(size + begin, int(filled[-1]) + 1 if filled.size else taps)
        low, high = min(low, begin, taps - 1), max(high, taps - end)
        index.append(slice(low, max(high, low + 1)))
        pads[axis] -= low
        pads[axis + 2] -= taps - max(high, low + 1)
    cut = array[tuple(index)]
    if cut.shape == array.shape:
        return None
    made = replace(op, weight=replace(op.weight, value=Data(cut)), pads=tuple(pads))
    return made if made.type.shape == op.type.shape else None


def whole_window(op: Op, uses: Mapping[Op, int]) -> Op | None:
    """conv(x, w) with w as large as x => w as a matrix on all values of x, whatever their shape."""
    if not plain(op) or not isinstance(op, q.Conv) or not isinstance(op.weight, q.Constant):
        return None
    whole = op.kernel == op.x.type.shape[2:] and not any(op.geometry.pads)
    native = op.kernel in ((1, 1), (SIDE, SIDE)) or (op.kernel[1] == 1 and op.kernel[0] <= 9)
    if not whole or (native and not isinstance(op.x, q.Reshape)):
        return None
    outputs, values = op.weight.type.shape[0], prod(op.x.type.shape[1:])
    weight = replace(op.weight, value=Data(op.weight.value.array.reshape(outputs, values)))
    source = op.x.x if isinstance(op.x, q.Reshape) else op.x
    flat = q.Reshape(source, (1, values), name=f"{op.name}_flat", loc=op.loc)
    matrix = q.Linear(
        flat,
        weight,
        op.bias,
        output_shift=op.output_shift,
        activation=op.activation,
        wide=op.wide,
        name=f"{op.name}_matrix",
        loc=op.loc,
    )
    return q.Reshape(matrix, op.type.shape, name=op.name, loc=op.loc)


def plain(op: Op) -> bool:
    """Whether this is a convolution without strides and dilations, on four axes."""
    if not isinstance(op, q.Conv) or len(op.kernel) != 2:
        return False
    return {*op.geometry.strides, *op.geometry.dilations} == {1}


@register
@dataclass(frozen=True)
class TrimWindows(Pass):
    """Keep of each window what sees data; see the laws."""

    name: ClassVar[str] = "trim-windows"
    needs: ClassVar[frozenset[str]] = frozenset({"q", "rank4"})

    def run(self, graph: Graph, ctx: PassContext) -> Graph:
        """Return the graph with windows of the least size."""
        return rewrite(graph, (single_column, unused_taps, whole_window))
