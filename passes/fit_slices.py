"""Parts of tensors: left out by their readers where those can, copied where they cannot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import prod
from typing import ClassVar, Final

import numpy as np

from ai8xc.dialects import q
from ai8xc.ir.core import Data, Graph, Op
from ai8xc.ir.passes import Pass, PassContext, register
from ai8xc.ir.rewrite import rewrite
from ai8xc.ir.types import Array
from ai8xc.passes.identity import OUTPUT_SHIFT, identity_weight, q_constant
from ai8xc.passes.laws.folding import SIDE
from ai8xc.passes.laws.weights import with_weight
from ai8xc.passes.trim_windows import plain


def slice_unread(op: Op, uses: Mapping[Op, int]) -> Op | None:
    """pool(x without its last rows and columns) => pool(x), where it does not read those."""
    if not isinstance(op, q.MaxPool | q.AveragePool) or not isinstance(op.x, q.Slice):
        return None
    cut = op.x
    if any(cut.starts) or set(cut.steps) != {1} or cut.type.shape[1] != cut.x.type.shape[1]:
        return None
    if any(op.geometry.pads):
        return None
    made = replace(op, x=cut.x)
    return made if made.type.shape == op.type.shape else None


def slice_of_matrix(op: Op, uses: Mapping[Op, int]) -> Op | None:
    """linear(flat part of x, w) => linear(flat x, w between zeros)."""
    match op:
        case q.Linear(x=q.Reshape(x=q.Slice() as cut), weight=q.Constant() as weight):
            pass
        case _:
            return None
    if set(cut.steps) != {1} or len(cut.starts) != 4:
        return None
    outputs, full = op.type.shape[1], cut.x.type.shape[1:]
    wide = np.zeros((outputs, *full), weight.value.array.dtype)
    spots = tuple(slice(s, e) for s, e in zip(cut.starts[1:], cut.ends[1:], strict=True))
    wide[(slice(None), *spots)] = weight.value.array.reshape(outputs, *cut.type.shape[1:])
    flat = q.Reshape(cut.x, (1, prod(full)), name=op.x.name, loc=op.x.loc)
    return with_weight(op, wide.reshape(outputs, -1), x=flat)


def slice_of_channels(op: Op, uses: Mapping[Op, int]) -> Op | None:
    """conv(some channels of x, w) => conv(x, w with zeros for the other channels)."""
    if not isinstance(op, q.Conv) or not isinstance(op.x, q.Slice) or op.groups != 1:
        return None
    cut, weight = op.x, op.weight
    if not isinstance(weight, q.Constant) or cut.x.type.shape[2:] != cut.type.shape[2:]:
        return None
    if set(cut.steps) != {1}:
        return None
    array = weight.value.array
    wide = np.zeros((array.shape[0], cut.x.type.shape[1], *array.shape[2:]), array.dtype)
    wide[:, cut.starts[1] : cut.ends[1]] = array
    return with_weight(op, wide, x=cut.x)


def two_values(op: Op, uses: Mapping[Op, int]) -> Op | None:
    """conv(x, 2 taps) without its last column => every second value of a transposed convolution.

    With stride 2 and padding 2, value 2v is tap 2 on value v and tap 0 on value v + 1; with
    padding 1 it is tap 1 on value v. Where rows have three taps, columns are cut off by a copy.
    """
    match op:
        case q.Slice(x=q.Conv(weight=q.Constant() as weight) as conv) if uses[conv] == 1:
            pass
        case _:
            return None
    cut = tuple(a - b for a, b in zip(conv.type.shape, op.ends, strict=True))
    padded = conv.kernel == (SIDE, SIDE) and conv.geometry.pads == (1, 1, 1, 1)
    if not plain(conv) or any(op.starts) or cut[1] or cut[3] != 1 or not padded or conv.groups > 1:
        return None
    sources = [_TAPS.get(tuple(np.flatnonzero(_used(weight.value.array, axis)))) for axis in (2, 3)]
    if None in sources or cut[2] > 1 or conv.wide:
        return None
    rows, columns = (source for source in sources if source is not None)
    pads = (2 if cut[2] else 1, 2)
    if (rows is _CENTRE) != (pads[0] == 1) or columns is _CENTRE:
        return None
    array = weight.value.array[:, :, list(rows)][:, :, :, list(columns)].copy()
    for axis, source in ((2, rows), (3, columns)):
        np.moveaxis(array, axis, 0)[[n for n, tap in enumerate(source) if tap == _NONE]] = 0
    made = q.ConvTranspose(
        conv.x,
        replace(weight, value=Data(array.swapaxes(0, 1))),
        conv.bias,
        strides=(2, 2),
        pads=pads * 2,
        output_padding=(1, 1),
        output_shift=conv.output_shift,
        activation=conv.activation,
        name=f"{op.name}_spread",
        loc=op.loc,
    )
    return q.MaxPool(made, (1, 1), (2, 2), name=op.name, loc=op.loc)


_NONE: Final = 0
_CENTRE: Final = (_NONE, 1, _NONE)
_TAPS: Final = {(1,): _CENTRE, (1, 2): (2, _NONE, 1)}
"""The taps of the 3x3 window that the three taps of the transposed one are, by those in use.

Taps at 1 and 2 see values v and v + 1. Tap 0 is not in use: it stands for none.
"""


def _used(array: Array, axis: int) -> Array:
    """Return whether each tap along an axis is other than zero somewhere."""
    return np.asarray(np.moveaxis(array, axis, 0).reshape(array.shape[axis], -1).any(axis=1))


def slice_alone(op: Op, uses: Mapping[Op, int]) -> Op | None:
    """Slice(x) of channels => weights that copy those; of columns => a window inside x.

    Rows in front and behind can be left out by the reader.
    """
    if not isinstance(op, q.Slice) or len(op.starts) != 4 or set(op.steps) != {1}:
        return None
    shape = op.x.type.shape
    cuts = [(s, size - e) for s, e, size in zip(op.starts, op.ends, shape, strict=True)]
    if any(cuts[1]):
        weight = identity_weight(shape[1], (1, 1), (0, 0))[op.starts[1] : op.ends[1]]
        copied = q.Conv(op.x, q_constant(weight), output_shift=OUTPUT_SHIFT, loc=op.loc)
        if not any(cuts[2]) and not any(cuts[3]):
            return replace(copied, name=op.name)
        starts, ends = (0, 0, *op.starts[2:]), (1, copied.type.shape[1], *op.ends[2:])
        return replace(op, x=replace(copied, name=f"{op.name}_in"), starts=starts, ends=ends)
    if cuts[3] == (0, 0):
        return None
    left, right = cuts[3]
    if sum(cuts[3]) == 1:
        return _last_off(op, right)
    here = (min(left, 2), 2 - min(left, 2))
    weight = identity_weight(shape[1], (SIDE, SIDE), (1, here[0]))
    made = q.Conv(
        op.x, q_constant(weight), pads=(1, 0, 1, 0), output_shift=OUTPUT_SHIFT, loc=op.loc
    )
    if made.type.shape == op.type.shape:
        return replace(made, name=op.name)
    starts = (0, 0, op.starts[2], op.starts[3] - here[0])
    ends = (*op.ends[:3], op.ends[3] - here[0])
    return replace(op, x=replace(made, name=f"{op.name}_in"), starts=starts, ends=ends)


def _last_off(op: q.Slice, right: int) -> Op:
    """Return a copy without the last column, or the first (`right` = 0).

    A transposed window with padding 2 writes 2 * columns - 2 values; every second one is tap 2 on
    the same column, or tap 0 on the next.
    """
    channels = op.x.type.shape[1]
    taps = np.zeros((SIDE, SIDE), np.int8)
    taps[1, 2 * right] = 1
    spread = q.ConvTranspose(
        op.x,
        q_constant(identity_weight(channels, (1, 1), (0, 0)) * taps),
        strides=(2, 2),
        pads=(1, 2, 1, 2),
        output_padding=(1, 1),
        output_shift=OUTPUT_SHIFT,
        name=f"{op.name}_spread",
        loc=op.loc,
    )
    taken = q.MaxPool(spread, (1, 1), (2, 2), name=op.name, loc=op.loc)
    if taken.type.shape == op.type.shape:
        return taken
    starts, ends = (*op.starts[:3], 0), (*op.ends[:3], op.type.shape[3])
    return replace(op, x=replace(taken, name=f"{op.name}_in"), starts=starts, ends=ends)


@register
@dataclass(frozen=True)
class FitSlices(Pass):
    """Tensors without some channels or columns, by what reads or copies them; see the laws.

    Rows in front and behind stay slices: a layer begins to read behind them.
    """

    name: ClassVar[str] = "fit-slices"
    needs: ClassVar[frozenset[str]] = frozenset({"q", "rank4"})

    def run(self, graph: Graph, ctx: PassContext) -> Graph:
        """Return the graph with slices of rows only, where that is possible."""
        graph = rewrite(graph, (slice_unread, slice_of_matrix, slice_of_channels))
        return rewrite(graph, (two_values, slice_alone))
