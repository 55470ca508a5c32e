"""Transposes towards the outputs until they meet their opposite."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from ai8xc.dialects import nn
from ai8xc.dialects.shapes import Ints
from ai8xc.ir.core import Graph, Op
from ai8xc.ir.passes import Pass, PassContext, register
from ai8xc.ir.rewrite import rewrite
from ai8xc.passes.laws import axes
from ai8xc.passes.laws.constants import bypass, constant_like

Binary = nn.Add | nn.Sub | nn.Mul | nn.Div | nn.BitwiseOr | nn.BitwiseXor
Unary = nn.Relu | nn.Abs | nn.Clip | nn.LeakyRelu | nn.Sigmoid | nn.Tanh | nn.Identity | nn.Cast


def transpose_of_transpose(op: Op, uses: Mapping[Op, int]) -> Op | None:
    """transpose(transpose(x)) => transpose(x) by both at once, or x where they cancel."""
    match op:
        case nn.Transpose(x=nn.Transpose(x=x) as first):
            perm = tuple(first.perm[axis] for axis in op.perm)
        case _:
            return None
    if not axes.in_order(perm):
        return nn.Transpose(x, perm, name=op.name, loc=first.loc.fuse(op.loc))
    return bypass(op, x, uses) if uses[first] == 1 else x


def past_elementwise(op: Op, uses: Mapping[Op, int]) -> Op | None:
    """relu(transpose(x)) => transpose(relu(x)), for every op of one tensor, value by value."""
    if isinstance(op, Unary) and isinstance(op.x, nn.Transpose):
        return _sunk(dataclasses.replace(op, x=op.x.x), op.x.perm, op.x)
    return None


def past_axis(op: Op, uses: Mapping[Op, int]) -> Op | None:
    """softmax(transpose(x)){axis} => transpose(softmax(x)){perm[axis]}; (de)quantize likewise."""
    match op:
        case nn.Softmax(x=nn.Transpose() as t):
            pass
        case nn.Quantize(x=nn.Transpose() as t) | nn.Dequantize(x=nn.Transpose() as t):
            pass
        case _:
            return None
    axis = t.perm[op.axis % len(t.perm)]
    return _sunk(dataclasses.replace(op, x=t.x, axis=axis), t.perm, t)


def past_arithmetic(op: Op, uses: Mapping[Op, int]) -> Op | None:
    """add(transpose(a), transpose(b)) => transpose(add(a, b)), also where one is a constant."""
    if not isinstance(op, Binary):
        return None
    perm = _common_order((op.a, op.b))
    if perm is None or len(op.type.shape) != len(perm):
        return None
    a, b = (_unmoved(operand, perm) for operand in (op.a, op.b))
    return _sunk(dataclasses.replace(op, a=a, b=b), perm, op.a, op.b)


def past_concat(op: Op, uses: Mapping[Op, int]) -> Op | None:
    """concat([transpose(a), transpose(b)]){axis} => transpose(concat([a, b])){perm[axis]}."""
    if not isinstance(op, nn.Concat):
        return None
    perm = _common_order(op.xs)
    if perm is None:
        return None
    xs = tuple(_unmoved(operand, perm) for operand in op.xs)
    return _sunk(dataclasses.replace(op, xs=xs, axis=perm[op.axis]), perm, *op.xs)


def past_pad(op: Op, uses: Mapping[Op, int]) -> Op | None:
    """pad(transpose(x)) => transpose(pad(x)), the amounts in the order of the axes of x."""
    match op:
        case nn.Pad(x=nn.Transpose() as t):
            pads = axes.moved_pairs(op.pads, t.perm)
            return _sunk(dataclasses.replace(op, x=t.x, pads=pads), t.perm, t)
    return None


def past_slice(op: Op, uses: Mapping[Op, int]) -> Op | None:
    """slice(transpose(x)) => transpose(slice(x)), the ranges in the order of the axes of x."""
    match op:
        case nn.Slice(x=nn.Transpose() as t):
            starts, ends, steps = (axes.moved(v, t.perm) for v in (op.starts, op.ends, op.steps))
            new = dataclasses.replace(op, x=t.x, starts=starts, ends=ends, steps=steps)
            return _sunk(new, t.perm, t)
    return None


def past_mean(op: Op, uses: Mapping[Op, int]) -> Op | None:
    """reduce_mean(transpose(x)){axes} => transpose(reduce_mean(x)){perm[axes]}."""
    match op:
        case nn.ReduceMean(x=nn.Transpose() as t):
            perm, reduced = t.perm, tuple(sorted(t.perm[axis] for axis in op.axes))
        case _:
            return None
    if not op.keep_dims:  # the axes that are left close ranks
        left = [axis for axis in perm if axis not in reduced]
        perm = tuple(sorted(left).index(axis) for axis in left)
    return _sunk(dataclasses.replace(op, x=t.x, axes=reduced), perm, t)


def past_pool(op: Op, uses: Mapping[Op, int]) -> Op | None:
    """max_pool(transpose(x)) => transpose(max_pool(x)), where only spatial axes move."""
    match op:
        case nn.MaxPool(x=nn.Transpose() as t) | nn.AveragePool(x=nn.Transpose() as t):
            pass
        case _:
            return None
    if not axes.keeps_channels(t.perm):
        return None
    new = dataclasses.replace(
        op,
        x=t.x,
        kernel=axes.moved_windows(op.kernel, t.perm),
        strides=axes.moved_windows(op.strides, t.perm),
        pads=axes.moved_windows(op.pads, t.perm),
        dilations=axes.moved_windows(op.dilations, t.perm),
    )
    return _sunk(new, t.perm, t)


def past_global_pool(op: Op, uses: Mapping[Op, int]) -> Op | None:
    """global_average_pool(transpose(x)) => global_average_pool(x), where only spatial axes move."""
    match op:
        case nn.GlobalAveragePool(x=nn.Transpose() as t) | nn.GlobalMaxPool(x=nn.Transpose() as t):
            if axes.keeps_channels(t.perm):
                return dataclasses.replace(op, x=t.x, loc=t.loc.fuse(op.loc))
    return None


def past_resize(op: Op, uses: Mapping[Op, int]) -> Op | None:
    """resize(transpose(x)) => transpose(resize(x)), where only spatial axes move."""
    match op:
        case nn.Resize(x=nn.Transpose() as t) if axes.keeps_channels(t.perm):
            scales = axes.moved_windows(op.scales, t.perm)
            return _sunk(dataclasses.replace(op, x=t.x, scales=scales), t.perm, t)
    return None


def past_batch_norm(op: Op, uses: Mapping[Op, int]) -> Op | None:
    """bn(transpose(x)) => transpose(bn(x)), where the channels stay axis 1."""
    match op:
        case nn.BatchNorm(x=nn.Transpose() as t) if t.perm[1] == 1:
            return _sunk(dataclasses.replace(op, x=t.x), t.perm, t)
    return None


def before_reshape(op: Op, uses: Mapping[Op, int]) -> Op | None:
    """reshape(transpose(x)) => reshape(x), where all axes that move have size 1."""
    match op:
        case nn.Reshape(x=nn.Transpose() as t) if axes.only_moves_ones(t):
            return dataclasses.replace(op, x=t.x, loc=t.loc.fuse(op.loc))
    return None


def past_unit_axes(op: Op, uses: Mapping[Op, int]) -> Op | None:
    """reshape(transpose(x)) => transpose(reshape(x)), where axes of size 1 come or go."""
    match op:
        case nn.Reshape(x=nn.Transpose() as t):
            found = axes.with_unit_axes(t, op.shape)
        case _:
            return None
    if found is None:
        return None
    shape, perm = found
    return _sunk(dataclasses.replace(op, x=t.x, shape=shape), perm, t)


def past_matrix(op: Op, uses: Mapping[Op, int]) -> Op | None:
    """linear(transpose(x), w) => transpose(conv(x, w)) with a 1x1 kernel: channels went last.

    Also for matmul with a constant matrix.
    """
    t, matrix, by_row = _product(op)
    if not isinstance(t, nn.Transpose) or not isinstance(matrix, nn.Constant):
        return None
    rank = len(t.perm)
    if rank not in (3, 4) or t.perm != (0, *range(2, rank), 1) or len(matrix.type.shape) != 2:
        return None
    rows = matrix.value.array if by_row else matrix.value.array.T
    weight = constant_like(matrix, rows.reshape(*rows.shape, *(1,) * (rank - 2)))
    conv = nn.Conv(t.x, weight, name=op.name, loc=op.loc)
    if isinstance(op, nn.Linear):
        conv = dataclasses.replace(conv, bias=op.bias, activation=op.activation, limit=op.limit)
    return _sunk(conv, t.perm, t)


def before_flatten(op: Op, uses: Mapping[Op, int]) -> Op | None:
    """relu(reshape(transpose(x))) => reshape(relu(transpose(x))): the way to a matrix is free."""
    if not isinstance(op, Unary) or not isinstance(op.x, nn.Reshape):
        return None
    flat = op.x
    if not isinstance(flat.x, nn.Transpose) or uses[flat] != 1:
        return None
    inner = dataclasses.replace(op, x=flat.x, name=f"{op.name}_values")
    return dataclasses.replace(flat, x=inner, name=op.name)


def before_matrix(op: Op, uses: Mapping[Op, int]) -> Op | None:
    """linear(reshape(transpose(x)), w) => linear(reshape(x), w with its columns permuted).

    Also for gemm and matmul with a constant matrix.
    """
    flat, matrix, by_row = _product(op)
    if not isinstance(flat, nn.Reshape) or not isinstance(matrix, nn.Constant):
        return None
    t, shape = flat.x, flat.type.shape
    if not isinstance(t, nn.Transpose) or t.perm[0] != 0:
        return None
    if len(shape) != 2 or len(matrix.type.shape) != 2 or shape[0] != t.type.shape[0]:
        return None
    rows = matrix.value.array if by_row else matrix.value.array.T
    rows = axes.moved_columns(rows, t.type.shape, t.perm)
    unmoved = dataclasses.replace(flat, x=t.x, loc=t.loc.fuse(flat.loc))
    return op.with_operands(
        {flat: unmoved, matrix: constant_like(matrix, rows if by_row else rows.T)}
    )


def _product(op: Op) -> tuple[Op | None, Op | None, bool]:
    """Return data and matrix of a product, and whether the matrix is M x K (not K x M)."""
    match op:
        case nn.Linear():
            return op.x, op.weight, True
        case nn.Gemm() if not op.trans_a and op.c is not op.b:
            return op.a, op.b, op.trans_b
        case nn.MatMul():
            return op.a, op.b, False
    return None, None, False


def _common_order(operands: Sequence[Op]) -> Ints | None:
    """Return the order of the transposes among operands; None if one is anything else."""
    orders = {x.perm for x in operands if isinstance(x, nn.Transpose)}
    if len(orders) != 1 or not all(isinstance(x, nn.Transpose | nn.Constant) for x in operands):
        return None
    perm = orders.pop()
    return perm if all(len(x.type.shape) <= len(perm) for x in operands) else None


def _unmoved(operand: Op, perm: Ints) -> Op:
    """Return an operand as it is in front of the transpose."""
    if isinstance(operand, nn.Constant):
        return axes.moved_constant(operand, perm)
    return operand.x if isinstance(operand, nn.Transpose) else operand


def _sunk(new: Op, perm: Ints, *old: Op) -> Op:
    """Return the transpose behind the op that it stood in front of."""
    moves = [x.loc for x in old if isinstance(x, nn.Transpose)]
    if axes.in_order(perm):
        return dataclasses.replace(new, loc=moves[0].fuse(*moves[1:], new.loc))
    loc = moves[0].fuse(*moves[1:])
    return nn.Transpose(new, perm, name=f"{new.name}_transposed", loc=loc)


LAWS: Final = (
    transpose_of_transpose,
    past_elementwise,
    past_axis,
    past_arithmetic,
    past_concat,
    past_pad,
    past_slice,
    past_mean,
    past_pool,
    past_global_pool,
    past_resize,
    past_batch_norm,
    before_reshape,
    past_unit_axes,
    past_matrix,
    before_flatten,
    before_matrix,
)


@register
@dataclass(frozen=True)
class EliminateTransposes(Pass):
    """Move transposes towards the outputs until they cancel, or vanish in a matrix.

    One with several readers goes past each that lets it through. What it has passed keeps its
    name and has its axes in the other order from then on.
    """

    name: ClassVar[str] = "eliminate-transposes"
    needs: ClassVar[frozenset[str]] = frozenset({"nn"})
    keeps_values: ClassVar[bool] = False

    def run(self, graph: Graph, ctx: PassContext) -> Graph:
        """Return the graph with the transposes that are left behind what they passed."""
        return rewrite(graph, LAWS)
